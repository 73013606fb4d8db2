import type { Clock } from "../../shared/clock.js";
import type { RunChange } from "../runs/events.js";
import { type EngineRun, goesOn } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import type { RunQueue } from "./run-queue.js";
import { toQueued } from "./turn-order.js";

/** A run that could not be begun here is looked at again after this time, in ms. */
const TRY_AGAIN_MS = 1_000;

/** The end of a run whose start was written, while the answer to that was lost: no agent was started. */
const ENDED_WITHOUT_AGENT: RunChange = {
  type: "ended",
  status: "failed",
  error: "The engine's database went away when it was to begin, and there was no agent. Start it again.",
  neverStarted: true,
};

/**
 * What becomes of a run that its worker has tried to begin: another worker may have begun it, or it may have to wait.
 * @param options.isDone it is at work here, or the engine closes
 * @returns looks at it in a moment. Must not be waited for
 */
export function createLookAgain(options: {
  runs: Pick<RunStore, "refresh" | "get" | "record">;
  queue: Pick<RunQueue, "add">;
  /** This one; undefined where it is the only engine of its database. */
  workerId: string | undefined;
  isDone: (runId: string) => boolean;
  clock: Pick<Clock, "after">;
}): (runId: string) => void {
  const { runs, queue, workerId, isDone, clock } = options;

  async function look(runId: string): Promise<void> {
    await runs.refresh();
    const run = runs.get(runId);
    if (!run || isDone(runId)) return;
    if (run.status === "pending") queue.add(toQueued(run));
    else if (isOwn(run) && goesOn(run))
      await runs.record(runId, ENDED_WITHOUT_AGENT, "written").catch(() => lookLater(runId));
  }

  const isOwn = ({ worker }: EngineRun) => worker === workerId;
  const lookLater = (runId: string) => void clock.after(TRY_AGAIN_MS, () => void look(runId));
  return (runId) => workerId !== undefined && lookLater(runId);
}
