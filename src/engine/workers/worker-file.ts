import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../shared/replace-file.js";

const FILE = "worker-id";

/** Which worker the engine of a folder is: what lies in it is that worker's. */
export interface WorkerFile {
  /** The same as long as the folder is there. */
  id: string;
  /** The processes that this folder's engine was last, newest first; none in a new one. */
  instances: readonly string[];
}

/**
 * Reads it, and makes it where there is none.
 * @param folder the engine's folder, which only one engine uses at a time
 * @throws the system's error when it can be neither read nor written
 */
export async function openWorkerFile(folder: string): Promise<WorkerFile> {
  const found = await readWorkerFile(folder);
  if (found) return found;
  const made = { id: randomUUID(), instances: [] };
  write(folder, made);
  return made;
}

/** The same, undefined where there is none. @throws the system's error when it cannot be read */
export async function readWorkerFile(folder: string): Promise<WorkerFile | undefined> {
  const text = await readFile(join(folder, FILE), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return "";
  });
  const [id, ...instances] = text.split("\n").filter((line) => /^[0-9a-f-]{36}$/.test(line));
  return id === undefined ? undefined : { id, instances };
}

/**
 * Notes that this folder's engine is this process from now on; before the database is told so, which may never happen.
 * @param known the process that the database has
 */
export async function noteInstance(
  folder: string,
  file: WorkerFile,
  { instance, known }: { instance: string; known: string | undefined },
): Promise<void> {
  const former = known ?? file.instances[0];
  write(folder, { id: file.id, instances: former === undefined ? [instance] : [instance, former] });
}

/** An empty one, as a power failure may leave, would be another worker's: nobody would find what lies in the folder. */
function write(folder: string, { id, instances }: WorkerFile): void {
  replaceFile(join(folder, FILE), `${[id, ...instances].join("\n")}\n`);
}
