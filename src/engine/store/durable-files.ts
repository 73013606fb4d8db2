import { closeSync, constants, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";

/** Not through a link, and without hanging on a pipe that somebody put in a file's place. */
export const PLAIN_FILE = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Writes all bytes at `position`; a system may take fewer at a time. Throws what the file system throws. */
export function writeWhole(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** Makes new names in the folder survive a power failure. Windows has no such call and does it by itself. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Replaces a small file (mode 0600) so that afterwards, whatever happens, it holds the old or the new text.
 * Blocks for the milliseconds that the disk needs. Throws what the file system throws.
 */
export function replaceFile(path: string, text: string): void {
  const fd = openSync(`${path}.tmp`, "w", 0o600);
  try {
    writeWhole(fd, Buffer.from(text), 0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.tmp`, path);
  if (process.platform === "win32") return;
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
