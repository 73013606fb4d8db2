import { ApiError } from "../../api/errors.js";
import type { StartResult } from "../../runs/runs.js";
import { whileFollowing } from "../../shared/abort.js";
import type { Clock } from "../../shared/clock.js";
import type { Call } from "../define-action.js";

/** The start's result as far as the call waits for it; the start itself is seen through in any case. */
export async function awaitStart(
  starting: Promise<StartResult>,
  call: Call,
  clock: Clock,
): Promise<StartResult | { kind: "aborted" } | { kind: "unawaited" }> {
  try {
    const result = await whileFollowing(call.signal, (own) => beforeTimeIsOut(starting, own, clock));
    if (result) return result;
    // Whoever the answer no longer reaches, the run is written down when the API's answer comes.
    starting.catch(() => {});
    return { kind: "unawaited" };
  } catch (error) {
    if (!(error instanceof ApiError) || error.kind !== "aborted") throw error;
    return { kind: "aborted" };
  }
}

/** A call that is ended while the start is under way still gives the API this long to answer, in ms. */
const LAST_PATIENCE_MS = 1_500;

/** What the work gives, or undefined when the signal has aborted and the last patience is over. */
async function beforeTimeIsOut<T>(
  work: Promise<T>,
  signal: AbortSignal,
  clock: Clock,
): Promise<T | undefined> {
  let cancel = () => {};
  let onAbort = () => {};
  const out = new Promise<undefined>((resolve) => {
    onAbort = () => {
      cancel = clock.after(LAST_PATIENCE_MS, () => resolve(undefined));
    };
  });
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, out]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    cancel();
  }
}
