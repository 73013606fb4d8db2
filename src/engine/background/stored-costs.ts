import { existsSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../store/database.js";
import { DATABASE_FILE } from "../../store/database-file.js";
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
  if (!existsSync(join(stateFolder, DATABASE_FILE))) return costsByDay([], now, days);
  const database = await openDatabase({ folder: stateFolder });
  try {
    const stored = await readRuns(database);
    return costsByDay(
      stored.map(({ run }) => run),
      now,
      days,
    );
  } finally {
    await database.destroy();
  }
}
