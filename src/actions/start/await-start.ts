import { ApiError } from "../../api/errors.js";
import type { StartResult } from "../../runs/run-starter.js";
import { untilAborted, whileFollowing } from "../../shared/abort.js";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Call } from "../define-action.js";

/** The start's result as far as the call waits for it; the start itself is seen through in any case. */
export async function awaitStart(
  starting: Promise<StartResult>,
  call: Call,
  clock: Clock,
): Promise<StartResult | { kind: "aborted" } | { kind: "unawaited" }> {
  try {
    const result = await whileFollowing(call.signal, async (own) => {
      await Promise.race([starting, untilAborted(own)]);
      return withDeadline(clock, LAST_PATIENCE_MS, () => starting);
    });
    if (result) return result;
    // Nobody gets the answer any more, but the run is saved when it comes.
    starting.catch(() => {});
    return { kind: "unawaited" };
  } catch (error) {
    if (!(error instanceof ApiError) || error.kind !== "aborted") throw error;
    return { kind: "aborted" };
  }
}

/** A call that is ended while the start is under way still gives the API this long to answer, in ms. */
const LAST_PATIENCE_MS = 1_500;
