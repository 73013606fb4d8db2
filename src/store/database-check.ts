import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";

/** Why a server cannot serve right now, worded for a person. */
export interface Unready {
  /** In full: it may have addresses in it. */
  reason: string;
  /** For anybody. */
  brief: string;
}

/** Whatever balances load asks every few seconds, from several places: the database is asked once in this time, in ms. */
const KNOWN_MS = 1_000;
/** It is waited for no longer, in ms: whoever asks gives up soon. */
const LIMIT_MS = 2_000;

/**
 * Tells whether a database can be reached that several machines share, and takes writes.
 * @param reach throws a StoreError when it cannot; left out where there is no such database
 * @returns asks, or says what is known since a moment ago; undefined when it can. Never rejects
 */
export function createDatabaseCheck(
  reach: (() => Promise<void>) | undefined,
  clock: Pick<Clock, "elapsed" | "after">,
): () => Promise<Unready | undefined> {
  let askedAt = Number.NEGATIVE_INFINITY;
  let answer: Promise<Unready | undefined> = Promise.resolve(undefined);

  async function ask(look: NonNullable<typeof reach>): Promise<Unready | undefined> {
    const reason = await withDeadline(clock, LIMIT_MS, async () => {
      try {
        await look();
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    });
    if (reason === "") return undefined;
    const silent = `The PostgreSQL server does not answer within ${LIMIT_MS / 1000} s.`;
    return { reason: reason ?? silent, brief: "The database is not available." };
  }

  return () => {
    if (!reach) return answer;
    if (clock.elapsed() - askedAt >= KNOWN_MS) {
      askedAt = clock.elapsed();
      answer = ask(reach);
    }
    return answer;
  };
}
