import type { Clock } from "../../shared/clock.js";

/**
 * Keeps what a session has committed again and again while its run is at work, one time after the other.
 * @param keep never rejects; its signal fires when the run comes to its end
 * @returns ends it, and resolves when none is under way any more
 */
export function keepWhileWorking(
  clock: Pick<Clock, "after">,
  everyMs: number,
  keep: (signal: AbortSignal) => Promise<unknown>,
): () => Promise<void> {
  const over = new AbortController();
  let underWay: Promise<unknown> = Promise.resolve();
  let cancel = () => {};
  next();

  function next(): void {
    cancel = clock.after(everyMs, () => {
      underWay = keep(over.signal).then(() => {
        if (!over.signal.aborted) next();
      });
    });
  }

  return async () => {
    over.abort();
    cancel();
    await underWay;
  };
}
