import { isFinal, type Run } from "../api/types.js";

/**
 * The one merger of what is known of a run: the newer snapshot over the older one. What the newer tells wins, what it
 * leaves out stays known. That keeps what the public server forgets when a run completes: the turn limit and the
 * session id. An id that only the start's answer has told counts once the run was read and nothing speaks against it.
 */
export function mergeRun(older: Run, newer: Run): Run {
  const merged: Run = { ...older, ...newer };
  merged.workflowName = newer.workflowName || older.workflowName;
  if (newer.status === "unknown") merged.status = older.status;
  for (const list of ["toolsUsed", "phasesCompleted", "filesChanged", "commits"] as const) {
    if (newer[list].length === 0) merged[list] = older[list];
  }
  // Both only grow; the public server says 0 turns of a run that failed.
  for (const key of ["turn", "costUsd"] as const) {
    const values = [older[key], newer[key]].filter((value) => value !== undefined);
    if (values.length > 0) merged[key] = Math.max(...values);
  }
  // An action belongs to a moment; when the newest answer names none, there is none.
  if (newer.currentAction === undefined) delete merged.currentAction;
  if (newer.waitsForSlot === undefined) delete merged.waitsForSlot;
  if (newer.waitsForAnswer === undefined) delete merged.waitsForAnswer;
  if (newer.goesOn === undefined) delete merged.goesOn;
  if (newer.hasNoWork) {
    delete merged.work;
    for (const key of ["insertions", "deletions", "mergedInto"] as const)
      if (newer[key] === undefined) delete merged[key];
  }
  if (newer.work) delete merged.hasNoWork;
  return mergeSessionId(older, newer, merged);
}

function mergeSessionId(older: Run, newer: Run, merged: Run): Run {
  delete merged.sessionHidden;
  // An id shown by the run itself stands; one only claimed by the start's answer falls with a server that hides them.
  if (newer.sessionId !== undefined && !newer.sessionClaimed) delete merged.sessionClaimed;
  else if (older.sessionId !== undefined && !older.sessionClaimed) {
    merged.sessionId = older.sessionId;
    delete merged.sessionClaimed;
  } else if (newer.sessionHidden || older.sessionHidden) {
    delete merged.sessionId;
    delete merged.sessionClaimed;
    merged.sessionHidden = true;
  } else if (newer.sessionId === undefined && newer.status !== "unknown") {
    // The run has been read, on a server that hides nothing: what its start's answer said is all there is to come.
    delete merged.sessionClaimed;
  }
  return merged;
}

/**
 * The same of two snapshots whose order is not certain: `b` counts as the newer, except that an end stands, as a
 * snapshot from before it may arrive after it.
 */
export function mergeUnordered(a: Run, b: Run): Run {
  return weigh(b.status) < weigh(a.status) ? mergeRun(b, a) : mergeRun(a, b);
}

/** `killed` is less of an end than the others, since the public server lets a killed run complete. */
function weigh(status: string): number {
  if (status === "unknown") return 0;
  if (!isFinal(status)) return 1;
  return status === "killed" ? 2 : 3;
}
