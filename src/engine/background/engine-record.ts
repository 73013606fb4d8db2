import * as z from "zod";
import { readPrivateFile } from "../../shared/private-files.js";
import { readRecord, removeRecord, writeRecord } from "../../shared/record-file.js";
import { replaceFile } from "../../shared/replace-file.js";
import { engineFiles } from "./engine-files.js";

const recordSchema = z.object({
  pid: z.number().int().positive(),
  began: z.string(),
  place: z.string(),
  url: z.url({ protocol: /^http$/ }),
  version: z.string(),
  /** Epoch ms. */
  startedAt: z.number(),
  /** SHA-256 of the key, so that a window finds out which of its keys is the right one. */
  keyDigest: z.string(),
  /** Started by a chat window, not by a person at a terminal. */
  background: z.boolean(),
});

/** What a running engine says of itself: its process, its address, its version. */
export type EngineRecord = z.output<typeof recordSchema>;

/** The record, or undefined when there is none that can be understood. Never throws. */
export function readEngineRecord(stateFolder: string): Promise<EngineRecord | undefined> {
  return readRecord(engineFiles(stateFolder).record, recordSchema);
}

/** Writes the record (0600), all of it or nothing. Only for the owner of the engine's lock. */
export function writeEngineRecord(stateFolder: string, record: EngineRecord): void {
  writeRecord(engineFiles(stateFolder).record, record);
}

/** Removes the record, at once: who has asked the engine just before sees by this that it is ending. */
export function removeEngineRecord(stateFolder: string): void {
  removeRecord(engineFiles(stateFolder).record);
}

/** The free port that was listened on last, or undefined. */
export async function readLastPort(stateFolder: string): Promise<number | undefined> {
  const found = await readPrivateFile(engineFiles(stateFolder).port, 16).catch(() => undefined);
  const port = /^\d{1,5}\n$/.test(found?.text ?? "") ? Number(found?.text) : 0;
  return port > 0 && port < 65_536 ? port : undefined;
}

/** Remembers the port, so that windows that know the address of an engine find the next one there too. */
export function writeLastPort(stateFolder: string, port: number): void {
  replaceFile(engineFiles(stateFolder).port, `${port}\n`);
}
