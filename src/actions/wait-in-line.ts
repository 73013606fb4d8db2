import { ApiError } from "../api/errors.js";
import type { Place, Waiting } from "../runs/start-limiter.js";
import { ActionError, type Answer, type NextStep } from "./answer.js";
import { type RunValues, shortMessage } from "./ask.js";
import { checkNameAgain } from "./check-name.js";
import { checkStillFree } from "./continue-session.js";
import type { Call, Services } from "./define-action.js";
import type { Continuation, RunArguments } from "./run.js";
import { resolveWaitMs } from "./wait-budget.js";

/** A run that is settled with the person and not sent. */
interface Wish {
  args: RunArguments;
  given: RunValues;
  continuation: Continuation | undefined;
  /** What is said of sessions that had the name before; then a further conversation of that name is agreed. */
  note: string;
}

const NOTHING = "Nothing was sent and no run was started";

/**
 * Takes a place for the run, or waits in line for one as long as the call may wait. The person has been asked
 * before: whoever has come to the front after an hour should not find a form there. What may have changed meanwhile
 * is looked at again.
 * @returns the place, and the seconds that are left for following; or the answer that the call ends with
 * @throws ActionError when the wait is over, or there was to be none
 */
export async function waitInLine(
  wish: Wish,
  call: Call,
  services: Services,
): Promise<{ place: Place; waitSeconds: number | undefined } | Answer> {
  const { startLine, sessions } = services;
  const { args, given, continuation } = wish;
  const waitMs = resolveWaitMs(call.wantsProgress, call.clientName, args.wait_seconds);
  const isNamed = !continuation && given.sessionName !== "";
  const before = isNamed && startLine.limit !== undefined ? await sessions.named(given.sessionName) : [];
  const turn = await startLine.enter({
    waitMs,
    signal: call.signal,
    onWait: (where) => call.progress({ message: tellPlace(where) }),
  });
  if (turn.kind === "late") throw tooLate(turn.where, wish);
  if (turn.kind === "cancelled") return cancelled(wish, call);
  const { place, waitedMs } = turn;
  if (waitedMs === undefined) return { place, waitSeconds: args.wait_seconds };
  let ended: Answer | undefined;
  try {
    if (continuation) ended = await checkStillFree(continuation, args, call, services);
    else if (isNamed) {
      ended = await checkNameAgain({ ...args, session_name: given.sessionName }, before, call, services);
    }
    if (!ended)
      return { place: place.handOver(), waitSeconds: waitMs && Math.max(0, waitMs - waitedMs) / 1000 };
  } catch (error) {
    if (!(error instanceof ApiError) || !call.signal.aborted) throw error;
    ended = { outcome: "cancelled", summary: `The call was cancelled. ${NOTHING}.` };
  } finally {
    place.free();
  }
  return ended;
}

/** "Place 2 in the line: 3 of 3 runs are going on (20 s)" */
function tellPlace({ position, running, limit, waitedMs }: Waiting): string {
  const seconds = Math.round(waitedMs / 1000);
  const since = seconds > 0 ? ` (${seconds} s)` : "";
  return `Place ${position} in the line: ${running} of ${limit} runs are going on${since}`;
}

function tooLate(where: Waiting, wish: Wish): ActionError {
  const { position, running, limit, waitedMs } = where;
  const going = `${running} of ${limit} runs are going on (AUTOMAGIK_WORKFLOWS_MAX_CONCURRENT_RUNS)`;
  if (waitedMs === 0) {
    const before = position === 1 ? "" : `, and ${position - 1} more wait in line`;
    return new ActionError(
      `${going}${before}, so this one was refused, as it was not to wait. ${NOTHING}. Call again when a run has ended, or with time to wait.`,
      tryAgain(wish, "Waits in line; list_sessions shows what is going on."),
    );
  }
  return new ActionError(
    `The wait of ${Math.round(waitedMs / 1000)} s is over, and the run was still in line, at place ${position}: ${going}. ` +
      `${NOTHING}, and none will be by itself. Calling again begins at the end of the line.`,
    tryAgain(wish, "Waits in line once more; list_sessions shows what is going on."),
  );
}

function cancelled(wish: Wish, call: Call): Answer {
  const isStopping = call.isStopping();
  const why = isStopping ? "This server is stopping" : "The call was cancelled";
  return {
    outcome: "cancelled",
    summary: `${why} before the run's turn in the line came. ${NOTHING}, and none will be by itself.`,
    ...(isStopping ? { next: tryAgain(wish, "When the server is there again.") } : {}),
  };
}

/** The same call with all that the person has settled already, so that they are not asked again. */
function tryAgain({ args, given, continuation, note }: Wish, reason: string): NextStep {
  const { continue_session: _, wait_seconds, ...rest } = args;
  return {
    action: "run",
    arguments: {
      ...rest,
      ...shortMessage(args),
      workflow_name: given.workflowName,
      session_name: given.sessionName,
      ...(args.temp_workspace ? {} : { repository_url: given.repositoryUrl, git_branch: given.gitBranch }),
      ...(continuation ? { session_id: continuation.sessionId } : note ? { continue_session: "" } : {}),
      ...(wait_seconds ? { wait_seconds } : {}),
    },
    reason,
  };
}
