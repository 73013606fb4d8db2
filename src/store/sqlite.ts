import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import {
  type DatabaseConnection,
  type Dialect,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from "kysely";
import type Libsql from "libsql";
import { explainSqliteError, isBusy } from "./sqlite-error.js";
import { StoreError } from "./store-error.js";

type Connection = Libsql.Database;

/** So long everything waits for the processes that write before it. */
const GIVE_UP_AFTER_MS = 30_000;
/** To open the database a lock is needed for an instant: who does not get it in this time is not given any. */
const OPEN_MS = 10_000;
/** The longest pause between two tries, in ms; the pauses begin at 1 ms and double. */
const LONGEST_PAUSE_MS = 25;
/** Statements kept prepared: more than the product has; lists of values of every length come on top. */
const STATEMENTS_KEPT = 200;

/**
 * SQLite itself, loaded at the first call: it takes 30 ms and 6 MB.
 * @throws StoreError where the package or its binary is not installed
 */
export async function loadSqlite(): Promise<typeof Libsql> {
  try {
    return (await import("libsql")).default;
  } catch (error) {
    const platform = `${process.platform}-${process.arch}`;
    const message =
      `The database library (npm package "libsql") is not installed, or has no program for this platform (${platform}). ` +
      "Install again without leaving out optional packages.";
    throw new StoreError(message, (error as NodeJS.ErrnoException).code, "unavailable");
  }
}

/**
 * Opens a database with a write-ahead log and full synchronisation: what is committed survives a power cut.
 *
 * @param path absolute, or ":memory:"
 * @param giveUpAfterMs after so long without a lock files are taken for such as cannot be locked
 * @throws StoreError when that cannot be done there
 */
export async function openSqlite(path: string, giveUpAfterMs = OPEN_MS): Promise<Connection> {
  const Database = await loadSqlite();
  let connection: Connection | undefined;
  try {
    // Never waits by itself: that would hold up everything else in this process.
    connection = new Database(path);
    const opened = connection;
    const [mode] = await whenFree(() => opened.prepare("pragma journal_mode = wal").all(), { giveUpAfterMs });
    const isShared = path !== ":memory:";
    if (isShared && (mode as { journal_mode?: string }).journal_mode !== "wal") {
      throw noLocks();
    }
    opened.exec("pragma synchronous = full; pragma foreign_keys = on");
    if (isShared) tryLock(opened);
    return opened;
  } catch (error) {
    connection?.close();
    const isHeld = error instanceof StoreError && error.kind === "busy";
    throw explainSqliteError(isHeld ? noLocks() : error);
  }
}

/**
 * Opens a database that nobody can change: SQLite needs neither locks nor files beside it then.
 * @param path absolute
 * @throws StoreError when it cannot be read
 */
export async function openUnchanging(path: string): Promise<Connection> {
  const Database = await loadSqlite();
  try {
    return new Database(`${pathToFileURL(path)}?mode=ro&immutable=1`);
  } catch (error) {
    throw explainSqliteError(error);
  }
}

/** A file system without locks looks to SQLite like one whose locks are held for ever. */
function noLocks(): Error {
  return Object.assign(new Error("No locks"), { code: "SQLITE_IOERR_LOCK" });
}

/** Takes the write lock and gives it back. That another process has it shows as well that locks work. */
function tryLock(connection: Connection): void {
  try {
    connection.exec("begin immediate; rollback");
  } catch (error) {
    if (!isBusy(error)) throw error;
  }
}

/**
 * Does the step, again and again while another process holds a lock that it needs.
 * @param options.since when it was asked for, by `performance.now()`
 * @param options.before what it waits for each time, if anything
 */
async function whenFree<T>(
  step: () => T,
  {
    since = performance.now(),
    giveUpAfterMs = GIVE_UP_AFTER_MS,
    before = () => undefined as Promise<void> | undefined,
  } = {},
): Promise<T> {
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    for (let other = before(); other; other = before()) await other;
    try {
      return step();
    } catch (error) {
      if (!isBusy(error) || performance.now() - since > giveUpAfterMs) throw explainSqliteError(error);
    }
    // Random, so that two busy processes do not march in step.
    await delay(Math.random() * pauseMs);
  }
}

/** The query builder's own queue would keep whoever reads behind whoever waits for another process to write. */
class OneConnectionAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

/** Changes one after the other, in the order in which they were asked for. */
function createQueue(): { enter(): Promise<() => void> } {
  let last = Promise.resolve();
  return {
    /** @returns what lets the next one in */
    async enter() {
      const before = last;
      let leave = () => {};
      last = new Promise((resolve) => {
        leave = resolve;
      });
      await before;
      return leave;
    },
  };
}

