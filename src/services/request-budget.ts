import type { Clock } from "../clock.js";

/** How many requests may go out in a second, spread over it. */
export interface RequestBudget {
  /** Takes one request out of the budget; false when there is none left right now. */
  take(): boolean;
  /** How long until there is one, in ms; 0 when there is one now. */
  waitMs(): number;
}

/** A second is shared out in so many parts, so that requests do not come in bursts with long silences between. */
const PARTS = 4;

/**
 * @param options.perSecond requests in any second, at least 1. Never exceeded, whatever second is looked at.
 */
export function createRequestBudget(options: {
  clock: Pick<Clock, "now">;
  perSecond: number;
}): RequestBudget {
  const { clock, perSecond } = options;
  const windowMs = perSecond >= PARTS ? 1000 / PARTS : 1000;
  const size = perSecond >= PARTS ? Math.floor(perSecond / PARTS) : Math.max(1, Math.floor(perSecond));
  /** When the newest requests went out, oldest first. */
  let sent: number[] = [];

  function waitMs(): number {
    const now = clock.now();
    // What lies in the future was sent before the clock was set back.
    sent = sent.filter((at) => at <= now && now - at < windowMs);
    const first = sent[sent.length - size];
    return first === undefined ? 0 : first + windowMs - now;
  }

  return {
    waitMs,
    take() {
      if (waitMs() > 0) return false;
      sent.push(clock.now());
      return true;
    },
  };
}
