import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { type Database, openDatabase } from "../../store/database.js";
import { StoreError } from "../../store/store-error.js";
import { apply } from "./apply.js";
import { createRunStore } from "./create-run-store.js";
import { readRunLogs } from "./read-run-logs.js";
import type { EngineRun } from "./run.js";
import type { RunStore } from "./run-store.js";
import type { WriteAlongside } from "./write-changes.js";

/**
 * An empty file in the engine's folder: the files of earlier versions were taken over. A database that is lost, or one
 * in memory, does not tell.
 */
const TAKEN_OVER = "runs-taken-over";

/**
 * The runs in the database of the state folder, open. Where SQLite cannot be used there, they are kept in memory, and
 * that is said.
 * @param options.folder the engine's folder, where earlier versions have kept runs in files
 * @param options.alongside writes what belongs to an event, in its transaction
 * @throws an Error worded for a person when the database cannot be used
 */
export async function openRunStore(options: {
  stateFolder: string;
  folder: string;
  clock: Clock;
  log: Log;
  alongside?: WriteAlongside | undefined;
}): Promise<RunStore> {
  const { stateFolder, folder, clock, log, alongside } = options;
  const onProblem = ({ message }: { message: string }) => log.warn(message);
  let inMemory = false;
  const open = () => openDatabase({ folder: stateFolder, clock, onProblem });
  const database = await open().catch((error) => {
    inMemory = true;
    return openInMemory(error, log);
  });
  const mark = join(folder, TAKEN_OVER);
  const wasTakenOver = existsSync(mark);
  let isTakenOver = false;
  async function takeOver(): Promise<EngineRun[]> {
    const runs = await readRunLogs(join(folder, "runs"), () =>
      log.warn("A file among the runs of an earlier version could not be read. It was left where it is."),
    );
    isTakenOver = runs.length > 0;
    return wasTakenOver ? runs.map((run) => endPending(run, clock.now())) : runs;
  }
  try {
    const store = await createRunStore({
      ...{ database, inMemory, reopen: open, clock },
      ...{ onProblem, takeOver, alongside },
    });
    if (isTakenOver)
      await writeFile(mark, "", { mode: 0o600 }).catch((error) =>
        log.warn(
          `It could not be noted that the runs of an earlier version were taken over (${error.code}).`,
        ),
      );
    return store;
  } catch (error) {
    await database.destroy();
    throw error;
  }
}

/** A run whose beginning may be known only to a database that is lost: it must not be carried out a second time. */
function endPending(run: EngineRun, at: number): EngineRun {
  if (run.status !== "pending") return run;
  const error = "The database of the runs was lost, so whether this one was carried out is not known.";
  return apply(run, { type: "ended", status: "interrupted", error, at });
}

function openInMemory(error: unknown, log: Log): Promise<Database> {
  if (!(error instanceof StoreError) || error.kind !== "unavailable") throw error;
  log.warn(`${error.message} The engine keeps its runs in memory: they are gone when it ends.`);
  return openDatabase({});
}
