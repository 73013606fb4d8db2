import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces a small file (mode 0600) so that afterwards, whatever happens, it holds the old or the new text.
 * Blocks for the milliseconds that the disk needs. Throws what the file system throws.
 */
export function replaceFile(path: string, text: string): void {
  const fd = openSync(`${path}.tmp`, "w", 0o600);
  try {
    const bytes = Buffer.from(text);
    // A system may take fewer at a time.
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.tmp`, path);
  // The new name survives a power failure with its folder; Windows has no such call and does it by itself.
  if (process.platform === "win32") return;
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
