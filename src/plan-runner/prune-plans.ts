import type { Transaction } from "../store/database.js";
import { FINAL, type PlanSummary } from "./plan-summary.js";

/** Plans that have ended and are kept, whatever they have left. */
export const ENDED_KEPT = 200;

/**
 * Removes plans that have ended, with their journals; the newest stay. So do all that a process still carries out, in
 * which something waits for a person, or that have left a branch which none of their own merges has taken in: only the
 * plan knows which branches belong together. Runs, sessions and branches are not touched.
 * @param options.kept the newest that stay in any case
 * @returns the ids of those that were removed
 */
export async function prunePlans(
  trx: Transaction,
  { upstream, kept }: { upstream: string; kept: number },
): Promise<string[]> {
  const query = trx.selectFrom("plans").select(["plan_id", "summary"]).where("upstream", "=", upstream);
  const ended = query.where("status", "in", FINAL).where("owner", "is", null);
  const old = (await ended.orderBy("changed_at", "desc").orderBy("plan_id").execute()).slice(kept);
  const removed = old.filter(({ summary }) => isOverAndDone(JSON.parse(summary))).map((row) => row.plan_id);
  // What belongs to a plan goes with it.
  for (const planId of removed) await trx.deleteFrom("plans").where("plan_id", "=", planId).execute();
  return removed;
}

/** @param summary of a plan of an earlier version it does not tell what is left */
function isOverAndDone({ branchesLeft, waitingFor }: Partial<PlanSummary>): boolean {
  return branchesLeft === 0 && waitingFor?.length === 0;
}
