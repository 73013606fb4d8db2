import type { Clock } from "../../shared/clock.js";

/** How many requests each caller may send. */
export interface Rate {
  /** Counts requests of a caller. Gives the seconds until they would be taken, or undefined when they are. */
  take(caller: string, count: number): number | undefined;
}

/**
 * A bucket for each caller that fills evenly and holds a minute's worth, so that a client may begin with a burst.
 * Callers are the server's own names for them, so that there are as few buckets as tokens.
 */
export function createRate(options: { perMinute: number; clock: Pick<Clock, "elapsed"> }): Rate {
  const { perMinute, clock } = options;
  const buckets = new Map<string, { left: number; at: number }>();
  return {
    take(caller, count) {
      const at = clock.elapsed();
      const bucket = buckets.get(caller) ?? { left: perMinute, at };
      const left = Math.min(perMinute, bucket.left + ((at - bucket.at) / 60_000) * perMinute);
      const isTaken = left >= count;
      buckets.set(caller, { left: isTaken ? left - count : left, at });
      return isTaken ? undefined : Math.ceil(((count - left) / perMinute) * 60);
    },
  };
}
