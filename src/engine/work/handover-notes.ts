import { randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readPrivateFile } from "../../shared/private-files.js";

/** A note has 120 lines; of one that is longer the beginning goes along, in bytes. */
const KEPT_BYTES = 64 * 1024;
/** One that is larger is none. */
const READ_BYTES = 1024 * 1024;
const CUT = "\n\n(The rest of the note was too long to be brought along.)\n";

/** The handover note, for another machine; undefined where there is none that can be read. */
export async function readHandover(path: string): Promise<string | undefined> {
  const { text } = await readPrivateFile(path, READ_BYTES).catch(() => ({ text: undefined }));
  if (!text?.trim()) return undefined;
  const bytes = Buffer.from(text);
  if (bytes.length <= KEPT_BYTES) return text;
  return (
    bytes
      .subarray(0, KEPT_BYTES)
      .toString()
      .replace(/\ufffd$/, "") + CUT
  );
}

/**
 * Puts the note of a session that goes on here in place of what it has left here before.
 * @param text undefined where none came along: one that is there is old, and stands beside it then
 * @throws what the file system throws
 */
export async function placeHandover(path: string, text: string | undefined): Promise<void> {
  if (text === undefined) {
    await rename(path, join(dirname(path), "handover-before-the-move.md")).catch(() => undefined);
    return;
  }
  // A new file: in the place of the old one an agent may have put a link.
  const made = join(dirname(path), `${randomUUID()}.tmp`);
  try {
    await writeFile(made, text, { flag: "wx", mode: 0o600 });
    await rename(made, path);
  } catch (error) {
    await rm(made, { force: true });
    throw error;
  }
}
