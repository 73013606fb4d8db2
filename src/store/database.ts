import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Kysely, type Transaction as KyselyTransaction, type RawBuilder } from "kysely";
import type Pg from "pg";
import { createKeyedMutex } from "../shared/keyed-mutex.js";
import { DATABASE_FILE } from "../shared/state-folder.js";
import { assertPrivateDatabase, isSameFile, prepareDatabaseFile, setAside } from "./database-file.js";
import { listMissing, migrate, readApplied } from "./migrate.js";
import { loadSqlite, MEMORY, openReader, openUnchanging, openWriter } from "./sqlite.js";
import { SqliteConnection } from "./sqlite-connection.js";
import { StoreError, type StoreProblem } from "./store-error.js";
import type { Tables } from "./tables.js";
import { whenFree } from "./when-free.js";

export type Transaction = KyselyTransaction<Tables>;

/** So long a change waits for the processes that write before it. */
const GIVE_UP_AFTER_MS = 30_000;
/** To look at the database takes an instant, else it cannot be locked. */
const INSPECT_MS = 3_000;
/** Another process that moves a damaged file is waited for so long before the next look, in ms. */
const MOVING_MS = 20;

/**
 * An open database. What is asked of it itself can only read; whatever changes something is a `transaction`. In a shared
 * one a single statement may also change what no transaction depends on: it does not wait for the others' changes then.
 */
export abstract class Database extends Kysely<Tables> {
  /** What only a database of several machines has; absent in that of a state folder. */
  abstract readonly shared: SharedDatabase | undefined;
  /** Does what `transaction` promises. */
  abstract change<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
}

/** What servers on several machines have in common beside the tables. */
export interface SharedDatabase {
  /** The database's own clock, epoch ms, as a value in a statement: the only one that all machines agree on. */
  readonly now: RawBuilder<number>;
  /**
   * How long ago that is, in ms, by the same clock. The time counts from the server's start where that was later: while
   * it was away nobody could say that he lives.
   * @param column with epoch ms
   */
  silentSince(column: string): RawBuilder<number>;
  /** What a text is known again by without being read: what `digestOf` makes of it. @param column with a text */
  digest(column: string): RawBuilder<string>;
  /** The clock, asked. @throws StoreError */
  readNow(db: Kysely<Tables>): Promise<number>;
  /** How often a connection was lost: what is connected to since may be an earlier copy of the database. */
  losses(): number;
  /** @throws StoreError when it cannot be reached, or is a copy of another server, which takes no changes */
  reach(): Promise<void>;
  /** Tells all who listen to the channel, when the transaction is stored. @param payload below 8,000 bytes */
  notify(transaction: Transaction, channel: string, payload: string): Promise<void>;
  /**
   * Listens to a channel, on a connection for all of them that is made anew when it is lost. What is told may be missed: it
   * comes sooner than a look, and not in place of one.
   * @param channel lower-case letters and underscores
   * @param onNotice gets the payload; undefined when the connection was made, and something may have been missed. It
   * must not throw
   * @returns ends it
   */
  listen(channel: string, onNotice: (payload: string | undefined) => void): () => void;
  /**
   * Connections for a library that sends statements of its own, with the same address and TLS; they end with the database.
   * @param size how many at once
   */
  openPool(size: number): Pg.Pool;
  /**
   * The transaction, for such a library: what it sends is stored with the rest, or not at all.
   * @returns what of a client of `pg` it needs
   */
  clientOf(transaction: Transaction): Pg.ClientBase;
}

/**
 * The database of the state folder. Readers have a connection of their own, so that none waits for a change, which may
 * wait for another process. In memory there is one connection.
 */
class SqliteDatabase extends Database {
  override readonly shared = undefined;
  readonly writer: Kysely<Tables>;
  readonly giveUpAfterMs: number;
  readonly #changes = createKeyedMutex();
  readonly #connections: readonly SqliteConnection[];

  /** @param connections the one that writes, and the one that reads where that is another one */
  constructor(connections: readonly SqliteConnection[], giveUpAfterMs = GIVE_UP_AFTER_MS) {
    const [writer, reader] = connections.map((connection) => ({ dialect: connection.dialect() }));
    if (!writer) throw new TypeError("A database needs a connection.");
    super(reader ?? writer);
    this.writer = reader ? new Kysely<Tables>(writer) : this;
    this.#connections = connections;
    this.giveUpAfterMs = giveUpAfterMs;
  }

