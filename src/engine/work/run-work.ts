import type { Whose } from "../../shared/whose.js";
import type { AboutKind } from "../agent/agent-kind.js";
import { describeFailedEnd } from "../agent/end-reasons.js";
import type { EngineOptions } from "../engine-options.js";
import type { RunChange } from "../runs/events.js";
import type { EngineRun, RunRequest } from "../runs/run.js";
import type { RunHistory } from "../runs/run-history.js";
import { type Durability, NotWritten, type Recorded } from "../runs/run-store.js";
import type { EngineWorkflow } from "../types.js";
import type { Work } from "../workspaces/types.js";
import type { Workspace } from "../workspaces/workspaces.js";
import { agentOfRun, findAgentChange } from "./agent-change.js";
import { createConversation, type Talk } from "./conversation.js";
import type { Allowance, DayLimit } from "./day-limit.js";
import { tellUnproven as judge } from "./judge-success.js";
import { keepSession } from "./keep-session.js";
import { keepWhileWorking } from "./keep-while-working.js";
import { findMove } from "./moved-session.js";
import { type PreparedAgent, prepareAgent } from "./prepare-agent.js";
import { isToResume, tellKept } from "./resume-once.js";
import { createRunEnding, type Ending } from "./run-ending.js";
import type { RunSlot } from "./run-queue.js";
import type { SessionsGoneOn } from "./sessions-gone-on.js";
import { takeStock } from "./take-stock.js";
import { tellUnkept } from "./tell-unkept.js";

/** One run at work. */
export interface RunWork {
  /**
   * Resolves when the run has ended, nothing of its agent is left, and everything about it is recorded: to false when it
   * has not begun, as far as is known here.
   */
  done: Promise<boolean>;
  /** Hands what waits in the queue to the agent, now or when it can take it. False when it will not get this message. */
  deliver(messageId: string): boolean;
  /** Records a person's answer to a question, and hands it to the agent. */
  answer(questionId: string, answer: string, whose?: Whose): Promise<Recorded>;
  /** Hands an answer that is recorded to the agent, unless it has it. */
  giveAnswer(questionId: string, answer: string): void;
  /** Ends the agent; resolves when nothing of it is left and the run has ended. */
  kill(force: boolean): Promise<void>;
  /**
   * Ends the agent because the engine stops, or for another reason. A run that has not begun stays as it is.
   * @param isAccident nobody wanted it: the run may be resumed by itself
   */
  stop(why?: string, isAccident?: boolean): Promise<void>;
}

/**
 * Carries one run out: workspace, agent, limits, and the end. What happens becomes events of the run.
 * @param own.slot the slot that it holds
 */
