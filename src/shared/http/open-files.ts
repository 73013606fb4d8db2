import { readFileSync } from "node:fs";

/** Of the files that a process may open, what is left for everything that is no connection. */
const RESERVE = 2;

/**
 * How many connections a server may hold: as many as are wanted, and at most half of the files that this process may
 * open. What it writes down, logs and starts needs files too, and so does the next connection that is taken.
 * @param wanted the number where files are no concern
 * @param openFiles how many files may be open, where that is known
 */
export function limitConnections(wanted: number, openFiles = readOpenFilesLimit()): number {
  return openFiles === undefined ? wanted : Math.max(1, Math.min(wanted, Math.floor(openFiles / RESERVE)));
}

/** How many files this process may open; undefined where the system does not tell. */
function readOpenFilesLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
