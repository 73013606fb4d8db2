import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** What a folder takes on the disk. */
export interface FolderSize {
  /** Bytes of the blocks in use where the system tells them, else of the files. */
  bytes: number;
  /** False when the look was stopped: it is at least so much. */
  whole: boolean;
}

/** Folders are looked into side by side, so many at once. */
const AT_ONCE = 16;

/** The sizes of all that lies in these folders, by its path. Those that are not there count as empty. */
export async function measureChildren(
  folders: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, FolderSize>> {
  const sizes = new Map<string, FolderSize>();
  for (const folder of folders)
    for (const name of await readdir(folder).catch(() => [] as string[])) {
      const path = join(folder, name);
      sizes.set(path, await measureFolder(path, signal));
    }
  return sizes;
}

/** Adds up all that is in a folder, itself included. Links are not followed; what cannot be read counts as nothing. */
export async function measureFolder(folder: string, signal: AbortSignal): Promise<FolderSize> {
  const waiting = [folder];
  let bytes = 0;
  while (waiting.length > 0) {
    if (signal.aborted) return { bytes, whole: false };
    for (const { own, folders } of await Promise.all(waiting.splice(-AT_ONCE).map(look))) {
      bytes += own;
      waiting.push(...folders);
    }
  }
  return { bytes, whole: true };
}

/** A folder's own size with that of its files, and the folders in it. */
async function look(folder: string): Promise<{ own: number; folders: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const within = (isFolder: boolean) =>
    entries.filter((entry) => entry.isDirectory() === isFolder).map(({ name }) => join(folder, name));
  const sizes = await Promise.all([folder, ...within(false)].map(sizeOnDisk));
  return { own: sizes.reduce((sum, one) => sum + one, 0), folders: within(true) };
}

/** Bytes that a file or folder takes by itself; 0 when it is not there. */
export async function sizeOnDisk(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return 0;
  // Not every system tells blocks.
  return found.blocks ? found.blocks * 512 : found.size;
}
