import { activeRun } from "../sessions/sessions.js";
import type { Session } from "../sessions/types.js";
import type { Answer } from "./answer.js";
import { askToChoose, tellNobody, toMissing } from "./ask-to-choose.js";
import { tellApart } from "./continue-session.js";
import type { Call, Services } from "./define-action.js";
import type { Question } from "./form-client.js";
import type { RunArguments } from "./run.js";

/** A new session, with what is to be said of those that have its name already. */
interface Named {
  args: RunArguments;
  note: string;
  /** The sessions of that name that there were. */
  taken: readonly Session[];
}

const CONTINUE = "continue";
const SECOND = "second";

/**
 * Makes sure that a new conversation under the name of a session that could go on is what is wanted: who gives the
 * name of a session mostly means that session. An empty `continue_session` says that none is to be continued. Only
 * sessions that are known without asking the API count: a start must not wait for its list.
 */
export async function checkName(
  args: RunArguments,
  call: Call,
  { sessions }: Services,
): Promise<Named | Answer> {
  const name = args.session_name;
  if (!name || args.continue_session || args.session_id) return { args, note: "", taken: [] };
  const taken = await sessions.named(name);
  const session = taken.find((one) => one.sessionId || activeRun(one));
  const note =
    taken.length > 0 ? ` It begins a new conversation: the session of that name is not continued by it.` : "";
  if (!session || args.continue_session === "") return { args, note, taken };
  return askWhichOne(session, { args, note, taken }, call);
}

/** Whom a question cannot be put to any more. */
const NOBODY: Call["person"] = {
  reachable: false,
  ask: async () => ({ kind: "not_asked", why: "no_forms" }),
};

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
  return now.find((one) => !keys.has(one.key) && (one.sessionId || activeRun(one)));
}

/**
 * The same after a wait: the answer that the call ends with when a session has taken the name meanwhile. Nobody is
 * asked: the person may have turned to something else long ago.
 */
export async function checkNameAgain(
  args: RunArguments,
  before: readonly Session[],
  call: Call,
  services: Services,
): Promise<Answer | undefined> {
  const session = await isTakenSince(args.session_name ?? "", before, services);
  if (!session) return undefined;
  const named = { args, note: "", taken: [] };
  const asked = await askWhichOne(session, named, { ...call, person: NOBODY });
  return "outcome" in asked ? asked : undefined;
}

async function askWhichOne(session: Session, named: Named, call: Call): Promise<Named | Answer> {
  const { args } = named;
  const { session_name: _name, ...rest } = args;
  const continuing = { ...rest, continue_session: session.name };
  const question: Question = {
    name: "continue_session",
    title: "Session",
    description:
      `There is a session "${session.name}" already (${tellApart(session)}). A new run under that name knows nothing ` +
      "of it unless it continues it.",
    required: true,
    choices: [
      { value: CONTINUE, title: `Continue ${session.name}` },
      { value: SECOND, title: "Begin a second conversation of that name" },
    ],
  };
  const reply = await askToChoose(question, call);
  if (reply.kind === "ended") return reply.answer;
  if (reply.kind === "chosen" && reply.value === SECOND) return named;
  if (reply.kind === "chosen" && reply.value === CONTINUE) return { args: continuing, note: "", taken: [] };
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
    next: {
      action: "run",
      arguments: continuing,
      reason: "Ask the person, if it is not clear; this continues the session.",
    },
  };
}
