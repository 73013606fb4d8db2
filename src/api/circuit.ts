import { type Pauses, pauseAfter } from "../shared/backoff.js";
import type { Clock } from "../shared/clock.js";
import type { ApiError, Outage } from "./errors.js";

/** Counts failures to reach the API, and keeps pollers from asking it again and again. */
export interface Circuit {
  /** The outage, while the circuit is open. */
  outage(): Outage | undefined;
  /** Whether a poller may ask now: always when closed, one at a time when open and the pause is over. */
  admits(): boolean;
  /** Carries out a request and takes note of how it went; throws what it throws. */
  observe<T>(request: () => Promise<T>): Promise<T>;
}

/** How many failures in a row open the circuit. */
const OPEN_AFTER = 3;
/** Of an open circuit: each failure after a pause lengthens it. */
const PAUSES: Pauses = { firstMs: 1_000, longestMs: 15_000 };

/** @param random 0…1, for jitter */
export function createCircuit(clock: Clock, random: () => number): Circuit {
  let failures = 0;
  /** When the first of them was, epoch ms. */
  let sinceMs = 0;
  /** Pauses so far. */
  let pauses = 0;
  /** When a poller may ask again, on the monotonic clock. */
  let nextTryAt = 0;
  /** Requests in progress that were let through while it was open. */
  let probes = 0;

  const isOpen = () => failures >= OPEN_AFTER;

  function noteFailure({ retryAfterMs }: ApiError): void {
    if (failures++ === 0) sinceMs = clock.now();
    // Requests that fail together are one outage: only the first of them lengthens the pause.
    if (!isOpen() || (pauses > 0 && clock.elapsed() < nextTryAt)) return;
    const pause = pauseAfter(++pauses, PAUSES, random);
    nextTryAt = clock.elapsed() + Math.max(pause, Math.min(retryAfterMs ?? 0, PAUSES.longestMs));
  }

  function noteAnswer(): void {
    failures = pauses = 0;
  }

  return {
    outage() {
      if (!isOpen()) return undefined;
      return { sinceMs, nextTryMs: Math.round(clock.now() + nextTryAt - clock.elapsed()) };
    },
    admits() {
      return !isOpen() || (probes === 0 && clock.elapsed() >= nextTryAt);
    },
    async observe(request) {
      const counted = isOpen() ? 1 : 0;
      probes += counted;
      try {
        const answer = await request();
        noteAnswer();
        return answer;
      } catch (error) {
        const failure = error as ApiError;
        if (isDown(failure)) noteFailure(failure);
        else if (failure.status !== undefined) noteAnswer();
        throw error;
      } finally {
        probes -= counted;
      }
    },
  };
}

/** Whether a failure means that the API, or what stands before it, is not there: not that it refuses or has a fault. */
export function isDown({ kind, status }: ApiError): boolean {
  if (kind === "refused") return false;
  return kind === "unreachable" || status === 502 || status === 503 || status === 504;
}
