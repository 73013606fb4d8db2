import type { Database, Transaction, transaction } from "../../store/database.js";
import { type FactName, readFact, writeFact } from "./facts.js";
import { newKeyPrefix } from "./key-prefix.js";
import type { EngineRun } from "./run.js";
import { insertRun, newestEventOf, readRuns, type StoredRun } from "./run-rows.js";

/** What is in a database. */
export interface LoadedRuns {
  facts: ReadonlyMap<FactName, string>;
  /** Oldest first. */
  stored: StoredRun[];
  /** The number of the newest event; 0 where there is none. */
  newestStored: number;
}

/**
 * Reads the runs of a database, into which those of an earlier version are taken first. A new one is given its prefix.
 * @param now epoch ms
 * @param takeOver reads the runs of an earlier version; asked once in a database's life
 */
export async function loadRuns(
  database: Database,
  transact: typeof transaction,
  now: number,
  takeOver: () => Promise<EngineRun[]> = async () => [],
): Promise<LoadedRuns> {
  const isTakenOver = (await readFact(database, "run_logs_taken_over")) !== undefined;
  const former = isTakenOver ? [] : await takeOver();
  const loaded = await transact(database, async (trx) => {
    const facts = new Map<FactName, string>([
      ["key_prefix", newKeyPrefix()],
      ["run_logs_taken_over", String(now)],
      ["events_gone_through", "0"],
    ]);
    for (const [name, value] of facts) {
      const known = await readFact(trx, name);
      if (known === undefined) await writeFact(trx, name, value);
      else facts.set(name, known);
    }
    for (const [index, run] of former.entries())
      await insertRun(trx, { run, version: 1, firstEvent: index, lastEvent: index });
    // Where several share it, nobody waits for that; what comes meanwhile is read as an update.
    return database.shared ? { facts } : { facts, ...(await readAll(trx)) };
  });
  return "stored" in loaded ? loaded : { ...loaded, ...(await readAll(database)) };
}

/** The number first: what is read too often is known by its run's version. */
async function readAll(db: Database | Transaction): Promise<Pick<LoadedRuns, "stored" | "newestStored">> {
  const newestStored = await newestEventOf(db);
  return { newestStored, stored: await readRuns(db) };
}
