import { addCost } from "./costs.js";
import type { RunAccepted, RunEvent } from "./events.js";
import { type EngineRun, hasEnded, openQuestions, type RunQuestion } from "./run.js";

/** Of names that an agent makes up nobody reads more, and a run is written down whole at each event. */
const MOST_NAMES = 200;

type Ended = Extract<RunEvent, { type: "ended" }>;

/** The run that an accepted request makes. */
export function acceptRun({ runId, sessionId, sessionName, request, at, resumes }: RunAccepted): EngineRun {
  return deepFreeze({
    ...(resumes === undefined ? {} : { resumes }),
    runId,
    request: { ...request },
    status: "pending",
    sessionId,
    sessionName,
    createdAt: at,
    turn: 0,
    toolsUsed: [],
    tokens: { input: 0, output: 0 },
    costUsd: 0,
    phasesCompleted: [],
    workspaceRemoved: false,
    filesChanged: [],
    commits: [],
    queue: { added: 0, consumed: 0, waiting: [] },
    questions: [],
  });
}

/**
 * The run after the event: the only place where a run changes. The same object when the event cannot happen in the
 * run's state; so "start if still pending", "kill if not ended" and "message if not ended" are decided here.
 */
export function apply(run: EngineRun, event: RunEvent): EngineRun {
  const next = changed(run, event);
  return next === undefined ? run : deepFreeze(withStatus(next));
}

/** What an agent has told; nothing is to be done about it. */
const TOLD = new Set<RunEvent["type"]>([
  ...(["conversation-begun", "turn", "action", "output", "tool", "phase"] as const),
  ...(["usage", "cost", "result"] as const),
]);

/**
 * The run after an event that its engine had seen before others took it for gone and ended the run, and could not tell
 * until now: what the agent has done and cost counts, and the end stays as it is. The same object for all other events.
 */
export function applyLate(run: EngineRun, event: RunEvent): EngineRun {
  if (!run.leftBehind || !TOLD.has(event.type)) return run;
  const next = atWork({ ...run, status: "running" }, event);
  return next ? deepFreeze({ ...without(next, "currentAction"), status: run.status }) : run;
}

/** Undefined when the event cannot happen. */
function changed(run: EngineRun, event: RunEvent): EngineRun | undefined {
  if (event.type === "cleaned-up") {
    const { workspace, worktree } = event.removed;
    return hasEnded(run)
      ? { ...run, workspaceRemoved: workspace || worktree || run.workspaceRemoved }
      : undefined;
  }
  if (event.type === "work-changed")
    return hasEnded(run)
      ? {
          ...without(without(run, "work"), "workGone"),
          ...(event.work ? { work: event.work } : { workGone: true }),
        }
      : undefined;
  if (event.type === "resumed")
    return run.toResume
      ? {
          ...without(run, "toResume"),
          resumedBy: event.by,
          error: tellMore(run, `It goes on as run ${event.by}.`),
        }
      : undefined;
  if (event.type === "not-resumed")
    return run.toResume
      ? { ...without(run, "toResume"), error: tellMore(run, `It was not resumed. ${event.why}`) }
      : undefined;
  if (event.type === "had-ended")
    return run.leftBehind && run.hadEnded === undefined
      ? { ...run, hadEnded: event.status, error: tellMore(run, event.told) }
      : undefined;
  if (event.type === "pull-request-asked")
    return hasEnded(run) ? { ...run, pullRequest: { ...run.pullRequest, state: "pending" } } : undefined;
  if (event.type === "pull-request") return hasEnded(run) ? withPullRequest(run, event) : undefined;
  if (hasEnded(run)) return undefined;
  switch (event.type) {
    case "started":
      if (run.status !== "pending") return undefined;
      return {
        ...run,
        status: "running",
        startedAt: event.at,
        currentAction: "Preparing the workspace",
        ...(event.expectedTurns === undefined ? {} : { expectedTurns: event.expectedTurns }),
        ...(event.costLimitUsd === undefined ? {} : { costLimitUsd: event.costLimitUsd }),
        ...(event.worker === undefined ? {} : { worker: event.worker }),
      };
    case "kill-asked":
      if (run.killAskedAt !== undefined) return undefined;
      if (run.status === "pending") return end(run, { type: "ended", status: "killed", at: event.at });
      return { ...run, killAskedAt: event.at, inputClosed: true };
    case "message-added": {
      if (run.inputClosed) return undefined;
      const { queue } = run;
      return {
        ...run,
        queue: { ...queue, added: queue.added + 1, waiting: [...queue.waiting, event.message] },
      };
    }
    case "input-closed":
      if (run.inputClosed || (run.queue.waiting.length > 0 && !event.anyway)) return undefined;
      return { ...run, inputClosed: true };
    case "ended":
      return end(run, event);
    default:
      return run.status === "pending" ? undefined : atWork(run, event);
  }
}

