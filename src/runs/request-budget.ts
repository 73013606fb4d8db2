import type { ApiError } from "../api/errors.js";
import type { Clock } from "../shared/clock.js";

/** No more than its share goes out in each such part of a second, so that bursts leave no long silences. */
const PARTS = 4;
/** Requests in flight at once; more would queue up in the API anyway. */
const MAX_IN_FLIGHT = 8;
/** An API that asks for a longer pause than this is asked again all the same, in ms. */
const LONGEST_PAUSE_MS = 60_000;

/** @param options.perSecond requests in any second, a whole number: never exceeded, whatever second is looked at */
export function createRequestBudget(options: { clock: Pick<Clock, "elapsed">; perSecond: number }) {
  const { clock, perSecond } = options;
  const share = Math.ceil(perSecond / PARTS);
  /** When the last requests went out, oldest first. */
  const sentAt: number[] = [];
  const lastSentAt = (count: number) => sentAt.at(-count) ?? Number.NEGATIVE_INFINITY;
  let inFlight = 0;
  let pausedUntil = 0;

  return {
    /** How long until another request may go out, in ms; infinite until one of those in flight has come back. */
    waitMs(): number {
      if (inFlight >= MAX_IN_FLIGHT) return Number.POSITIVE_INFINITY;
      const freeAt = Math.max(pausedUntil, lastSentAt(perSecond) + 1000, lastSentAt(share) + 1000 / PARTS);
      return Math.max(0, freeAt - clock.elapsed());
    },
    /**
     * Spends one request. An API that asks for fewer gets none for as long as it says.
     * @param ask asks, and gives what has gone wrong; never throws
     */
    async spend(ask: () => Promise<ApiError | undefined>): Promise<void> {
      sentAt.push(clock.elapsed());
      if (sentAt.length > perSecond) sentAt.shift();
      inFlight++;
      const failure = await ask();
      inFlight--;
      if (failure?.kind !== "rate_limited") return;
      const pauseMs = Math.min(failure.retryAfterMs ?? 0, LONGEST_PAUSE_MS);
      pausedUntil = Math.max(pausedUntil, clock.elapsed() + pauseMs);
    },
  };
}
