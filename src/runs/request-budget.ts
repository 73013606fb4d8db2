import type { Clock } from "../shared/clock.js";

/** How many requests may go out in a second, spread over it. */
export interface RequestBudget {
  /** Takes one request out of the budget; false when there is none left right now. */
  take(): boolean;
  /** More than half of what may go out in a short time is left. */
  isPlenty(): boolean;
  /** How long until there is one, in ms; 0 when there is one now. */
  waitMs(): number;
}

/** No more than its share goes out in each such part of a second, so that there are no bursts with long silences. */
const PARTS = 4;

/**
 * @param options.perSecond requests in any second, at least 1. Never exceeded, whatever second is looked at.
 */
export function createRequestBudget(options: {
  clock: Pick<Clock, "now">;
  perSecond: number;
}): RequestBudget {
  const { clock, perSecond } = options;
  const size = Math.max(1, Math.floor(perSecond));
  const share = Math.ceil(size / PARTS);
  /** When the requests of the last second went out, oldest first. */
  let sent: number[] = [];

  /** Forgets what is older than a second. @returns the time, epoch ms */
  function tidy(): number {
    const now = clock.now();
    // What lies in the future was sent before the clock was set back: a moment ago, for all that is known.
    sent = sent.map((at) => Math.min(at, now)).filter((at) => now - at < 1000);
    return now;
  }

  function waitMs(): number {
    const now = tidy();
    const until = (count: number, ms: number) => (sent[sent.length - count] ?? now - ms) + ms;
    return Math.max(0, until(size, 1000) - now, until(share, 1000 / PARTS) - now);
  }

  return {
    waitMs,
    isPlenty() {
      const now = tidy();
      const recent = sent.filter((at) => now - at < 1000 / PARTS).length;
      return Math.min(size - sent.length, share - recent) > share / 2;
    },
    take() {
      if (waitMs() > 0) return false;
      sent.push(clock.now());
      return true;
    },
  };
}
