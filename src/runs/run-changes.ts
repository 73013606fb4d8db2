import { openQuestions, type Run } from "../api/types.js";

/** What has changed of a run. `question`: the agent has asked something that nobody has answered yet. */
export type RunChange = "turn" | "action" | "status" | "activity" | "question";

/** What has changed from one picture of a run to the next; `activity` only where nothing else has. */
export function changesBetween(before: Run, run: Run): RunChange[] {
  const changes: RunChange[] = [];
  if (run.status !== before.status) changes.push("status");
  if (run.turn !== before.turn) changes.push("turn");
  if (run.currentAction !== before.currentAction) changes.push("action");
  const asked = openQuestions(before).map((question) => question.questionId);
  if (openQuestions(run).some((question) => !asked.includes(question.questionId))) changes.push("question");
  if (changes.length === 0 && signsOfLife(run) !== signsOfLife(before)) changes.push("activity");
  return changes;
}

/** What may change while turn, action and status stay: any of it shows that the agent, or its person, is at work. */
function signsOfLife(run: Run): string {
  const asked = openQuestions(run).map((question) => question.questionId);
  const { lastActivityAt, tokens, costUsd, toolsUsed, sessionId } = run;
  return [lastActivityAt, tokens?.total, costUsd, toolsUsed.length, sessionId, ...asked].join("|");
}
