import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { EngineRun } from "./run.js";

/** What differs between two states of a run: a place and what stands there now, or only the place when nothing does. */
type Change = [path: (string | number)[], value?: unknown];

/**
 * Reads the runs that earlier versions have kept in files, one of JSON lines for each: the whole run, then what has
 * changed. The files are left as they are. What cannot be read is left out.
 * @param folder the folder `runs` in the engine's folder
 * @returns oldest first
 * @throws an Error worded for a person when the folder cannot be read
 */
export async function readRunLogs(
  folder: string,
  onUnreadable: (name: string) => void,
): Promise<EngineRun[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw new Error(`The runs of an earlier version cannot be read (${error.code}). Nothing was started.`);
  });
  const runs = new Map<string, EngineRun>();
  for (const name of names.filter((one) => one.endsWith(".jsonl"))) {
    const text = await readFile(join(folder, name), "utf8").catch(() => "");
    const run = readLog(text);
    if (run && !runs.has(run.runId)) runs.set(run.runId, run);
    else if (run !== null) onUnreadable(name);
  }
  return [...runs.values()].sort((a, b) => a.createdAt - b.createdAt);
}

/** Null for a run that was never confirmed: nobody was told that it would be carried out. */
function readLog(text: string): EngineRun | null | undefined {
  let run: Record<string, unknown> | undefined;
  let isConfirmed = false;
  for (const line of text.split("\n")) {
    const entry = parse(line);
    if (entry.v === 1 && typeof entry.run === "object" && entry.run !== null) {
      run = entry.run as Record<string, unknown>;
      isConfirmed = entry.confirmed !== false;
    }
    if (entry.confirmed === true) isConfirmed = true;
    if (run && Array.isArray(entry.set)) for (const change of entry.set as Change[]) set(run, change);
  }
  if (!run || typeof run.runId !== "string" || !Array.isArray(run.questions)) return undefined;
  if (!isConfirmed) return null;
  try {
    return toRun(run as unknown as EngineRun);
  } catch {
    // Parts of it are missing.
    return undefined;
  }
}

function parse(line: string): Record<string, unknown> {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === "object" && entry !== null ? (entry as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function set(run: Record<string, unknown>, [path, ...value]: Change): void {
  let place: unknown = run;
  for (const step of path.slice(0, -1)) {
    if (typeof place !== "object" || place === null || !Object.hasOwn(place, step)) return;
    place = (place as Record<string | number, unknown>)[step];
  }
  const last = path.at(-1);
  if (typeof place !== "object" || place === null || last === undefined || last === "__proto__") return;
  if (value.length === 0) delete (place as Record<string | number, unknown>)[last];
  else (place as Record<string | number, unknown>)[last] = value[0];
}

/** What earlier versions have noted of a waiting message is not kept any more. */
function toRun(run: EngineRun): EngineRun {
  const waiting = run.queue.waiting.map(({ id, type, content, addedAt }) => ({ id, type, content, addedAt }));
  return { ...run, queue: { ...run.queue, waiting } };
}
