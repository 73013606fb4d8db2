import { FINAL_STATUSES, openQuestions, type Run } from "../api/types.js";
import { optional } from "../plans/plan.js";
import { cleanLine } from "../shared/text.js";
import type { RunRow } from "./views/run.js";

/** Which plan and step a run belongs to. */
export interface RunPlace {
  planId: string;
  plan: string;
  step: string;
}

const TEXT_CHARS = 300;
const NAME_CHARS = 120;

/** A run as lists show it; everything bounded and on one line. */
export function toRow(
  run: Run,
  {
    place,
    session,
    stalledMs,
  }: { place?: RunPlace | undefined; session?: string; stalledMs?: number | undefined },
): RunRow {
  const isOver = FINAL_STATUSES.includes(run.status);
  const waits = !isOver && (openQuestions(run).length > 0 || run.waitsForAnswer === true);
  const { position, estimateS } = run.waitsForSlot ?? {};
  const line = (text: string | undefined, chars = TEXT_CHARS) => (text ? cleanLine(text, chars) : undefined);
  return {
    runId: run.runId,
    session: cleanLine(session ?? run.sessionName ?? run.runId, NAME_CHARS),
    workflow: cleanLine(run.workflowName, NAME_CHARS),
    status: cleanLine(run.status, 40),
    ...optional("waits", waits ? (true as const) : undefined),
    ...optional("action", isOver ? undefined : line(run.currentAction)),
    ...optional("about", isOver ? line(run.result ?? run.message ?? run.messageStart) : undefined),
    ...optional("turn", run.turn),
    ...optional("maxTurns", run.maxTurns),
    ...optional("expectedTurns", run.expectedTurns),
    ...optional("branch", line(run.work?.branch ?? run.gitBranch, NAME_CHARS)),
    ...optional("repository", line(run.repositoryUrl)),
    ...optional("agent", line(run.agent, NAME_CHARS)),
    ...optional("model", line(run.model, NAME_CHARS)),
    ...optional("costUsd", run.costUsd),
    ...optional("costAtLeast", run.costAtLeast),
    ...optional("startedAt", run.startedAt),
    ...optional("endedAt", isOver ? run.completedAt : undefined),
    ...optional("lastSeenAt", run.lastActivityAt),
    ...optional("stalledMs", isOver || waits ? undefined : stalledMs),
    ...(place ? { planId: place.planId, plan: cleanLine(place.plan, NAME_CHARS), step: place.step } : {}),
    ...optional(
      "queue",
      run.waitsForSlot && !isOver
        ? { ...optional("position", position), ...optional("inS", estimateS) }
        : undefined,
    ),
    ...optional("error", run.status === "failed" ? line(run.error ?? run.errorCode) : undefined),
    ...optional("insertions", run.work?.insertions ?? run.insertions),
    ...optional("deletions", run.work?.deletions ?? run.deletions),
    ...optional("mergedInto", line(run.work?.mergedInto ?? run.mergedInto, NAME_CHARS)),
  };
}
