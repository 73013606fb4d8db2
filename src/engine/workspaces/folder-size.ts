import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** What a folder takes on the disk. */
export interface FolderSize {
  /** Bytes of the blocks in use where the system tells them, else of the files. */
  bytes: number;
  /** False when the look was stopped: it is at least so much. */
  whole: boolean;
}

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
async function measureFolder(folder: string, signal: AbortSignal): Promise<FolderSize> {
  let bytes = await sizeOf(folder);
  const waiting = [folder];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (signal.aborted) return { bytes, whole: false };
    const parent = at;
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    const sizes = await Promise.all(entries.map(({ name }) => sizeOf(join(parent, name))));
    for (const size of sizes) bytes += size;
    for (const entry of entries) if (entry.isDirectory()) waiting.push(join(parent, entry.name));
  }
  return { bytes, whole: true };
}

async function sizeOf(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return 0;
  // Windows tells no blocks.
  return found.blocks ? found.blocks * 512 : found.size;
}
