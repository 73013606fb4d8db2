import type { ResourceUpdates } from "../resource-updates.js";

/** Of one stream of changes so many resources are watched; changes of others are told when somebody else sees them. */
const MOST_WATCHED = 100;

/** The resources that streams of changes are about, each watched as long as its stream is open. */
export interface Listeners {
  /** Takes note of a client's message: that it listens, or listens no more. */
  see(message: unknown): void;
  close(): void;
}

/** Of a connection whose streams are told apart by the ids of their requests. */
export function createListeners(updates: ResourceUpdates): Listeners {
  const streams = new Map<unknown, () => void>();
  function end(id: unknown): void {
    streams.get(id)?.();
    streams.delete(id);
  }
  return {
    see(message) {
      const { id, method, params } = message as { id?: unknown; method?: string; params?: Params };
      if (method === "notifications/cancelled") end(params?.requestId);
      if (method !== LISTEN || id === undefined) return;
      end(id);
      streams.set(id, watchListened(message, updates));
    },
    close() {
      for (const id of [...streams.keys()]) end(id);
    },
  };
}

/** Watches what a request to listen is about. @returns ends that */
export function watchListened(message: unknown, updates: ResourceUpdates): () => void {
  const { method, params } = (message ?? {}) as { method?: string; params?: Params };
  const wanted = method === LISTEN ? params?.notifications?.resourceSubscriptions : undefined;
  if (!Array.isArray(wanted)) return () => {};
  const uris = new Set(wanted.filter((uri) => typeof uri === "string").slice(0, MOST_WATCHED));
  const stops = [...uris].map((uri) => updates.watchFor(uri));
  return () => {
    for (const stop of stops) stop?.();
  };
}

const LISTEN = "subscriptions/listen";

interface Params {
  requestId?: unknown;
  notifications?: { resourceSubscriptions?: unknown };
}
