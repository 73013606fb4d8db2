import { createReopened } from "../../store/reopened.js";
import { StoreError, type StoreProblem } from "../../store/store-error.js";
import { upstreamFolderName } from "./file-names.js";
import { createMemorySessionStore } from "./memory-session-store.js";
import type { Queries } from "./session-queries.js";
import { RUNS_KEPT, type SessionRecord } from "./session-record.js";
import { closedError, type SessionStore } from "./session-store.js";
import type { SessionQueries } from "./sql-sessions.js";

/** So long sessions stay in memory before the database is tried again, in ms. */
const RETRY_AFTER_MS = 30_000;
/** Only what has changed in the history is read, so that is seldom more than a look, in ms between two. */
export const HISTORY_FRESH_MS = 5_000;
/** Changes in memory that are made in the database as well when it works again: the last of them. */
const MISSED_KEPT = 10_000;

type Work<T = unknown> = (queries: Queries) => Promise<T>;

/** While the database cannot be used. */
interface Outage {
  memory: SessionStore;
  /** Resolves when what can still be read is in memory. */
  ready: Promise<void>;
  /** The changes that the database does not have, in their order. */
  missed: Work[];
  /** By `performance.now()`. */
  retryAt: number;
}

/**
 * A store in the database of the state folder, for any number of processes at once. It is opened by the first call,
 * which also takes over the session files of earlier releases; the files stay.
 *
 * Where the database cannot be used, the store goes on in memory for this process, with what can still be read, and
 * reports that once. Calls that come later try the database again, now and then: when it works, what was changed in
 * memory is changed there as well, and the store is as before.
 *
 * `upstream` is the API's base URL: sessions of two addresses never meet. At most `runsKept` runs of a session are
 * kept (default 200), and their figures `historyDays` (default two years). `onProblem` must not throw. A change waits
 * `giveUpAfterMs` for other processes that write, and `retryAfterMs` pass before the database is tried again (default half
 * a minute each).
 */
export function createDatabaseSessionStore(options: {
  folder: string;
  upstream: string;
  clock?: { now(): number };
  onProblem?: (problem: StoreProblem) => void;
  runsKept?: number;
  historyDays?: number;
  giveUpAfterMs?: number;
  retryAfterMs?: number;
}): SessionStore {
  const { folder, upstream, clock = Date, runsKept = RUNS_KEPT, retryAfterMs = RETRY_AFTER_MS } = options;
  const told = new Set<string>();
  const underWay = new Set<Promise<unknown>>();
  const database = createReopened(open);
  let outage: Outage | undefined;
  let closed = false;

  function onProblem(problem: StoreProblem): void {
    if (!told.has(problem.message)) options.onProblem?.(problem);
    told.add(problem.message);
  }

  async function open() {
    const { openDatabase } = await import("../../store/database.js");
    const { takeOverSessionFiles } = await import("./session-files.js");
    const db = await openDatabase({ ...options, clock, onProblem });
    await takeOverSessionFiles(db, { folder, now: clock.now(), onProblem }).catch(async (error) => {
      await db.destroy();
      throw error;
    });
    const { createQueries } = await import("./session-queries.js");
    return { db, queries: createQueries(db, { ...options, runsKept, clock }) };
  }

  /** What can be read where nothing can be written, such as in a read-only folder. */
  async function readUnchanged(): Promise<SessionRecord[]> {
    const { readDatabase } = await import("../../store/database.js");
    const { createSqlSessions } = await import("./sql-sessions.js");
    return readDatabase(folder, (found) =>
      createSqlSessions(found, upstreamFolderName(upstream), runsKept).list(),
    );
  }

  function goOnInMemory({ kind, message }: StoreError, queries?: SessionQueries): void {
    if (outage) return;
    const memory = createMemorySessionStore({ runsKept });
    async function fill(): Promise<void> {
      const records = await (queries?.list() ?? readUnchanged()).catch(() => []);
      for (const record of records) await memory.update(record.key, () => record);
      onProblem({
        kind: kind === "newer-version" ? kind : "unwritable",
        message: `${message} Sessions are remembered only until this server ends.`,
      });
    }
    outage = { memory, ready: fill(), missed: [], retryAt: performance.now() + retryAfterMs };
  }

  /** Makes the changes of the outage in the database, and ends it when there are none left. */
  async function tryAgain(present: Outage): Promise<void> {
    present.retryAt = Number.POSITIVE_INFINITY;
    try {
      await database.use(async ({ queries }) => {
        for (let [work] = present.missed; work; [work] = present.missed) {
          // What else goes wrong with it has gone wrong in memory, too, and was told.
          await work(queries).catch(throwStoreError);
          present.missed.shift();
        }
      });
      outage = undefined;
    } catch {
      database.forget();
      present.retryAt = performance.now() + retryAfterMs;
    }
  }

  async function carryOut<T>(work: Work<T>, isChange: boolean): Promise<T> {
    for (;;) {
      const present = outage;
      if (present) {
        await present.ready;
        if (outage !== present) continue;
        if (performance.now() >= present.retryAt) void track(tryAgain(present));
        if (isChange) present.missed.push(work);
        if (present.missed.length > MISSED_KEPT) present.missed.shift();
        return work(present.memory);
      }
      let queries: Queries | undefined;
      try {
        return await database.use((opened) => {
          queries = opened.queries;
          return work(queries);
        });
      } catch (error) {
        if (!(error instanceof StoreError) || error.kind === "busy") throw error;
        goOnInMemory(error, queries);
      }
    }
  }

  function track<T>(work: Promise<T>): Promise<T> {
    underWay.add(work);
    return work.finally(() => underWay.delete(work));
  }

  async function call<T>(work: Work<T>, isChange = false): Promise<T> {
    if (closed) throw closedError();
    return track(carryOut(work, isChange));
  }

  return {
    historyFreshMs: HISTORY_FRESH_MS,
    readHistory: (cursor) => call((queries) => queries.readHistory(cursor)),
    noteFigures: (figures) => call((queries) => queries.noteFigures(figures)),
    list: () => call((queries) => queries.list()),
    find: (query) => call((queries) => queries.find(query)),
    get: (key) => call((queries) => queries.get(key)),
    update: (key, change) => call((queries) => queries.update(key, change), true),
    remove: (key) => call((queries) => queries.remove(key), true),
    isForgetful: () => outage !== undefined,
    async close() {
      closed = true;
      await Promise.allSettled(underWay);
      await database.close();
    },
  };
}

function throwStoreError(error: unknown): void {
  if (error instanceof StoreError) throw error;
}
