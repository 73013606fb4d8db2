import { type Pauses, pauseAfter } from "../shared/backoff.js";
import { type Clock, sleep } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { NotNow, Refused } from "./delivery-error.js";

/** Between two tries to connect. */
const PAUSES: Pauses = { firstMs: 1_000, longestMs: 60_000 };
/** A connection that has lasted so long was one, in ms. */
const LASTED_MS = 30_000;

/**
 * Keeps a connection until the signal ends it: makes another one whenever one ends, later each time it fails.
 * @param connect ends with the connection; it throws Refused where it is useless to try again
 */
export async function keepConnected(options: {
  service: string;
  connect: (signal: AbortSignal) => Promise<void>;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}): Promise<void> {
  const { service, connect, clock, log, signal } = options;
  let tries = 0;
  while (!signal.aborted) {
    const begun = clock.elapsed();
    let askedMs = 0;
    try {
      await connect(signal);
    } catch (error) {
      if (signal.aborted) return;
      const { message } = error as Error;
      if (error instanceof Refused) {
        log.warn(
          `Answers by ${service} are not taken: ${message}. What is asked there stays open elsewhere.`,
        );
        return;
      }
      if (error instanceof NotNow) askedMs = error.afterMs ?? 0;
      log.debug(`The connection to ${service} was lost or not made: ${message}.`);
    }
    tries = clock.elapsed() - begun >= LASTED_MS ? 1 : tries + 1;
    await sleep(clock, Math.max(pauseAfter(tries, PAUSES), askedMs), signal);
  }
}
