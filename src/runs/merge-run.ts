import type { Run } from "../api/types.js";

/** A run with what is known of it here and not told by the API. */
export interface KnownRun extends Run {
  /** The conversation that it was asked to continue. Whether the agent took it up shows in the run only. */
  resumes?: string;
}

/**
 * The newer picture of a run over the older one: what the newer tells wins, what it leaves out stays known. That
 * keeps what the public server forgets when a run completes: the turn limit and the session id. An id that only the
 * start's answer has told counts once the run was read and nothing speaks against it.
 */
export function mergeRun(older: KnownRun, newer: KnownRun): KnownRun {
  const merged: KnownRun = { ...older, ...newer };
  merged.workflowName = newer.workflowName || older.workflowName;
  for (const list of ["toolsUsed", "phasesCompleted", "filesChanged", "commits"] as const) {
    if (newer[list].length === 0) merged[list] = older[list];
  }
  // An action belongs to a moment; when the newest answer names none, there is none.
  if (newer.currentAction === undefined) delete merged.currentAction;
  if (newer.waitsForAnswer === undefined) delete merged.waitsForAnswer;
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
  // The public server says 0 turns of a run that failed; what was seen before was more.
  if (
    older.turn !== undefined &&
    (newer.turn === undefined || (newer.turn < older.turn && newer.turn === 0))
  ) {
    merged.turn = older.turn;
  }
  return merged;
}
