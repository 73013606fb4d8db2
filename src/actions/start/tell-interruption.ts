import { isOver } from "../../sessions/sessions.js";
import type { RunRecord } from "../../sessions/store/session-record.js";
import type { Session } from "../../sessions/types.js";
import { GO_ON, tellInterruption } from "../../shared/interruption.js";
import type { StepContext } from "./draft.js";

type Ended = Pick<RunRecord, "status" | "errorCode" | "completedAt">;

/**
 * What the agent is told of how the run before has ended, with what it is to do now; undefined of one that has ended as
 * it should.
 */
export function tellWhatHappened({ status, errorCode, completedAt }: Ended): string | undefined {
  const at = completedAt === undefined ? "" : ` at ${new Date(completedAt).toISOString()}`;
  if (errorCode === "interrupted") return tellInterruption(at);
  if (status === "killed") return `The run before this one was ended by the person${at}. ${GO_ON}`;
  if (status === "failed" || status === "lost") return `The run before this one failed${at}. ${GO_ON}`;
  return undefined;
}

/**
 * How the session's last run was interrupted, in words for the agent; undefined when it was not, or nobody can tell.
 * Asks the API where what is known of the run is older than its end.
 */
export async function findInterruption(
  session: Session,
  { call, services }: Pick<StepContext, "call" | "services">,
): Promise<string | undefined> {
  // One that never came to its agent has changed nothing of what was interrupted.
  const last = session.runs.findLast((run) => !run.neverStarted);
  if (!last) return undefined;
  const isKnown = isOver(last) && (last.status !== "failed" || last.errorCode !== undefined);
  const run: Ended | undefined = isKnown
    ? last
    : await services.api.getRun(last.runId, { retries: 0, signal: call.signal }).catch(() => undefined);
  return run?.errorCode === "interrupted" ? tellWhatHappened(run) : undefined;
}

/** The message with what has happened before it, unless it says that by itself. */
export function withInterruption(message: string, interruption: string): string {
  if (/^The run before this one was interrupted/.test(message)) return message;
  return `${interruption}\n\n${message}`;
}
