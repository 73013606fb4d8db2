import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { listDatabaseFiles } from "../../store/database-file.js";
import { engineFiles } from "./engine-files.js";

/** What the state folder takes on the disk, in bytes. */
export interface DiskUse {
  database: number;
  /** The engine's clones of repositories. */
  clones: number;
  /** What agents work in: worktrees, empty folders, temporary ones, and what is about to be removed. */
  worktrees: number;
  /** False when the time was over before all was looked at: it is at least so much. */
  whole: boolean;
}

/** Folders are looked into side by side, so many at once. */
const AT_ONCE = 16;

/**
 * Adds up what lies in the state folder. Links are not followed; what cannot be read counts as nothing.
 * @param signal ends the look; what was found until then is the answer
 */
export async function measureDiskUse(stateFolder: string, signal: AbortSignal): Promise<DiskUse> {
  const workspaces = join(engineFiles(stateFolder).folder, "workspaces");
  const inside = (names: readonly string[]) => names.map((name) => join(workspaces, name));
  const database = (await Promise.all(listDatabaseFiles(stateFolder).map(sizeOf))).reduce(sum, 0);
  // The clones first: they have few large files.
  const clones = await measure(inside(["repositories"]), signal);
  const worktrees = await measure(inside(["worktrees", "folders", "temporary", "removed"]), signal);
  return { database, clones, worktrees, whole: !signal.aborted };
}

const sum = (a: number, b: number) => a + b;

async function measure(folders: string[], signal: AbortSignal): Promise<number> {
  const waiting = [...folders];
  let bytes = 0;
  while (waiting.length > 0 && !signal.aborted) {
    const found = await Promise.all(waiting.splice(-AT_ONCE).map(look));
    for (const { size, inner } of found) {
      bytes += size;
      waiting.push(...inner);
    }
  }
  return bytes;
}

async function look(folder: string): Promise<{ size: number; inner: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all([folder, ...entries.map(({ name }) => join(folder, name))].map(sizeOf));
  const inner = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
  // A folder's own size is counted where it is looked into.
  const own = sizes.filter((_, index) => index === 0 || !entries[index - 1]?.isDirectory());
  return { size: own.reduce(sum, 0), inner };
}

/** The blocks in use; Windows tells none. */
async function sizeOf(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return 0;
  return found.blocks === undefined ? found.size : found.blocks * 512;
}
