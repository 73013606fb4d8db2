import type { Plans } from "../../plan-runner/plans.js";
import { describePlan } from "../../plans/machine/describe-plan.js";
import type { PlanChange } from "../../plans/machine/events.js";
import { isGoing, type PlanState } from "../../plans/machine/state.js";
import { cleanLine } from "../../shared/text.js";
import type { Ask } from "../sessions/terminal-call.js";
import { findPlan, UnknownPlan } from "./find-plan.js";
import { nameForShell } from "./render-plan.js";

/** What can be done with a plan that goes on, beside deciding at its gates. */
export type Deed = "pause" | "resume" | "skip" | "redo" | "kill";

export interface ChangeOptions {
  plans: Plans;
  /** Without asking. */
  yes: boolean;
  ask: Ask;
  out: (text: string) => void;
}

const NOTHING = "Nothing was changed.";

/**
 * Pauses, resumes or ends a plan, skips or does a step again; asks first where that ends runs or starts paid ones.
 * @param what.step for skipping and doing again; left out where only one step can be meant
 * @returns the exit code: 0 done, 1 not
 * @throws UnknownPlan, StoreError
 */
export async function changeInTerminal(
  wanted: string,
  what: { deed: Deed; step?: string | undefined; words?: string | undefined },
  options: ChangeOptions,
): Promise<number> {
  const { plans, out } = options;
  const { state } = await findPlan(wanted, plans);
  const change = toChange(state, what);
  if (typeof change === "string") {
    out(`${change} ${NOTHING}\n`);
    return 1;
  }
  const question = questionFor(state, change);
  if (question && !(await agree(question, options))) return 1;
  return tellChange(state, change, options);
}

/** Makes the change, and says what is so now. */
export async function tellChange(
  { planId }: PlanState,
  change: PlanChange,
  { plans, out }: Pick<ChangeOptions, "plans" | "out">,
): Promise<number> {
  const told = await plans.tell(planId, change);
  if (!told) throw new UnknownPlan(`The plan is not there any more. ${NOTHING}`);
  if (told.refused !== undefined) {
    out(`${told.refused} ${NOTHING}\n`);
    return 1;
  }
  out(`${tellDone(told.state, change)}\n`);
  return 0;
}

/** Asks, unless that was not wanted; says why nothing is done. */
export async function agree(question: string, { yes, ask, out }: Omit<ChangeOptions, "plans">) {
  if (yes) return true;
  if (!ask) {
    out(`${question}\nNobody can be asked here. ${NOTHING} --yes does it without asking.\n`);
    return false;
  }
  if (await ask(question)) return true;
  out(`${NOTHING}\n`);
  return false;
}

function toChange(
  state: PlanState,
  { deed, step, words }: { deed: Deed; step?: string | undefined; words?: string | undefined },
): PlanChange | string {
  switch (deed) {
    case "pause":
      return { type: "paused" };
    case "resume":
      return { type: "resumed" };
    case "kill":
      return { type: "kill-asked" };
    default: {
      const found = chooseStep(state, step);
      if (found.id === undefined) return found.problem;
      if (deed === "skip") return { type: "step-skipped", step: found.id };
      return { type: "step-redone", step: found.id, ...(words === undefined ? {} : { words }) };
    }
  }
}

/** The step that is named, or the only one that has failed or is blocked. */
function chooseStep(
  { plan, steps }: PlanState,
  wanted: string | undefined,
): { id: string } | { id?: undefined; problem: string } {
  const ids = plan.steps.map(({ id }) => id);
  if (wanted !== undefined && ids.includes(wanted)) return { id: wanted };
  const all = `its steps are ${ids.join(", ")}.`;
  if (wanted !== undefined) return { problem: `The plan has no step "${cleanLine(wanted, 100)}"; ${all}` };
  const stuck = ids.filter((id) => {
    const { status, byNeed } = steps[id] ?? {};
    return (status === "failed" || status === "blocked") && !byNeed;
  });
  const [only] = stuck;
  if (only !== undefined && stuck.length === 1) return { id: only };
  return { problem: `Name the step behind the plan; ${all}` };
}

/** What is asked first; undefined for what ends nothing and costs nothing. */
function questionFor(state: PlanState, change: PlanChange): string | undefined {
  const name = cleanLine(state.plan.name, 100);
  if (change.type === "kill-asked") {
    const going = goingRuns(state);
    const runs =
      going === 1 ? " and the run that goes on" : going > 1 ? ` and the ${going} runs that go on` : "";
    return `End the plan ${name}${runs}? What they have committed is kept.`;
  }
  if (change.type === "step-redone")
    return `Do step ${change.step} of ${name} again, and everything behind it? Its runs are paid for again.`;
  return undefined;
}

function goingRuns({ steps }: PlanState): number {
  return Object.values(steps).reduce((sum, { attempts }) => sum + attempts.filter(isGoing).length, 0);
}

function tellDone(state: PlanState, change: PlanChange): string {
  const plan = nameForShell(state.plan.name, state.planId);
  const show = `\`automagik-workflows-mcp plan show ${plan} --follow\` shows how it goes on.`;
  switch (change.type) {
    case "paused": {
      const going = goingRuns(state);
      const rest = going === 0 ? "" : ` Runs that go on come to their own end: ${going}.`;
      return `Paused: nothing new is started.${rest} \`automagik-workflows-mcp plan resume ${plan}\` goes on.`;
    }
    case "resumed":
      return `It goes on. ${show}`;
    case "kill-asked":
      return describePlan(state).status === "killed"
        ? `Ended. \`automagik-workflows-mcp plan show ${plan}\` shows where its work is.`
        : `It is being ended: nothing new is started, and its runs are told to end. ${show}`;
    case "step-skipped":
      return `Step ${change.step} is skipped. ${show}`;
    case "step-redone":
      return `Step ${change.step} is done again. ${show}`;
    default:
      return `Changed: this is version ${state.version} of the plan. ${show}`;
  }
}
