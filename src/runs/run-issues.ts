import { isFinal, openQuestions, type Run, type StartRequest } from "../api/types.js";
import { type IssueProgress, listPulls, type ProgressPhase } from "../integrations/issue-progress.js";
import type { Notifier } from "../notices/notifier.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import type { LinkedIssue } from "../shared/linked-issue.js";
import { formatUsd } from "../shared/usd.js";
import type { RunWatcher } from "./run-watcher.js";

/** Tells issues of runs at an API that does not do so itself. Nothing of it throws or is waited for. */
export interface RunIssues {
  /** This server has started the run. */
  began(run: Run, request: Pick<StartRequest, "issue">): void;
  /** A call has looked at the run: its issue may not have heard of its end, where no server was there then. */
  saw(run: Run): void;
}

/** Runs of which is kept that they are about an issue. */
const RUNS_KEPT = 1_000;

/**
 * @param options.notifier writes down what is to be told; left out, nothing is
 * @param options.isToldElsewhere whether the API tells issues itself
 */
export function createRunIssues(options: {
  watcher: Pick<RunWatcher, "onEvent">;
  notifier: Pick<Notifier, "write"> | undefined;
  isToldElsewhere: () => boolean;
  clock: Pick<Clock, "now">;
}): RunIssues {
  const { watcher, notifier, isToldElsewhere } = options;
  if (!notifier) return { began() {}, saw() {} };
  const issues = new Map<string, LinkedIssue>();
  /** Ended runs of which was looked whether their issue knows. */
  const seen = new Map<string, true>();

  function note(run: Run, issue: LinkedIssue): void {
    notifier?.write(async (trx, now) => {
      const { noteProgress } = await import("../integrations/note-progress.js");
      await noteProgress(trx, issue, progressOf(run), now);
    });
  }

  watcher.onEvent(({ type, run }) => {
    const issue = issues.get(run.runId);
    if (!issue || type === "lost" || type === "unreachable" || run.status === "unknown") return;
    note(run, issue);
    if (isFinal(run.status)) issues.delete(run.runId);
  });

  return {
    began(run, { issue }) {
      if (!issue || isToldElsewhere()) return;
      setBounded(issues, run.runId, issue, RUNS_KEPT);
      note(run, issue);
    },
    saw(run) {
      const { runId, status } = run;
      if (!isFinal(status) || issues.has(runId) || seen.has(runId) || isToldElsewhere()) return;
      setBounded(seen, runId, true, RUNS_KEPT);
      notifier.write(async (trx, now) => {
        const { noteProgress, findNotedIssue } = await import("../integrations/note-progress.js");
        const issue = await findNotedIssue(trx, { what: "run", id: runId });
        if (issue) await noteProgress(trx, issue, progressOf(run), now);
      });
    },
  };
}

/** A run as its issue is told of it. */
function progressOf(run: Run): IssueProgress {
  const { runId, workflowName, sessionName, phasesCompleted, result, error, work } = run;
  const [question] = isFinal(run.status) ? [] : openQuestions(run);
  const isEnd = isFinal(run.status);
  return {
    what: "run",
    id: runId,
    name: sessionName ? `${workflowName} (${sessionName})` : workflowName,
    status: statusOf(run, question !== undefined),
    phases: phasesCompleted.map((name): ProgressPhase => ({ name, state: "done" })),
    pulls: listPulls([run.pullRequest && { url: run.pullRequest.url, title: sessionName ?? workflowName }]),
    ...(question ? { needs: question.text } : {}),
    ...(work ? { branch: work.branch } : {}),
    ...(isEnd ? { effort: tellEffort(run) } : {}),
    ...(run.status === "completed" && result ? { result } : {}),
    ...(run.status === "failed" && error ? { error } : {}),
  };
}

function statusOf({ status }: Run, asks: boolean): IssueProgress["status"] {
  if (status === "completed" || status === "failed" || status === "killed") return status;
  return asks ? "needs_you" : "running";
}

/** "12 turns, $0.42", or "" where nothing is known. */
function tellEffort({ turn, costUsd, costAtLeast }: Run): string {
  const parts = [
    turn ? `${turn} turn${turn === 1 ? "" : "s"}` : "",
    costUsd ? `${costAtLeast ? "at least " : ""}${formatUsd(costUsd)}` : "",
  ];
  return parts.filter(Boolean).join(", ");
}