/** What only happens to a run that was started and has not ended. */
function atWork(run: EngineRun, event: RunEvent): EngineRun | undefined {
  switch (event.type) {
    case "workspace-ready": {
      const request = event.branch ? { ...run.request, gitBranch: event.branch } : run.request;
      const own = event.own === undefined ? {} : { ownWorkspace: event.own };
      return { ...run, request, workspacePath: event.path, ...own };
    }
    case "agent-started":
      return { ...without(run, "currentAction"), agentProcess: event.process };
    case "action":
      return { ...run, currentAction: event.text, lastActivityAt: event.at };
    case "output":
      return { ...run, lastActivityAt: event.at };
    case "conversation-begun":
      if (run.conversationBegun) return undefined;
      return {
        ...run,
        conversationBegun: true,
        lastActivityAt: event.at,
        ...(event.model === undefined ? {} : { model: event.model }),
        ...(event.conversationId === undefined ? {} : { conversationId: event.conversationId }),
      };
    case "turn":
      // What the turn before was at says nothing of this one.
      return {
        ...without(run, "currentAction"),
        turn: event.turn,
        costOpen: true,
        lastActivityAt: event.at,
      };
    case "tool":
      if (!isNewName(run.toolsUsed, event.name)) return undefined;
      return { ...run, toolsUsed: [...run.toolsUsed, event.name], lastActivityAt: event.at };
    case "phase":
      if (!isNewName(run.phasesCompleted, event.name)) return undefined;
      return { ...run, phasesCompleted: [...run.phasesCompleted, event.name], lastActivityAt: event.at };
    case "usage":
      return { ...run, tokens: { input: event.input, output: event.output }, lastActivityAt: event.at };
    case "cost":
      if (event.usd === run.costUsd) return undefined;
      return { ...run, ...addCost(run, event.usd, event.at), lastActivityAt: event.at };
    case "result":
      return {
        ...without(
          run,
          "currentAction",
          ...(event.costUsd === undefined ? [] : (["costOpen"] as const)),
          // What was said before is not the answer any more, also where there is no other one.
          ...(event.text === undefined ? [] : (["result"] as const)),
        ),
        ...(event.costUsd === undefined ? {} : addCost(run, event.costUsd, event.at)),
        lastActivityAt: event.at,
        tokens: event.tokens ?? run.tokens,
        ...(event.text ? { result: event.text } : {}),
        ...(event.action ? { currentAction: event.action } : {}),
      };
    case "message-taken": {
      const { queue } = run;
      const taken = queue.waiting.find(({ id }) => event.messageId === undefined || id === event.messageId);
      if (!taken) return undefined;
      const waiting = queue.waiting.filter((message) => message !== taken);
      return { ...run, queue: { ...queue, consumed: queue.consumed + 1, waiting }, lastActivityAt: event.at };
    }
    case "message-withdrawn": {
      const { queue } = run;
      const waiting = queue.waiting.filter(({ id }) => id !== event.messageId);
      if (waiting.length === queue.waiting.length) return undefined;
      return { ...run, queue: { ...queue, added: queue.added - 1, waiting } };
    }
    case "question-asked":
      if (run.questions.some(({ questionId }) => questionId === event.question.questionId)) return undefined;
      return { ...run, questions: [...run.questions, event.question], lastActivityAt: event.at };
    case "question-closed": {
      const open = openQuestions(run).find(({ questionId }) => questionId === event.questionId);
      // An answer after the kill would reach nobody.
      if (!open || (event.by === "person" && run.killAskedAt !== undefined)) return undefined;
      return { ...run, questions: run.questions.map((each) => (each === open ? close(each, event) : each)) };
    }
    case "slot-given-up":
      return run.slotGivenUp ? undefined : { ...run, slotGivenUp: true };
    case "slot-taken":
      return run.slotGivenUp ? without(run, "slotGivenUp") : undefined;
    default:
      return undefined;
  }
}

