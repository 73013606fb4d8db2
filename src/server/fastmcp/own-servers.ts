import type { Caller } from "../http/callers.js";
import { HttpRefusal } from "../http/refusal.js";
import { digestOf } from "../http/token-check.js";
import type { WorkflowsServer } from "../server.js";

/** A caller's server, lent to one session, or to the requests of one caller. */
export interface Lent {
  server: WorkflowsServer;
  /** The last session to give it back ends it. */
  giveBack(): Promise<void>;
}

/** The servers of callers that are not served by the one that others share. */
export interface OwnServers {
  /** Undefined for who is served by the shared one. */
  borrow(caller: Pick<Caller, "person" | "apiKey">): Lent | undefined;
}

/**
 * Where callers are kept apart, each person's own. And those of callers that bring keys of their own, one for each key
 * while there is a session with it: however many sessions a caller opens, its key's API is read and listened to once.
 * @param options.persons by the name of their token; they stay
 */
export function createOwnServers(options: {
  persons: ReadonlyMap<string, WorkflowsServer> | undefined;
  createServerForKey: (apiKey: string) => WorkflowsServer;
}): OwnServers {
  const { persons, createServerForKey } = options;
  const lent = new Map<string, { server: WorkflowsServer; sessions: number }>();
  return {
    borrow({ person = "", apiKey }) {
      if (persons) {
        const server = persons.get(person);
        // Nobody is served by a server that sees what is others'.
        if (!server) throw new HttpRefusal(401, "A valid token is needed");
        return { server, giveBack: async () => {} };
      }
      if (apiKey === undefined) return undefined;
      const digest = digestOf(apiKey).toString("hex");
      const known = lent.get(digest) ?? { server: createServerForKey(apiKey), sessions: 0 };
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
