import { type Draft, edit, setStatus } from "./draft.js";
import type { QueuedRun, StepState } from "./state.js";

/** Whether something of the step is under way outside: a run, or a merge. */
export function isBusy({ going, merges }: StepState): boolean {
  return going > 0 || merges.some(({ status }) => status === "merging");
}

/**
 * A step begins anew, once it is its turn; what was done stays in the list. What is under way may go on to its end,
 * but its result does not count, and the step waits for that end.
 */
export function reset(draft: Draft, id: string): void {
  const step = edit(draft, id);
  if (step.round > 0) step.round++;
  step.queue = [];
  for (const key of [
    "begun",
    "concluded",
    "next",
    "items",
    "agreement",
    "output",
    "open",
    "branch",
    "commit",
  ] as const)
    delete step[key];
  for (const merge of step.merges) {
    if (merge.status !== "waiting") continue;
    merge.status = "failed";
    merge.reason = "The plan went back to an earlier step before it was merged.";
  }
  setStatus(draft, id, "pending");
}

/** Everything that needs the step, directly or through others, begins anew. */
export function resetDownstream(draft: Draft, id: string): void {
  for (const other of draft.index.graph.downstreamOf(id)) reset(draft, other);
}

/** A step is done again, in this way when its turn has come, and everything downstream of it. */
export function beginAgain(draft: Draft, id: string, run: QueuedRun): void {
  delete edit(draft, id).skippedByPerson;
  resetDownstream(draft, id);
  reset(draft, id);
  edit(draft, id).next = run;
  draft.again = true;
}
