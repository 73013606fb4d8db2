import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { type Database, transaction } from "../../store/database.js";
import { readFact, writeFact } from "./facts.js";
import { newKeyPrefix } from "./key-prefix.js";
import { createTakenIn } from "./taken-in.js";
import { openWaitingChanges } from "./waiting-changes.js";
import type { Keeping } from "./waiting-list.js";

/**
 * Opens what changes of a worker wait in for a database that is away. What waits there for another database, or is of
 * another worker, as in a copied folder, is left as it is.
 * @param folder holds a folder for each worker and database; no agent may read it
 * @param options.onOthers told when something is left. Must not throw
 * @throws what the file system throws, and StoreError
 */
export async function openKeeping(
  folder: string,
  options: { database: Database; workerId: string; onFull: () => void; onOthers?: () => void },
): Promise<Keeping> {
  const { database, workerId, onFull, onOthers = () => {} } = options;
  const owner = createHash("sha256")
    .update(`${await keyPrefixOf(database)} ${workerId}`)
    .digest("hex")
    .slice(0, 32);
  await ensurePrivateFolder(folder);
  const disk = await openWaitingChanges(join(folder, owner));
  const left = await readdir(folder, { recursive: true });
  if (left.some((name) => name.endsWith(".jsonl") && !name.startsWith(owner))) onOthers();
  const takenIn = createTakenIn(workerId);
  // Later than every process before, of which the database, or the disk, may know.
  const process = Math.max(disk.newestProcess, (await takenIn.read(database)).process) + 1;
  return { disk, takenIn, process, onFull };
}

/** A database of which nobody has read the runs yet is given its prefix here. */
async function keyPrefixOf(database: Database): Promise<string> {
  const known = await readFact(database, "key_prefix");
  if (known !== undefined) return known;
  return transaction(database, async (trx) => {
    const prefix = (await readFact(trx, "key_prefix")) ?? newKeyPrefix();
    await writeFact(trx, "key_prefix", prefix);
    return prefix;
  });
}
