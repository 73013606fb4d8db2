import { isFinal } from "../api/types.js";
import { type Figures, onlyKnown } from "../history/figures.js";
import { isRefused } from "./run-record.js";
import type { RunRecord, SessionRecord } from "./store/session-record.js";

/** What a run of a session has taken; undefined while it goes on, and for one that has never begun. */
export function figuresOf(
  run: RunRecord,
  session: Partial<Pick<SessionRecord, "name" | "repositoryUrl">> = {},
): Figures | undefined {
  const { status, turns, maxTurns, costUsd, startedAt, completedAt } = run;
  if (!isFinal(status) || run.neverStarted) return undefined;
  const refused = isRefused(run);
  const isCut = status === "completed" && Boolean(maxTurns) && (turns ?? 0) >= (maxTurns ?? 0);
  const measured =
    startedAt === undefined || completedAt === undefined ? undefined : (completedAt - startedAt) / 1000;
  const seconds = run.durationS ?? measured;
  return onlyKnown({
    kind: "run",
    id: run.runId,
    outcome: refused ? "failed" : (status as Figures["outcome"]),
    failure: refused ? "refused" : isCut ? "turn_limit" : status === "failed" ? run.errorCode : undefined,
    workflow: run.workflowName || undefined,
    session: session.name === run.runId ? undefined : session.name,
    repository: session.repositoryUrl || undefined,
    model: run.model,
    task: run.task,
    startedAt,
    // One whose end nobody told the time of ended by when that was seen.
    endedAt: completedAt ?? (run.updatedAt || startedAt),
    // The public server says 0 for what it does not know.
    turns: turns || undefined,
    maxTurns,
    seconds: seconds !== undefined && seconds > 0 ? seconds : undefined,
    costUsd: run.costAtLeast ? undefined : costUsd || undefined,
    costAtLeastUsd: run.costAtLeast ? costUsd || undefined : undefined,
    tokens: run.tokens || undefined,
    insertions: run.insertions,
    deletions: run.deletions,
    questions: run.questionsAsked,
    waitedS: run.waitedS,
    quietS: run.quietS,
  });
}

/** The ended runs of a record that another one does not have, or not like this. */
export function newFigures(before: SessionRecord | undefined, after: SessionRecord | undefined): Figures[] {
  if (!after) return [];
  const known = new Map(
    before?.runs.map((run) => [run.runId, JSON.stringify(figuresOf(run, before) ?? null)]),
  );
  return after.runs.flatMap((run) => {
    const figures = figuresOf(run, after);
    return figures && known.get(run.runId) !== JSON.stringify(figures) ? [figures] : [];
  });
}
