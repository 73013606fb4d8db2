import type { RunStore } from "../runs/run-store.js";
import type { RunQueue } from "./run-queue.js";
import { toQueued } from "./turn-order.js";

/** Has all runs wait for a slot that are to begin, the oldest first; those that wait already do so once. */
export function queueWaiting(
  runs: Pick<RunStore, "all">,
  queue: Pick<RunQueue, "add" | "remove" | "endedElsewhere">,
): void {
  const waiting = [...runs.all()].reverse().filter(({ status }) => status === "pending");
  for (const { runId } of waiting) {
    queue.remove(runId);
    queue.endedElsewhere(runId);
  }
  for (const run of waiting) queue.add(toQueued(run));
}
