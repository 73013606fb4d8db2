import { type Clock, systemClock } from "../../src/shared/clock.js";

/** A clock that goes on by itself, and can be moved on: what would be due by then runs at once, in order. */
export interface SkippingClock extends Clock {
  skip(ms: number): void;
  /** Sets the wall clock ahead, or back with a negative number, in ms: neither `elapsed` nor a timer notices. */
  set(byMs: number): void;
}

/** For what lives partly in other processes, whose time cannot be held: only the long waits are skipped. */
export function createSkippingClock(): SkippingClock {
  let skipped = 0;
  let setBy = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  const elapsed = () => systemClock.elapsed() + skipped;
  return {
    now: () => systemClock.now() + skipped + setBy,
    elapsed,
    after(ms, task) {
      const timer = {
        at: elapsed() + ms,
        run() {
          cancel();
          task();
        },
      };
      const stop = systemClock.after(ms, () => timer.run());
      const cancel = () => {
        stop();
        timers.delete(timer);
      };
      timers.add(timer);
      return cancel;
    },
    set(byMs) {
      setBy += byMs;
    },
    skip(ms) {
      const end = elapsed() + ms;
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (!next) break;
        skipped += Math.max(0, next.at - elapsed());
        next.run();
      }
      skipped += Math.max(0, end - elapsed());
    },
  };
}
