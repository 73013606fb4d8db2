import { ApiError } from "../api/errors.js";
import type { StartRequest } from "../api/types.js";
import type { Place } from "../runs/start-limiter.js";
import { whileFollowing } from "../shared/abort.js";
import type { Clock } from "../shared/clock.js";
import { ActionError, type Answer, type NextStep } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { askForMissing, makeUpName, type RunValues, shortMessage } from "./ask.js";
import { checkRunArguments } from "./check-arguments.js";
import { checkBranch } from "./check-branch.js";
import { checkName, isTakenSince } from "./check-name.js";
import { checkOffer } from "./check-offer.js";
import { continueSession } from "./continue-session.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { describeRun, nameRun } from "./describe-run.js";
import { followRun, watchAgain } from "./follow-run.js";
import { resolveWorkflow } from "./resolve-workflow.js";
import { waitInLine } from "./wait-in-line.js";

const RUN_PARAMETERS = [
  "workflow_name",
  "message",
  "session_name",
  "session_id",
  "continue_session",
  "repository_url",
  "git_branch",
  "max_turns",
  "timeout",
  "persistent",
  "auto_merge",
  "temp_workspace",
  "wait_seconds",
] as const;

export type RunArguments = Arguments<(typeof RUN_PARAMETERS)[number]>;

/** What a run is started with when a conversation goes on: what its session already knows. */
export interface Continuation {
  sessionId: string;
  sessionName?: string;
  repositoryUrl?: string;
  gitBranch?: string;
}

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
    const { settings, api, offer } = services;
    if (!api.hasKey) {
      throw new ActionError(
        "No API key is set, so nothing was sent and nobody was asked. Set AUTOMAGIK_WORKFLOWS_API_KEY and start the server again.",
      );
    }
    checkRunArguments(args, settings);
    const limits = {
      maxTurns: args.max_turns ?? settings.maxTurns,
      timeoutS: args.timeout ?? settings.timeoutS,
    };
    const sessionId = args.session_id || args.continue_session;
    const place = { repositoryUrl: args.repository_url, gitBranch: args.git_branch };
    await checkOffer({ ...limits, ...place, sessionId }, args, services);
    if (args.workflow_name) await resolveWorkflow(args.workflow_name, args, services);

    const named = await checkName(args, call, services);
    if ("outcome" in named) return named;
    args = named.args;
    let continuation: Continuation | undefined;
    if (args.continue_session || args.session_id) {
      const found = await continueSession(args, call, services);
      if ("outcome" in found) return found;
      continuation = found.continuation;
      if (found.fresh) args = found.fresh;
    }

    // Nobody is asked for what the API would not take.
    if (!continuation && !offer.takes("repository_url")) args = { repository_url: "", ...args };
    if (!continuation && !offer.takes("git_branch")) args = { git_branch: "", ...args };
    const asked = await askForMissing(args, continuation, call, services);
    if ("outcome" in asked) return asked;
    const { branchNote, gitBranch } = await checkBranch(asked.values, { args, continuation }, call, services);
    const given = { ...asked.values, gitBranch };
    if (call.signal.aborted) {
      return {
        outcome: "cancelled",
        summary: "The call was cancelled before anything was sent. No run was started.",
      };
    }

    let { note, taken } = named;
    if (args.session_name === undefined && args.continue_session === undefined && !continuation) {
      // A name that the person has typed may be taken as well as one that came with the call.
      const typed = await checkName({ ...args, ...toArguments(given, args) }, call, services);
      if ("outcome" in typed) return typed;
      const { continue_session } = typed.args;
      // Its own repository and branch go on, not what was entered for a new session.
      if (continue_session) {
        return this.handle({ ...args, workflow_name: given.workflowName, continue_session }, call, services);
      }
      ({ note, taken } = typed);
    }
    // Continued sessions and the person's answers have added to what was checked before.
    const full = { ...limits, ...given, ...(continuation ? { sessionId: continuation.sessionId } : {}) };
    await checkOffer(full, args, services);
    const wish = { args, given, continuation, note };
    const turn = await waitInLine(wish, call, services);
    if ("outcome" in turn) return turn;

    const sessionName = given.sessionName || (await makeUpName(args, services));
    // Some servers want it and do not describe it, so it is left out only where it would be refused.
    const refusesFormat = offer.state().description?.start.closed && !offer.takes("input_format");
    const request: StartRequest = {
      workflowName: given.workflowName,
      message: args.message ?? "",
      ...(refusesFormat ? {} : { inputFormat: settings.inputFormat }),
      ...limits,
      ...(sessionName ? { sessionName } : {}),
      ...(continuation ? { sessionId: continuation.sessionId } : {}),
      ...(given.repositoryUrl ? { repositoryUrl: given.repositoryUrl } : {}),
      ...(given.gitBranch ? { gitBranch: given.gitBranch } : {}),
      ...(settings.userId ? { userId: settings.userId } : {}),
      ...(args.persistent === undefined ? {} : { persistent: args.persistent }),
      ...(args.auto_merge === undefined ? {} : { autoMerge: args.auto_merge }),
      ...(args.temp_workspace === undefined ? {} : { tempWorkspace: args.temp_workspace }),
    };
    const before = given.sessionName ? taken : await services.sessions.named(sessionName);
    const mayBeSecond = continuation !== undefined || args.continue_session === "";
    const isFree = async () => !(await isTakenSince(sessionName, before, services));
    const free = mayBeSecond ? {} : { isFree };
    const answer = await startAndFollow(request, { ...turn, ...free, note, branchNote }, call, services);
    if (answer !== "name taken") return answer;
    // With the person's other values, so that only the name is a question now.
    return this.handle(
      { ...args, ...toArguments(given, args), wait_seconds: turn.waitSeconds },
      call,
      services,
    );
  },
});

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

