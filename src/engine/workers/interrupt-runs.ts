import type { Log } from "../../shared/log.js";
import { goesOn } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import type { Worker } from "./worker-rows.js";

/**
 * Ends what runs say that workers carry out which are not there: whichever worker is first.
 * @param workers those that are gone or have ended
 */
export function interruptRuns(
  workers: readonly Worker[],
  { runs, log }: { runs: Pick<RunStore, "notEnded" | "record">; log: Log },
): void {
  for (const run of runs.notEnded().filter(goesOn)) {
    const worker = workers.find(({ id }) => id === run.worker);
    if (!worker) continue;
    const error = `${tellGone(worker)} The conversation is kept there: continue the session to go on.`;
    runs
      .record(run.runId, { type: "ended", status: "interrupted", error, leftBehind: true }, "written")
      .catch((problem: Error) => log.warn(`Run ${run.runId} could not be ended: ${problem.message}`));
  }
}

function tellGone({ name, state, silentMs }: Worker): string {
  const what = state === "ended" ? "has ended" : `was not heard of for ${Math.round(silentMs / 1000)} s`;
  return `The worker that carried it out (${name}) ${what}.`;
}
