import type { Clock } from "../../src/shared/clock.js";

/** Wall time that may jump, and timers that do not notice: as on a machine whose clock is set. Everything runs faster. */
export interface JumpingClock extends Clock {
  /** Sets the wall clock forward, or back with a negative number, in ms. */
  jump(ms: number): void;
  /** Where each timer that has not gone off was set. */
  pending(): string[];
}

/**
 * @param speed how many milliseconds of this clock pass in a real one
 * @param start where the wall clock begins, epoch ms
 */
export function createJumpingClock(speed: number, start: number): JumpingClock {
  const began = performance.now();
  const timers = new Map<NodeJS.Timeout, string>();
  let jumped = 0;
  const elapsed = () => (performance.now() - began) * speed;
  return {
    now: () => Math.floor(start + jumped + elapsed()),
    after(ms, task) {
      const origin = `${Math.round(ms)} ms ${originOf(new Error().stack)}`;
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          task();
        },
        Math.min(ms / speed, 2 ** 31 - 1),
      );
      timer.unref();
      timers.set(timer, origin);
      return () => {
        timers.delete(timer);
        clearTimeout(timer);
      };
    },
    jump: (ms) => {
      jumped += ms;
    },
    elapsed,
    pending: () => [...timers.values()],
  };
}

/** The line of the product that has set a timer, so that one that is left over can be found. */
function originOf(stack = ""): string {
  const lines = stack
    .split("\n")
    .slice(2)
    .filter((line) => !line.includes("/clock."));
  return /\/(src\/[^)]+)/.exec(lines.join("\n"))?.[1] ?? "somewhere";
}
