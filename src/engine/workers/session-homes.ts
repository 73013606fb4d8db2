import type { Transaction } from "../../store/database.js";
import type { EngineRun } from "../runs/run.js";
import { readRuns } from "../runs/run-rows.js";

/**
 * The worker that has what there is of a session: its workspace or, where that was removed, its clone and conversation.
 * That of its newest run that has had a workspace: one that could not go on elsewhere has moved nothing.
 * @param ofSession runs of one session, the newest first
 */
export function homeOf(ofSession: readonly EngineRun[]): string | undefined {
  const placed = ofSession.filter(
    ({ worker, workspacePath }) => worker !== undefined && workspacePath !== undefined,
  );
  // A temporary folder is not what the session goes on in.
  return (placed.find(({ request }) => !request.tempWorkspace) ?? placed[0])?.worker;
}

/**
 * Whether a session goes on at another worker since one of its runs here: what it has here is old then.
 * @param ofSession its runs, the newest first
 * @param run one that this worker has carried out
 */
export function hasGoneOn(ofSession: readonly EngineRun[], run: EngineRun, workerId: string): boolean {
  const at = ofSession.findIndex(({ runId }) => runId === run.runId);
  const home = homeOf(at < 0 ? ofSession : ofSession.slice(0, at));
  return home !== undefined && home !== workerId;
}

/** The runs of a session as the database has them, the newest first. */
export async function readSession(trx: Transaction, sessionId: string): Promise<EngineRun[]> {
  const query = trx.selectFrom("engine_runs").select("run_id").where("session_id", "=", sessionId);
  const ids = (await query.execute()).map(({ run_id }) => run_id);
  if (ids.length === 0) return [];
  // By their first events: clocks of several machines differ.
  const stored = (await readRuns(trx, ids)).sort((a, b) => b.firstEvent - a.firstEvent);
  return stored.map(({ run }) => run);
}
