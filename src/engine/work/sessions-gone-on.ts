import type { EngineOptions } from "../engine-options.js";
import type { EngineRun } from "../runs/run.js";
import { hasGoneOn } from "../workers/session-homes.js";

/** Sessions that were here and go on at another worker. */
export interface SessionsGoneOn {
  /** Whether the session goes on elsewhere since that run: nothing of it is delivered, merged or kept any more then. */
  since(run: EngineRun): boolean;
  /** Makes what it has left here nobody's, so that it is never taken for the session. Never throws. */
  setAside(run: EngineRun): Promise<void>;
  /** The same when a run of another worker has a workspace, but while one of the session is at work here. */
  leave(run: EngineRun, isAtWork: (runId: string) => boolean): Promise<void>;
  /** The runs that were the last here of sessions that go on elsewhere. */
  list(): EngineRun[];
}

/** Creates it; in an engine that is alone there are none. */
export function createSessionsGoneOn({
  runs,
  worker,
  log,
}: Pick<EngineOptions, "runs" | "worker" | "log">): SessionsGoneOn {
  const since = (run: EngineRun) =>
    worker !== undefined && hasGoneOn(runs.ofSession(run.sessionId), run, worker.id);

  async function setAside({ sessionId, sessionName }: EngineRun): Promise<void> {
    try {
      const left = await worker?.workspaces.setAside(sessionId);
      if (!left) return;
      const on = left.branch === undefined ? "" : `, on the branch ${left.branch}`;
      log.warn(
        `Session "${sessionName}" goes on at another worker. What it has left here is kept in ${left.path}${on}; ` +
          "nothing of it is delivered from here any more.",
      );
    } catch (error) {
      const what = `What session "${sessionName}", which goes on at another worker, has left here`;
      log.warn(`${what} could not be set aside: ${(error as Error).message}`);
    }
  }

  return {
    since,
    setAside,

    async leave({ sessionId }, isAtWork) {
      const last = runs.ofSession(sessionId).find((one) => one.worker === worker?.id);
      if (last && !isAtWork(last.runId) && since(last)) await setAside(last);
    },

    list() {
      const last = new Map<string, EngineRun>();
      for (const run of runs.all())
        if (worker && run.worker === worker.id && !last.has(run.sessionId)) last.set(run.sessionId, run);
      return [...last.values()].filter(since);
    },
  };
}
