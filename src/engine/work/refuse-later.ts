import type { EngineRun } from "../runs/run.js";
import { EngineRefusal } from "../types.js";

/**
 * @param ofSession all runs of its session, the newest first
 * @throws EngineRefusal where one has worked since: what it has done, nobody who was asked about this run has seen
 */
export function refuseLater(run: EngineRun, ofSession: readonly EngineRun[]): void {
  const since = ofSession.slice(0, ofSession.indexOf(run)).find((one) => !one.neverStarted);
  if (!since) return;
  const newest = `${since.runId} (${since.request.workflowName}, ${since.status})`;
  const message = `Session "${run.sessionName}" has gone on since this run, with run ${newest}. Nothing was done. Look at what that one has done, then ask for it by the session or by that run.`;
  throw new EngineRefusal(409, message);
}
