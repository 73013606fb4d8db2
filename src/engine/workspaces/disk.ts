import { randomUUID } from "node:crypto";
import { lstat, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import type { FileStamp } from "./records.js";

/** Folders whose content nobody wants listed. */
const PASSED_OVER = new Set([".git", "node_modules"]);

/** Files under the folder (relative, `/` between), links not followed, at most `limit`. */
export async function filesIn(folder: string, limit: number): Promise<string[]> {
  const found: string[] = [];
  const waiting = [""];
  for (let at = waiting.pop(); at !== undefined && found.length < limit; at = waiting.pop()) {
    const entries = await readdir(join(folder, at), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = at ? `${at}/${entry.name}` : entry.name;
      if (!entry.isDirectory()) found.push(path);
      else if (!PASSED_OVER.has(entry.name)) waiting.push(path);
    }
  }
  return found.slice(0, limit);
}

/** How the files look now; of one that is not there, time and size are 0. */
export function stampsOf(folder: string, paths: string[]): Promise<FileStamp[]> {
  return Promise.all(
    paths.map(async (path): Promise<FileStamp> => {
      const found = await lstat(join(folder, path)).catch(() => undefined);
      return [path, found?.mtimeMs ?? 0, found?.size ?? 0];
    }),
  );
}

/** True for a folder; a link to one is none. */
export async function folderExists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true;
}

/** True for a folder without entries, and for one that is not there. */
export async function isEmptyFolder(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).length === 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/** Takes folders away for good. */
export interface Bin {
  /**
   * Moves the folder out of its place in one step, then deletes it, so that it is never half there.
   * @returns whether there was one, and what could not be deleted, in words
   */
  take(folder: string): Promise<{ existed: boolean; problem?: string }>;
  /** Deletes what an earlier process could not finish. Never throws. */
  empty(): Promise<void>;
}

/** Creates the bin on a folder of its own, which must be on the same file system as what it takes. */
export function createBin(folder: string): Bin {
  return {
    async take(path) {
      await ensurePrivateFolder(folder);
      const gone = join(folder, randomUUID());
      try {
        await rename(path, gone);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return { existed: false };
        throw error;
      }
      try {
        await rm(gone, { recursive: true, force: true, maxRetries: 3 });
        return { existed: true };
      } catch (error) {
        return { existed: true, problem: `${gone} could not be deleted: ${(error as Error).message}` };
      }
    },
    async empty() {
      const names = await readdir(folder).catch(() => [] as string[]);
      const all = names.map((name) => rm(join(folder, name), { recursive: true, force: true }));
      await Promise.allSettled(all);
    },
  };
}
