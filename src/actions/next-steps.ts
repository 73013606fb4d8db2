import type { Run } from "../api/types.js";
import { refusedResume } from "../runs/run-facts.js";
import { tellConversationEnd } from "../shared/conversation-end.js";
import type { NextStep } from "./answer.js";

/** The action that picks a run up again with progress. */
export function watchAgain(run: Pick<Run, "runId">, reason: string): NextStep {
  return { action: "status", arguments: { run_id: run.runId, wait_seconds: 45 }, reason };
}

/** What to offer when a run is over; nothing for one that went well and needs nothing. */
export function nextAfterEnd(run: Run): { next?: NextStep } {
  if (refusedResume(run)) {
    return {
      next: {
        action: "list_sessions",
        arguments: { active_only: false },
        reason: "See which session can be continued. A new conversation is a new paid run: ask first.",
      },
    };
  }
  if (run.goesOn) return { next: afterResume(run, run.goesOn.runId) };
  // Of one that never began nothing can be continued.
  if (run.status === "failed" && run.errorCode && !run.neverStarted) return { next: afterKnownFailure(run) };
  if (run.status === "failed" && !run.neverStarted) {
    return {
      next: {
        action: "status",
        arguments: { run_id: run.runId, detailed: true },
        reason: "See everything the API tells of the failure. Starting again is a new paid run: ask first.",
      },
    };
  }
  return {};
}

/** Nothing is to be started: it goes on by itself. */
function afterResume({ runId }: Run, goesOnAs: string | undefined): NextStep {
  if (goesOnAs !== undefined)
    return watchAgain(
      { runId: goesOnAs },
      "The engine goes on with it by itself as this run. Do not continue the session as well.",
    );
  return {
    action: "status",
    arguments: { run_id: runId },
    reason: "The engine goes on with it by itself: see as which run. Do not continue the session as well.",
  };
}

/** A full or lost conversation cannot be continued; after any other failure it can, once the cause is corrected. */
function afterKnownFailure(run: Run): NextStep {
  const { workflowName, sessionName, sessionId } = run;
  const workflow = workflowName ? { workflow_name: workflowName } : {};
  if (tellConversationEnd(run) || !(sessionName || sessionId)) return beginAnew(run);
  return {
    action: "run",
    arguments: {
      ...workflow,
      ...(sessionName ? { continue_session: sessionName } : { session_id: sessionId }),
      message: "Go on where you stopped.",
    },
    reason:
      run.errorCode === "interrupted"
        ? "Continues the conversation, and the agent is told what happened. It is a new paid run: ask first."
        : "Continues the conversation once what the error names is corrected. It is a new paid run: ask first.",
  };
}

/** A new conversation on the same repository and branch, for one that cannot be continued. */
export function beginAnew({ workflowName, repositoryUrl, gitBranch }: Run): NextStep {
  return {
    action: "run",
    arguments: {
      ...(workflowName ? { workflow_name: workflowName } : {}),
      continue_session: "",
      ...(repositoryUrl ? { repository_url: repositoryUrl } : {}),
      ...(gitBranch ? { git_branch: gitBranch } : {}),
    },
    reason:
      "Begins a new conversation with a message that says what is left to do; this one cannot be continued. " +
      "It is a new paid run: ask first.",
  };
}
