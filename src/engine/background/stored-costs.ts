import { lookIntoDatabase } from "../../store/database.js";
import { costsByDay, type DayCosts } from "../runs/costs.js";
import { readRuns } from "../runs/run-rows.js";
import { lookAtWorkersOf } from "./stored-workers.js";

export type { DayCosts };

/**
 * Reads what the engine's runs have cost on each of the last days, the newest first, whether an engine is running or not:
 * from the database that several engines share, where they do, else from the state folder. Changes nothing.
 * @param options.now epoch ms
 * @param options.database the address of a PostgreSQL database, where one is set
 * @returns `shared` where these are the runs of all engines of the database
 * @throws StoreError when the database cannot be read
 */
export async function readStoredCosts(
  stateFolder: string,
  { now, days, database }: { now: number; days: number; database?: string | undefined },
): Promise<{ costs: DayCosts[]; shared: boolean }> {
  const shared = database === undefined ? undefined : await lookAtWorkersOf(database, {}, readIfUsed);
  const stored = shared ?? (await lookIntoDatabase(stateFolder, "engine_runs", [], readRuns));
  const runs = stored.map(({ run }) => run);
  return { costs: costsByDay(runs, now, days), shared: shared !== undefined };
}

/** Servers share such a database as well, each with an engine of its own. */
async function readIfUsed(db: Parameters<typeof readRuns>[0]) {
  const worker = await db.selectFrom("workers").select("worker_id").limit(1).executeTakeFirst();
  return worker ? readRuns(db) : undefined;
}
