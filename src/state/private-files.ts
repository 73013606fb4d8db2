import { chmod, constants, mkdir, open, stat } from "node:fs/promises";

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
 * Makes sure that the folder exists and only its owner can enter it (0700), also when it was there before.
 * Throws what the file system throws; false when it exists but its mode could not be tightened.
 */
export async function ensurePrivateFolder(folder: string): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Windows has access lists in place of modes; a folder in the user's profile is private there.
  if (process.platform === "win32") return true;
  if (((await stat(folder)).mode & LOOSE) === 0) return true;
  return chmod(folder, 0o700).then(
    () => true,
    () => false,
  );
}

/**
 * Reads a whole small file and tightens its mode to 0600. The text is undefined when it is not a plain file or
 * larger than `maxBytes`. Throws what the file system throws (ELOOP for a symbolic link).
 */
export async function readPrivateFile(
  path: string,
  maxBytes: number,
): Promise<{ text: string | undefined; stamp: FileStamp }> {
  // Not through a link, and without hanging on a pipe that somebody put there.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await open(path, flags);
  try {
    const stamp = await handle.stat();
    if (!stamp.isFile() || stamp.size > maxBytes) return { text: undefined, stamp };
    if (process.platform !== "win32" && (stamp.mode & LOOSE) !== 0) {
      await handle.chmod(0o600).catch(() => undefined);
    }
    return { text: await handle.readFile("utf8"), stamp };
  } finally {
    await handle.close();
  }
}
