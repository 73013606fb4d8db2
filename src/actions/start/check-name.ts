import { activeRun } from "../../sessions/sessions.js";
import type { Session } from "../../sessions/types.js";
import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { askToChoose, tellNobody, toMissing } from "../forms/ask-to-choose.js";
import type { Question } from "../forms/form-client.js";
import type { StartArguments, StartDraft, StartValues, Step, StepContext } from "./draft.js";
import { tellSession } from "./tell-session.js";

const CONTINUE = "continue";
const SECOND = "second";

/**
 * Makes sure that a new conversation under the name of a session that could go on is what is wanted: who gives the
 * name of a session mostly means that session. An empty `continue_session` says that none is to be continued. Only
 * sessions that are known without asking the API count: a start must not wait for its list.
 */
export const checkName: Step = async (draft, context) => {
  const { args, values, continuation, namesakes } = draft;
  const name = values?.sessionName ?? args.session_name;
  if (!name || namesakes || continuation || args.continue_session || args.session_id) return draft;
  const taken = await context.services.sessions.named(name);
  const session = taken.find(canGoOn);
  const nameNote =
    taken.length > 0 ? " It begins a new conversation: the session of that name is not continued by it." : "";
  const asNew = { ...draft, namesakes: taken, nameNote };
  if (!session || args.continue_session === "") return asNew;
  const reply = await askWhichOne(session, draft, context);
  return reply === SECOND ? asNew : reply;
};

function canGoOn(session: Session): boolean {
  return Boolean(session.sessionId || activeRun(session));
}

/**
 * Whether a session that could go on has taken the name since: of two starts that were prepared at the same time under
 * one new name, the second has to see the first.
 * @param before the sessions of that name that there were
 */
export async function isTakenSince(
  name: string,
  before: readonly Session[],
  { sessions }: Pick<Services, "sessions">,
): Promise<Session | undefined> {
  const keys = new Set(before.map((session) => session.key));
  const now = await sessions.named(name);
  return now.find((one) => !keys.has(one.key) && canGoOn(one));
}

/** Shows no form, so that the question goes into the answer: after a wait the person may be gone. */
const NOBODY: Call["forms"] = {
  supported: false,
  ask: async () => ({ kind: "not_asked", why: "no_forms" }),
};

/**
 * The same after a wait: the answer that the call ends with when a session has taken the name meanwhile.
 * @param before the sessions of that name that there were
 */
export async function checkNameAgain(
  { args, ...values }: StartValues & { args: StartArguments },
  before: readonly Session[],
  context: StepContext,
): Promise<Answer | undefined> {
  const session = await isTakenSince(values.sessionName, before, context.services);
  if (!session) return undefined;
  const call = { ...context.call, forms: NOBODY };
  const reply = await askWhichOne(session, { args, values }, { ...context, call });
  return typeof reply === "object" && "outcome" in reply ? reply : undefined;
}

/** @returns `second`, the draft that continues the session, or the answer that the call ends with */
async function askWhichOne(
  session: Session,
  { args, values }: StartDraft,
  { call, task }: StepContext,
): Promise<typeof SECOND | StartDraft | Answer> {
  const { session_name: _name, ...rest } = args;
  // Of what the person has entered only the workflow is kept: the session has its own repository and branch.
  const continuing = {
    ...rest,
    ...(values ? { workflow_name: values.workflowName } : {}),
    continue_session: session.name,
  };
  const question: Question = {
    name: "continue_session",
    title: "Session",
    description:
      `There is a session "${session.name}" already (${tellSession(session)}). A new run under that name knows ` +
      "nothing of it unless it continues it.",
    required: true,
    choices: [
      { value: CONTINUE, title: `Continue ${session.name}` },
      { value: SECOND, title: "Begin a second conversation of that name" },
    ],
  };
  const reply = await askToChoose(question, call);
  if (reply.kind === "ended") return reply.answer;
  if (reply.kind === "chosen" && reply.value === SECOND) return SECOND;
  if (reply.kind === "chosen" && reply.value === CONTINUE) return { args: continuing };
  return {
    outcome: "input_required",
    summary:
      `${question.description}${tellNobody(reply)} Nothing was sent. Send continue_session: "${session.name}" to continue it, or the same ` +
      'call with an empty continue_session ("") to begin a second conversation of that name.',
    missing: [
      {
        ...toMissing(question),
        choices: [
          { value: session.name, title: `Continue ${session.name}` },
          { value: "", title: "Begin a second conversation of that name" },
        ],
      },
    ],
    next: task.startAgain(continuing, "Ask the person, if it is not clear; this continues the session."),
  };
}
