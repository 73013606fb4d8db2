import { createHistoryRows } from "../../history/history-rows.js";
import type { Database } from "../../store/database.js";
import { upstreamFolderName } from "./file-names.js";
import type { SessionStore } from "./session-store.js";
import { createSqlSessions } from "./sql-sessions.js";
import { takeOverHistory } from "./take-over-history.js";

/** How long history is kept, unless told. */
const HISTORY_DAYS = 730;

/** What a session store asks of a database. */
export type Queries = Pick<
  SessionStore,
  "list" | "find" | "get" | "update" | "remove" | "readHistory" | "noteFigures"
>;

/** The sessions and the history of one API in a database. @param options as the stores take them */
export function createQueries(
  db: Database,
  options: { upstream: string; runsKept: number; historyDays?: number | undefined; clock: { now(): number } },
): Queries {
  const { runsKept, historyDays: days = HISTORY_DAYS, clock } = options;
  const upstream = upstreamFolderName(options.upstream);
  const prepare = () => takeOverHistory(db, clock.now());
  return {
    ...createSqlSessions(db, upstream, runsKept),
    ...createHistoryRows(db, { upstream, days, clock, prepare }),
  };
}
