import type { Plans } from "../../plan-runner/plans.js";
import type { CheckedPlan } from "../../plans/language/check-plan.js";
import type { Answer } from "../answer.js";
import type { Call } from "../define-action.js";
import type { Question } from "../forms/form-client.js";

const NOTHING = "Nothing was begun.";

/** The workflows that the person has chosen for steps that say `auto`, by the steps' ids. */
export type ChosenWorkflows = Readonly<Record<string, string>>;

/**
 * Checks a plan, and asks the person where nothing stands out for a step that says `auto`. Where nobody can be asked, or
 * the plan has other mistakes, it stays a mistake that names the nearest ones.
 * @returns the check with what was chosen so far, or the answer with which the call ends
 */
export async function checkAsking(
  plans: Plans,
  source: unknown,
  options: {
    inputs: Record<string, unknown>;
    name?: string | undefined;
    chosen?: ChosenWorkflows;
    /** False: nobody is asked. */
    asks?: boolean;
  },
  call: Call,
): Promise<{ checked: CheckedPlan; chosen: ChosenWorkflows } | Answer> {
  const { inputs, name, chosen = {}, asks = true } = options;
  const check = (now: ChosenWorkflows) =>
    plans.check(source, { inputs, chosen: now, ...(name ? { name } : {}) });
  const checked = await check(chosen);
  if (!("problems" in checked)) return { checked, chosen };
  const { problems, undecided = [] } = checked;
  const isAll = undecided.length > 0 && problems.length === undecided.length;
  if (!asks || !isAll || !call.forms.supported) return { checked, chosen };
  const questions = undecided.map(
    ({ step, names }): Question => ({
      name: step,
      title: `Workflow of ${step}`,
      description: `Which workflow should do the step ${step}? The nearest by its task comes first.`,
      required: true,
      choices: names.map((value) => ({ value, title: value })),
    }),
  );
  const answer = await call.forms.ask("Two or more workflows fit a step of the plan.", questions);
  switch (answer.kind) {
    case "accepted": {
      const told = undecided.flatMap(({ step, names }) => {
        const value = answer.values[step];
        return value !== undefined && names.includes(value) ? [[step, value] as const] : [];
      });
      const all = { ...chosen, ...Object.fromEntries(told) };
      return { checked: await check(all), chosen: all };
    }
    case "declined":
      if (answer.byClient) return { checked, chosen };
      return { outcome: "declined", summary: `The person declined. ${NOTHING}` };
    case "cancelled":
      if (answer.why === "closed" && answer.byClient) return { checked, chosen };
      return {
        outcome: "cancelled",
        summary: `Which workflow a step is for was not answered. ${NOTHING} Ask the person before trying again.`,
      };
    case "not_asked":
      return { checked, chosen };
  }
}

/** "Chosen by their tasks: build is implement (like …)." Undefined where no step says `auto`. */
export function tellChosen({ chosen }: { chosen: readonly ChosenStep[] }): string | undefined {
  if (chosen.length === 0) return undefined;
  const told = chosen
    .slice(0, TOLD)
    .map(({ step, workflow, why }) => `${step} is ${workflow}${why ? ` (${why})` : ""}`);
  const more = chosen.length > TOLD ? `; and ${chosen.length - TOLD} more` : "";
  return `Chosen by their tasks: ${told.join("; ")}${more}.`;
}

const TOLD = 20;

/** A step that said `auto`. */
interface ChosenStep {
  step: string;
  workflow: string;
  why?: string | undefined;
}
