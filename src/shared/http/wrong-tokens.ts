import { type Pauses, pauseAfter } from "../backoff.js";
import { setBounded } from "../bounded-map.js";
import type { Clock } from "../clock.js";
import type { Log } from "../log.js";

/** What becomes of requests with a wrong token or key, or none. */
export interface WrongTokens {
  /**
   * Counts one from that address, and resolves when it is to be answered: at once for the first few, later and later
   * for the next ones.
   * @returns the seconds after which to try again when so many are waiting already that this one must not wait
   */
  count(address: string | undefined): Promise<number | undefined>;
}

/** Wrong ones of one address are forgotten after this long without another, in ms. */
const FORGOTTEN_MS = 60_000;
/** A person who mistypes, and a client that is set up wrongly, are told at once this often. */
const FREE = 10;
const PAUSES: Pauses = { firstMs: 250, longestMs: 4_000 };
/** Answers held back at once: each keeps a connection. */
const MAX_HELD = 64;
/** Addresses that are remembered. */
const MAX_ADDRESSES = 1_000;

/**
 * Slows down who tries tokens, and says so in the log. A right token is never made to wait, whatever others send from
 * the same address: behind a proxy everybody comes from one.
 */
export function createWrongTokens({ clock, log }: { clock: Clock; log: Log }): WrongTokens {
  const addresses = new Map<string, { wrong: number; lastAt: number; toldAt: number }>();
  let held = 0;
  return {
    async count(address = "an unknown address") {
      const now = clock.elapsed();
      const known = addresses.get(address);
      const seen =
        known && now - known.lastAt < FORGOTTEN_MS
          ? known
          : { wrong: 0, lastAt: now, toldAt: Number.NEGATIVE_INFINITY };
      seen.wrong++;
      seen.lastAt = now;
      setBounded(addresses, address, seen, MAX_ADDRESSES);
      if (seen.wrong <= FREE) return undefined;
      if (now - seen.toldAt >= FORGOTTEN_MS) {
        seen.toldAt = now;
        log.warn(
          `${seen.wrong} requests from ${address} had no valid token; the next ones are answered slowly.`,
        );
      }
      const pause = pauseAfter(seen.wrong - FREE, PAUSES);
      if (held >= MAX_HELD) return Math.ceil(PAUSES.longestMs / 1000);
      held++;
      await new Promise<void>((resolve) => void clock.after(pause, resolve));
      held--;
      return undefined;
    },
  };
}
