import { ApiError } from "../api/errors.js";
import { isFinal } from "../api/types.js";
import { hasNeverRun, isRefused } from "../sessions/merge-sessions.js";
import { isOver, newestRun } from "../sessions/sessions.js";
import type { Session, SessionRun } from "../sessions/types.js";
import { tellConversationEnd } from "../shared/conversation-end.js";
import type { Answer } from "./answer.js";
import { askToChoose, tellNobody, toMissing } from "./ask-to-choose.js";
import { checkSessionName } from "./check-arguments.js";
import type { Call, Services } from "./define-action.js";
import type { Question } from "./form-client.js";
import type { Continuation, RunArguments } from "./run.js";

/** How a wish to continue was settled: what to continue, or the new start that the person agreed to instead. */
interface Settled {
  continuation?: Continuation;
  /** The arguments of the new start, in place of those of the call. */
  fresh?: RunArguments;
}

const FRESH = "start-fresh";

/**
 * Finds the conversation that a run is to continue. A new conversation is never started in its place without the
 * person's word: what is unclear is asked, or answered with `input_required` when nobody can be asked.
 * @throws ApiError when the sessions cannot be read
 */
export async function continueSession(
  args: RunArguments,
  call: Call,
  services: Services,
): Promise<Settled | Answer> {
  const { sessions } = services;
  if (args.session_id) {
    const wanted = args.session_id;
    // The id alone is enough to go on; the list only adds what the session knows.
    const [session] = await sessions.find({ sessionId: wanted }, call.signal).catch(() => []);
    if (!session) return { continuation: { sessionId: wanted } };
    const isItsOwn =
      session.sessionId === wanted ||
      session.runs.some(
        (run) => run.sessionId === wanted || (run.resumes === wanted && isOver(run) && !isRefused(run)),
      );
    const hasEnded =
      session.sessionId !== wanted &&
      session.runs.some((run) => run.sessionId === wanted && tellConversationEnd(run));
    return goOn(session, isItsOwn && !hasEnded ? wanted : session.sessionId, args, call, services);
  }
  const name = args.continue_session ?? "";
  const found = await sessions.find({ sessionName: name }, call.signal);
  if (found.length === 0) return askWhenNotFound(name, args, call, services);
  const [first] = found;
  const session = found.length === 1 && first ? first : await chooseSession(found, args, call);
  if ("outcome" in session) return session;
  return goOn(session, session.sessionId, args, call, services);
}

async function goOn(
  session: Session,
  sessionId: string | undefined,
  args: RunArguments,
  call: Call,
  services: Services,
): Promise<Settled | Answer> {
  const running = await findRunning(session, call, services);
  if (running?.problem) return tellUnread(session, running.run, running.problem, services);
  if (running) return offerFeedback(session, running.run, args);
  if (!sessionId) return askToStartFresh(session, args, call);
  // What a session says is settled, the default workspace and branch included: nothing of it is asked again.
  const repositoryUrl = session.repositoryUrl ?? "";
  const moves = args.repository_url !== undefined && args.repository_url !== repositoryUrl;
  return {
    continuation: {
      sessionId,
      sessionName: session.name,
      repositoryUrl,
      // A branch belongs to its repository.
      ...(moves ? {} : { gitBranch: session.gitBranch ?? "" }),
    },
  };
}

/**
 * The same after a wait: the answer that the call ends with when another run goes on in the conversation by now.
 * @throws ApiError when the call is cancelled
 */
export async function checkStillFree(
  { sessionId }: Continuation,
  args: RunArguments,
  call: Call,
  services: Services,
): Promise<Answer | undefined> {
  const [session] = await services.sessions.find({ sessionId }, call.signal).catch(() => []);
  const running = session && (await findRunning(session, call, services));
  if (!running) return undefined;
  if (running.problem) return tellUnread(session, running.run, running.problem, services);
  return offerFeedback(session, running.run, args);
}

/**
 * The session's last run when it still goes on, or may do so: then with the reason why it could not be read. It is
 * asked for, since the list may be some seconds behind.
 */
async function findRunning(
  session: Session,
  call: Call,
  { api }: Services,
): Promise<{ run: SessionRun; problem?: ApiError } | undefined> {
  const last = newestRun(session);
  if (!last || isOver(last)) return undefined;
  try {
    const { status } = await api.getRun(last.runId, { retries: 0, signal: call.signal });
    return isFinal(status) ? undefined : { run: { ...last, status } };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.kind === "not_found" ? undefined : { run: last, problem: error };
  }
}

function tellUnread(session: Session, run: SessionRun, problem: ApiError, { sessions }: Services): Answer {
  // The list is newer than what was written down.
  const seen = sessions.problem() ? ` at ${new Date(run.updatedAt).toISOString()}` : " in the API's list";
  return {
    outcome: "unknown",
    summary:
      `Whether session "${session.name}" still has a run going on could not be found out: ${problem.message} ` +
      `Its last run (${run.workflowName}, run ${run.runId}) was last seen${seen}, ${run.status} then. ` +
      "Nothing was sent and no run was started.",
    next: {
      action: "status",
      arguments: { run_id: run.runId },
      reason: "See how the run stands when the API answers again; continue the session after its end.",
    },
  };
}

