import { checkCommandsOf } from "../../actions/plans/agree.js";
import type { PlanState } from "../../plans/machine/state.js";
import type { PlanLimits, PlanStep } from "../../plans/plan.js";
import { asCode } from "../../shared/check-command.js";
import { shellWord } from "../../shared/shell-word.js";
import { cleanLine } from "../../shared/text.js";
import { agree, type ChangeOptions, tellChange } from "./change-command.js";
import { tellProblems } from "./check-command.js";
import { findPlan } from "./find-plan.js";
import type { PlanFile } from "./read-plan-file.js";

const NOTHING = "Nothing was changed.";

/**
 * Makes a plan that goes on another one, as a file has it: steps that have not begun, and limits. Shows what changes and
 * asks; a command that a merge would run is agreed to word for word.
 * @param options.agreed what the person agrees to beforehand
 * @returns the exit code: 0 changed, 1 not
 * @throws UnknownPlan, StoreError
 */
export async function editInTerminal(
  wanted: string,
  { text }: PlanFile,
  options: ChangeOptions & { agreed: readonly string[] },
): Promise<number> {
  const { plans, out } = options;
  const { state } = await findPlan(wanted, plans);
  const { name } = state.plan;
  const checked = await plans.check(text, { name });
  if ("problems" in checked) {
    out(`${tellProblems(checked.problems, NOTHING)}\n`);
    return 1;
  }
  const plan = { ...checked.plan, name };
  const changes = compare(state, plan);
  if (changes.length === 0) {
    out(`The plan is like this already. ${NOTHING}\n`);
    return 1;
  }
  out(
    `Plan ${cleanLine(name, 100)}, version ${state.version + 1}:\n${changes.map((line) => `  ${line}\n`).join("")}`,
  );
  const unknown = newCommands(state, plan).filter((command) => !options.agreed.includes(command));
  for (const command of unknown) {
    const question = `Run ${asCode(command)} where the engine is, on what agents have written?`;
    // Never by --yes, which says nothing of a command.
    if (options.ask && (await options.ask(question))) continue;
    out(
      options.ask
        ? `${NOTHING}\n`
        : `The command ${asCode(command)} has to be agreed to word for word: --agree ${shellWord(command)}. ${NOTHING}\n`,
    );
    return 1;
  }
  if (!(await agree("Change the plan so?", options))) return 1;
  return tellChange(state, { type: "plan-edited", plan }, options);
}

/**
 * Changes the limits of a plan that goes on.
 * @returns the exit code: 0 changed, 1 not
 * @throws UnknownPlan, StoreError
 */
export async function limitInTerminal(
  wanted: string,
  limits: Partial<PlanLimits>,
  options: Pick<ChangeOptions, "plans" | "out">,
): Promise<number> {
  const { state } = await findPlan(wanted, options.plans);
  const plan = { ...state.plan, limits: { ...state.plan.limits, ...limits } };
  if (tellLimits(plan.limits) === tellLimits(state.plan.limits)) {
    options.out(`Its limits are these already: ${tellLimits(plan.limits)}. ${NOTHING}\n`);
    return 1;
  }
  options.out(`Limits: ${tellLimits(plan.limits)}.\n`);
  return tellChange(state, { type: "plan-edited", plan }, options);
}

/** "12 runs, 3 at once, $20.00, 240 minutes" */
export function tellLimits({ runs, parallel, costUsd, minutes }: PlanLimits): string {
  const cost = costUsd === undefined ? "no limit of the cost" : `$${costUsd.toFixed(2)}`;
  return `${runs} runs, ${parallel} at once, ${cost}, ${minutes} minutes`;
}

/** What becomes another one, a line each. */
function compare({ plan: old }: PlanState, plan: PlanState["plan"]): string[] {
  const before = new Map(old.steps.map((step) => [step.id, JSON.stringify(step)]));
  const ids = new Set(plan.steps.map(({ id }) => id));
  const lines = plan.steps.flatMap((step) => {
    const was = before.get(step.id);
    if (was === JSON.stringify(step)) return [];
    return [`${was === undefined ? "new" : "changed"}: ${tellStep(step)}`];
  });
  for (const { id } of old.steps) if (!ids.has(id)) lines.push(`dropped: ${id}`);
  if (tellLimits(old.limits) !== tellLimits(plan.limits)) lines.push(`limits: ${tellLimits(plan.limits)}`);
  if (lines.length === 0 && JSON.stringify(old) !== JSON.stringify(plan)) lines.push("changed: its texts");
  return lines;
}

function tellStep(step: PlanStep): string {
  switch (step.kind) {
    case "run":
      return `${step.id} runs ${step.workflow}: ${cleanLine(step.task ?? "goes on with what was left", 200)}`;
    case "gate":
      return `${step.id} asks you: ${cleanLine(step.question, 200)}`;
    case "merge":
      return `${step.id} merges the branches of ${step.merge}${step.check === undefined ? "" : `, and runs ${asCode(step.check)}`}`;
  }
}

/** Commands that nobody has agreed to with this plan. @throws ActionError for one that nobody could agree to */
function newCommands({ plan, earlier }: PlanState, next: PlanState["plan"]): string[] {
  const known = new Set([plan, ...earlier.map((one) => one.plan)].flatMap(checkCommandsOf));
  return checkCommandsOf(next).filter((command) => !known.has(command));
}
