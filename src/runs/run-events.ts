import type { ApiError } from "../api/errors.js";
import { openQuestions, type Run } from "../api/types.js";

type Change = "turn" | "action" | "status" | "activity" | "question";

/** What is told about a watched run. `run` is the newest snapshot of it. */
export type RunEvent =
  /** `question`: the agent has asked something that nobody has answered yet. `activity`: none of the others. */
  | { type: Change; run: Run }
  /** The status is final. A killed run may still come back on a server that does not stop what it kills. */
  | { type: "finished"; run: Run }
  /** Nothing has changed for `quietMs`. */
  | { type: "stalled"; run: Run; quietMs: number }
  /** The API did not answer; it is asked again. */
  | { type: "unreachable"; run: Run; error: ApiError }
  /** The API does not know the run (any more); it is not asked again. */
  | { type: "lost"; run: Run; error: ApiError };

/** What has changed from one snapshot of a run to the next; `activity` only where nothing else has. */
export function changesBetween(before: Run, run: Run): Change[] {
  const changes: Change[] = [];
  if (run.status !== before.status) changes.push("status");
  if (run.turn !== before.turn) changes.push("turn");
  if (run.currentAction !== before.currentAction) changes.push("action");
  const asked = questionIds(before);
  if (questionIds(run).some((id) => !asked.includes(id))) changes.push("question");
  if (changes.length === 0 && signsOfLife(run) !== signsOfLife(before)) changes.push("activity");
  return changes;
}

/** What may change while turn, action and status stay: any of it shows that the agent, or its person, is at work. */
function signsOfLife(run: Run): string {
  const { lastActivityAt, tokens, costUsd, toolsUsed, sessionId, waitsForAnswer } = run;
  const signs = [lastActivityAt, tokens?.total, costUsd, toolsUsed.length, sessionId, waitsForAnswer];
  return [...signs, ...questionIds(run)].join("|");
}

/** The questions of the run's agent that nobody has answered yet. */
export function questionIds(run: Run): string[] {
  return openQuestions(run).map(({ questionId }) => questionId);
}
