import { watch } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Where a repository keeps its templates. */
export const REPOSITORY_FOLDER = ".automagik/plans";

/** Nobody's folders lie deeper. */
const MAX_LEVELS = 40;

/** Whether a folder has a file that may be a template; it is not read. Never throws. */
export async function hasTemplates(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => []);
  return names.some((name) => name.endsWith(".yaml"));
}

/**
 * Whether the folder, or one above it, has a folder of templates as repositories have them: by a look at names alone,
 * since git is a process of its own. Never throws.
 */
export async function isBelowTemplates(folder: string): Promise<boolean> {
  let at = folder;
  for (let level = 0; level < MAX_LEVELS; level++) {
    if (await hasTemplates(join(at, REPOSITORY_FOLDER))) return true;
    const above = dirname(at);
    if (above === at) return false;
    at = above;
  }
  return false;
}

/**
 * Tells of changes in a folder, several times for one of them; it keeps no process alive.
 * @returns ends that; undefined where there is no such folder, or it cannot be watched
 */
export function watchFolder(folder: string, onChange: () => void): (() => void) | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, () => onChange());
    // A folder that is removed.
    watcher.on("error", () => watcher.close());
    return () => watcher.close();
  } catch {
    return undefined;
  }
}
