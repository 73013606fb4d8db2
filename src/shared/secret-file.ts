import { randomBytes } from "node:crypto";
import { link, open, unlink } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf } from "./error-code.js";
import { ensurePrivateFolder, readPrivateFile } from "./private-files.js";

/** Far more than a secret has. */
const MAX_BYTES = 4_096;
/** For the one who writes a secret without having links, so not in one step: some ms. */
const WRITTEN_WITHIN_MS = 1_000;

/**
 * The secret in an owner-only file, which is made at the first call (43 random characters), also when several processes
 * call at once: all get the same.
 * @param folder is made when it is not there
 * @param former a secret from elsewhere that is to be it, where there is none yet
 * @returns undefined when the file holds no such secret
 * @throws what the file system throws, and NotPrivateError for a file that others may know or have put there
 */
export async function keepSecret(
  folder: string,
  path: string,
  pattern: RegExp,
  former: () => Promise<string | undefined> = async () => undefined,
): Promise<string | undefined> {
  await ensurePrivateFolder(folder);
  const until = performance.now() + WRITTEN_WITHIN_MS;
  for (;;) {
    const found = await readSecret(path);
    if (found === undefined) await create(path, (await former()) ?? newSecret());
    else if (pattern.test(found)) return found;
    else if (performance.now() > until) return undefined;
    else await delay(20);
  }
}

/** What is in the file, whatever that is; undefined when there is none. @throws as `keepSecret` */
export async function readSecret(path: string): Promise<string | undefined> {
  try {
    return (await readPrivateFile(path, MAX_BYTES, { secret: true })).text?.trim() ?? "";
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** Puts the secret there unless there is one by then. */
async function create(path: string, secret: string): Promise<void> {
  const text = `${secret}\n`;
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  await write(draft, text);
  try {
    // Whole or not at all, and never over another one: a rename would replace the secret of who was quicker.
    await link(draft, path);
  } catch (error) {
    // Some file systems have no links.
    if (codeOf(error) !== "EEXIST") await write(path, text).catch(unlessThere);
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
