import { createHmac, randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ensurePrivateFolder, readPrivateFile } from "../../shared/private-files.js";

const FILE = "task-key";
const SECRET = /^[A-Za-z0-9_-]{43}$/;
/** Another process that makes it has written it after some ms. */
const WRITTEN_WITHIN_MS = 1_000;
const MAX_BYTES = 4_096;

/**
 * What ids of tasks are made with, the same for all processes that serve the same callers: from the key of the API
 * where there is one, so that replicas need to share nothing else, and else from an owner-only file in the state folder.
 * @throws Error when the file cannot be read or written
 */
export async function resolveTaskSecret(from: {
  apiKey?: string | undefined;
  stateFolder?: string | undefined;
}): Promise<string> {
  if (from.apiKey) return createHmac("sha256", from.apiKey).update("ids of tasks").digest("base64url");
  // Without a place to keep it, tasks are known until this process ends.
  if (from.stateFolder === undefined) return randomBytes(32).toString("base64url");
  await ensurePrivateFolder(from.stateFolder);
  const path = join(from.stateFolder, FILE);
  const until = performance.now() + WRITTEN_WITHIN_MS;
  for (;;) {
    const found = await readPrivateFile(path, MAX_BYTES, { secret: true }).catch(orNothing);
    const secret = found?.text?.trim() ?? "";
    if (SECRET.test(secret)) return secret;
    if (found && performance.now() > until)
      throw new Error(
        `The file "${FILE}" in the state folder is damaged. Remove it: earlier tasks are found by status then.`,
      );
    if (found) await delay(20);
    else await create(path);
  }
}

async function create(path: string): Promise<void> {
  try {
    const handle = await open(path, "wx", 0o600);
    await handle.writeFile(`${randomBytes(32).toString("base64url")}\n`).finally(() => handle.close());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function orNothing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
