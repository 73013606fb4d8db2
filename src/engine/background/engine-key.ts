import { createHash } from "node:crypto";
import { keepSecret, readSecret } from "../../shared/secret-file.js";
import { engineFiles } from "./engine-files.js";

/** What fits into a header; a generated key has 43 characters. */
const KEY = /^[\x21-\x7e]{16,500}$/;

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
  const key = await keepSecret(privateFolder, path, KEY, () => readFormer(formerKey));
  if (key !== undefined) return key;
  throw new Error(
    'The file "key" in the engine\'s private folder holds no key (16 to 500 printable characters without spaces). ' +
      "Remove it and start again: a new key is then made.",
  );
}

async function readFormer(path: string): Promise<string | undefined> {
  const former = await readSecret(path).catch(() => undefined);
  return former !== undefined && KEY.test(former) ? former : undefined;
}

/** Tells keys apart without holding them. */
export function digestOfKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
