import { createFolderSessionStore } from "./folder-session-store.js";
import { createRedisSessionStore } from "./redis-session-store.js";
import type { SessionStore, StoreProblem } from "./session-store.js";

/**
 * The store for what the settings say: `state` is the address of a Redis server (redis:// or rediss://) that several
 * servers share; without one the sessions are in `folder`. The rest is as the stores take it.
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
}): SessionStore {
  const { state, folder, ...rest } = options;
  return state
    ? createRedisSessionStore({ url: state, ...rest })
    : onFirstUse(() => createFolderSessionStore({ folder, ...rest }));
}

/** A store that is made when it is first used: its folder's name is a hash, and the first one loads OpenSSL. */
function onFirstUse(make: () => SessionStore): SessionStore {
  let made: SessionStore | undefined;
  const store = () => {
    made ??= make();
    return made;
  };
  return {
    list: () => store().list(),
    get: (key) => store().get(key),
    update: (key, change) => store().update(key, change),
    remove: (key) => store().remove(key),
    isForgetful: () => store().isForgetful(),
    close: () => store().close(),
  };
}