export function createRunWork(
  runId: string,
  engine: EngineOptions,
  own: {
    slot: RunSlot;
    history: Pick<RunHistory, "of">;
    dayLimit: DayLimit;
    goneOn: Pick<SessionsGoneOn, "since">;
  },
): RunWork {
  const { dayLimit } = own;
  const { runs, workspaces, library, clock, log } = engine;
  const { request, sessionId, sessionName } = current();
  const kind = engine.agents.get(agentOfRun(current()));
  const ending = createRunEnding({ timeoutS: request.timeoutS, clock, onTimeLimit });
  const conversation = createConversation({
    runId,
    runs,
    startAgent: (options, onEvent) => engine.agents.start(agentOfRun(current()), options, onEvent),
    questionTimeoutMs: engine.limits.questionTimeoutMs,
    lingerMs: engine.limits.lingerMs,
    slot: own.slot,
    timeLimit: ending,
    clock,
    log,
    onSpent: endWithLimit,
    answers: engine.worker ? "written" : "now",
  });
  let allowance: Allowance = {};
  let workflow: EngineWorkflow | undefined;
  let workspace: Workspace | undefined;
  let isStarted = false;
  let stopKeeping = async () => {};
  // Not at once: whoever is told of the first step must find this run at work already.
  const done = Promise.resolve().then(work);

  function current(): EngineRun {
    const run = runs.get(runId);
    if (!run) throw new Error(`Run ${runId} is not there`);
    return run;
  }

  async function work(): Promise<boolean> {
    try {
      await carryOut();
    } catch (error) {
      ending.conclude({ status: "failed", error: (error as Error).message });
    }
    // Whatever has failed: while its agent is there, the run is not over and its slot is not free. One that is being
    // ended already keeps its grace.
    await conversation.kill({ force: !ending.signal.aborted });
    await finish();
    return isStarted;
  }

  async function carryOut(): Promise<void> {
    if (ending.how()) return;
    // Again: while it waited, others may have spent what was left.
    const granted = dayLimit.grant(runId, request);
    if ("refusal" in granted) {
      const error = `The cost limit of the day was reached while the run waited. ${granted.refusal}`;
      return ending.conclude({ status: "failed", error, errorCode: "day_cost_limit" });
    }
    const asked = request.costLimitUsd;
    allowance = asked !== undefined && asked < (granted.limitUsd ?? Infinity) ? { limitUsd: asked } : granted;
    const { limitUsd } = allowance;
    const expectedTurns = own.history.of(request.workflowName)?.turns;
    const started = await noteStart(expectedTurns, limitUsd);
    // It was killed before it began; or the database is away, and another engine may begin it.
    if (!started?.happened) return;
    isStarted = true;
    workflow = await ending.unlessEnded(library.get(request.workflowName));
    if (!workflow) throw new Error(`The workflow ${request.workflowName} was deleted before the run began`);
    const unkept = kind && tellUnkept(kind, { workflow, request, limits: engine.limits });
    // The limits may have been set while it waited.
    if (unkept) throw new Error(unkept);
    const move = await ending.unlessEnded(findMove(current(), engine));
    const change = findAgentChange(current(), engine);
    // Not left alone when the run is ended: it is over when nothing works in the folder any more.
    workspace = await workspaces.prepare(
      {
        sessionKey: sessionId,
        runId,
        sessionName,
        tempWorkspace: request.tempWorkspace,
        ...(request.repositoryUrl ? { repositoryUrl: request.repositoryUrl } : {}),
        ...(request.gitBranch ? { gitBranch: request.gitBranch } : {}),
        ...(request.startFrom ? { startFrom: request.startFrom } : {}),
        ...(request.consent ? { consent: request.consent } : {}),
        ...(request.uncommitted ? { uncommitted: true } : {}),
        ...(move?.moved ? { moved: move.moved } : {}),
      },
      ending.signal,
    );
    const { path, branch, notices } = workspace;
    if (change) notices.unshift(change.told);
    if (move) notices.unshift(move.describe(workspace));
    // Not taken for granted: plans rely on it.
    const isOwn = !runs
      .all()
      .some(
        (one) =>
          one.sessionId !== sessionId &&
          one.workspacePath === path &&
          !one.workspaceRemoved &&
          one.worker === engine.worker?.id,
      );
    void record({ type: "workspace-ready", path, own: isOwn, ...(branch ? { branch } : {}) }, "soon");
    if (engine.worker)
      stopKeeping = keepWhileWorking(clock, engine.worker.keepEveryMs, (signal) =>
        keepSession(current(), { isAtEnd: false, signal }, engine),
      );
    for (const text of notices) void record({ type: "action", text, turn: 0 }, "soon");
    const agent = await prepareAgent(
      current(),
      { workflow, workspace, move, change },
      engine,
      ending.unlessEnded,
    );
    // Nothing is waited for between this and the start: a run that was ended gets no agent.
    if (!ending.how()) ending.conclude(await converse(agent));
  }

  /** @returns undefined where it could not be written, and others share the runs: then it waits as before */
  async function noteStart(expectedTurns?: number, costLimitUsd?: number): Promise<Recorded | undefined> {
    const change: RunChange = {
      type: "started",
      ...(expectedTurns === undefined ? {} : { expectedTurns }),
      ...(costLimitUsd === undefined ? {} : { costLimitUsd }),
      ...(engine.worker ? { worker: engine.worker.id } : {}),
    };
    try {
      return await runs.record(runId, change, "written");
    } catch (error) {
      if (!engine.worker || !(error instanceof NotWritten)) throw error;
      return undefined;
    }
  }

  /** Talks with the agent, and gives how that has ended. */
  async function converse({ options, hasHistory }: PreparedAgent): Promise<Ending> {
    const talk = await conversation.talk(options);
    // A conversation that was lost is not begun anew in silence.
    const mayRetry = !ending.how() && !(options.resume && hasHistory) && !current().conversationBegun;
    if (!mayRetry || !isOtherwise(talk, options)) return endOf(talk);
    return endOf(await conversation.talk({ ...options, resume: !options.resume }));
  }

  /** How the run ended, from its agent's last process. */
  function endOf(talk: Talk): Ending {
    const end = toEnding(talk, request, kind);
    if (end.errorCode !== "cost_limit" || !allowance.isOfDay) return end;
    // What was left of the day was the run's own limit.
    return { ...end, error: tellDayEnd(), errorCode: "day_cost_limit" };
  }

  function tellDayEnd(): string {
    return `${dayLimit.tellReached(request)} The conversation is kept: continue the session to go on.`;
  }

  /** The agent takes another turn, or has told what it has cost: beyond its turns, or those of the day, it has to end. */
  function endWithLimit(): void {
    if (ending.how()) return;
    const { maxTurns } = request;
    if (kind?.capabilities.turnLimit === "engine" && maxTurns !== undefined && current().turn > maxTurns)
      void end({ status: "failed", ...turnLimitReached(maxTurns) });
    else if (dayLimit.isReached(request))
      void end({ status: "failed", error: tellDayEnd(), errorCode: "day_cost_limit" });
  }

  /** Where it cannot be judged, since there is no workspace, it has failed before. */
  function tellUnproven(commits: string[] | undefined): string | undefined {
    if (!workflow || !workspace || !kind) return undefined;
    return judge(current(), { workflow, kind, workspace, commits });
  }

  /** Before it began, a kill is its end by itself, and is written or was not done. */
  const isKilledElsewhere = ({ status }: Ending) => engine.worker !== undefined && status === "killed";

  async function finish(): Promise<void> {
    ending.agentGone();
    conversation.close();
    const how = ending.how();
    const isOver =
      !isStarted && (how === undefined || how.status === "interrupted" || isKilledElsewhere(how));
    // It was killed before it began, or begins with the next engine.
    if (isOver) return ending.close();
    await record({ type: "input-closed", anyway: true }, "now");
    const isCompleted = ending.how()?.status === "completed";
    const signal = ending.stockSignal;
    const keep = (work: Work | undefined) => keepSession(current(), { isAtEnd: true, work, signal }, engine);
    await stopKeeping();
    // One that was taken for gone may have lost the session meanwhile.
    if (engine.worker) await runs.refresh();
    const stock =
      workspace && !own.goneOn.since(current())
        ? await takeStock({
            run: current(),
            workspace,
            workspaces,
            isCompleted,
            tellUnproven,
            keep,
            signal,
            log,
          })
        : undefined;
    ending.close();
    const { unproven, ...found } = stock ?? {};
    const last = ending.how() ?? { status: "failed" as const };
    const { notes = [], ...end } = unproven === undefined ? last : withoutSuccess(last, unproven);
    const warning = isStarted ? dayLimit.warning(request) : undefined;
    const ended = {
      ...end,
      ...found,
      notes: [...notes, ...(stock?.notes ?? []), ...(warning ? [warning] : [])],
    };
    // Without an agent there is nothing to be continued.
    if (!conversation.hadAgent() && ended.status === "interrupted") ended.status = "failed";
    if (!conversation.hadAgent()) ended.neverStarted = true;
    await record({ type: "ended", ...ended }, "now");
  }

  async function record(change: RunChange, durability: Durability): Promise<void> {
    await runs.record(runId, change, durability).catch((error: Error) => {
      log.error(`Run ${runId}: "${change.type}" could not be recorded: ${error.message}`);
    });
  }

  /** Ends the run from outside, and waits until it has ended. */
  async function end(how: Ending, force = false): Promise<void> {
    ending.end(how);
    // A message that comes from now on would reach nobody.
    if (isStarted) void record({ type: "input-closed", anyway: true }, "now");
    await conversation.kill({ force });
    await done;
  }

  function describeStop(reason: string, toResume = false): string {
    if (!conversation.hadAgent()) return `${reason}; there was no agent yet.`;
    return `${reason}; the run was ended. ${toResume ? tellKept(toResume) : "Continue the session to go on."}`;
  }

  function interrupt(why: string, isAccident: boolean): Promise<void> {
    const toResume = isAccident && isToResume(current(), runs, engine.limits.resumeOnce === true);
    const error = describeStop(why, toResume);
    return end({ status: "interrupted", error, ...(toResume ? { toResume } : {}) });
  }

  function onTimeLimit(): void {
    const reason = `The time limit of ${request.timeoutS} s was reached`;
    void end({ status: "failed", error: describeStop(reason) });
  }

  return {
    done,
    deliver: conversation.deliver,
    answer: conversation.answer,
    giveAnswer: conversation.giveAnswer,
    kill: (force) => end({ status: "killed" }, force),
    stop: (why = "The engine was stopped", isAccident = false) => interrupt(why, isAccident),
  };
}

