import { lookIntoDatabase } from "../store/database.js";
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
  return lookIntoDatabase(folder, "plans", [], async (db) => {
    const query = db.selectFrom("plans").select("summary").where("upstream", "=", upstream);
    const rows = await query.where("status", "not in", FINAL).orderBy("created_at").execute();
    return rows.map(({ summary }) => JSON.parse(summary) as PlanSummary);
  });
}
