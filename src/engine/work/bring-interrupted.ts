import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Log } from "../../shared/log.js";
import type { EngineOptions } from "../engine-options.js";
import type { EngineRun } from "../runs/run.js";

/** How long it may take for one run, in ms: a remote may hang. */
const LIMIT_MS = 60_000;

/**
 * Brings what a run has committed before its engine or machine went away to where the person looks, as the end of a run
 * does. Nothing is merged, since the run has not done what it was asked for. Never throws: what fails is logged, and the
 * session's next run brings it.
 * @param options.signal fires when the engine closes
 */
export async function bringInterrupted(
  { runId, sessionName }: EngineRun,
  options: Pick<EngineOptions, "runs" | "workspaces"> & { clock: Clock; signal: AbortSignal; log: Log },
): Promise<void> {
  const { runs, workspaces, clock, signal, log } = options;
  try {
    const bring = (either: AbortSignal) => workspaces.settle({ runId }, { merge: false, signal: either });
    const settled = await withDeadline(clock, LIMIT_MS, bring, signal);
    if (!settled) throw new Error(`It took longer than ${LIMIT_MS / 1000} s`);
    const { work, note } = settled;
    if (note) log.warn(`The interrupted run of session "${sessionName}": ${note}`);
    if (work) await runs.record(runId, { type: "work-changed", work }, "now");
  } catch (error) {
    if (signal.aborted) return;
    log.warn(
      `What the interrupted run of session "${sessionName}" has committed could not be brought to its repository: ` +
        `${(error as Error).message}. The session's next run brings it.`,
    );
  }
}
