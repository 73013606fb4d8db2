import type { Database, Transaction } from "../../store/database.js";
import { readEventsInOrder, readRuns, type StoredRun } from "./run-rows.js";
import type { StoredEvent } from "./run-store.js";

/** Events that are read at once. */
const PAGE = 1_000;

/** What others have written: events in order, and their runs as they stand now. */
export interface Updates {
  events: StoredEvent[];
  runs: StoredRun[];
  /** There is more, to be read after these. */
  isFull: boolean;
}

/** Reads the first events after the number: so many at most that a process which was cut off for long has room for them. */
export async function readUpdates(db: Database | Transaction, after: number): Promise<Updates> {
  const events = await readEventsInOrder(db, { after, limit: PAGE });
  const changed = [...new Set(events.map(({ runId }) => runId))];
  return {
    events,
    runs: changed.length > 0 ? await readRuns(db, changed) : [],
    isFull: events.length === PAGE,
  };
}
