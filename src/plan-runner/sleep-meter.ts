import type { Clock } from "../shared/clock.js";

/** Notices that the machine has slept: whoever looks all the time has not looked for long. */
export interface SleepMeter {
  /** How long it has slept in all since the meter was made, in ms. */
  look(): number;
}

/** A machine that is only busy lets nobody wait for so long, in ms. */
const LONG_MS = 60_000;

/**
 * @param clock its time of day: some systems do not count their sleep as time that has passed
 * @returns a meter that has to be looked at often, far more often than once in a minute
 */
export function createSleepMeter(clock: Pick<Clock, "now">): SleepMeter {
  let seen = clock.now();
  let slept = 0;
  return {
    look() {
      const now = clock.now();
      if (now - seen > LONG_MS) slept += now - seen;
      seen = now;
      return slept;
    },
  };
}
