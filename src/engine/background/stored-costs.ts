import { lookIntoDatabase } from "../../store/database.js";
import { costsByDay, type DayCosts } from "../runs/costs.js";
import { readRuns } from "../runs/run-rows.js";

export type { DayCosts };

/**
 * Reads from the state folder what the engine's runs have cost on each of the last days, the newest first, whether an
 * engine is running or not. Changes nothing.
 * @param options.now epoch ms
 * @throws StoreError when the database cannot be read
 */
export async function readStoredCosts(
  stateFolder: string,
  { now, days }: { now: number; days: number },
): Promise<DayCosts[]> {
  const stored = await lookIntoDatabase(stateFolder, "engine_runs", [], readRuns);
  return costsByDay(
    stored.map(({ run }) => run),
    now,
    days,
  );
}
