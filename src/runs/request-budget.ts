import type { ApiError } from "../api/errors.js";
import type { Clock } from "../shared/clock.js";

/** No more than its share goes out in each such part of a second, so that bursts leave no long silences. */
const PARTS = 4;
/** Requests in flight at once; more would queue up in the API anyway. */
const MAX_IN_FLIGHT = 8;
/** An API that asks for a longer pause than this is asked again all the same, in ms. */
const LONGEST_PAUSE_MS = 60_000;

/** @param options.perSecond requests in any second, at least 1: never exceeded, whatever second is looked at */
export function createRequestBudget(options: { clock: Pick<Clock, "elapsed">; perSecond: number }) {
  const { clock, perSecond } = options;
  const size = Math.max(1, Math.floor(perSecond));
  const share = Math.ceil(size / PARTS);
  /** When the last requests went out, oldest first. */
  const sentAt: number[] = [];
  const lastSentAt = (count: number) => sentAt.at(-count) ?? Number.NEGATIVE_INFINITY;
  let inFlight = 0;
  let pausedUntil = 0;

  return {
    /** How long until another request may go out, in ms; infinite until one of those in flight has come back. */
    waitMs(): number {
      if (inFlight >= MAX_IN_FLIGHT) return Number.POSITIVE_INFINITY;
      const freeAt = Math.max(pausedUntil, lastSentAt(size) + 1000, lastSentAt(share) + 1000 / PARTS);
      return Math.max(0, freeAt - clock.elapsed());
    },
    /** Spends one request on the work. */
    async spend(work: () => Promise<void>): Promise<void> {
      sentAt.push(clock.elapsed());
      if (sentAt.length > size) sentAt.shift();
      inFlight++;
      await work().finally(() => inFlight--);
    },
    /** An API that asks for fewer requests gets none for as long as it says. */
    pauseIfAsked({ kind, retryAfterMs = 0 }: ApiError): void {
      if (kind !== "rate_limited") return;
      pausedUntil = Math.max(pausedUntil, clock.elapsed() + Math.min(retryAfterMs, LONGEST_PAUSE_MS));
    },
  };
}
