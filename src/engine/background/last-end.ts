import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { readRecord, writeRecord } from "../../shared/record-file.js";
import { engineFiles } from "./engine-files.js";
import { readEngineRecord } from "./engine-record.js";
import { ENGINE_LOCK } from "./look-at-engine.js";

/** How the last engine of a state folder has ended. */
export interface LastEnd {
  /** Epoch ms; of one that was killed, when it was last seen. */
  at: number;
  /** What it has said itself; undefined when it went away without a word, as in a crash or a reboot. */
  why: string | undefined;
}

const endSchema = z.object({ at: z.number(), why: z.string() });

/** Notes the end. Only for the owner of the engine's lock. Never throws: nothing depends on it. */
export function writeLastEnd(stateFolder: string, end: { at: number; why: string }): void {
  try {
    writeRecord(engineFiles(stateFolder).lastEnd, end);
  } catch {
    // Of a folder that was taken away, for instance.
  }
}

/** How the last engine has ended, while none runs; undefined where nothing is known. Never throws, changes nothing. */
export async function readLastEnd(stateFolder: string): Promise<LastEnd | undefined> {
  const { folder, lastEnd } = engineFiles(stateFolder);
  const told = await readRecord(lastEnd, endSchema);
  // An engine that ends takes its record and its lock away; one that is killed leaves both.
  const left = await readEngineRecord(stateFolder);
  if (!left || (told && told.at > left.startedAt)) return told;
  return { at: (await lastRefresh(join(folder, ENGINE_LOCK))) ?? left.startedAt, why: undefined };
}

/** When the lock's owner has last said that it lives. */
async function lastRefresh(lock: string): Promise<number | undefined> {
  const [owner] = await readdir(lock).catch(() => []);
  const found = owner && (await stat(join(lock, owner)).catch(() => undefined));
  return found ? found.mtimeMs : undefined;
}
