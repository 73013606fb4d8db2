import { ApiError } from "../../api/errors.js";
import type { Place, Waiting } from "../../runs/start-limiter.js";
import { ActionError, type Answer, type NextStep } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { resolveWaitMs } from "../wait-budget.js";
import { checkNameAgain } from "./check-name.js";
import { checkStillFree } from "./find-conversation.js";
import type { PreparedStart } from "./prepare-start.js";

/** The right to start one run. */
export interface ReservedSlot {
  slot: Place;
  /** The seconds that are left for following the run; undefined when nothing limits them. */
  waitSeconds: number | undefined;
}

const NOTHING = "Nothing was sent and no run was started";

/**
 * Takes a slot for the run, or waits in the queue for one as long as the call may wait. The person has been asked
 * before: whoever has come to the front after an hour should not find a form there. What may have changed meanwhile
 * is looked at again.
 * @returns the slot, or the answer that the call ends with
 * @throws ActionError when the wait is over, or there was to be none
 */
export async function reserveSlot(
  start: PreparedStart,
  call: Call,
  services: Services,
): Promise<ReservedSlot | Answer> {
  const { startLine, sessions } = services;
  const { continuation, sessionName, settled } = start;
  const waitMs = resolveWaitMs(call.wantsProgress, call.clientName, settled.wait_seconds);
  const isNamed = !continuation && sessionName !== "";
  const before = isNamed && startLine.limit !== undefined ? await sessions.named(sessionName) : [];
  const turn = await startLine.enter({
    waitMs,
    signal: call.signal,
    onWait: (where) => call.progress({ message: tellPosition(where) }),
  });
  if (turn.kind === "late") throw tooLate(turn.where, start);
  if (turn.kind === "cancelled") return cancelled(start, call);
  const { place, waitedMs } = turn;
  if (waitedMs === undefined) return { slot: place, waitSeconds: settled.wait_seconds };
  const context = { call, services, task: start.task };
  let ended: Answer | undefined;
  try {
    if (continuation) ended = await checkStillFree(continuation, context);
    else if (isNamed) ended = await checkNameAgain(settled, before, context);
    if (!ended) {
      return { slot: place.handOver(), waitSeconds: waitMs && Math.max(0, waitMs - waitedMs) / 1000 };
    }
  } catch (error) {
    if (!(error instanceof ApiError) || !call.signal.aborted) throw error;
    ended = { outcome: "cancelled", summary: `The call was cancelled. ${NOTHING}.` };
  } finally {
    place.free();
  }
  return ended;
}

/** "Place 2 in the line: 3 of 3 runs are going on (20 s)" */
function tellPosition({ position, running, limit, waitedMs }: Waiting): string {
  const seconds = Math.round(waitedMs / 1000);
  const since = seconds > 0 ? ` (${seconds} s)` : "";
  return `Place ${position} in the line: ${running} of ${limit} runs are going on${since}`;
}

function tooLate(where: Waiting, start: PreparedStart): ActionError {
  const { position, running, limit, waitedMs } = where;
  const going = `${running} of ${limit} runs are going on (AUTOMAGIK_WORKFLOWS_MAX_CONCURRENT_RUNS)`;
  if (waitedMs === 0) {
    const before = position === 1 ? "" : `, and ${position - 1} more wait in line`;
    return new ActionError(
      `${going}${before}, so this one was refused, as it was not to wait. ${NOTHING}. Call again when a run has ended, or with time to wait.`,
      tryAgain(start, "Waits in line; list_sessions shows what is going on."),
    );
  }
  return new ActionError(
    `The wait of ${Math.round(waitedMs / 1000)} s is over, and the run was still in line, at place ${position}: ${going}. ` +
      `${NOTHING}, and none will be by itself. Calling again begins at the end of the line.`,
    tryAgain(start, "Waits in line once more; list_sessions shows what is going on."),
  );
}

function cancelled(start: PreparedStart, call: Call): Answer {
  const isStopping = call.isStopping();
  const why = isStopping ? "This server is stopping" : "The call was cancelled";
  return {
    outcome: "cancelled",
    summary: `${why} before the run's turn in the line came. ${NOTHING}, and none will be by itself.`,
    ...(isStopping ? { next: tryAgain(start, "When the server is there again.") } : {}),
  };
}

/** The same call with all that the person has settled already, so that they are not asked again. */
function tryAgain({ settled, nameNote, task }: PreparedStart, reason: string): NextStep {
  const { wait_seconds, ...args } = settled;
  return task.startAgain(
    {
      ...args,
      // A further conversation of its name is agreed to.
      ...(nameNote ? { continue_session: "" } : {}),
      ...(wait_seconds ? { wait_seconds } : {}),
    },
    reason,
  );
}
