import type { Stats } from "node:fs";
import { chmod, constants, lstat, mkdir, open, stat } from "node:fs/promises";
import { basename } from "node:path";

/** Group and others may do something: more than state about a person's work should allow. */
const LOOSE = 0o077;

/** Identifies the content of a file without reading it: every commit brings a new inode and time. */
export interface FileStamp {
  ino: number;
  size: number;
  mtimeMs: number;
}

/** True when both stamps are of the same content. */
export function sameStamp(a: FileStamp, b: FileStamp): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs;
}

/**
 * A file or folder that another user of this machine has put there or could have changed. The message names it
 * without its path. It has a system error's code, so that callers that can do without the file do so.
 */
export class NotPrivateError extends Error {
  override name = "NotPrivateError";
  readonly code = "EPERM";
  readonly syscall = "open";
}

/**
 * @throws NotPrivateError for what belongs to neither this user nor, with `rootToo`, to root, who can do anything
 * anyway. Windows has no such owners.
 */
export function assertOwn(found: Pick<Stats, "uid">, what: string, rootToo = false): void {
  const own = process.geteuid?.();
  if (own === undefined || found.uid === own || (rootToo && found.uid === 0)) return;
  throw new NotPrivateError(
    `${what} belongs to another user of this machine (uid ${found.uid}), who may have put anything there. It was not used. Remove it, or make it yours with chown, and start again`,
  );
}

/** Nothing can be written in the state folder: what to do, fit to be shown, with the file system's code. */
export class UnwritableError extends Error {
  override name = "UnwritableError";

  constructor(readonly code: string | undefined) {
    const todo = code === "ENOSPC" ? "Make room on its disk" : "Make it writable";
    super(
      `The state folder cannot be written (${code ?? "no reason"}). ${todo}, or name another folder in AUTOMAGIK_WORKFLOWS_STATE_DIR`,
    );
  }
}

const UNWRITABLE = ["EROFS", "EACCES", "ENOSPC", "EDQUOT"];

/** What the file system has thrown when something was written in the state folder, in words that are fit to be shown. */
export function asUnwritable(thrown: unknown): Error {
  const error = thrown as NodeJS.ErrnoException;
  return UNWRITABLE.includes(error.code ?? "") && error.syscall !== undefined
    ? new UnwritableError(error.code)
    : error;
}

async function makeFolder(folder: string): Promise<void> {
  const make = (recursive: boolean) => mkdir(folder, { recursive, mode: 0o700 });
  try {
    await make(true);
  } catch (error) {
    let { code } = error as NodeJS.ErrnoException;
    // On a disk that is read-only Node says so only of a folder that is made by itself.
    if (code === "ENOENT")
      await make(false).catch((again: NodeJS.ErrnoException) => {
        code = again.code;
      });
    throw new UnwritableError(code);
  }
}

/**
 * Makes sure that the folder exists and only its owner can enter it (0700), also when it was there before.
 * Throws what the file system throws; false when it exists but its mode could not be tightened.
 * @throws UnwritableError when it cannot be made; NotPrivateError when the folder, or a link in its place, belongs to another user
 */
export async function ensurePrivateFolder(folder: string): Promise<boolean> {
  await makeFolder(folder);
  // Windows has access lists in place of modes; a folder in the user's profile is private there.
  if (process.platform === "win32") return true;
  const what = `The folder "${basename(folder)}" in the state folder`;
  assertOwn(await lstat(folder), what);
  const found = await stat(folder);
  assertOwn(found, what);
  if ((found.mode & LOOSE) === 0) return true;
  return chmod(folder, 0o700).then(
    () => true,
    () => false,
  );
}

/**
 * Reads a whole small file and tightens its mode to 0600. The text is undefined when it is not a plain file or
 * larger than `maxBytes`. Throws what the file system throws (ELOOP for a symbolic link).
 * @param options.secret refuses a file that was open to others: they may know what is in it
 * @throws NotPrivateError when the file belongs to another user
 */
export async function readPrivateFile(
  path: string,
  maxBytes: number,
  options: { secret?: boolean } = {},
): Promise<{ text: string | undefined; stamp: FileStamp }> {
  // Not through a link, and without hanging on a pipe that somebody put there.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await open(path, flags);
  try {
    const stamp = await handle.stat();
    if (!stamp.isFile() || stamp.size > maxBytes) return { text: undefined, stamp };
    assertOwn(stamp, `The file "${basename(path)}" in the state folder`);
    if (options.secret) assertClosed(stamp, `The file "${basename(path)}" in the state folder`);
    if (process.platform !== "win32" && (stamp.mode & LOOSE) !== 0) {
      await handle.chmod(0o600).catch(() => undefined);
    }
    return { text: await handle.readFile("utf8"), stamp };
  } finally {
    await handle.close();
  }
}

/**
 * @param mask the permissions that it must not have; all of others unless told
 * @throws NotPrivateError for a secret that other users can read or write
 */
export function assertClosed(found: Pick<Stats, "mode">, what: string, mask = LOOSE): void {
  if (process.platform === "win32" || (found.mode & mask) === 0) return;
  const mode = (found.mode & 0o777).toString(8);
  throw new NotPrivateError(
    `${what} is open to other users of this machine (mode ${mode}), who may know or have changed what is in it. It was not used. Remove it, or put a new secret there with mode 600, and start again`,
  );
}
