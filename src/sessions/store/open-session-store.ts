import type { StoreProblem } from "../../store/store-error.js";
import { createDatabaseSessionStore } from "./database-session-store.js";
import { createRedisSessionStore } from "./redis-session-store.js";
import type { SessionStore } from "./session-store.js";

/**
 * The store for what the settings say: `state` is the address of a Redis server (redis:// or rediss://) that several
 * servers share; without one the sessions are in the database in `folder`. The rest is as the stores take it.
 *
 * Throws a TypeError, which does not quote it, for a `state` that is neither empty nor such an address.
 */
export function createSessionStore(options: {
  state?: string | undefined;
  folder: string;
  upstream: string;
  clock?: { now(): number };
  onProblem?: (problem: StoreProblem) => void;
  runsKept?: number;
  historyDays?: number;
}): SessionStore {
  const { state, folder, ...rest } = options;
  return state
    ? createRedisSessionStore({ url: state, ...rest })
    : createDatabaseSessionStore({ folder, ...rest });
}
