import { digestOf } from "../http/token-check.js";
import type { WorkflowsServer } from "../server.js";

/** A key's server, lent to one session, or to the requests of one caller. */
export interface Lent {
  server: WorkflowsServer;
  /** The last session to give it back ends it. */
  giveBack(): Promise<void>;
}

/**
 * The servers of callers that bring keys of their own, one for each key while there is a session with it: however many
 * sessions a caller opens, its key's API is read and listened to once.
 */
export function createKeyServers(create: (apiKey: string) => WorkflowsServer): {
  borrow(apiKey: string): Lent;
} {
  const lent = new Map<string, { server: WorkflowsServer; sessions: number }>();
  return {
    borrow(apiKey) {
      const digest = digestOf(apiKey).toString("hex");
      const known = lent.get(digest) ?? { server: create(apiKey), sessions: 0 };
      lent.set(digest, known);
      known.sessions++;
      return {
        server: known.server,
        async giveBack() {
          if (--known.sessions > 0) return;
          lent.delete(digest);
          await known.server.close(0);
        },
      };
    },
  };
}
