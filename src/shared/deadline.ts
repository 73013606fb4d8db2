import { follow } from "./abort.js";
import type { Clock } from "./clock.js";

/**
 * Waits for the work, and no longer than `ms`.
 * @param work gets a signal that aborts when the time is up, when `signal` aborts, and when the work is over. Whatever
 * becomes of it after the time is up is ignored.
 * @returns what the work gives; undefined as soon as the time is up
 * @throws what the work throws before that
 */
export function withDeadline<T>(
  clock: Pick<Clock, "after">,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  return within(clock, ms, (own, late) => Promise.race([work(own), late]), signal);
}

/**
 * Tells the work to stop when the time is up, and waits for what it makes of that.
 * @param work gets a signal as with {@link withDeadline}
 * @returns what the work gives
 * @throws what the work throws
 */
export function stopAtDeadline<T>(
  clock: Pick<Clock, "after">,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return within(clock, ms, work, signal);
}

async function within<T>(
  clock: Pick<Clock, "after">,
  ms: number,
  work: (own: AbortSignal, late: Promise<undefined>) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const own = new AbortController();
  const stopFollowing = follow(signal, own);
  let cancel = () => {};
  const late = new Promise<undefined>((resolve) => {
    cancel = clock.after(ms, () => {
      resolve(undefined);
      own.abort();
    });
  });
  try {
    return await work(own.signal, late);
  } finally {
    cancel();
    stopFollowing();
    own.abort();
  }
}
