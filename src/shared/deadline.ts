import { follow } from "./abort.js";
import type { Clock } from "./clock.js";

/**
 * Waits for the work, and no longer than `ms`.
 * @param work gets a signal that aborts when the time is up, when `signal` aborts, and when the work is over. Whatever
 * becomes of it after the time is up is ignored.
 * @returns what the work gives; undefined as soon as the time is up
 * @throws what the work throws before that
 */
export async function withDeadline<T>(
  clock: Pick<Clock, "after">,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T | undefined> {
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
    return await Promise.race([work(own.signal), late]);
  } finally {
    cancel();
    stopFollowing();
    own.abort();
  }
}
