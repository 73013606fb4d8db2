import { join } from "node:path";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { type Database, openDatabase } from "../../store/database.js";
import { StoreError } from "../../store/store-error.js";
import { createRunStore } from "./create-run-store.js";
import { readRunLogs } from "./read-run-logs.js";
import type { RunStore } from "./run-store.js";

/**
 * The runs in the database of the state folder, open. Where SQLite cannot be used there, they are kept in memory, and
 * that is said.
 * @param options.folder the engine's folder, where earlier versions have kept runs in files
 * @throws an Error worded for a person when the database cannot be used
 */
export async function openRunStore(options: {
  stateFolder: string;
  folder: string;
  clock: Clock;
  log: Log;
}): Promise<RunStore> {
  const { stateFolder, folder, clock, log } = options;
  const onProblem = ({ message }: { message: string }) => log.warn(message);
  const database = await openDatabase({ folder: stateFolder, clock, onProblem }).catch((error) =>
    inMemory(error, log),
  );
  const takeOver = () =>
    readRunLogs(join(folder, "runs"), () =>
      log.warn("A file among the runs of an earlier version could not be read. It was left where it is."),
    );
  try {
    return await createRunStore({ database, clock, onProblem, takeOver });
  } catch (error) {
    await database.destroy();
    throw error;
  }
}

function inMemory(error: unknown, log: Log): Promise<Database> {
  if (!(error instanceof StoreError) || error.kind !== "unavailable") throw error;
  log.warn(`${error.message} The engine keeps its runs in memory: they are gone when it ends.`);
  return openDatabase({});
}
