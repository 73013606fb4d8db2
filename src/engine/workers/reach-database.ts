import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Database, SharedDatabase } from "../../store/database.js";

/** What was found counts for so long, in ms: whoever asks often does not load the database. */
const KNOWN_MS = 1_000;
/** A database that starts again is waited for about as long, in ms; one that takes longer is away. */
const LIMIT_MS = 4_000;

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

  async function look(): Promise<boolean> {
    const now = await withDeadline(clock, LIMIT_MS, () => shared.readNow(database)).catch(() => undefined);
    return now !== undefined;
  }

  return () => {
    if (known === undefined || clock.elapsed() - known.at > KNOWN_MS) {
      const asked = { found: look(), at: Number.POSITIVE_INFINITY };
      known = asked;
      void asked.found.then(() => {
        asked.at = clock.elapsed();
      });
    }
    return known.found;
  };
}
