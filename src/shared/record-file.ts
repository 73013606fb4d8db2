import { unlinkSync } from "node:fs";
import { readPrivateFile } from "./private-files.js";
import { replaceFile } from "./replace-file.js";

/** Far more than a record has. */
const MAX_BYTES = 16_384;

/**
 * A small owner-only file of JSON.
 * @param schema what is in it, as zod has it
 * @returns undefined when there is none that can be understood. Never throws
 */
export async function readRecord<T>(
  path: string,
  schema: { parse(value: unknown): T },
): Promise<T | undefined> {
  try {
    const { text } = await readPrivateFile(path, MAX_BYTES);
    return schema.parse(JSON.parse(text ?? ""));
  } catch {
    return undefined;
  }
}

/** Writes it (0600), all of it or nothing. Throws what the file system throws. */
export function writeRecord(path: string, record: object): void {
  replaceFile(path, `${JSON.stringify(record)}\n`);
}

/** Removes it at once. Never throws: a record without its process says nothing anyway. */
export function removeRecord(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is not there, or its folder was taken away.
  }
}
