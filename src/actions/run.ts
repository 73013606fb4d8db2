import type { StartRequest } from "../api/types.js";
import { suggestSessionName } from "../sessions/session-name.js";
import { isNothing } from "../shared/no-value.js";
import { cutText } from "../shared/text.js";
import { ActionError, type Answer } from "./answer.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { followRun } from "./follow/follow-run.js";
import { awaitStart } from "./start/await-start.js";
import { isTakenSince } from "./start/check-name.js";
import {
  type Agreed,
  type Continuation,
  opensPullRequest,
  RUN_PARAMETERS,
  type RunArguments,
  type Task,
} from "./start/draft.js";
import { findRunsSince } from "./start/find-conversation.js";
import type { TaskOfIssue } from "./start/issue-task.js";
import type { IssueOfWork } from "./start/linked-issue.js";
import { mayNameIssue } from "./start/may-name-issue.js";
import {
  buildRequest,
  cancelledBeforeStart,
  type PreparedStart,
  prepareStart,
} from "./start/prepare-start.js";
import { type ReservedSlot, reserveSlot } from "./start/reserve-slot.js";
import { withInterruption } from "./start/tell-interruption.js";
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
    "start a workflow; continue_session, not session_name, continues a session. Every call is a new paid run: never repeat one whose outcome is unknown; use status.",
  description:
    "Starts a coding workflow and follows it. The person is asked for a missing session name, repository " +
    "or branch first. continue_session continues a session's conversation; session_name " +
    "names a new one. Every call is a new paid run: never repeat one whose outcome is " +
    "unknown; read its status instead.",
  searchHint:
    "start a coding workflow agent automagik: architect design implement fix bug refactor review test document code, continue session",
  parameters: RUN_PARAMETERS,
  // Where it counts, the answer before says so.
  unpublished: ["auto_merge", "confirm"],
  required: ["message"],
  about: {
    message: "The task, complete and self-contained.",
    session_name: "Name of the new session; one is suggested to the person.",
    session_id: "Id of a conversation to continue.",
  },
  adapt: adaptContinuation,
  // With a forgotten `action` these must not start a second paid run.
  misplaced: {
    run_id: "feedback",
    feedback: "feedback",
    question_id: "answer",
    answer: "answer",
    plan: "plan",
    plan_id: "plan",
    inputs: "plan",
    steps: "plan",
    limits: "plan",
    change: "plan",
    dry_run: "plan",
  },
  endpoint: "start",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  answerParts: ["run", "missing"],

  async handle(asked: RunArguments, call: Call, services: Services): Promise<Answer> {
    checkSendable(asked.message ?? "", services);
    const issue = await readIssue(asked, call, services);
    if (issue && "outcome" in issue) return issue;
    checkConfirm(asked, issue, services);
    const about = await findIssueOfStart(asked, issue, call, services);
    return about && "outcome" in about ? about : startRun(asked, {}, call, services, { issue, about });
  },
});

/**
 * Starts a run and stays with it.
 * @param beforehand what was settled with the person already
 * @param of.issue what is sent in place of a message that names one
 * @param of.about the issue elsewhere that is told how the run stands
 */
export async function startRun(
  { message: given = "", ...args }: RunArguments,
  beforehand: Agreed,
  call: Call,
  services: Services,
  { issue, about }: { issue?: TaskOfIssue | undefined; about?: Parameters<typeof startAbout>[0] } = {},
): Promise<Answer> {
  const message = issue?.message ?? given;
  const task = createTask(given, issue);
  let agreed = beforehand;
  /** Runs for which a continuation was kept back once; whether they stand in its way is looked at when it is prepared. */
  const keptFor = new Set<string>();
  for (let wanted = args; ; ) {
    const prepared = await prepareStart(wanted, { call, services, task }, agreed);
    if (prepared.kind === "answer") return prepared.answer;
    const { start } = prepared;
    const reserved = await reserveSlot(start, call, services);
    if ("outcome" in reserved) return reserved;
    try {
      const interruption = start.continuation?.interruption;
      const told = interruption === undefined ? message : withInterruption(message, interruption);
      const request = { ...(await buildRequest(start, call.person, services)), message: told };
      const answer = await startAbout(about, request, (whole) =>
        startAndFollow(whole, start, { ...reserved, keptFor }, call, services),
      );
      if (answer !== "taken") return answer;
    } finally {
      // Has no effect once the run has taken the slot over.
      reserved.slot.free();
    }
    // The person is asked about the name alone, since all else is settled. Who continues its session then does so where
    // that is, which is why what was entered does not become an argument.
    agreed = start.agreed;
    wanted = { ...start.args, wait_seconds: reserved.waitSeconds };
  }
}

/** @throws ActionError when nothing could be started, whatever the other arguments are */
function checkSendable(message: string, { api }: Services): void {
  if (!api.hasKey) {
    throw new ActionError(
      "No API key is set, so nothing was sent and nobody was asked. Set AUTOMAGIK_WORKFLOWS_API_KEY, or `--engine local` to run on this machine, and start the server again.",
    );
  }
  if (!message.trim() || isNothing(message)) {
    throw new ActionError("`message` is empty: say what the workflow should do. Nothing was sent.");
  }
}

/** The issue that the message names; most name none, and then nothing is loaded. */
async function readIssue(
  asked: RunArguments,
  call: Call,
  services: Services,
): Promise<TaskOfIssue | Answer | undefined> {
  if (!mayNameIssue(asked.message ?? "")) return undefined;
  const { takeIssueAsTask } = await import("./start/issue-task.js");
  return takeIssueAsTask(asked, call, services);
}

