import type { StoreProblem } from "../../store/store-error.js";
import { createDatabaseSessionStore } from "./database-session-store.js";
import type { SessionStore } from "./session-store.js";
import { createSharedSessionStore } from "./shared-session-store.js";

/**
 * The store for what the settings say: `address` is that of a PostgreSQL database, checked, that several servers share;
 * without one the sessions are in the database in `folder`. The rest is as the stores take it.
 */
export function createSessionStore(options: {
  address?: string | undefined;
  folder: string;
  upstream: string;
  clock?: { now(): number };
  onProblem?: (problem: StoreProblem) => void;
  runsKept?: number;
  historyDays?: number;
}): SessionStore {
  const { address, folder, ...rest } = options;
  return address
    ? createSharedSessionStore({ address, ...rest })
    : createDatabaseSessionStore({ folder, ...rest });
}