  /** Changes come one after the other, in the order in which they were asked for. */
  override change<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const giveUpAt = performance.now() + this.giveUpAfterMs;
    return this.#changes.run("all", () => whenFree(() => this.writer.transaction().execute(work), giveUpAt));
  }

  /** Closes it. */
  override async destroy(): Promise<void> {
    for (const connection of this.#connections) connection.close();
  }
}

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
  const { folder, clock = Date, onProblem = () => {} } = options;
  // Before anything is made: without it the folder stays as it is.
  await loadSqlite();
  if (folder === undefined) return openAt(MEMORY, () => {}, options);
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
    return await openAt(path, assertCurrent, options);
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

async function openAt(
  path: string,
  assertCurrent: () => void,
  { clock = Date, giveUpAfterMs }: { clock?: { now(): number }; giveUpAfterMs?: number },
): Promise<Database> {
  const connections = [new SqliteConnection(await openWriter(path, giveUpAfterMs), assertCurrent)];
  try {
    if (path !== MEMORY) connections.push(new SqliteConnection(await openReader(path), assertCurrent));
    const db = new SqliteDatabase(connections, giveUpAfterMs);
    const giveUpAt = performance.now() + db.giveUpAfterMs;
    await whenFree(() => migrate(db.writer, clock.now()), giveUpAt);
    return db;
  } catch (error) {
    for (const connection of connections) connection.close();
    throw error;
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
 * @param work must be free of other effects: it may be called again
 * @throws what `work` throws, and StoreError; nothing is changed then
 */
export function transaction<T>(db: Database, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  return db.change(work);
}

/**
 * Reads the database of a state folder in which nothing can be written, and which therefore stays as it is.
 * @throws StoreError when it is not there or another release's, NotPrivateError when it may be somebody else's, and what
 * `read` throws
 */
export async function readDatabase<T>(folder: string, read: (db: Database) => Promise<T>): Promise<T> {
  const path = join(folder, DATABASE_FILE);
  await assertPrivateDatabase(path);
  return lookAt(await openUnchanging(path), read);
}

/**
 * Looks at the database of a state folder, which must be there, without changing what is in it.
 * @returns the version that made its last step, and how many sessions of all APIs it has
 * @throws StoreError when it cannot be used, as `openDatabase` does
 */
export async function inspectDatabase(folder: string): Promise<{ release?: string; sessions: number }> {
  return lookAt(await openWriter(join(folder, DATABASE_FILE), INSPECT_MS), async (db, last) => {
    if (!last) return { sessions: 0 };
    const count = db.selectFrom("sessions").select(({ fn }) => fn.count<number>("record").as("sessions"));
    return { release: last.release, ...(await count.executeTakeFirstOrThrow()) };
  });
}

/**
 * Looks into the database of a state folder without changing what is in it.
 * @param table is read: a database of an earlier release may not have it
 * @param otherwise the answer where there is no database, or no such table in it
 * @throws StoreError when it cannot be used, and what `read` throws
 */
export async function lookIntoDatabase<T>(
  folder: string,
  table: keyof Tables,
  otherwise: T,
  read: (db: Database) => Promise<T>,
): Promise<T> {
  const path = join(folder, DATABASE_FILE);
  if (!existsSync(path)) return otherwise;
  return lookAt(await openWriter(path, INSPECT_MS), async (db) => {
    const tables = await db.introspection.getTables();
    return tables.some(({ name }) => name === table) ? read(db) : otherwise;
  });
}

/** @param look gets the last step that was made, too, of those that this release knows */
async function lookAt<T>(
  library: Awaited<ReturnType<typeof openWriter>>,
  look: (db: Database, last?: { name: string; release: string }) => Promise<T>,
): Promise<T> {
  const db = new SqliteDatabase([new SqliteConnection(library)]);
  try {
    const applied = await readApplied(db);
    listMissing(applied);
    return await look(db, applied.at(-1));
  } finally {
    await db.destroy();
  }
}
