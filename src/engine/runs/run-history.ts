import type { Clock } from "../../shared/clock.js";
import { spreadOf, USUAL_PERIOD_MS } from "../../shared/spread.js";
import type { EngineRun } from "./run.js";
import type { RunStore } from "./run-store.js";

/** What runs of a workflow have taken: the median of those that succeeded. */
export interface UsualRun {
  turns: number;
  durationS: number;
}

/** What ended runs tell of those that are to come. */
export interface RunHistory {
  /** Undefined while too few runs of the workflow have succeeded. */
  of(workflowName: string): UsualRun | undefined;
  close(): void;
}

/** Reads the runs in memory, anew only after one has ended. */
export function createRunHistory(options: {
  runs: Pick<RunStore, "all" | "subscribe">;
  clock: Clock;
}): RunHistory {
  const { runs, clock } = options;
  const known = new Map<string, UsualRun | undefined>();
  const close = runs.subscribe(({ type }, { request }) => {
    if (type === "ended") known.delete(request.workflowName);
  });

  function read(workflowName: string): UsualRun | undefined {
    const since = clock.now() - USUAL_PERIOD_MS;
    const ended = runs
      .all()
      .filter(hasSucceeded)
      .filter((run) => run.request.workflowName === workflowName && run.endedAt > since);
    const turns = spreadOf(ended.map(({ turn }) => turn));
    const seconds = spreadOf(ended.map(({ startedAt, endedAt }) => Math.max(0, endedAt - startedAt) / 1000));
    return turns && seconds && { turns: turns.median, durationS: seconds.median };
  }

  return {
    of(workflowName) {
      if (!known.has(workflowName)) known.set(workflowName, read(workflowName));
      return known.get(workflowName);
    },
    close,
  };
}

/** It has come to its own end, not to its turn limit: what it has taken is what the work takes. */
function hasSucceeded(run: EngineRun): run is EngineRun & { startedAt: number; endedAt: number } {
  const { status, turn, request, startedAt, endedAt } = run;
  const isCut = request.maxTurns !== undefined && turn >= request.maxTurns;
  return status === "completed" && turn > 0 && !isCut && startedAt !== undefined && endedAt !== undefined;
}
