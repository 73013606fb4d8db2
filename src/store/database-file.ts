import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync, statfsSync } from "node:fs";
import { chmod, lstat, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { assertOwn, ensurePrivateFolder, NotPrivateError } from "../shared/private-files.js";
import { DATABASE_FILE, STATE_FOLDER_NAME } from "../shared/state-folder.js";
import { StoreError } from "./store-error.js";

/** What SQLite keeps beside it. */
const BESIDE = ["-wal", "-shm", "-journal"];
/** What is set aside has this and the time, in epoch ms, behind its name. */
const DAMAGED = ".damaged-";
/** Linux's numbers for NFS, SMB (two) and CIFS: two machines would each have a memory of their own for one log. */
const NETWORK = [0x6969, 0x517b, 0xfe534d42, 0xff534d42];

/**
 * Makes sure that the state folder has a file for the database that only its owner can read, before SQLite opens it.
 * @returns its path and its inode, and whether others can still enter the folder
 * @throws StoreError when it cannot be there
 */
export async function prepareDatabaseFile(
  folder: string,
): Promise<{ path: string; inode: number; isPrivate: boolean }> {
  const path = join(folder, DATABASE_FILE);
  try {
    const isPrivate = await prepareFolder(folder);
    refuseNetwork(folder);
    // Only where there is none: to open and close a file that SQLite has open in this process gives up its locks.
    await writeFile(path, "", { flag: "wx", mode: 0o600 }).catch(passWhen("EEXIST"));
    await assertPrivateDatabase(path);
    const found = lstatSync(path, { throwIfNoEntry: false });
    // A damaged one has just been moved aside.
    if (!found) return prepareDatabaseFile(folder);
    return { path, inode: found.ino, isPrivate };
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof NotPrivateError) throw new StoreError(`${error.message}.`, code, "unwritable");
    const isFull = code === "ENOSPC" || code === "EDQUOT";
    const message = isFull ? "The disk is full" : "The state folder cannot be written";
    throw new StoreError(
      `${message} (${code ?? (error as Error).name}).`,
      code,
      isFull ? "full" : "unwritable",
    );
  }
}

/** A folder that a person has named may serve others too, so its mode is left alone; our files are closed anyway. */
async function prepareFolder(folder: string): Promise<boolean> {
  if (basename(folder) === STATE_FOLDER_NAME) return ensurePrivateFolder(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return true;
}

function refuseNetwork(folder: string): void {
  if (process.platform !== "linux" || !NETWORK.includes(Number(statfsSync(folder).type) >>> 0)) return;
  throw new StoreError(
    "The state folder is on a network file system, where a database cannot be shared safely. " +
      "Name a folder on a disk of this machine in AUTOMAGIK_WORKFLOWS_STATE_DIR.",
    undefined,
    "unavailable",
  );
}

/**
 * SQLite would take in what somebody else has put in the place of the database, or beside it.
 * @throws NotPrivateError, and what the file system throws for a file that is open to others and cannot be closed
 */
export async function assertPrivateDatabase(path: string): Promise<void> {
  for (const suffix of ["", ...BESIDE]) await assertPrivate(`${path}${suffix}`);
}

async function assertPrivate(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  const what = `The file "${basename(path)}" in the state folder`;
  if (!found.isFile()) throw new NotPrivateError(`${what} is not a plain file. It was not used. Remove it`);
  assertOwn(found, what);
  if (process.platform !== "win32" && (found.mode & 0o077) !== 0)
    await chmod(path, 0o600).catch(passWhen("ENOENT"));
}

/** The paths of what a folder's database is in, as long as it is open, and of those that were set aside. */
export function listDatabaseFiles(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const aside = names.filter((name) => name.startsWith(DATABASE_FILE) && name.includes(DAMAGED));
  return [DATABASE_FILE, `${DATABASE_FILE}-wal`, `${DATABASE_FILE}-shm`, ...aside].map((name) =>
    join(folder, name),
  );
}

/** True while the file at the path is the one that was opened. */
export function isSameFile(path: string, inode: number): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.ino === inode;
}

/** A guard is held for an instant: an older one is left by a process that was killed just then. */
const OLD_GUARD_MS = 10_000;

/**
 * Moves a damaged database out of the way, with what lies beside it: that would be taken for the next one's.
 * @returns the name that it has now; undefined when another process has moved it or is about to
 * @throws what the file system throws
 */
export function setAside(path: string, inode: number, now: number): string | undefined {
  const guard = `${path}.moving`;
  try {
    mkdirSync(guard);
  } catch (error) {
    passWhen("EEXIST")(error as NodeJS.ErrnoException);
    const made = lstatSync(guard, { throwIfNoEntry: false });
    if (made && Math.abs(Date.now() - made.mtimeMs) > OLD_GUARD_MS) rmdirSync(guard);
    return undefined;
  }
  try {
    if (!isSameFile(path, inode)) return undefined;
    const suffix = `${DAMAGED}${now}`;
    for (const one of [...BESIDE.map((name) => `${path}${name}`), path]) {
      if (lstatSync(one, { throwIfNoEntry: false })) renameSync(one, `${one}${suffix}`);
    }
    return `${basename(path)}${suffix}`;
  } finally {
    rmdirSync(guard);
  }
}

/** For what somebody else has done in the meantime. */
function passWhen(...codes: string[]): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (!codes.includes(error.code ?? "")) throw error;
  };
}