/**
 * A person agrees to an issue as the task, and to a pull request; nothing else of a start takes `confirm`. Beside another
 * message it belongs to a forgotten `action`, and must not start a second paid run.
 * @throws ActionError then
 */
function checkConfirm(args: RunArguments, issue: TaskOfIssue | undefined, { settings }: Services): void {
  if (!args.confirm || issue || opensPullRequest(args, settings)) return;
  throw new ActionError(
    "`confirm` does not belong to action run; action kill may be meant: of a start, only an issue as its task and a pull " +
      "request are confirmed. Nothing was sent.",
  );
}

/** Above this length, in characters, a message is not repeated: it would stand twice in an answer of limited size. */
const REPEATED_MESSAGE_LIMIT = 2_000;
/** A form shows so much of the message, in characters. */
const SHOWN_MESSAGE_LIMIT = 160;

/** @param issue what is sent in place of a message that names one */
function createTask(message: string, issue: TaskOfIssue | undefined): Task {
  const said = issue?.message ?? message;
  const line = (issue?.title ?? message).replace(/\s+/g, " ").trim();
  const shown = line.length > SHOWN_MESSAGE_LIMIT ? `${cutText(line, SHOWN_MESSAGE_LIMIT)}…` : line;
  const repeated =
    message.length > REPEATED_MESSAGE_LIMIT ? "(the same message as before, in full)" : message;
  return {
    title: (workflowName) =>
      `${workflowName ? `Start workflow ${workflowName}` : "Start a workflow"} for: ${shown}`,
    suggestName: (isTaken) => suggestSessionName(issue?.subject ?? message, isTaken),
    rank: (router) => router.rank(said),
    expect: (past, workflowName, repositoryUrl) => past.expect(workflowName, repositoryUrl, said),
    repositoryUrl: issue?.repositoryUrl,
    startAgain: (args, reason) => ({ action: "run", arguments: { message: repeated, ...args }, reason }),
    giveFeedback: (runId, reason) => ({
      action: "feedback",
      arguments: { run_id: runId, message: said },
      reason,
    }),
  };
}

/** The issue that it is about; most starts have none, and then nothing is loaded. */
async function findIssueOfStart(
  { issue, message = "", ...args }: RunArguments,
  task: TaskOfIssue | undefined,
  call: Call,
  services: Services,
): Promise<IssueOfWork | Answer | undefined> {
  if (!issue && !task?.link) return undefined;
  const { findIssueOfWork } = await import("./start/linked-issue.js");
  const again = (wanted: string, reason: string) => ({
    action: "run",
    arguments: { message, ...args, issue: wanted },
    reason,
  });
  return findIssueOfWork({ issue, ofTask: task?.link, task: message, again }, call, services);
}

/** Starts it with its issue, which is made before where it is a new one. */
async function startAbout(
  about: IssueOfWork | undefined,
  request: StartRequest,
  start: (request: StartRequest) => Promise<Answer | "taken">,
): Promise<Answer | "taken"> {
  if (!about) return start(request);
  const issue = await about.get();
  const { withIssue, tellWithIssue } = await import("./start/linked-issue.js");
  try {
    const answer = await start({ ...request, issue });
    return answer === "taken" ? answer : withIssue(answer, issue, about);
  } catch (error) {
    throw tellWithIssue(error, about);
  }
}

/** @returns the answer, or that nothing was sent since another start has taken the name, or the conversation */
async function startAndFollow(
  request: StartRequest,
  start: PreparedStart,
  { slot, waitSeconds, keptFor }: ReservedSlot & { keptFor: Set<string> },
  call: Call,
  services: Services,
): Promise<Answer | "taken"> {
  const { clock, runs, catalogue, slotTracker } = services;
  const mayStart = start.continuation
    ? conversationGuard(start.continuation, keptFor, services)
    : await nameGuard(request, start, services);
  const starting = runs.start(request, call.signal, mayStart).catch((error) => {
    // The catalogue promised a workflow that the API does not have (any more).
    if (error.kind === "not_found") void catalogue.refresh();
    throw error;
  });
  slotTracker.keep(slot, starting, request.timeoutS ?? services.settings.timeoutS);
  const result = await awaitStart(starting, call, clock);
  const sent: SentStart = { ...start, sentName: request.sessionName };
  switch (result.kind) {
    case "aborted":
      return cancelledBeforeStart();
    case "unawaited":
      return answerUnawaited(sent);
    case "withdrawn":
      return "taken";
    case "unknown":
      return answerUnknown(result, sent);
    case "failed":
      return answerFailed(result, sent, clock);
    case "started":
      break;
  }
  sent.otherSettings = await services.tellOtherSettings();
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

/**
 * Tells right before the start is sent whether the conversation is still free: the same call may have come before, and
 * been given up while it was sent.
 */
function conversationGuard(
  continuation: Continuation,
  keptFor: Set<string>,
  services: Services,
): () => Promise<boolean> {
  return async () => {
    const found = (await findRunsSince(continuation, services)).filter((runId) => !keptFor.has(runId));
    for (const runId of found) keptFor.add(runId);
    return found.length === 0;
  };
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
    "`continue_session` is true, but it has to be the name of the session to continue. Nothing was sent.",
    { action: "list_sessions", arguments: { active_only: false }, reason: "See which sessions there are." },
  );
}
