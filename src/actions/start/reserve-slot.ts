import { ApiError } from "../../api/errors.js";
import type { Slot, Waiting } from "../../runs/start-limiter.js";
import { ActionError, type Answer, type NextStep } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { resolveWaitMs } from "../follow/wait-budget.js";
import { checkNameAgain } from "./check-name.js";
import { checkStillFree } from "./find-conversation.js";
import type { PreparedStart } from "./prepare-start.js";

/** The right to start one run. */
export interface ReservedSlot {
  slot: Slot;
  /** The seconds that are left for following the run; undefined when nothing limits them. */
  waitSeconds: number | undefined;
}

const NOTHING = "Nothing was sent and no run was started";

/**
 * Takes a slot for the run, or waits in the queue for one as long as the call may wait. No form is shown after the
 * wait, since the person may have left by then: they were asked before. What may have changed meanwhile is checked
 * again.
 * @returns the slot, or the answer that the call ends with
 * @throws ActionError when the wait is over, or there was to be none
 */
export async function reserveSlot(
  start: PreparedStart,
  call: Call,
  services: Services,
): Promise<ReservedSlot | Answer> {
  const { startLimiter, sessions } = services;
  const { continuation, sessionName, settled } = start;
  const waitMs = resolveWaitMs(call.wantsProgress, call.clientName, settled.wait_seconds);
  const isNamed = !continuation && sessionName !== "";
  const before = isNamed && startLimiter.limit !== undefined ? await sessions.named(sessionName) : [];
  const result = await startLimiter.enter({
    waitMs,
    signal: call.signal,
    onWait: (where) => call.progress({ message: tellPosition(where) }),
  });
  if (result.kind === "late") throw tooLate(result.where, start);
  if (result.kind === "cancelled") return cancelled(start, call);
  const { slot, waitedMs } = result;
  if (waitedMs === undefined) return { slot, waitSeconds: settled.wait_seconds };
  const context = { call, services, task: start.task };
  let ended: Answer | undefined;
  try {
    if (continuation) ended = await checkStillFree(continuation, context);
    else if (isNamed) ended = await checkNameAgain(start, before, context);
    if (!ended) {
      return { slot: slot.handOver(), waitSeconds: waitMs && Math.max(0, waitMs - waitedMs) / 1000 };
    }
  } catch (error) {
    if (!(error instanceof ApiError) || !call.signal.aborted) throw error;
    ended = { outcome: "cancelled", summary: `The call was cancelled. ${NOTHING}.` };
  } finally {
    slot.free();
  }
  return ended;
}

/** "Queued, position 2 (3 of 3 running), for 20 s" */
function tellPosition({ position, running, limit, waitedMs }: Waiting): string {
  const seconds = Math.round(waitedMs / 1000);
  const since = seconds > 0 ? `, for ${seconds} s` : "";
  return `Queued, position ${position} (${running} of ${limit} running)${since}`;
}

function tooLate(where: Waiting, start: PreparedStart): ActionError {
  const { position, running, limit, waitedMs } = where;
  const limitName = "AUTOMAGIK_WORKFLOWS_MAX_CONCURRENT_RUNS";
  if (waitedMs === 0) {
    const before = position === 1 ? "" : `, with ${position - 1} more in the queue`;
    return new ActionError(
      `Run limit reached (${running} of ${limit}, set by ${limitName})${before}. Not started, because wait_seconds is 0. ` +
        `${NOTHING}. Call again when a run has ended, or with time to wait.`,
      tryAgain(start, "Waits in the queue; list_sessions shows which runs are going on."),
    );
  }
  return new ActionError(
    `Still queued after ${Math.round(waitedMs / 1000)} s, at position ${position} (${running} of ${limit} running, ` +
      `limit set by ${limitName}). The wait is over: ${NOTHING.toLowerCase()}, and none will start later. ` +
      "Calling again joins the end of the queue.",
    tryAgain(start, "Waits in the queue again; list_sessions shows which runs are going on."),
  );
}

function cancelled(start: PreparedStart, call: Call): Answer {
  const isStopping = call.isStopping();
  const why = isStopping ? "This server is stopping" : "The call was cancelled";
  return {
    outcome: "cancelled",
    summary: `${why} while the run was queued. ${NOTHING}, and none will start later.`,
    ...(isStopping ? { next: tryAgain(start, "When the server is running again.") } : {}),
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
