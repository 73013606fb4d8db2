import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Kysely, type Transaction as KyselyTransaction } from "kysely";
import {
  assertPrivateDatabase,
  DATABASE_FILE,
  isSameFile,
  prepareDatabaseFile,
  setAside,
} from "./database-file.js";
import { listMissing, migrate, readApplied } from "./migrate.js";
import { MIGRATIONS } from "./migrations/index.js";
import { createSqliteDialect, loadSqlite, openSqlite, openUnchanging } from "./sqlite.js";
import { StoreError, type StoreProblem } from "./store-error.js";
import type { Tables } from "./tables.js";

/** The open database. `destroy()` closes it. */
export type Database = Kysely<Tables>;
export type Transaction = KyselyTransaction<Tables>;

/** To look at the database takes an instant, else it cannot be locked. */
const INSPECT_MS = 3_000;
/** Another process that moves a damaged file is waited for so long before the next look, in ms. */
const MOVING_MS = 20;

/**
 * Opens the database of the state folder, which all server processes and the engine share, and brings it up to date.
 * Without a folder it is one in memory, which ends with it. A damaged file is moved aside and reported. When somebody
 * removes the file later, every query fails with a StoreError (`removed`): open it again then.
 *
 * @param options.folder the state folder, absolute; it is made when it is not there
 * @param options.onProblem must not throw
 * @param options.giveUpAfterMs how long a change waits for other processes that write; half a minute unless told
 * @throws StoreError when it cannot be used: no program for this platform, no locks, not writable, a newer version
 */
export async function openDatabase(options: {
  folder?: string;
  clock?: { now(): number };
  onProblem?: (problem: StoreProblem) => void;
  giveUpAfterMs?: number;
}): Promise<Database> {
  const { folder, clock = Date, onProblem = () => {}, giveUpAfterMs } = options;
  const openAt = async (path: string, assertCurrent: () => void) => {
    const dialect = createSqliteDialect(await openSqlite(path, giveUpAfterMs), assertCurrent, giveUpAfterMs);
    const db = new Kysely<Tables>({ dialect });
    try {
      await migrate(db, MIGRATIONS, clock.now());
      return db;
    } catch (error) {
      await db.destroy();
      throw error;
    }
  };
  if (folder === undefined) return openAt(":memory:", () => {});
  // Before anything is made: without it the folder stays as it is.
  await loadSqlite();
  const { path, inode, isPrivate } = await prepareDatabaseFile(folder);
  if (!isPrivate) {
    const message =
      "The state folder is open to other users of this machine and its mode could not be changed.";
    onProblem({ kind: "permissions", message });
  }
  const assertCurrent = () => {
    if (isSameFile(path, inode)) return;
    throw new StoreError("The database was removed from the state folder.", undefined, "removed");
  };
  try {
    return await openAt(path, assertCurrent);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.kind === "damaged") {
      const name = tryTo(() => setAside(path, inode, clock.now()), error);
      const message = `${error.message} It was moved to ${name} in the state folder, and a new one begun.`;
      if (name) onProblem({ kind: "damaged", message });
      else await delay(MOVING_MS);
    } else if (error.kind !== "removed") throw error;
    return openDatabase(options);
  }
}

/** @throws `otherwise` when the step fails */
function tryTo<T>(step: () => T, otherwise: Error): T {
  try {
    return step();
  } catch {
    throw otherwise;
  }
}

/**
 * One change of state: all of it is stored, or nothing. It waits for other processes that write.
 * Use only the given transaction inside, and wait for nothing else: everybody waits for it.
 * @throws what `work` throws, and StoreError; nothing is changed then
 */
export function transaction<T>(db: Database, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  return db.transaction().execute(work);
}

/**
 * Reads the database of a state folder in which nothing can be written, and which therefore stays as it is.
 * @throws StoreError when it is not there or another release's, NotPrivateError when it may be somebody else's, and what
 * `read` throws
 */
export async function readDatabase<T>(folder: string, read: (db: Database) => Promise<T>): Promise<T> {
  const path = join(folder, DATABASE_FILE);
  await assertPrivateDatabase(path);
  const db = new Kysely<Tables>({ dialect: createSqliteDialect(await openUnchanging(path), () => {}) });
  try {
    listMissing(await readApplied(db), MIGRATIONS);
    return await read(db);
  } finally {
    await db.destroy();
  }
}

/**
 * Several queries that see one state. It takes no lock.
 * @throws what `work` throws, and StoreError
 */
export function readTransaction<T>(db: Database, work: (reading: Transaction) => Promise<T>): Promise<T> {
  return db.transaction().setAccessMode("read only").setIsolationLevel("repeatable read").execute(work);
}

/**
 * Looks at the database of a state folder, which must be there, without changing what is in it.
 * @returns its last step, and how many sessions of all APIs it has
 * @throws StoreError when it cannot be used, as `openDatabase` does
 */
export async function inspectDatabase(folder: string): Promise<{ step: string; sessions: number }> {
  const path = join(folder, DATABASE_FILE);
  const db = new Kysely<Tables>({
    dialect: createSqliteDialect(await openSqlite(path, INSPECT_MS), () => {}),
  });
  try {
    const applied = await readApplied(db);
    listMissing(applied, MIGRATIONS);
    const last = applied.at(-1);
    if (!last) return { step: "none", sessions: 0 };
    const count = db.selectFrom("sessions").select(({ fn }) => fn.countAll<number>().as("sessions"));
    return { step: `${last.name} by ${last.release}`, ...(await count.executeTakeFirstOrThrow()) };
  } finally {
    await db.destroy();
  }
}
