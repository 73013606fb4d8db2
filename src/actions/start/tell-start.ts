import type { StartResult } from "../../runs/run-starter.js";
import type { Clock } from "../../shared/clock.js";
import { asSentence } from "../../shared/text.js";
import type { Answer, NextStep } from "../answer.js";
import { describeRun, nameRun } from "../describe-run.js";
import { watchAgain } from "../next-steps.js";
import type { PreparedStart } from "./prepare-start.js";

type Started = Extract<StartResult, { kind: "started" }>;
type Failed = Extract<StartResult, { kind: "failed" }>;
type Unknown = Extract<StartResult, { kind: "unknown" }>;

/** The start and the name under which it was sent. */
export interface SentStart extends PreparedStart {
  sentName: string | undefined;
  /** Settings that hold in place of this server's, in sentences. */
  otherSettings?: string | undefined;
}

/** What is said of a run that was started, before anything else. */
export function tellStarted({ run, adopted, noted }: Started, start: SentStart): string {
  const { continuation, nameNote, branchNote, changesNote, otherSettings } = start;
  const how = adopted
    ? `The API's answer to the start was lost, but its list shows the run, and no second one was started: ${nameRun(run)}.`
    : `Started ${nameRun(run)}.`;
  const conversation = continuation
    ? ` It was asked to continue the conversation ${continuation.sessionId}.${continuation.interruption ? " The run before it was interrupted, since the engine or the machine went away, and the agent is told so." : ""}`
    : nameNote;
  const unwritten = noted
    ? ""
    : " It could not be saved where sessions are kept: note its id, since its name may be lost when this server stops.";
  const more = [run.startNote, otherSettings].map((note) => (note ? ` ${note}` : "")).join("");
  return `${how}${conversation}${branchNote}${changesNote}${unwritten}${more}`;
}

/** The answer of a call that does not wait for the run. */
export function answerStarted(started: Started, start: SentStart, clock: Clock): Answer {
  const { run } = started;
  return {
    outcome: "started",
    summary: `${tellStarted(started, start)} It goes on by itself.`,
    run: describeRun(run, { now: clock.now() }),
    next: watchAgain(run, "Follow the run with progress."),
  };
}

/** The answer when the API has taken the request and says that the run failed. */
export function answerFailed({ run }: Failed, start: SentStart, clock: Clock): Answer {
  return {
    outcome: "failed",
    summary: `The API accepted the request but reports that the ${nameRun(run)} failed: ${asSentence(run.error ?? "no reason is given")}`,
    run: describeRun(run, { now: clock.now() }),
    next: {
      action: "status",
      arguments: { session_name: start.sentName ?? start.workflowName },
      reason: "See whether the API kept the failed run; correct what it names before starting again.",
    },
  };
}

/** The answer when the API's answer to the start was lost and its list does not tell what became of it. */
export function answerUnknown({ error, list }: Unknown, start: SentStart): Answer {
  return {
    outcome: "unknown",
    summary:
      `It is unknown whether the run was started. ${error.message} ${tellList(list, start)} ` +
      "Do not send it again before that is clear: it may be a second paid run.",
    next: lookForRun(start),
  };
}

/** The answer when the call has ended before the API answered. */
export function answerUnawaited(start: SentStart): Answer {
  return {
    outcome: "unknown",
    summary:
      "The start was sent, but the call ended before the API answered: it is unknown whether the run exists. " +
      "Do not send it again before that is clear: it may be a second paid run.",
    next: lookForRun(start),
  };
}

/** What the look into the API's list has shown. */
function tellList(list: Unknown["list"], { workflowName, sentName }: SentStart): string {
  const what = `workflow ${workflowName} in session "${sentName ?? ""}"`;
  if (list === "empty") return `The API's list of runs was looked through and shows no new run of ${what}.`;
  if (list === "ambiguous") {
    return `The API's list shows runs of ${what} that could be it, or somebody else's.`;
  }
  return "The API's list of runs could not be read either.";
}

function lookForRun({ sentName }: SentStart): NextStep {
  return {
    action: "status",
    arguments: { session_name: sentName ?? "" },
    reason: "Look again in a minute whether the run exists.",
  };
}

/** A new conversation in place of one that the agent would not continue. */
export function offerNewConversation({ workflowName, sentName, task }: SentStart): NextStep {
  return task.startAgain(
    { workflow_name: workflowName, ...(sentName ? { session_name: sentName } : {}) },
    "Ask the person whether to start afresh under the same name, as a new conversation.",
  );
}
