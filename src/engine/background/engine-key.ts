import { createHash, randomBytes } from "node:crypto";
import { link, open, unlink } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf } from "../../shared/error-code.js";
import { ensurePrivateFolder, readPrivateFile } from "../../shared/private-files.js";
import { engineFiles } from "./engine-files.js";

/** What fits into a header; a generated key has 43 characters. */
const KEY = /^[\x21-\x7e]{16,500}$/;
/** For the one who writes a key without having links, so not in one step: some ms. */
const WRITTEN_WITHIN_MS = 1_000;

/**
 * The engine's key: the one from the settings, else the one in the owner-only file of its state folder, which is
 * made at the first call, also when several processes call at once. The key of an earlier version is taken over, and
 * stays where it was: chat windows of that version look for it there.
 * @throws Error when the file cannot be read or written, or holds no key
 */
export async function resolveEngineKey(options: {
  stateFolder: string;
  settingsKey?: string;
}): Promise<string> {
  if (options.settingsKey) return options.settingsKey;
  const { privateFolder, key: path, formerKey } = engineFiles(options.stateFolder);
  await ensurePrivateFolder(privateFolder);
  const began = performance.now();
  for (;;) {
    const found = await read(path);
    if (found !== undefined && KEY.test(found)) return found;
    if (found === undefined) await create(path, await formerOr(newKey, formerKey));
    else if (performance.now() - began > WRITTEN_WITHIN_MS) {
      throw new Error(
        'The file "key" in the engine\'s private folder holds no key (16 to 500 printable characters without spaces). ' +
          "Remove it and start again: a new key is then made.",
      );
    } else await delay(20);
  }
}

/** Tells keys apart without holding them. */
export function digestOfKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

async function read(path: string): Promise<string | undefined> {
  try {
    return (await readPrivateFile(path, 4096, { secret: true })).text?.trim() ?? "";
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function formerOr(otherwise: () => string, formerKey: string): Promise<string> {
  const former = await read(formerKey).catch(() => undefined);
  return former !== undefined && KEY.test(former) ? former : otherwise();
}

function newKey(): string {
  return randomBytes(32).toString("base64url");
}

/** Puts the key there unless there is one by then. */
async function create(path: string, text: string): Promise<void> {
  const key = `${text}\n`;
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  await write(draft, key);
  try {
    // Whole or not at all, and never over another one: a rename would replace the key of who was quicker.
    await link(draft, path);
  } catch (error) {
    // Some file systems have no links.
    if (codeOf(error) !== "EEXIST") await write(path, key).catch(unlessThere);
  } finally {
    await unlink(draft);
  }
}

async function write(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unlessThere(error: unknown): void {
  if (codeOf(error) !== "EEXIST") throw error;
}
