import { type Database, openDatabase } from "./database.js";
import type { StoreProblem } from "./store-error.js";

/** Where a server's state is kept. */
export interface StorePlace {
  /** The state folder, absolute. */
  folder: string;
  /** Of the PostgreSQL database that several servers share, which is used in place of the folder. It is a secret. */
  address?: string | undefined;
}

/**
 * Opens the database of a place, and brings it up to date. PostgreSQL's library is loaded only where it is asked for.
 * @param options.onProblem must not throw
 * @throws StoreError when it cannot be used, as `openDatabase` does
 */
export async function openStore(
  options: StorePlace & { clock: { now(): number }; onProblem?: (problem: StoreProblem) => void },
): Promise<Database> {
  const { address, clock } = options;
  if (address === undefined) return openDatabase(options);
  const { PostgresDatabase } = await import("./postgres.js");
  const db = await PostgresDatabase.open(address);
  try {
    await db.prepare(clock.now());
    return db;
  } catch (error) {
    await db.destroy();
    throw error;
  }
}
