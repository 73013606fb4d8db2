import { ApiError } from "../../api/errors.js";
import { isFinal } from "../../api/types.js";
import { isRefused } from "../../sessions/run-record.js";
import { isOver, newestRun } from "../../sessions/sessions.js";
import type { RunRecord } from "../../sessions/store/session-record.js";
import type { Session } from "../../sessions/types.js";
import { tellConversationEnd } from "../../shared/conversation-end.js";
import type { Answer } from "../answer.js";
import type { Services } from "../define-action.js";
import { askWhenNotFound, askWhichSession, offerFreshStart } from "./conversation-questions.js";
import type { Continuation, StartDraft, Step, StepContext } from "./draft.js";
import { findInterruption } from "./tell-interruption.js";

/**
 * Finds the conversation that a run is to continue. A new conversation is never started in its place without the
 * person's word: what is unclear is asked, or answered with `input_required` when nobody can be asked.
 * @throws ApiError when the sessions cannot be read
 */
export const findConversation: Step = async (draft, context) => {
  const { session_id, continue_session } = draft.args;
  if (draft.continuation) return draft;
  if (session_id) return continueById(session_id, draft, context);
  if (continue_session) return continueByName(continue_session, draft, context);
  return draft;
};

async function continueById(
  wanted: string,
  draft: StartDraft,
  context: StepContext,
): Promise<StartDraft | Answer> {
  const { call, services } = context;
  // The id alone is enough to go on; the list only adds what the session knows.
  const [session] = await services.sessions.find({ sessionId: wanted }, call.signal).catch(() => []);
  if (!session) return { ...draft, continuation: { sessionId: wanted, knownRuns: [] } };
  const isItsOwn =
    session.sessionId === wanted ||
    session.runs.some(
      (run) => run.sessionId === wanted || (run.resumes === wanted && isOver(run) && !isRefused(run)),
    );
  const hasEnded =
    session.sessionId !== wanted &&
    session.runs.some((run) => run.sessionId === wanted && tellConversationEnd(run));
  return continueSession(session, isItsOwn && !hasEnded ? wanted : session.sessionId, draft, context);
}

async function continueByName(
  name: string,
  draft: StartDraft,
  context: StepContext,
): Promise<StartDraft | Answer> {
  const { call, services } = context;
  const found = await services.sessions.find({ sessionName: name }, call.signal);
  const [first] = found;
  if (!first) {
    const reply = await askWhenNotFound(name, draft.args, context);
    if (typeof reply !== "string") return reply;
    return continueByName(reply, { ...draft, args: { ...draft.args, continue_session: reply } }, context);
  }
  const session = found.length === 1 ? first : await askWhichSession(found, draft.args, context);
  return "outcome" in session ? session : continueSession(session, session.sessionId, draft, context);
}

async function continueSession(
  session: Session,
  sessionId: string | undefined,
  draft: StartDraft,
  context: StepContext,
): Promise<StartDraft | Answer> {
  const blocked = await findBlockingRun(session, context);
  if (blocked) return blocked;
  if (!sessionId) return offerFreshStart(session, draft.args, context);
  // What a session says is settled, the default workspace and branch included: nothing of it is asked again.
  const repositoryUrl = session.repositoryUrl ?? "";
  const { repository_url } = draft.args;
  const interruption = await findInterruption(session, context);
  const moves = repository_url !== undefined && repository_url !== repositoryUrl;
  return {
    ...draft,
    continuation: {
      sessionId,
      sessionName: session.name,
      repositoryUrl,
      knownRuns: session.runs.map((run) => run.runId),
      ...(interruption ? { interruption } : {}),
      // A branch belongs to its repository.
      ...(moves ? {} : { gitBranch: session.gitBranch ?? "" }),
    },
  };
}

/**
 * After a wait: the answer that the call ends with when another run goes on in the conversation by now.
 * @throws ApiError when the call is cancelled
 */
export async function checkStillFree(
  { sessionId }: Continuation,
  context: StepContext,
): Promise<Answer | undefined> {
  const { call, services } = context;
  const [session] = await services.sessions.find({ sessionId }, call.signal).catch(() => []);
  return session && findBlockingRun(session, context);
}

/** The runs that were begun in the conversation since it was found to be free, and go on. Never asks the API. */
export async function findRunsSince(
  { sessionId, knownRuns }: Continuation,
  { sessions }: Pick<Services, "sessions">,
): Promise<string[]> {
  const found = await sessions.findKnown({ sessionId });
  return found.flatMap(({ runs }) =>
    runs.flatMap((run) => (isOver(run) || knownRuns.includes(run.runId) ? [] : [run.runId])),
  );
}

/** The answer that the call ends with when a run of the session goes on, or may do so. */
async function findBlockingRun(session: Session, context: StepContext): Promise<Answer | undefined> {
  const running = await findRunning(session, context);
  if (!running) return undefined;
  const { run, problem } = running;
  return problem ? tellUnread(session, run, problem, context.services) : offerFeedback(session, run, context);
}

/**
 * The session's last run when it still goes on, or may do so: then with the reason why it could not be read. It is
 * asked for, since the list may be some seconds behind.
 */
async function findRunning(
  session: Session,
  { call, services }: StepContext,
): Promise<{ run: RunRecord; problem?: ApiError } | undefined> {
  const last = newestRun(session);
  if (!last || isOver(last)) return undefined;
  try {
    const { status } = await services.api.getRun(last.runId, { retries: 0, signal: call.signal });
    return isFinal(status) ? undefined : { run: { ...last, status } };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.kind === "not_found" ? undefined : { run: last, problem: error };
  }
}

function tellUnread(session: Session, run: RunRecord, problem: ApiError, { sessions }: Services): Answer {
  // The list is newer than what was written down.
  const seen = sessions.problem() ? ` at ${new Date(run.updatedAt).toISOString()}` : " in the API's list";
  return {
    outcome: "unknown",
    summary:
      `Could not read whether a run of session "${session.name}" is still going on: ${problem.message} ` +
      `Its last run (${run.workflowName}, run ${run.runId}) was ${run.status} when last seen${seen}. ` +
      "Nothing was sent and no run was started.",
    next: {
      action: "status",
      arguments: { run_id: run.runId },
      reason: "Read the run's status when the API answers again; continue the session after its end.",
    },
  };
}

function offerFeedback(session: Session, run: RunRecord, { task }: StepContext): Answer {
  return {
    outcome: "input_required",
    summary:
      `Session "${session.name}" still has a run going on: ${run.workflowName} (run ${run.runId}, ${run.status}). ` +
      "Nothing was sent and no run was started. Send the message to that run as feedback, or continue the session " +
      "after its end; a run that will never end can be killed.",
    next: task.giveFeedback(
      run.runId,
      "Gives the message to the run that is going on; ask the person if that is what they want.",
    ),
  };
}
