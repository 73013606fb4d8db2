import type { Draft } from "./draft.js";
import { refreshTally, weightOf } from "./tally.js";

/** Stays for what has to be asked at the end of a step, when all else of the cost limit is reserved. */
const ALLOWANCE = 0.05;
const MIN_SHARE_USD = 0.01;

/**
 * Why nothing can be started at the moment, whatever it is; a sentence. Cost apart, which depends on the run.
 * @param going runs that go on
 */
export function whyNoStart(state: Draft["state"], going: number): string | undefined {
  const { plan, runsStarted, workMs } = state;
  const { runs, parallel, minutes } = plan.limits;
  if (state.pausedAt !== undefined) return "The plan is paused.";
  if (runsStarted >= runs) return `All ${runs} runs that the plan may have were started.`;
  if (workMs >= minutes * 60_000) return `The plan's ${minutes} minutes of work are over.`;
  if (going >= parallel) return `${parallel} runs go on already.`;
  return undefined;
}

/**
 * What a run may cost: its share of what neither was spent nor is reserved, measured by all runs that are still to
 * come. Undefined without a limit of the cost.
 */
export function shareOf(
  draft: Draft,
  workflow: string,
  isQuestion: boolean,
): { value: number } | { reason: string } | undefined {
  const { plan, spentUsd, heldUsd } = draft.state;
  const limit = plan.limits.costUsd;
  if (limit === undefined) return undefined;
  const free = limit * (isQuestion ? 1 : 1 - ALLOWANCE) - spentUsd - heldUsd;
  const own = weightOf(draft.state, workflow);
  refreshTally(draft.tally, draft);
  const share = isQuestion ? free : (free * own) / Math.max(own, draft.tally.weightToCome);
  const cents = Math.floor(share * 100 + 1e-6) / 100;
  if (cents >= MIN_SHARE_USD) return { value: cents };
  return { reason: `Of the plan's $${limit.toFixed(2)} nothing is left to reserve for another run.` };
}
