import type { Clock } from "./types.js";

/** A clock that stands still until it is moved. */
export interface HandClock extends Clock {
  /** Moves on by so many milliseconds. */
  advance(ms: number): void;
}

/**
 * Creates a clock held by hand.
 * @param start where it begins, epoch milliseconds
 */
export function createHandClock(start = Date.parse("2026-11-22T11:32:07.280Z")): HandClock {
  let now = start;
  return {
    now: () => now,
    advance(ms) {
      now += ms;
    },
  };
}
