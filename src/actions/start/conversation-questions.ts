import { hasNeverRun } from "../../sessions/merge-sessions.js";
import { newestRun } from "../../sessions/sessions.js";
import type { Session } from "../../sessions/types.js";
import { tellConversationEnd } from "../../shared/conversation-end.js";
import type { Answer } from "../answer.js";
import { askToChoose, tellNobody, toMissing } from "../forms/ask-to-choose.js";
import type { Question } from "../forms/form-client.js";
import { checkSessionName } from "./check-arguments.js";
import type { StartArguments, StartDraft, StepContext } from "./draft.js";
import { tellSession } from "./tell-session.js";

const FRESH = "start-fresh";

/** A new start that the person has agreed to in place of a continuation; its name is checked no more. */
function startFresh(args: StartArguments): StartDraft {
  return { args, namesakes: [] };
}

/** Asks which of several sessions of one name goes on. */
export async function askWhichSession(
  found: readonly Session[],
  args: StartArguments,
  { call, task }: StepContext,
): Promise<Session | Answer> {
  const resumable = found.filter((session) => session.sessionId);
  const question: Question = {
    name: "session_id",
    title: "Session",
    description: `There are ${found.length} sessions named "${args.continue_session}". Which one should go on?`,
    required: true,
    choices: found.map((session) => ({
      value: session.sessionId ?? newestRun(session)?.runId ?? session.key,
      title: tellSession(session) + (session.sessionId ? "" : ", cannot be continued"),
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
          next: task.startAgain(
            { ...withoutConversation(args), session_id: resumable[0].sessionId },
            "Ask the person which session is meant; this one is the newest that can be continued.",
          ),
        }
      : {}),
  };
}

/**
 * Asks what is meant by the name of a session that there is none of.
 * @returns the name of the session that goes on, a new start, or the answer that the call ends with
 */
export async function askWhenNotFound(
  name: string,
  args: StartArguments,
  { call, services, task }: StepContext,
): Promise<string | StartDraft | Answer> {
  checkSessionName(name);
  const nearest = services.sessions.nearest(name).filter((one) => one !== FRESH);
  const fresh = { ...withoutConversation(args), session_name: name };
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
  if (reply.kind === "chosen" && reply.value === FRESH) return startFresh(fresh);
  if (reply.kind === "chosen" && nearest.includes(reply.value)) return reply.value;
  return {
    outcome: "input_required",
    summary:
      `There is no session "${name}"${nearest.length > 0 ? `; nearest: ${nearest.join(", ")}` : ""}.${tellNobody(reply)} ` +
      "Nothing was sent and no new conversation was started.",
    missing: [
      { ...toMissing(question), choices: nearest.map((one) => ({ value: one, title: `Continue ${one}` })) },
    ],
    next: task.startAgain(fresh, "Ask the person; this starts a new session of that name."),
  };
}

/** Asks whether a new conversation is wanted in place of one that cannot be continued. */
export async function offerFreshStart(
  session: Session,
  args: StartArguments,
  { call, task }: StepContext,
): Promise<StartDraft | Answer> {
  const end = tellConversationEnd(newestRun(session) ?? {});
  const why = hasNeverRun(session)
    ? "nothing of it ever ran"
    : (end ?? "the API shows no session id for it, so the agent would not remember anything");
  const fact = `Session "${session.name}" (${tellSession(session)}) cannot be continued: ${why}.`;
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
    ...withoutConversation(args),
    session_name: session.name,
    ...(args.temp_workspace
      ? {}
      : {
          repository_url: args.repository_url ?? session.repositoryUrl ?? "",
          git_branch: args.git_branch ?? session.gitBranch ?? "",
        }),
  };
  if (reply.kind === "chosen" && reply.value === FRESH) return startFresh(fresh);
  return {
    outcome: "input_required",
    summary: `${fact}${tellNobody(reply)} Nothing was sent.`,
    next: task.startAgain(
      fresh,
      "Ask the person whether to start a new conversation under the same name; tell the agent what it needs to know.",
    ),
  };
}

/** The arguments of the call without those that named the conversation. */
function withoutConversation({
  continue_session: _name,
  session_id: _id,
  ...rest
}: StartArguments): StartArguments {
  return rest;
}
