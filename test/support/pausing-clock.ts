import { createHandClock, type HandClock } from "./hand-clock.js";
import { until } from "./harness.js";

/** A clock held by hand that tells pauses from time limits, so that a test can let the pauses pass. */
export interface PausingClock extends HandClock {
  /** Every wait so far that is no time limit, in ms. */
  readonly pauses: readonly number[];
  /** Lets each pause pass as soon as it begins, until the work is over; gives what the work gives. */
  runOut<T>(work: Promise<T>): Promise<T>;
}

/** @param limitMs waits of exactly this length, or half of it (for a turn among others), are left alone */
export function createPausingClock(limitMs: number, start?: number): PausingClock {
  const hand = createHandClock(start);
  const pauses: number[] = [];
  return {
    ...hand,
    pauses,
    after(ms, task) {
      if (ms !== limitMs && ms !== limitMs / 2) pauses.push(ms);
      return hand.after(ms, task);
    },
    async runOut(work) {
      let over = false;
      const end = work.finally(() => {
        over = true;
      });
      end.catch(() => {});
      for (let seen = pauses.length; !over; ) {
        await until(() => over || pauses.length > seen, "the next pause or the end");
        if (!over) hand.advance(pauses[seen++] ?? 0);
      }
      return end;
    },
  };
}
