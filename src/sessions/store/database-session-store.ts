import type { Database } from "../../store/database.js";
import { StoreError, type StoreProblem } from "../../store/store-error.js";
import { upstreamFolderName } from "./file-names.js";
import { createMemorySessionStore } from "./memory-session-store.js";
import { RUNS_KEPT, type SessionRecord } from "./session-record.js";
import { closedError, type SessionStore } from "./session-store.js";
import type { SessionQueries } from "./sql-sessions.js";

/** How often a call begins anew when the database's file was removed under it. */
const TRIES = 3;

/**
 * A store in the database of the state folder, for any number of processes at once. It is opened by the first call,
 * which also takes over the session files of earlier releases; the files stay.
 *
 * Where the database cannot be used, the store goes on in memory for this process, with what can still be read, and
 * reports that once.
 *
 * `upstream` is the API's base URL: sessions of two addresses never meet. At most `runsKept` runs of a session are
 * kept (default 200). `onProblem` must not throw. A change waits `giveUpAfterMs` for other processes that write (default
 * half a minute).
 */
export function createDatabaseSessionStore(options: {
  folder: string;
  upstream: string;
  clock?: { now(): number };
  onProblem?: (problem: StoreProblem) => void;
  runsKept?: number;
  giveUpAfterMs?: number;
}): SessionStore {
  const { folder, upstream, clock = Date, onProblem = () => {}, runsKept = RUNS_KEPT } = options;
  const memory = createMemorySessionStore({ runsKept });
  const underWay = new Set<Promise<unknown>>();
  let db: Database | undefined;
  let opening: Promise<SessionQueries> | undefined;
  let inMemory: Promise<void> | undefined;
  let closed = false;

  /** Opens it once for all calls, and again when that has failed. */
  function openOnce(): Promise<SessionQueries> {
    opening ??= open().catch((error) => {
      opening = undefined;
      throw error;
    });
    return opening;
  }

  async function open(): Promise<SessionQueries> {
    const { openDatabase } = await import("../../store/database.js");
    const { createSqlSessions } = await import("./sql-sessions.js");
    const { takeOverSessionFiles } = await import("./session-files.js");
    await db?.destroy();
    db = await openDatabase({ ...options, clock, onProblem });
    await takeOverSessionFiles(db, { folder, now: clock.now(), onProblem });
    return createSqlSessions(db, upstreamFolderName(upstream), runsKept);
  }

  /** What can be read where nothing can be written, such as in a read-only folder. */
  async function readUnchanged(): Promise<SessionRecord[]> {
    const { readDatabase } = await import("../../store/database.js");
    const { createSqlSessions } = await import("./sql-sessions.js");
    return readDatabase(folder, (found) =>
      createSqlSessions(found, upstreamFolderName(upstream), runsKept).list(),
    );
  }

  /** From now on everything is in memory, beginning with what can still be read. */
  function goOnInMemory({ kind, message }: StoreError, queries?: SessionQueries): Promise<void> {
    inMemory ??= (async () => {
      const records = await (queries?.list() ?? readUnchanged()).catch(() => []);
      for (const record of records) await memory.update(record.key, () => record);
      onProblem({
        kind: kind === "newer-version" ? kind : "unwritable",
        message: `${message} Sessions are remembered only until this server ends.`,
      });
    })();
    return inMemory;
  }

  async function carryOut<T>(work: (queries: SessionQueries) => Promise<T>): Promise<T> {
    for (let tries = 1; !inMemory; tries += 1) {
      let queries: SessionQueries | undefined;
      const current = openOnce();
      try {
        queries = await current;
        return await work(queries);
      } catch (error) {
        if (!(error instanceof StoreError) || error.kind === "busy") throw error;
        if (error.kind !== "removed" || tries === TRIES) await goOnInMemory(error, queries);
        // Unless another call has opened the new one already.
        else if (opening === current) opening = undefined;
      }
    }
    await inMemory;
    return work(memory);
  }

  async function call<T>(work: (queries: SessionQueries) => Promise<T>): Promise<T> {
    if (closed) throw closedError();
    const result = carryOut(work);
    underWay.add(result);
    return result.finally(() => underWay.delete(result));
  }

  return {
    list: () => call((queries) => queries.list()),
    find: (query) => call((queries) => queries.find(query)),
    get: (key) => call((queries) => queries.get(key)),
    update: (key, change) => call((queries) => queries.update(key, change)),
    remove: (key) => call((queries) => queries.remove(key)),
    isForgetful: () => inMemory !== undefined,
    async close() {
      closed = true;
      await Promise.allSettled(underWay);
      await db?.destroy();
    },
  };
}
