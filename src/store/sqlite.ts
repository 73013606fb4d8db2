import { pathToFileURL } from "node:url";
import type Libsql from "libsql";
import { explainCode, explained } from "./sqlite-error.js";
import { StoreError } from "./store-error.js";
import { isBusy, whenFree } from "./when-free.js";

/** The path of a database that is in memory only. */
export const MEMORY = ":memory:";
/** To open the database a lock is needed for an instant: who does not get it in this time is not given any. */
const OPEN_MS = 10_000;
/** In rare moments a reader needs a lock as well, for some ms; SQLite itself waits for it no longer than this. */
const READER_WAITS_MS = 1_000;

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
 * Opens a database with a write-ahead log, by which readers do not wait for writers, and full synchronisation: what is
 * committed survives a power cut. The connection never waits by itself: that would hold up this whole process.
 *
 * @param path absolute, or `MEMORY`
 * @param giveUpAfterMs after so long without a lock files are taken for such as cannot be locked
 * @throws StoreError when that cannot be done there
 */
export async function openWriter(path: string, giveUpAfterMs = OPEN_MS): Promise<Libsql.Database> {
  const library = await connect(path);
  const giveUpAt = performance.now() + giveUpAfterMs;
  const useLog = () => explained(() => library.prepare("pragma journal_mode = wal").all());
  try {
    const [mode] = await whenFree(useLog, giveUpAt);
    if (path !== MEMORY && (mode as { journal_mode?: string }).journal_mode !== "wal") throw noLocks();
    explained(() => library.exec("pragma synchronous = full"));
    tryLock(library);
    return library;
  } catch (error) {
    library.close();
    throw isBusy(error) ? noLocks() : error;
  }
}

/**
 * One more connection to a database that `openWriter` has opened; nothing can be changed by it.
 * @throws StoreError when it cannot be read
 */
export async function openReader(path: string): Promise<Libsql.Database> {
  const library = await connect(path, { timeout: READER_WAITS_MS });
  explained(() => library.exec("pragma query_only = on"));
  return library;
}

/**
 * Opens a database that nobody can change: SQLite needs neither locks nor files beside it then.
 * @param path absolute
 * @throws StoreError when it cannot be read
 */
export function openUnchanging(path: string): Promise<Libsql.Database> {
  return connect(`${pathToFileURL(path)}?mode=ro&immutable=1`);
}

async function connect(path: string, options?: { timeout: number }): Promise<Libsql.Database> {
  const Library = await loadSqlite();
  return explained(() => new Library(path, options));
}

/** A file system without locks looks to SQLite like one whose locks are held for ever. */
function noLocks(): StoreError | undefined {
  return explainCode("SQLITE_IOERR_LOCK");
}

/** Takes the write lock and gives it back. That another process has it shows as well that locks work. */
function tryLock(library: Libsql.Database): void {
  try {
    explained(() => library.exec("begin immediate; rollback"));
  } catch (error) {
    if (!isBusy(error)) throw error;
  }
}
