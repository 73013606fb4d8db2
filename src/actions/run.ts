import { ApiError } from "../api/errors.js";
import type { StartRequest } from "../api/types.js";
import type { StartResult } from "../runs/runs.js";
import { whileFollowing } from "../shared/abort.js";
import type { Clock } from "../shared/clock.js";
import { ActionError, type Answer } from "./answer.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { followRun } from "./follow-run.js";
import { isTakenSince } from "./start/check-name.js";
import { RUN_PARAMETERS, type RunArguments } from "./start/draft.js";
import {
  buildRequest,
  cancelledBeforeStart,
  type PreparedStart,
  prepareStart,
} from "./start/prepare-start.js";
import { type ReservedSlot, reserveSlot } from "./start/reserve-slot.js";
import {
  answerFailed,
  answerStarted,
  answerUnawaited,
  answerUnknown,
  offerNewConversation,
  type SentStart,
  tellStarted,
} from "./start/tell-start.js";

/** Starts a run: checks, asks the person for what is missing, sends one POST, and stays with the run. */
export const runAction = defineAction({
  name: "run",
  toolName: "run_workflow",
  title: "Run a workflow",
  summary:
    "start a workflow; continue_session, not session_name, goes on with a session. Every call is a new paid run: never repeat one whose fate is unknown; use status.",
  description:
    "Starts a remote coding workflow and follows it. The person is asked for a missing session name, repository " +
    "or branch before anything is sent. continue_session goes on with a session's conversation; session_name " +
    "names a new one. Every call is a new paid run: never repeat a call whose fate is " +
    "unknown, look at its status instead. The run goes on when the call ends.",
  searchHint:
    "start a coding workflow agent automagik: architect design implement fix bug refactor review test document code, continue session",
  parameters: RUN_PARAMETERS,
  required: ["message"],
  about: {
    message: "The task, complete and self-contained.",
    session_name: "Name of the new session; one is suggested to the person.",
    session_id: "Id of a conversation to continue.",
  },
  adapt: adaptContinuation,
  // A forgotten `action` must not become a second paid run.
  misplaced: {
    run_id: "feedback",
    feedback: "feedback",
    question_id: "answer",
    answer: "answer",
    confirm: "kill",
  },
  endpoint: "start",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  answerParts: ["run", "missing"],

  async handle(args: RunArguments, call: Call, services: Services): Promise<Answer> {
    for (let wanted = args; ; ) {
      const prepared = await prepareStart(wanted, call, services);
      if (prepared.kind === "answer") return prepared.answer;
      const { start } = prepared;
      const reserved = await reserveSlot(start, call, services);
      if ("outcome" in reserved) return reserved;
      try {
        const request = await buildRequest(start, args.message ?? "", services);
        const answer = await startAndFollow(request, start, reserved, call, services);
        if (answer !== "name taken") return answer;
      } finally {
        // Does nothing once the slot is the run's.
        reserved.slot.free();
      }
      // The person is asked about the name alone, since all else is settled.
      wanted = { ...start.settled, message: args.message, wait_seconds: reserved.waitSeconds };
    }
  },
});

/** @returns the answer, or that nothing was sent since another start has taken the name */
async function startAndFollow(
  request: StartRequest,
  start: PreparedStart,
  { slot, waitSeconds }: ReservedSlot,
  call: Call,
  services: Services,
): Promise<Answer | "name taken"> {
  const { clock, runs, catalogue, placeKeeper } = services;
  const mayStart = await nameGuard(request, start, services);
  const starting = runs.start(request, call.signal, mayStart).catch((error) => {
    // The catalogue promised a workflow that the API does not have (any more).
    if (error.kind === "not_found") void catalogue.refresh();
    throw error;
  });
  placeKeeper.keep(slot, starting, request.timeoutS ?? services.settings.timeoutS);
  const result = await awaitStart(starting, call, clock);
  const sent: SentStart = { ...start, sentName: request.sessionName };
  switch (result.kind) {
    case "aborted":
      return cancelledBeforeStart();
    case "unawaited":
      return answerUnawaited(sent);
    case "withdrawn":
      return "name taken";
    case "unknown":
      return answerUnknown(result, sent);
    case "failed":
      return answerFailed(result, sent, clock);
    case "started":
      break;
  }
  if (waitSeconds === 0) return answerStarted(result, sent, clock);
  const { run } = result;
  call.progress({
    message: `Started ${request.workflowName}${request.sessionName ? ` as ${request.sessionName}` : ""}`,
    ...(run.maxTurns === undefined ? {} : { total: run.maxTurns }),
  });
  const answer = await followRun(run, { waitSeconds, preface: tellStarted(result, sent) }, call, services);
  const isRefused = answer.outcome === "failed" && answer.run?.status === "completed";
  return isRefused ? { ...answer, next: offerNewConversation(sent) } : answer;
}

/** Tells right before the start is sent whether its name is still free; undefined where the name may be shared. */
async function nameGuard(
  { sessionName = "" }: StartRequest,
  { sessionName: chosen, namesakes }: PreparedStart,
  services: Services,
): Promise<(() => Promise<boolean>) | undefined> {
  if (!namesakes) return undefined;
  const before = chosen ? namesakes : await services.sessions.named(sessionName);
  return async () => !(await isTakenSince(sessionName, before, services));
}

/** The start's result as far as the call waits for it; the start itself is seen through in any case. */
async function awaitStart(
  starting: Promise<StartResult>,
  call: Call,
  clock: Clock,
): Promise<StartResult | { kind: "aborted" } | { kind: "unawaited" }> {
  try {
    const result = await whileFollowing(call.signal, (own) => beforeTimeIsOut(starting, own, clock));
    if (result) return result;
    // Whoever the answer no longer reaches, the run is written down when the API's answer comes.
    starting.catch(() => {});
    return { kind: "unawaited" };
  } catch (error) {
    if (!(error instanceof ApiError) || error.kind !== "aborted") throw error;
    return { kind: "aborted" };
  }
}

/** A call that is ended while the start is under way still gives the API this long to answer, in ms. */
const LAST_PATIENCE_MS = 1_500;

/** What the work gives, or undefined when the signal has aborted and the last patience is over. */
async function beforeTimeIsOut<T>(
  work: Promise<T>,
  signal: AbortSignal,
  clock: Clock,
): Promise<T | undefined> {
  let cancel = () => {};
  let onAbort = () => {};
  const out = new Promise<undefined>((resolve) => {
    onAbort = () => {
      cancel = clock.after(LAST_PATIENCE_MS, () => resolve(undefined));
    };
  });
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, out]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    cancel();
  }
}

/**
 * `continue_session` as true or false beside a session that is named: true continues that one, false says nothing.
 * @throws ActionError for true without a session
 */
function adaptContinuation(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { continue_session: wanted, ...rest } = given;
  const { session_name, ...others } = rest;
  const word = typeof wanted === "string" ? wanted.trim().toLowerCase() : wanted;
  if (word === false || word === "false") return rest;
  if (word !== true && word !== "true") return { ...given };
  if (rest.session_id) return others;
  if (session_name) return { ...others, continue_session: session_name };
  // A session may be called so.
  if (word === "true") return { ...given };
  throw new ActionError(
    "`continue_session` true: say which session goes on, by its name in `continue_session`. Nothing was sent.",
    { action: "list_sessions", arguments: { active_only: false }, reason: "See which sessions there are." },
  );
}