function offerFeedback(session: Session, run: SessionRun, args: RunArguments): Answer {
  return {
    outcome: "input_required",
    summary:
      `Session "${session.name}" still has a run going on: ${run.workflowName} (run ${run.runId}, ${run.status}). ` +
      "Nothing was sent and no run was started. Send the message to that run as feedback, or continue the session " +
      "after its end; a run that will never end can be killed.",
    next: {
      action: "feedback",
      arguments: { run_id: run.runId, message: args.message ?? "" },
      reason: "Gives the message to the run that is going on; ask the person if that is what they want.",
    },
  };
}

/** "architect, completed, 3 runs, last 2026-11-25 12:00" */
export function tellApart(session: Session): string {
  const run = newestRun(session);
  const when = new Date(session.updatedAt).toISOString().slice(0, 16).replace("T", " ");
  return `${run?.workflowName ?? "no run"}, ${run?.status ?? ""}, ${session.runs.length} run${session.runs.length === 1 ? "" : "s"}, last ${when} UTC`;
}

async function chooseSession(
  found: readonly Session[],
  args: RunArguments,
  call: Call,
): Promise<Session | Answer> {
  const resumable = found.filter((session) => session.sessionId);
  const question: Question = {
    name: "session_id",
    title: "Session",
    description: `There are ${found.length} sessions named "${args.continue_session}". Which one should go on?`,
    required: true,
    choices: found.map((session) => ({
      value: session.sessionId ?? newestRun(session)?.runId ?? session.key,
      title: tellApart(session) + (session.sessionId ? "" : ", cannot be continued"),
    })),
  };
  const reply = await askToChoose(question, call);
  if (reply.kind === "chosen") {
    const chosen = found.find(
      (session) => (session.sessionId ?? newestRun(session)?.runId ?? session.key) === reply.value,
    );
    if (chosen) return chosen;
  }
  if (reply.kind === "ended") return reply.answer;
  return {
    outcome: "input_required",
    summary: `${question.description}${tellNobody(reply)} Nothing was sent.`,
    missing: [toMissing(question)],
    ...(resumable[0]?.sessionId
      ? {
          next: {
            action: "run",
            arguments: { ...without(args), session_id: resumable[0].sessionId },
            reason: "Ask the person which session is meant; this one is the newest that can be continued.",
          },
        }
      : {}),
  };
}

async function askWhenNotFound(
  name: string,
  args: RunArguments,
  call: Call,
  services: Services,
): Promise<Settled | Answer> {
  checkSessionName(name);
  const nearest = services.sessions.nearest(name).filter((one) => one !== FRESH);
  const fresh = { ...without(args), session_name: name };
  const question: Question = {
    name: "continue_session",
    title: "Session",
    description: `There is no session "${name}".`,
    required: true,
    choices: [
      ...nearest.map((one) => ({ value: one, title: `Continue ${one}` })),
      { value: FRESH, title: `Start a new session ${name}` },
    ],
  };
  const reply = await askToChoose(question, call);
  if (reply.kind === "ended") return reply.answer;
  if (reply.kind === "chosen" && reply.value === FRESH) return { fresh };
  if (reply.kind === "chosen" && nearest.includes(reply.value)) {
    return continueSession({ ...args, continue_session: reply.value }, call, services);
  }
  return {
    outcome: "input_required",
    summary:
      `There is no session "${name}"${nearest.length > 0 ? `; nearest: ${nearest.join(", ")}` : ""}.${tellNobody(reply)} ` +
      "Nothing was sent and no new conversation was started.",
    missing: [
      { ...toMissing(question), choices: nearest.map((one) => ({ value: one, title: `Continue ${one}` })) },
    ],
    next: {
      action: "run",
      arguments: fresh,
      reason: "Ask the person; this starts a new session of that name.",
    },
  };
}

async function askToStartFresh(session: Session, args: RunArguments, call: Call): Promise<Settled | Answer> {
  const end = tellConversationEnd(newestRun(session) ?? {});
  const why = hasNeverRun(session)
    ? "nothing of it ever ran"
    : (end ?? "the API shows no session id for it, so the agent would not remember anything");
  const fact = `Session "${session.name}" (${tellApart(session)}) cannot be continued: ${why}.`;
  const question: Question = {
    name: "continue_session",
    title: "Start afresh?",
    description: `${fact} Start a new conversation under the same name?`,
    required: true,
    choices: [{ value: FRESH, title: `Start a new conversation named ${session.name}` }],
  };
  const reply = await askToChoose(question, call);
  if (reply.kind === "ended") return reply.answer;
  const fresh = {
    ...without(args),
    session_name: session.name,
    ...(args.temp_workspace
      ? {}
      : {
          repository_url: args.repository_url ?? session.repositoryUrl ?? "",
          git_branch: args.git_branch ?? session.gitBranch ?? "",
        }),
  };
  if (reply.kind === "chosen" && reply.value === FRESH) return { fresh };
  return {
    outcome: "input_required",
    summary: `${fact}${tellNobody(reply)} Nothing was sent.`,
    next: {
      action: "run",
      arguments: fresh,
      reason:
        "Ask the person whether to start a new conversation under the same name; tell the agent what it needs to know.",
    },
  };
}

/** The arguments of the call without those that named the conversation. */
function without(args: RunArguments): RunArguments {
  const rest = { ...args };
  delete rest.continue_session;
  delete rest.session_id;
  return rest;
}
