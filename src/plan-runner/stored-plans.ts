import { existsSync } from "node:fs";
import { join } from "node:path";
import { lookIntoDatabase } from "../store/database.js";
import { DATABASE_FILE } from "../store/database-file.js";
import { FINAL, type PlanSummary } from "./plan-summary.js";

/**
 * Reads which plans of a workflows API have not ended, the oldest first. Starts and changes nothing.
 * @param options.folder the state folder, absolute
 * @param options.upstream names the API
 * @throws StoreError when the database cannot be read
 */
export async function readOpenPlans({
  folder,
  upstream,
}: {
  folder: string;
  upstream: string;
}): Promise<PlanSummary[]> {
  if (!existsSync(join(folder, DATABASE_FILE))) return [];
  return lookIntoDatabase(folder, async (db) => {
    const tables = await db.introspection.getTables();
    // A database of before there were plans.
    if (!tables.some(({ name }) => name === "plans")) return [];
    const query = db.selectFrom("plans").select("summary").where("upstream", "=", upstream);
    const rows = await query.where("status", "not in", FINAL).orderBy("created_at").execute();
    return rows.map(({ summary }) => JSON.parse(summary) as PlanSummary);
  });
}
