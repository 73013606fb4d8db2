import type { Run } from "../api/types.js";
import type { TakeReport } from "../api/work-types.js";
import { outcomeOf } from "../runs/run-facts.js";
import { cleanLine, cutText } from "../shared/text.js";
import type { MergeOutcome, RunEnd } from "./port.js";

/** Of these it is known that the same again fails the same way, or that the work was done, or ended by a person. */
const DETERMINISTIC = [
  "context_full",
  "transcript_gone",
  "no_credit",
  "not_logged_in",
  "model_refused",
  "already_ended",
];
/** What the journal keeps of a result: far more than a plan shows of its beginning, and than it reads at its end. */
const RESULT_HEAD_CHARS = 80_000;
const RESULT_TAIL_CHARS = 220_000;
const MAX_ERROR_CHARS = 10_000;

/** How a run has ended, as a plan writes it down. */
export function toEnd(run: Run): RunEnd {
  const {
    result,
    error,
    errorCode,
    costUsd,
    costAtLeast,
    turn,
    sessionId,
    sessionClaimed,
    sessionName,
    work,
    ownWorkspace,
  } = run;
  const outcome = outcomeOf(run);
  const isEmpty = run.hasNoWork || work?.commitCount === 0;
  return {
    status: outcome === "completed" || outcome === "killed" ? outcome : "failed",
    ...(result === undefined ? {} : { result: shortenResult(result) }),
    ...(error !== undefined
      ? { error: cutText(error, MAX_ERROR_CHARS) }
      : outcome !== run.status
        ? { error: "Its agent did not go on with the conversation." }
        : {}),
    ...(errorCode === "interrupted" && outcome === "failed" ? { interrupted: true as const } : {}),
    ...(errorCode && DETERMINISTIC.includes(errorCode) ? { deterministic: true as const } : {}),
    // At least so much is not known.
    ...(costUsd === undefined || costAtLeast ? {} : { costUsd }),
    ...(turn === undefined ? {} : { turns: turn }),
    ...(sessionId && !sessionClaimed ? { sessionId } : {}),
    ...(sessionName ? { sessionName } : {}),
    ...(isEmpty ? { branch: null } : work ? { branch: work.branch } : {}),
    ...(work?.headCommit && !isEmpty ? { commit: work.headCommit } : {}),
    ...(ownWorkspace === false ? { ownWorkspace } : {}),
  };
}

/** What has come of a merge. @param into where it was to go */
export function toMerge(report: TakeReport, branch: string, into: string): MergeOutcome {
  const { taken, hadAll, commit, check, conflicts, message } = report;
  if ((taken || hadAll) && commit !== undefined)
    return { kind: "merged", branch: report.into ?? into, commit };
  const why = cleanLine(message ?? "", 500);
  if (conflicts.length > 0) return { kind: "failed", because: "conflict", files: conflicts, reason: why };
  if (check && !check.passed) {
    const how = check.timedOut
      ? "did not end in time"
      : `failed${check.exitCode === undefined ? "" : ` (${check.exitCode})`}`;
    const reason = `The check ${how}: ${check.output.slice(-1_000)}`;
    return { kind: "failed", because: "check", reason };
  }
  const reason = taken
    ? `The API has merged ${branch} and does not say where ${into} stands.`
    : why || "The API gave no reason.";
  return { kind: "failed", because: "error", reason };
}

/** Agents can say megabytes, and a journal is read as a whole. The fields that a step asks for stand at the end. */
function shortenResult(result: string): string {
  const left = result.length - RESULT_HEAD_CHARS - RESULT_TAIL_CHARS;
  if (left <= 0) return result;
  const head = cutText(result, RESULT_HEAD_CHARS);
  return `${head}\n(… ${left} characters are left out here)\n${result.slice(-RESULT_TAIL_CHARS)}`;
}
