import type { Log } from "../../shared/log.js";
import type { RunChange } from "../runs/events.js";
import { goesOn } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import { isToResume, tellKept } from "../work/resume-once.js";
import type { Worker } from "./worker-rows.js";

/**
 * Ends what runs say that workers carry out which are not there: whichever worker is first.
 * @param workers those that are gone or have ended
 * @param options.resumeOnce a run of one that is gone is to be resumed once by itself
 */
export function interruptRuns(
  workers: readonly Worker[],
  options: { runs: Pick<RunStore, "notEnded" | "record" | "keyOf">; resumeOnce: boolean; log: Log },
): void {
  const { runs, log } = options;
  for (const run of runs.notEnded().filter(goesOn)) {
    const worker = workers.find(({ id }) => id === run.worker);
    if (!worker) continue;
    const toResume = isToResume(run, runs, options.resumeOnce && worker.state === "gone");
    const error = `${tellGone(worker)} ${tellKept(toResume, "there")}`;
    const end: RunChange = { type: "ended", status: "interrupted", error, leftBehind: true };
    runs
      .record(run.runId, toResume ? { ...end, toResume } : end, "written")
      .catch((problem: Error) => log.warn(`Run ${run.runId} could not be ended: ${problem.message}`));
  }
}

function tellGone({ name, state, silentMs }: Worker): string {
  const what = state === "ended" ? "has ended" : `was not heard of for ${Math.round(silentMs / 1000)} s`;
  return `The worker that carried it out (${name}) ${what}.`;
}