/** It ends as a failure, unless it was ended in another way meanwhile. */
function withoutSuccess(how: Ending, error: string): Ending {
  return how.status === "completed" ? { ...how, status: "failed", error, errorCode: "not_shown" } : how;
}

/** The agent knows better whether there is a conversation: it did nothing, and says that it is the other way. */
function isOtherwise({ exit, result, begun }: Talk, { resume }: { resume?: boolean }): boolean {
  const said = [exit.stderr, ...(result?.errors ?? [])].join("\n");
  if (begun) return false;
  return resume ? /No conversation found/i.test(said) : /Session ID \S+ is already in use/i.test(said);
}

/** How a run ended, from the agent's last result and its exit. */
function toEnding({ exit, result }: Talk, { maxTurns }: RunRequest, kind: AboutKind | undefined): Ending {
  if (result?.ok) return { status: "completed" };
  if (result?.subtype === "error_max_turns") return { status: "failed", ...turnLimitReached(maxTurns) };
  const { error, code } = describeFailedEnd(result, exit, kind);
  return { status: "failed", error, ...(code ? { errorCode: code } : {}) };
}

function turnLimitReached(maxTurns: number | undefined): Pick<Ending, "error" | "errorCode"> {
  const limit = `The turn limit of ${maxTurns ?? "the agent"} was reached before the agent had finished.`;
  return { error: `${limit} Continue the session to go on.`, errorCode: "turn_limit" };
}
