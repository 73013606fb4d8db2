import { type Database, lookIntoDatabase } from "../store/database.js";
import type { StorePlace } from "../store/open-store.js";
import { FINAL, type PlanSummary } from "./plan-summary.js";

/**
 * Reads which plans of a workflows API have not ended, the oldest first. Starts and changes nothing.
 * @param options.upstream names the API
 * @throws StoreError when the database cannot be read
 */
export async function readOpenPlans({
  folder,
  address,
  upstream,
}: StorePlace & { upstream: string }): Promise<PlanSummary[]> {
  async function read(db: Database): Promise<PlanSummary[]> {
    const query = db.selectFrom("plans").select("summary").where("upstream", "=", upstream);
    const rows = await query.where("status", "not in", FINAL).orderBy("created_at").execute();
    return rows.map(({ summary }) => JSON.parse(summary) as PlanSummary);
  }
  if (address === undefined) return lookIntoDatabase(folder, "plans", [], read);
  const { PostgresDatabase } = await import("../store/postgres.js");
  const db = await PostgresDatabase.open(address);
  try {
    return (await db.hasTable("plans")) ? await read(db) : [];
  } finally {
    await db.destroy();
  }
}