/** Whether the name is one to be kept beside those that are known. */
function isNewName(known: readonly string[], name: string): boolean {
  return known.length < MOST_NAMES && !known.includes(name);
}

function end(run: EngineRun, event: Ended): EngineRun {
  const status = run.killAskedAt === undefined ? event.status : "killed";
  const { neverStarted, errorCode, filesChanged, commits, work, workspaceRemoved } = event;
  const result = [run.result, ...(event.notes ?? [])].filter(Boolean).join("\n\n");
  const isUnstarted = neverStarted === true && status === "failed";
  return {
    ...without(run, "currentAction", "agentProcess", "slotGivenUp"),
    status,
    endedAt: event.at,
    inputClosed: true,
    questions: run.questions.map((question) =>
      question.answeredAt === undefined ? close(question, { at: event.at, by: "ended" }) : question,
    ),
    workspaceRemoved: workspaceRemoved ?? run.workspaceRemoved,
    filesChanged: filesChanged ?? run.filesChanged,
    commits: commits ?? run.commits,
    ...(work ? { work } : {}),
    ...(status === "completed" && run.request.pullRequest && work && work.commitCount > 0
      ? { pullRequest: { state: "pending" as const } }
      : {}),
    ...(result ? { result } : {}),
    ...(event.error
      ? { error: `${isUnstarted ? "Not started; nothing was charged. " : ""}${event.error}` }
      : {}),
    ...(errorCode ? { errorCode } : {}),
    ...(status === "killed" ? { killedAt: event.at } : {}),
    ...(isUnstarted ? { neverStarted } : {}),
    ...(event.leftBehind ? { leftBehind: true } : {}),
    ...(event.toResume && status === "interrupted" ? { toResume: true } : {}),
  };
}

const tellMore = ({ error = "" }: EngineRun, more: string) => `${error} ${more}`.trim();

function withPullRequest(
  run: EngineRun,
  { pullRequest, where }: Extract<RunEvent, { type: "pull-request" }>,
): EngineRun {
  const { work } = run;
  const { branch } = pullRequest;
  const isOfWork = where !== undefined && branch !== undefined && !pullRequest.ofOtherBranch;
  if (work?.deliveredTo !== "engine" || !isOfWork) return { ...run, pullRequest };
  const { problem: _settled, ...known } = work;
  return { ...run, pullRequest, work: { ...known, branch, deliveredTo: "remote", where } };
}

function close(
  question: RunQuestion,
  event: Pick<RunQuestion, "answer" | "whose"> & { at: number; by: NonNullable<RunQuestion["answeredBy"]> },
): RunQuestion {
  const { at, by, answer, whose } = event;
  return {
    ...{ ...question, answeredAt: at, answeredBy: by },
    ...(answer === undefined ? {} : { answer }),
    ...(whose === undefined ? {} : { whose }),
  };
}

/** A run that goes on waits for a person as long as a question is open. */
function withStatus(run: EngineRun): EngineRun {
  if (run.status !== "running" && run.status !== "waiting") return run;
  return { ...run, status: openQuestions(run).length > 0 ? "waiting" : "running" };
}

function without<Key extends keyof EngineRun>(run: EngineRun, ...keys: Key[]): Omit<EngineRun, Key> {
  const rest = { ...run };
  for (const key of keys) delete rest[key];
  return rest;
}

/** Freezes a value and all in it; what is frozen already is not gone through again. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
