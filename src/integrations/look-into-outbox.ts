import { type Database, lookIntoDatabase } from "../store/database.js";
import type { StorePlace } from "../store/open-store.js";

/**
 * Looks into the outbox of a place, without changing anything there.
 * @param limitMs how long a PostgreSQL server that is away is waited for; 3 s unless told
 * @returns undefined where nothing was ever written
 * @throws StoreError when the database cannot be used
 */
export async function lookIntoOutbox<T>(
  { folder, address }: StorePlace,
  read: (db: Database) => Promise<T>,
  limitMs?: number,
): Promise<T | undefined> {
  if (address === undefined) return lookIntoDatabase<T | undefined>(folder, "deliveries", undefined, read);
  const { PostgresDatabase } = await import("../store/postgres.js");
  const db = await PostgresDatabase.open(address, limitMs);
  try {
    return (await db.hasTable("deliveries")) ? await read(db) : undefined;
  } finally {
    await db.destroy();
  }
}

const TITLES: Record<string, string> = {
  slack: "Slack",
  discord: "Discord",
  linear: "Linear",
  pull_request: "pull requests",
};

/** What a person calls the service of a target: without which address, use or worker it is. */
export function serviceOf(target: string): string {
  const name = target.replace(/[-/].*$/s, "");
  return TITLES[name] ?? name;
}
