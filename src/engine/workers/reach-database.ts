import { type Clock, sleep } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Database, SharedDatabase } from "../../store/database.js";

/** What was found counts for so long, in ms: whoever asks often does not load the database. */
const KNOWN_MS = 1_000;
/** A database that starts again is waited for about as long, in ms; one that takes longer is away. */
const LIMIT_MS = 4_000;
/** The pause before it is tried again, in ms: a connection may be lost of a database that is there. */
const PAUSE_MS = 200;

/**
 * Whether the database answers. Looks that are asked for at once are one.
 * @returns false when it does not within 4 s. Never rejects
 */
export function createReachDatabase(options: {
  database: Database;
  shared: SharedDatabase;
  clock: Clock;
}): () => Promise<boolean> {
  const { database, shared, clock } = options;
  let known: { found: Promise<boolean>; at: number } | undefined;

  async function answers(signal: AbortSignal): Promise<true> {
    for (;;) {
      const canWrite = await shared.takesWrites(database).catch(() => undefined);
      if (canWrite || signal.aborted) return true;
      await sleep(clock, PAUSE_MS, signal);
    }
  }

  return () => {
    if (known === undefined || clock.elapsed() - known.at > KNOWN_MS) {
      const look = withDeadline(clock, LIMIT_MS, answers).then((found) => found === true);
      const asked = { found: look, at: Number.POSITIVE_INFINITY };
      known = asked;
      void look.then(() => {
        asked.at = clock.elapsed();
      });
    }
    return known.found;
  };
}