/**
 * What the query builder needs to know of SQLite. A transaction that may write takes the lock when it begins: one
 * that takes it later fails when another process has written since its first read. All share one connection: changes
 * are made one after the other, and reading waits for one that is being made, but for none that waits for other
 * processes.
 * @param assertCurrent throws when the file is not the one that was opened
 * @param giveUpAfterMs how long a change waits, for those before it and for other processes
 */
export function createSqliteDialect(
  connection: Connection,
  assertCurrent: () => void,
  giveUpAfterMs = GIVE_UP_AFTER_MS,
): Dialect {
  const changes = createQueue();
  /** The transaction that is being carried out. */
  let current: { owner: DatabaseConnection; over: Promise<void>; end: () => void } | undefined;
  const statements = new Map<string, { statement: Libsql.Statement; isReader: boolean }>();

  function prepare(sql: string) {
    const known = statements.get(sql);
    if (known) return known;
    const statement = connection.prepare(sql);
    const prepared = { statement, isReader: statement.reader };
    if (statements.size >= STATEMENTS_KEPT) statements.clear();
    statements.set(sql, prepared);
    return prepared;
  }

  function execute<R>(sql: string, parameters: readonly unknown[]): QueryResult<R> {
    parameters.forEach(assertStorable);
    const { statement, isReader } = prepare(sql);
    if (isReader) return { rows: statement.all(parameters) as R[] };
    return { rows: [], numAffectedRows: BigInt(statement.run(parameters).changes) };
  }

  /** Waits for a transaction that is being carried out, and for other processes no longer than the limit. */
  async function whenAlone<R>(step: () => R, since?: number): Promise<R> {
    assertCurrent();
    return whenFree(step, {
      ...(since === undefined ? {} : { since }),
      giveUpAfterMs,
      before: () => current?.over,
    });
  }

  /** The same for what may write, after all that came before it. @returns beside its result what lets the next one in */
  async function inOrder<R>(step: () => R): Promise<[result: R, leave: () => void]> {
    const since = performance.now();
    const leave = await changes.enter();
    try {
      return [await whenAlone(step, since), leave];
    } catch (error) {
      leave();
      throw error;
    }
  }

  async function begin(owner: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    const start = (sql: string) => () => {
      connection.exec(sql);
      let end = () => {};
      const over = new Promise<void>((resolve) => {
        end = resolve;
      });
      current = { owner, over, end };
    };
    if (accessMode === "read only") return whenAlone(start("begin"));
    const [, leave] = await inOrder(start("begin immediate"));
    void current?.over.then(leave);
  }

  function end(): void {
    const ended = current;
    current = undefined;
    ended?.end();
  }

  function createConnection(): DatabaseConnection {
    const own: DatabaseConnection = {
      executeQuery: async ({ sql, parameters, query }) => {
        const step = () => execute<never>(sql, parameters);
        if (current?.owner !== own) {
          if (query.kind === "SelectQueryNode") return whenAlone(step);
          const [result, leave] = await inOrder(step);
          leave();
          return result;
        }
        try {
          return step();
        } catch (error) {
          throw explainSqliteError(error);
        }
      },
      streamQuery: () => {
        throw new Error("Read in pages: a stream would keep everybody else waiting.");
      },
    };
    return own;
  }

  return {
    createAdapter: () => new OneConnectionAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => createConnection(),
      releaseConnection: async () => {},
      beginTransaction: begin,
      commitTransaction: async () => {
        await whenFree(() => connection.exec("commit"), { giveUpAfterMs });
        end();
      },
      rollbackTransaction: async () => {
        try {
          // After some errors, such as a full disk, SQLite has done so itself.
          if (connection.inTransaction) connection.exec("rollback");
        } finally {
          end();
        }
      },
      destroy: async () => {
        // The library lets go of the files only when its statements are collected: leave nothing to be done by then.
        try {
          connection.exec("pragma wal_checkpoint(truncate)");
        } catch {
          // Whoever uses it next does so.
        }
        statements.clear();
        connection.close();
      },
    }),
  };
}

/** The library ends the whole process for some values of other kinds, a boolean for one. */
function assertStorable(value: unknown): void {
  if (value === null || ["string", "number", "bigint"].includes(typeof value)) return;
  if (value instanceof Uint8Array) return;
  throw new TypeError(`A ${typeof value} cannot be stored.`);
}
