import type { IssueProgress, ProgressPhase } from "../integrations/issue-progress.js";
import { noteProgress } from "../integrations/note-progress.js";
import { formatUsd } from "../shared/usd.js";
import { costsMore } from "./runs/costs.js";
import { type EngineRun, hasEnded, openQuestions, type RunStatus } from "./runs/run.js";
import type { WriteAlongside } from "./runs/write-changes.js";

/** Events after which the issue may have to be told something else. */
const TOLD = [
  "started",
  "phase",
  "question-asked",
  "question-closed",
  "ended",
  "work-changed",
  "pull-request",
];

/** Writes down what the issue of a run is to be told, in the transaction of what has happened to the run. */
export const noteIssueOfRun: WriteAlongside = async (trx, event, run) => {
  const { issue } = run.request;
  if (issue && isToldToIssue(event.type, run)) await noteProgress(trx, issue, progressOfRun(run), event.at);
};

/** Whether its issue is told something after such an event. */
export function isToldToIssue(type: string, { request, startedAt }: EngineRun): boolean {
  // One that has ended before it began is none that was told of.
  return request.issue !== undefined && startedAt !== undefined && TOLD.includes(type);
}

/** A run as its issue is told of it. */
function progressOfRun(run: EngineRun): IssueProgress {
  const { runId, resumes, sessionName, request, status, phasesCompleted, work, result, error } = run;
  const [question] = openQuestions(run);
  const phases = phasesCompleted.map((name): ProgressPhase => ({ name, state: "done" }));
  return {
    what: "run",
    // What goes on by itself after its engine has gone away is the same to who reads the issue.
    id: resumes ?? runId,
    name: `${request.workflowName} (${sessionName})`,
    status: STATUS[status],
    phases,
    pulls: pullsOf(run),
    ...(question ? { needs: question.text } : {}),
    ...(work ? { branch: work.branch } : {}),
    ...(hasEnded(run) ? { effort: tellEffort(run) } : {}),
    ...(status === "completed" && result ? { result } : {}),
    ...(status !== "completed" && hasEnded(run) && error ? { error } : {}),
  };
}

function pullsOf({ pullRequest, sessionName }: EngineRun): IssueProgress["pulls"] {
  const { state, url, number } = pullRequest ?? {};
  if (state !== "open" || url === undefined) return [];
  return [{ url, title: `Pull request${number === undefined ? "" : ` #${number}`} of ${sessionName}` }];
}

const STATUS: Record<RunStatus, IssueProgress["status"]> = {
  pending: "waiting",
  running: "running",
  waiting: "needs_you",
  completed: "completed",
  failed: "failed",
  killed: "killed",
  interrupted: "failed",
};

/** "12 turns, $0.42" */
function tellEffort(run: EngineRun): string {
  const { turn, costUsd } = run;
  const cost = costUsd > 0 ? `, ${costsMore(run) ? "at least " : ""}${formatUsd(costUsd)}` : "";
  return `${turn} turn${turn === 1 ? "" : "s"}${cost}`;
}
