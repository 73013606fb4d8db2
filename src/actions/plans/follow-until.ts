import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import type { Clock } from "../../shared/clock.js";
import { stopAtDeadline } from "../../shared/deadline.js";
import type { Call } from "../define-action.js";
import { telling } from "./open-plans.js";

/**
 * Looks at a plan until that is enough, the time is over or the call ends.
 * @param isEnough told of the plan as it stands, and whenever that changes
 * @param options.ms undefined for as long as it takes
 * @param options.left what is so when the plans' database fails, as a sentence
 * @throws ActionError with that sentence when it does
 */
export async function followUntil(
  planId: string,
  isEnough: (seen: PlanSight) => boolean,
  options: { plans: Plans; clock: Clock; ms: number | undefined; call: Pick<Call, "signal">; left: string },
): Promise<void> {
  const { plans, clock, ms, call, left } = options;
  const enough = new AbortController();
  const look = (signal: AbortSignal) =>
    plans.follow(planId, AbortSignal.any([enough.signal, signal]), (seen) => {
      if (isEnough(seen)) enough.abort();
    });
  await telling(left, () =>
    ms === undefined ? look(call.signal) : stopAtDeadline(clock, ms, look, call.signal),
  );
}
