import type { Database } from "../../store/database.js";
import { createTakenIn } from "./taken-in.js";
import { openWaitingChanges } from "./waiting-changes.js";
import type { Keeping } from "./waiting-list.js";

/**
 * Opens what changes of a worker wait in for a database that is away.
 * @param folder see openWaitingChanges
 * @throws what the file system throws, and StoreError
 */
export async function openKeeping(
  folder: string,
  { database, workerId, onFull }: { database: Database; workerId: string; onFull: () => void },
): Promise<Keeping> {
  const disk = await openWaitingChanges(folder);
  const takenIn = createTakenIn(workerId);
  // Later than every process before, of which the database, or the disk, may know.
  const process = Math.max(disk.newestProcess, (await takenIn.read(database)).process) + 1;
  return { disk, takenIn, process, onFull };
}
