import { sql } from "kysely";
import type { PostgresDatabase } from "../../store/postgres.js";
import { readWorkerFile } from "../workers/worker-file.js";
import { readWorkers } from "../workers/worker-rows.js";
import type { WorkersAnswer } from "./ask-workers.js";
import { engineFiles } from "./engine-files.js";

/** The workers of a database, and how many runs wait there. */
export interface StoredWorkers {
  workers: Omit<WorkersAnswer["workers"][number], "answers" | "runs">[];
  waiting: number;
}

/** The id of the worker that this state folder is; undefined where none was ever there. Never throws. */
export async function readOwnWorkerId(stateFolder: string): Promise<string | undefined> {
  const file = await readWorkerFile(engineFiles(stateFolder).folder).catch(() => undefined);
  return file?.id;
}

/**
 * Reads which workers a PostgreSQL database has, as they were last seen. Changes nothing.
 * @param address of the database; it is checked already
 * @param options.limitMs how long a server that is away is waited for
 * @returns undefined where no engine has ever used it
 * @throws StoreError when it cannot be used
 */
export async function readStoredWorkers(
  address: string,
  options: { limitMs: number },
): Promise<StoredWorkers | undefined> {
  return lookAtWorkersOf(address, options, async (db) => {
    const workers = await readWorkers(db, await db.shared.readNow(db));
    const pending = db.selectFrom("engine_runs").where("status", "=", "pending");
    const count = pending.select(({ fn }) => fn.countAll<number>().as("waiting"));
    return {
      workers: workers.map(({ id, name, version, state, places, busy, silentMs }) => ({
        worker_id: id,
        ...{ name, version, state, places, busy },
        silent_seconds: Math.round(silentMs / 1000),
      })),
      waiting: Number((await count.executeTakeFirstOrThrow()).waiting),
    };
  });
}

/** Looks into a database that engines share. @returns undefined where no engine has ever used it */
export async function lookAtWorkersOf<T>(
  address: string,
  { limitMs }: { limitMs?: number | undefined },
  look: (db: PostgresDatabase) => Promise<T>,
): Promise<T | undefined> {
  const library = await import("../../store/postgres.js");
  const db = await library.PostgresDatabase.open(address, limitMs);
  try {
    const found = sql<{ is_there: boolean }>`select to_regclass('workers') is not null as is_there`;
    if ((await found.execute(db)).rows[0]?.is_there !== true) return undefined;
    return await look(db);
  } finally {
    await db.destroy();
  }
}
