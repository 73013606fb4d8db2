import type { Clock } from "../../src/shared/clock.js";
import type { SteadyTime } from "./steady-time.js";

/** Wall time that may jump, and timers that do not notice: as on a machine whose clock is set. Everything runs faster. */
export interface JumpingClock extends Clock {
  /** Sets the wall clock forward, or back with a negative number, in ms. */
  jump(ms: number): void;
  /** Where each timer that has not gone off was set. */
  pending(): string[];
}

/**
 * @param speed how many milliseconds of this clock pass in one of the steady time: the product's limits are not over
 * because the machine has stood still
 * @param start where the wall clock begins, epoch ms
 */
export function createJumpingClock(speed: number, start: number, time: SteadyTime): JumpingClock {
  const began = time.now();
  const timers = new Map<object, string>();
  let jumped = 0;
  const elapsed = () => (time.now() - began) * speed;
  return {
    now: () => Math.floor(start + jumped + elapsed()),
    after(ms, task) {
      const own = {};
      const dueAt = elapsed() + ms;
      let timer: NodeJS.Timeout;
      function look(): void {
        const leftMs = (dueAt - elapsed()) / speed;
        if (leftMs > 0) {
          wait(leftMs);
          return;
        }
        timers.delete(own);
        task();
      }
      function wait(leftMs: number): void {
        timer = setTimeout(look, Math.min(leftMs, 2 ** 31 - 1)).unref();
      }
      wait(ms / speed);
      timers.set(own, `${Math.round(ms)} ms ${originOf(new Error().stack)}`);
      return () => {
        timers.delete(own);
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