/** What was settled with the person, as arguments of the call. */
function toArguments(given: RunValues, { temp_workspace }: RunArguments): Partial<RunArguments> {
  return {
    workflow_name: given.workflowName,
    session_name: given.sessionName,
    ...(temp_workspace ? {} : { repository_url: given.repositoryUrl, git_branch: given.gitBranch }),
  };
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

/** What the look into the API's list has shown. */
function tellList(list: "empty" | "ambiguous" | "unreachable", request: StartRequest): string {
  const what = `workflow ${request.workflowName} in session "${request.sessionName ?? ""}"`;
  if (list === "empty") return `The API's list of runs was looked through and shows no new run of ${what}.`;
  if (list === "ambiguous")
    return `The API's list shows runs of ${what} that could be it, or somebody else's.`;
  return "The API's list of runs could not be read either.";
}

function lookForRun(request: StartRequest): NextStep {
  return {
    action: "status",
    arguments: { session_name: request.sessionName ?? "" },
    reason: "Look again in a minute whether the run exists.",
  };
}

/** What a start has when it may go out. */
interface Turn {
  place: Place;
  waitSeconds: number | undefined;
  /** What is said of sessions that had the name before. */
  note: string;
  /** What is said of its branch. */
  branchNote: string;
  /** Whether nobody has taken its name meanwhile, where that matters. */
  isFree?: () => Promise<boolean>;
}

async function startAndFollow(
  request: StartRequest,
  { place, waitSeconds, note, branchNote, isFree }: Turn,
  call: Call,
  services: Services,
): Promise<Answer | "name taken"> {
  const { runs, catalogue, clock, placeKeeper, settings } = services;
  const started = runs.start(request, call.signal, isFree).catch((error) => {
    // The catalogue promised a workflow that the API does not have (any more).
    if (error.kind === "not_found") void catalogue.refresh();
    throw error;
  });
  placeKeeper.keep(place, started, request.timeoutS ?? settings.timeoutS);
  let result: Awaited<typeof started> | undefined;
  try {
    result = await whileFollowing(call.signal, (own) => beforeTimeIsOut(started, own, clock));
  } catch (error) {
    if (!(error instanceof ApiError) || error.kind !== "aborted") throw error;
    return {
      outcome: "cancelled",
      summary: "The call was cancelled before anything was sent. No run was started.",
    };
  }
  if (result === undefined) {
    // Whoever the answer no longer reaches, the run is written down when the API's answer comes.
    started.catch(() => {});
    return {
      outcome: "unknown",
      summary:
        "The start was sent, but the call ended before the API answered: it is unknown whether the run exists. " +
        "Do not send it again before that is clear: it may be a second paid run.",
      next: lookForRun(request),
    };
  }
  if (result.kind === "withdrawn") return "name taken";
  if (result.kind === "unknown") {
    return {
      outcome: "unknown",
      summary:
        `It is unknown whether the run was started. ${result.error.message} ${tellList(result.list, request)} ` +
        "Do not send it again before that is clear: it may be a second paid run.",
      next: lookForRun(request),
    };
  }
  if (result.kind === "failed") {
    const { run } = result;
    return {
      outcome: "failed",
      summary: `The API took the request but says that the ${nameRun(run)} failed: ${run.error}.`,
      run: describeRun(run, { now: clock.now() }),
      next: retryAdvice(request),
    };
  }
  const { run } = result;
  const how = result.adopted
    ? `The API's answer to the start was lost, but its list shows the run, so it was not sent again: ${nameRun(run)}.`
    : `Started ${nameRun(run)}.`;
  const unwritten = result.noted
    ? ""
    : " It could not be written down where sessions are kept: note its id, for its name may be forgotten when this server ends.";
  const resumed =
    (request.sessionId ? ` It was asked to continue the conversation ${request.sessionId}.` : note) +
    branchNote;
  if (waitSeconds === 0) {
    return {
      outcome: "started",
      summary: `${how}${resumed}${unwritten} It goes on by itself.`,
      run: describeRun(run, { now: clock.now() }),
      next: watchAgain(run, "Follow the run with progress."),
    };
  }
  call.progress({
    message: `Started ${request.workflowName}${request.sessionName ? ` as ${request.sessionName}` : ""}`,
    ...(run.maxTurns === undefined ? {} : { total: run.maxTurns }),
  });
  const answer = await followRun(
    run,
    { waitSeconds, preface: `${how}${resumed}${unwritten}` },
    call,
    services,
  );
  const isRefused = answer.outcome === "failed" && answer.run?.status === "completed";
  return isRefused ? { ...answer, next: offerFreshStart(request) } : answer;
}

/** A new conversation in place of one that the agent would not continue. */
function offerFreshStart(request: StartRequest): NextStep {
  return {
    action: "run",
    arguments: {
      workflow_name: request.workflowName,
      message: request.message,
      ...shortMessage(request),
      ...(request.sessionName ? { session_name: request.sessionName } : {}),
    },
    reason: "Ask the person whether to start afresh under the same name, as a new conversation.",
  };
}

function retryAdvice(request: StartRequest): NextStep {
  return {
    action: "status",
    arguments: { session_name: request.sessionName ?? request.workflowName },
    reason: "See whether the API keeps the failed run; correct what it names before starting again.",
  };
}
