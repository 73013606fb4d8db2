import type { Clock } from "../../src/shared/clock.js";

/** A clock that stands still until it is moved; what is due by then runs in order. */
export interface HandClock extends Clock {
  advance(ms: number): void;
  /** Sets the wall clock ahead, or back with a negative number, in ms: neither `elapsed` nor a timer notices. */
  set(byMs: number): void;
  /** How many timers are waiting. */
  pending(): number;
}

export function createHandClock(start = Date.parse("2026-11-25T12:00:00Z")): HandClock {
  let now = start;
  let setBy = 0;
  const timers = new Set<{ at: number; task: () => void }>();
  return {
    now: () => now + setBy,
    elapsed: () => now - start,
    after(ms, task) {
      const timer = { at: now + ms, task };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    pending: () => timers.size,
    set(byMs) {
      setBy += byMs;
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = [...timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at);
        if (!next) break;
        timers.delete(next);
        now = Math.max(now, next.at);
        next.task();
      }
      now = end;
    },
  };
}

/** Moves the clock on for as long as the work takes. */
export async function hasten<T>(clock: HandClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const settle = () => {
    isDone = true;
  };
  work.then(settle, settle);
  while (!isDone) {
    clock.advance(50);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return work;
}
