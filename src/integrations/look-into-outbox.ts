import { type Database, lookIntoDatabase } from "../store/database.js";
import type { StorePlace } from "../store/open-store.js";

/**
 * Looks into the outbox of a place, without changing anything there.
 * @returns undefined where nothing was ever written
 * @throws StoreError when the database cannot be used
 */
export async function lookIntoOutbox<T>(
  { folder, address }: StorePlace,
  read: (db: Database) => Promise<T>,
): Promise<T | undefined> {
  if (address === undefined) return lookIntoDatabase<T | undefined>(folder, "deliveries", undefined, read);
  const { PostgresDatabase } = await import("../store/postgres.js");
  const db = await PostgresDatabase.open(address);
  try {
    return (await db.hasTable("deliveries")) ? await read(db) : undefined;
  } finally {
    await db.destroy();
  }
}
