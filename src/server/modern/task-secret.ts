import { createHmac, randomBytes } from "node:crypto";
import { join } from "node:path";
import { keepSecret } from "../../shared/secret-file.js";

const FILE = "task-key";
const SECRET = /^[A-Za-z0-9_-]{43}$/;

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
  const secret = await keepSecret(from.stateFolder, join(from.stateFolder, FILE), SECRET);
  if (secret !== undefined) return secret;
  throw new Error(
    `The file "${FILE}" in the state folder is damaged. Remove it: earlier tasks are found by status then.`,
  );
}
