import { untilAborted } from "../../shared/abort.js";
import { withDeadline } from "../../shared/deadline.js";
import { identityOfRun } from "../agent/process-tree.js";
import type { EngineOptions } from "../engine-options.js";
import type { RunChange } from "../runs/events.js";
import type { EngineRun } from "../runs/run.js";
import { keepSession } from "./keep-session.js";
import { isToResume, tellKept } from "./resume-once.js";
import type { SessionsGoneOn } from "./sessions-gone-on.js";

/** How long bringing the commits of one run may take, in ms: a remote may hang. */
const LIMIT_MS = 60_000;
/** Whoever looks at what sessions have left waits so long for them, in ms. */
const WAIT_MS = 3_000;

/** Runs that were going on when their engine or machine went away. */
export interface InterruptedRuns {
  /** Ends what is left of its agent, and the run. */
  end(run: EngineRun): Promise<void>;
  /**
   * Brings what it has committed to where the person looks, as the end of a run does. Nothing is merged, since the run has
   * not done what it was asked for; of a session that goes on at another worker nothing is brought, and what it has here
   * is set aside. Never throws: what fails is logged, and the session's next run brings it.
   */
  bring(run: EngineRun): Promise<void>;
  /** Resolves when all that is being brought is there, or takes longer than a few seconds. */
  settled(): Promise<unknown>;
}

/** Creates it on its collaborators. */
export function createInterruptedRuns(
  options: Pick<
    EngineOptions,
    "runs" | "workspaces" | "limits" | "endLeftover" | "worker" | "prepareHandover" | "clock" | "log"
  > & {
    goneOn: Pick<SessionsGoneOn, "since" | "setAside">;
    /** Keeps the engine from closing under it. */
    whileOpen: <T>(step: Promise<T>) => Promise<T>;
    /** Fires when the engine closes. */
    signal: AbortSignal;
  },
): InterruptedRuns {
  const { runs, workspaces, worker, goneOn, clock, log, signal } = options;
  const bringing = new Set<Promise<void>>();

  async function bringCommits(run: EngineRun): Promise<void> {
    const { runId, sessionName } = run;
    if (worker) {
      // Only then it is certain whether others go on with the session.
      await Promise.race([worker.joined, untilAborted(signal)]);
      await runs.refresh();
      if (signal.aborted) return;
      if (goneOn.since(run)) return goneOn.setAside(run);
    }
    try {
      const settle = (either: AbortSignal) => workspaces.settle({ runId }, { merge: false, signal: either });
      const settled = await withDeadline(clock, LIMIT_MS, settle, signal);
      if (!settled) throw new Error(`It took longer than ${LIMIT_MS / 1000} s`);
      const { work, note } = settled;
      if (note) log.warn(`The interrupted run of session "${sessionName}": ${note}`);
      if (work) await runs.record(runId, { type: "work-changed", work }, "now");
      const unkept = await withDeadline(
        clock,
        LIMIT_MS,
        (late) => keepSession(run, { isAtEnd: true, work, signal: late }, options),
        signal,
      );
      if (unkept) log.warn(`The interrupted run of session "${sessionName}": ${unkept}`);
    } catch (error) {
      if (signal.aborted) return;
      log.warn(
        `What the interrupted run of session "${sessionName}" has committed could not be brought to its repository: ` +
          `${(error as Error).message}. The session's next run brings it.`,
      );
    }
  }

  return {
    async end(run) {
      const { runId, agentProcess } = run;
      // Its pipes have gone with the engine that held them, so an agent cannot be taken over, only ended.
      const alive = await options.endLeftover(agentProcess ?? identityOfRun(runId));
      const toResume = isToResume(run, runs, options.limits.resumeOnce === true);
      const error =
        `The engine stopped while the run was going on${alive ? "; its agent was still there and was ended" : ""}. ` +
        tellKept(toResume);
      const end: RunChange = { type: "ended", status: "interrupted", error };
      await runs.record(runId, toResume ? { ...end, toResume } : end, "now");
    },

    async bring(run) {
      const step = options.whileOpen(bringCommits(run));
      bringing.add(step);
      await step.finally(() => bringing.delete(step));
    },

    settled: () => withDeadline(clock, WAIT_MS, () => Promise.all(bringing)),
  };
}
