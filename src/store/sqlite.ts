import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import {
  type DatabaseConnection,
  type Dialect,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
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
    const [mode] = await whenFree(() => opened.prepare("pragma journal_mode = wal").all(), giveUpAfterMs);
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

/** Does the step, again and again while another process holds a lock that it needs. */
async function whenFree<T>(step: () => T, giveUpAfterMs = GIVE_UP_AFTER_MS): Promise<T> {
  const began = performance.now();
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return step();
    } catch (error) {
      if (!isBusy(error) || performance.now() - began > giveUpAfterMs) throw explainSqliteError(error);
    }
    // Random, so that two busy processes do not march in step.
    await delay(Math.random() * pauseMs);
  }
}

/**
 * What the query builder needs to know of SQLite. A transaction that may write takes the lock when it begins: one
 * that takes it later fails when another process has written since its first read.
 * @param assertCurrent throws when the file is not the one that was opened
 * @param giveUpAfterMs how long to wait for other processes
 */
export function createSqliteDialect(
  connection: Connection,
  assertCurrent: () => void,
  giveUpAfterMs?: number,
): Dialect {
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

  const single: DatabaseConnection = {
    // Within a transaction the lock is held already.
    executeQuery: async ({ sql, parameters }) => {
      const step = () => execute<never>(sql, parameters);
      if (!connection.inTransaction) {
        assertCurrent();
        return whenFree(step, giveUpAfterMs);
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

  return {
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => single,
      releaseConnection: async () => {},
      beginTransaction: async (_connection, { accessMode }) => {
        assertCurrent();
        const begin = accessMode === "read only" ? "begin" : "begin immediate";
        await whenFree(() => connection.exec(begin), giveUpAfterMs);
      },
      commitTransaction: async () => void (await whenFree(() => connection.exec("commit"), giveUpAfterMs)),
      rollbackTransaction: async () => {
        // After some errors, such as a full disk, SQLite has done so itself.
        if (connection.inTransaction) connection.exec("rollback");
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
