import { join } from "node:path";
import { listDatabaseFiles } from "../../store/database-file.js";
import { measureFolder, sizeOnDisk } from "../workspaces/folder-size.js";
import { engineFiles } from "./engine-files.js";

/** What the state folder takes on the disk, in bytes. */
export interface DiskUse {
  database: number;
  /** The engine's clones of repositories. */
  clones: number;
  /** What agents work in: worktrees, empty folders, temporary ones, copies, and what is about to be removed. */
  worktrees: number;
  /** False when the time was over before all was looked at: it is at least so much. */
  whole: boolean;
}

/**
 * Adds up what lies in the state folder. Links are not followed; what cannot be read counts as nothing.
 * @param signal ends the look; what was found until then is the answer
 */
export async function measureDiskUse(stateFolder: string, signal: AbortSignal): Promise<DiskUse> {
  const workspaces = join(engineFiles(stateFolder).folder, "workspaces");
  const inside = (names: readonly string[]) => names.map((name) => join(workspaces, name));
  let database = 0;
  for (const file of listDatabaseFiles(stateFolder)) database += await sizeOnDisk(file);
  // The clones first: they have few large files.
  const clones = await measureAll(inside(["repositories"]), signal);
  const worktrees = await measureAll(
    inside(["worktrees", "folders", "temporary", "checks", "copies", "removed"]),
    signal,
  );
  return { database, clones, worktrees, whole: !signal.aborted };
}

async function measureAll(folders: string[], signal: AbortSignal): Promise<number> {
  let bytes = 0;
  for (const folder of folders) bytes += (await measureFolder(folder, signal)).bytes;
  return bytes;
}
