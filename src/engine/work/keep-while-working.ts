import type { Clock } from "../../shared/clock.js";

/** At most this part of the time goes into it. */
const MOST_OF_TIME = 1 / 20;

/**
 * Keeps what a session has committed again and again while its run is at work, one time after the other.
 * @param keep never rejects; its signal fires when the run comes to its end
 * @returns ends it, and resolves when none is under way any more
 */
export function keepWhileWorking(
  clock: Pick<Clock, "after" | "elapsed">,
  everyMs: number,
  keep: (signal: AbortSignal) => Promise<unknown>,
): () => Promise<void> {
  const over = new AbortController();
  let underWay: Promise<unknown> = Promise.resolve();
  let cancel = () => {};
  next(everyMs);

  function next(pauseMs: number): void {
    cancel = clock.after(pauseMs, () => {
      const began = clock.elapsed();
      underWay = keep(over.signal).then(() => {
        if (!over.signal.aborted) next(Math.max(everyMs, (clock.elapsed() - began) / MOST_OF_TIME));
      });
    });
  }

  return async () => {
    over.abort();
    cancel();
    await underWay;
  };
}
