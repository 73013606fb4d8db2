import type { Transaction } from "../../store/database.js";
import { type EngineRun, hasEnded } from "../runs/run.js";
import { readRuns } from "../runs/run-rows.js";
import type { Guard } from "../runs/write-changes.js";
import { homeOf } from "./session-homes.js";
import type { Workers } from "./workers.js";

/** Which runs a worker may begin. */
export interface BeginRules {
  /**
   * True when the run may begin here: its session is nobody else's, and none of its runs goes on.
   * @param ofSession all runs of its session, the newest first
   */
  mayBegin(run: EngineRun, ofSession: readonly EngineRun[]): boolean;
  /** The same by what the database has, in the transaction that begins it: of two workers one begins it. */
  guard: Guard;
}

/**
 * @param workers undefined until this one has joined them: then nothing begins
 * @param moveAfterMs a session of a worker that was gone for so long goes on elsewhere: till then it may come back
 */
export function createBeginRules(workers: () => Workers | undefined, moveAfterMs: number): BeginRules {
  function mayBegin(run: EngineRun, ofSession: readonly EngineRun[]): boolean {
    const known = workers();
    if (!known || known.isDraining()) return false;
    if (ofSession.some((one) => one.runId !== run.runId && one.status !== "pending" && !hasEnded(one)))
      return false;
    const home = homeOf(ofSession);
    if (home === undefined || home === known.own.id) return true;
    if (known.isThere(home)) return false;
    const worker = known.get(home);
    return worker === undefined || worker.silentMs > moveAfterMs;
  }

  return {
    mayBegin,
    async guard(trx, run, event) {
      if (event.type !== "started") return true;
      return mayBegin(run, await readSession(trx, run.sessionId));
    },
  };
}

async function readSession(trx: Transaction, sessionId: string): Promise<EngineRun[]> {
  const query = trx.selectFrom("engine_runs").select("run_id").where("session_id", "=", sessionId);
  const ids = (await query.execute()).map(({ run_id }) => run_id);
  return (await readRuns(trx, ids)).map(({ run }) => run).reverse();
}
