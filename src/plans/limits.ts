import type { Draft } from "./draft.js";
import type { PlanStep } from "./plan.js";
import { countItems } from "./run-count.js";
import type { PlanState, StepState } from "./state.js";

type Sight = Pick<Draft, "state" | "index">;

/** Stays for what has to be asked at the end of a step, when all else of the cost limit is reserved. */
const ALLOWANCE = 0.05;
const MIN_SHARE_USD = 0.01;

/** Why nothing is started at the moment: for the time being, or until a person changes something. */
export interface NoStart {
  reason: string;
  /** It ends by itself when a run that goes on ends. */
  passes: boolean;
}

/** The limits of the whole plan, whatever is to be started. Cost apart, which depends on the run. */
export function whyNoStart(state: Draft["state"] | PlanState, going: number): NoStart | undefined {
  const { plan, runsStarted, workMs } = state;
  const { runs, parallel, minutes } = plan.limits;
  if (state.pausedAt !== undefined) return { reason: "The plan is paused.", passes: false };
  if (runsStarted >= runs)
    return { reason: `All ${runs} runs that the plan may have were started.`, passes: false };
  if (workMs >= minutes * 60_000)
    return { reason: `The plan's ${minutes} minutes of work are over.`, passes: false };
  if (going >= parallel) return { reason: `${parallel} runs go on already.`, passes: true };
  return undefined;
}

/**
 * What a run may cost: its share of what neither was spent nor is reserved, measured by all runs that are still to
 * come. Undefined without a limit of the cost.
 */
export function shareOf(
  sight: Sight,
  workflow: string,
  isQuestion: boolean,
): { value: number } | NoStart | undefined {
  const { plan, spentUsd, heldUsd } = sight.state;
  const limit = plan.limits.costUsd;
  if (limit === undefined) return undefined;
  const free = limit * (isQuestion ? 1 : 1 - ALLOWANCE) - spentUsd - heldUsd;
  const own = weightOf(sight.state, workflow);
  const share = isQuestion ? free : (free * own) / Math.max(own, weightToCome(sight));
  const cents = Math.floor(share * 100 + 1e-6) / 100;
  if (cents >= MIN_SHARE_USD) return { value: cents };
  // Part of what is reserved may come back.
  return {
    reason: `Of the plan's $${limit.toFixed(2)} nothing is left to reserve for another run.`,
    passes: true,
  };
}

/** What a run of the workflow costs as against others: by history, where there is some. */
function weightOf({ expectedUsd }: Draft["state"], workflow: string): number {
  const known = Object.hasOwn(expectedUsd, workflow) ? expectedUsd[workflow] : undefined;
  if (known !== undefined && known > 0) return known;
  const all = Object.values(expectedUsd).filter((value) => value > 0);
  return all.length > 0 ? all.reduce((sum, value) => sum + value, 0) / all.length : 1;
}

function weightToCome({ state, index }: Sight): number {
  let sum = 0;
  for (const step of index.steps.values()) {
    const now = state.steps[step.id];
    if (step.kind === "run" && now) sum += runsToCome(state, step, now) * weightOf(state, step.workflow);
  }
  return sum;
}

function runsToCome(state: Draft["state"], step: Extract<PlanStep, { kind: "run" }>, now: StepState): number {
  if (now.queue.length > 0) return now.queue.length;
  const isToCome = !now.begun && now.status !== "skipped";
  return isToCome ? (countItems(step, state.inputs) ?? 1) : 0;
}
