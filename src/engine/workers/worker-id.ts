import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const FILE = "worker-id";

/**
 * The id of the worker whose workspaces lie in this folder: the same as long as the folder is there.
 * @param folder the engine's folder, which only one engine uses at a time
 * @throws the system's error when it can be neither read nor written
 */
export async function findWorkerId(folder: string): Promise<string> {
  const file = join(folder, FILE);
  const known = existsSync(file) ? (await readFile(file, "utf8")).trim() : "";
  if (/^[0-9a-f-]{36}$/.test(known)) return known;
  const id = randomUUID();
  await writeFile(file, `${id}\n`, { mode: 0o600 });
  return id;
}
