import type { EngineRun } from "../runs/run.js";

/**
 * The worker that has the workspace of a session: that of its newest run which has begun, unless nothing is left of it.
 * @param ofSession runs of one session, the newest first
 */
export function homeOf(ofSession: readonly EngineRun[]): string | undefined {
  const begun = ofSession.find(({ worker }) => worker !== undefined);
  return begun === undefined || begun.workspaceRemoved ? undefined : begun.worker;
}
