import { StoreError, type StoreProblem } from "../../store/store-error.js";
import { HISTORY_FRESH_MS } from "./database-session-store.js";
import type { Queries } from "./session-queries.js";
import { RUNS_KEPT } from "./session-record.js";
import { closedError, type SessionStore } from "./session-store.js";

/** The name of the errors of a server that cannot be reached; the class is loaded with the rest of it. */
const AWAY = "AwayError";

/**
 * A store in a PostgreSQL database, for any number of server processes on any number of machines. It is connected to by
 * the first call.
 *
 * A server that is restarted is waited for, up to `limitMs` (default 3 s); after that calls fail with a StoreError, at
 * once, until it is back. The first failure of a kind is reported. It does not go on in memory as the store of the state
 * folder does: replicas would each remember something else.
 *
 * `address` is checked already; the rest is as `createDatabaseSessionStore` takes it. `onProblem` must not throw.
 */
export function createSharedSessionStore(options: {
  address: string;
  upstream: string;
  clock?: { now(): number };
  onProblem?: (problem: StoreProblem) => void;
  runsKept?: number;
  historyDays?: number;
  limitMs?: number;
}): SessionStore {
  const { address, clock = Date, runsKept = RUNS_KEPT, limitMs, onProblem = () => {} } = options;
  const told = new Set<string>();
  const underWay = new Set<Promise<unknown>>();
  let opening: ReturnType<typeof open> | undefined;
  let closed = false;

  async function open() {
    const { PostgresDatabase } = await import("../../store/postgres.js");
    const { createQueries } = await import("./session-queries.js");
    const db = await PostgresDatabase.open(address, limitMs);
    const make = () => ({ queries: createQueries(db, { ...options, runsKept, clock }), losses: db.losses });
    return { db, make, made: make() };
  }

  async function carryOut<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    try {
      opening ??= open();
      const opened = await opening;
      await opened.db.prepare(clock.now());
      // What they remember of their reading may be of a database that is another one by now.
      if (opened.made.losses !== opened.db.losses) opened.made = opened.make();
      const result = await work(opened.made.queries);
      told.delete(AWAY);
      return result;
    } catch (error) {
      if (error instanceof StoreError && error.kind !== "busy") report(error);
      throw error;
    }
  }

  function report({ name, kind, message }: StoreError): void {
    const subject = name === AWAY ? name : message;
    if (closed || told.has(subject)) return;
    told.add(subject);
    onProblem({
      kind: kind === "newer-version" ? kind : "unwritable",
      message: `${message} Sessions are not remembered until that is over.`,
    });
  }

  async function call<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    if (closed) throw closedError();
    const result = carryOut(work);
    underWay.add(result);
    return result.finally(() => underWay.delete(result));
  }

  return {
    historyFreshMs: HISTORY_FRESH_MS,
    readHistory: (cursor) => call((queries) => queries.readHistory(cursor)),
    noteFigures: (figures) => call((queries) => queries.noteFigures(figures)),
    list: () => call((queries) => queries.list()),
    find: (query) => call((queries) => queries.find(query)),
    get: (key) => call((queries) => queries.get(key)),
    update: (key, change) => call((queries) => queries.update(key, change)),
    remove: (key) => call((queries) => queries.remove(key)),
    isForgetful: () => false,
    async reach() {
      if (closed) throw closedError();
      opening ??= open();
      const { db } = await opening;
      await db.prepare(clock.now());
      await db.shared.reach();
    },
    async close() {
      closed = true;
      await Promise.allSettled(underWay);
      await (await opening?.catch(() => undefined))?.db.destroy();
    },
  };
}
