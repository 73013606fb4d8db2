import { join } from "node:path";
import type { AgentEvent, AgentOptions, AgentProcess } from "./agent/claude-agent.js";
import { describeFailedEnd } from "./agent/end-reasons.js";
import { withoutHooks } from "./agent/environment.js";
import type { AgentExit } from "./agent/events.js";
import { describeLeavingMemory, findLeavingMemory } from "./agent/leaving-memory.js";
import { agentMark } from "./agent/process-tree.js";
import type { EngineOptions } from "./engine.js";
import type { EngineRun, EngineWorkflow, RunQuestion, RunStatus } from "./types.js";
import { buildSystemPrompt } from "./workflows/system-prompt.js";
import { buildToolRules } from "./workflows/tool-rules.js";
import type { Workspace, Workspaces } from "./workspaces/workspaces.js";

/** One run at work. */
export interface RunWork {
  /** Resolves when the run has ended, nothing of its agent is left, and everything about it is written down. */
  done: Promise<void>;
  /**
   * Hands what waits in the queue to the agent, each message once and in order, now or when the agent can take it.
   * False when no agent will read it any more.
   */
  deliver(): boolean;
  /** A message was taken out of the queue again. */
  queueChanged(): void;
  answer(question: RunQuestion, answer: string, by: "person" | "timeout"): Promise<RunQuestion>;
  /** Ends the agent; resolves when nothing of it is left and the run is `killed`. */
  kill(force: boolean): Promise<void>;
  /** Ends the agent because the engine stops: the run is `failed` with the reason. */
  stop(reason: string): Promise<void>;
}

/** After the final result the agent's input stays open this long, in ms: a message then opens another turn. */
const LINGER_MS = 1_000;
/** An agent that was interrupted gets this long to end by itself, in ms. */
const KILL_GRACE_MS = 5_000;
/**
 * What a run may take beyond its time limit, in s: up to 15 s until nothing of an agent is left, and the rest to look
 * at what it has done, to merge it and to push it. What takes longer hangs, mostly at a remote.
 */
const END_ALLOWANCE_S = 60;
/** Of a run that was ended from outside, what it has done is looked at this long, in ms: somebody waits for the end. */
const STOPPED_ALLOWANCE_MS = 10_000;

/** Carries one run out: workspace, agent, limits, questions, and the end. */
export function createRunWork(run: EngineRun, options: EngineOptions): RunWork {
  const { store, workspaces, library, clock, log, limits } = options;
  /** Ends what goes before the agent. */
  const aborting = new AbortController();
  /** Ends what comes after it: looking at its work, merging, pushing. */
  const stocktaking = new AbortController();
  /** The living one; there is none before the start and after the end. */
  let agent: AgentProcess | undefined;
  /** Whether there has ever been one. */
  let hadAgent = false;
  let workspace: Workspace | undefined;
  let result: Extract<AgentEvent, { type: "result" }> | undefined;
  let ending: { status: RunStatus; error?: string } | undefined;
  /** Messages are written to the agent; before, they wait in the queue. */
  let inputOpen = false;
  let inputClosed = false;
  /** The agent is gone, or there was none: what it has done is looked at. */
  let isOver = false;
  /** The agent has given a result and begun no other turn since. */
  let idle = false;
  /** So much works in the background of the agent, and may still ask or be heard of. */
  let background = 0;
  let cancelLinger = () => {};
  const timers: (() => void)[] = [];
  const questionTimers = new Map<string, () => void>();
  // Not at once: whoever is told of the first step must find this run at work already.
  const done = Promise.resolve().then(work);

  async function work(): Promise<void> {
    const { timeoutS } = run.request;
    timers.push(
      clock.after(timeoutS * 1000, () => {
        // An agent that has ended was in time; the rest has the allowance.
        if (!ending) void stop(`The time limit of ${timeoutS} s was reached`);
      }),
      clock.after((timeoutS + END_ALLOWANCE_S) * 1000, () => {
        stocktaking.abort(`the run's time limit of ${timeoutS} s was over by ${END_ALLOWANCE_S} s`);
      }),
    );
    try {
      await carryOut();
    } catch (error) {
      ending ??= { status: "failed", error: (error as Error).message };
    }
    // Whatever has failed: while its agent is there, the run is not over and its place is not free. One that is being
    // ended already is not hurried.
    await agent?.kill({ force: !aborting.signal.aborted, graceMs: KILL_GRACE_MS });
    agent = undefined;
    await finish();
  }

  async function carryOut(): Promise<void> {
    if (ending) return;
    run.status = "running";
    run.startedAt = clock.now();
    run.currentAction = "Preparing the workspace";
    await unlessEnded(store.save(run, { type: "status", data: { status: run.status } }, "now"));
    const workflow = await unlessEnded(library.get(run.request.workflowName));
    if (!workflow)
      throw new Error(`The workflow ${run.request.workflowName} was deleted before the run began`);
    // Not left alone when the run is ended: it is over when nothing works in the folder any more.
    workspace = await workspaces.prepare(
      {
        sessionKey: run.sessionId,
        runId: run.runId,
        sessionName: run.sessionName,
        tempWorkspace: run.request.tempWorkspace,
        ...(run.request.repositoryUrl ? { repositoryUrl: run.request.repositoryUrl } : {}),
        ...(run.request.gitBranch ? { gitBranch: run.request.gitBranch } : {}),
      },
      aborting.signal,
    );
    run.workspacePath = workspace.path;
    // The branch as the repository spells it.
    if (workspace.branch) run.request.gitBranch = workspace.branch;
    for (const notice of workspace.notices) {
      run.currentAction = notice;
      save("action", { action: notice, turn: run.turn });
    }
    await runAgent(workflow, workspace);
  }

  async function runAgent(workflow: EngineWorkflow, place: Workspace): Promise<void> {
    const found = await unlessEnded(options.findAgent());
    if (!found.ok) throw new Error(found.problem);
    const others = store.all().filter((one) => one.sessionId === run.sessionId && one.runId !== run.runId);
    const former = others.find((one) => one.turn > 0);
    const handoverPath = await unlessEnded(options.prepareHandover(run.sessionId));
    const previousHandover = former && { path: handoverPath, workflowName: former.request.workflowName };
    const rules = buildToolRules(workflow, { handoverPath, previousHandover });
    const leaving = await unlessEnded(findLeavingMemory(place.path));
    if (leaving.length > 0) place.notices.push(describeLeavingMemory(leaving));
    // Nothing is waited for between this and the start: a run that was ended gets no agent.
    if (ending) return;
    const resume = others.some((one) => one.turn > 0 || one.conversationBegun);
    const leave = options.leaveFor?.(workflow, place);
    const env = { ...options.env, ...place.env };
    const agentOptions = {
      claudePath: found.path,
      ...(found.extraArgs ? { extraArgs: found.extraArgs } : {}),
      name: workflow.name,
      leave,
      mark: agentMark(run.runId),
      cwd: place.path,
      prompt: run.request.message,
      systemPrompt: buildSystemPrompt(workflow, {
        sessionName: run.sessionName,
        workspacePath: place.path,
        emptySubmodules: place.emptySubmodules,
        handoverPath,
        previousHandover,
        repository: run.request.repositoryUrl,
        branch: place.branch,
      }),
      sessionId: run.sessionId,
      excludedMemory: leaving.map((name) => join(place.path, name)),
      ...rules,
      permissionMode: workflow.permissionMode,
      env: place.ownHooks && !leave?.scriptsAllowed() ? withoutHooks(env) : env,
      clock,
      ...(run.request.maxTurns === undefined ? {} : { maxTurns: run.request.maxTurns }),
      ...(limits.costLimitUsd === undefined ? {} : { maxBudgetUsd: limits.costLimitUsd }),
      ...(workflow.model === undefined ? {} : { model: workflow.model }),
      ...(workflow.mcpServers === undefined ? {} : { mcpServers: workflow.mcpServers }),
    };
    const exit = await converse({ ...agentOptions, resume });
    // A conversation that was lost is not begun anew in silence.
    const mayRetry = !ending && !(resume && former);
    if (!mayRetry || !isOtherwise(exit, resume)) return conclude(exit);
    result = undefined;
    idle = false;
    inputClosed = false;
    for (const message of run.queue.waiting) delete message.writtenAt;
    conclude(await converse({ ...agentOptions, resume: !resume }));
  }

  /** The agent knows better whether there is a conversation: it did nothing, and says that it is the other way. */
  function isOtherwise(exit: AgentExit, resumed: boolean): boolean {
    if (run.conversationBegun) return false;
    const said = [exit.stderr, ...(result?.errors ?? [])].join("\n");
    return resumed ? /No conversation found/i.test(said) : /Session ID \S+ is already in use/i.test(said);
  }

  /** One process of the agent, from its start to its end. */
  async function converse(agentOptions: AgentOptions): Promise<AgentExit> {
    const started = options.startAgent(agentOptions, (event) => {
      if (event.type !== "exit") take(event);
    });
    agent = started;
    hadAgent = true;
    run.agentProcess = { pid: started.pid, startedAt: started.processStart };
    delete run.currentAction;
    await unlessEnded(store.save(run, undefined, "now"));
    inputOpen = true;
    writeWaiting();
    const exit = await started.exited;
    agent = undefined;
    inputOpen = false;
    cancelLinger();
    return exit;
  }

  /** Waits, but not beyond the run's end: a disk or a program that hangs must not keep a run that was killed. */
  function unlessEnded<T>(step: Promise<T>): Promise<T> {
    const { signal } = aborting;
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(new Error("The run was ended"));
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      step.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  function save(type: string, data: unknown, durability: "now" | "soon" = "soon"): void {
    store.save(run, { type, data }, durability).catch(logUnsaved);
  }

  function logUnsaved(error: Error): void {
    log.error(`Run ${run.runId} could not be written down: ${error.message}`);
  }

  function take(event: Exclude<AgentEvent, { type: "exit" }>): void {
    run.lastActivityAt = clock.now();
    switch (event.type) {
      case "init":
        begin();
        break;
      case "text":
        break;
      case "background":
        background = event.tasks.length;
        closeWhenIdle();
        break;
      case "problem":
        log.warn(`Run ${run.runId}: ${event.text}`);
        break;
      case "turn":
        run.turn = event.turn;
        idle = false;
        // What the turn before was at says nothing of this one.
        delete run.currentAction;
        // A turn after a result means that a message has opened another one.
        cancelLinger();
        save("turn", { turn: run.turn });
        break;
      case "action":
        run.currentAction = event.text;
        save("action", { action: event.text, turn: run.turn });
        break;
      case "tool":
        if (!run.toolsUsed.includes(event.name)) run.toolsUsed.push(event.name);
        break;
      case "tokens":
        run.tokens = { input: event.input, output: event.output };
        break;
      case "phase":
        if (!run.phasesCompleted.includes(event.name)) run.phasesCompleted.push(event.name);
        save("phase", { phase: event.name });
        break;
      case "consumed":
        consume(event.messageId);
        break;
      case "question":
        askPerson(event.question);
        break;
      case "question_withdrawn":
        withdraw(event.questionId);
        break;
      case "question_settled":
        settle(event.questionId, event.answer);
        break;
      case "result":
        takeResult(event);
        break;
    }
  }

  /** A turn begins; until the model answers, nothing else tells of it. */
  function begin(): void {
    idle = false;
    cancelLinger();
    if (run.conversationBegun) return;
    run.conversationBegun = true;
    store.save(run, undefined, "soon").catch(logUnsaved);
  }

  function consume(messageId: string | undefined): void {
    const index = messageId === undefined ? 0 : run.queue.waiting.findIndex((one) => one.id === messageId);
    const [message] = index < 0 ? [] : run.queue.waiting.splice(index, 1);
    if (!message) return;
    run.queue.consumed++;
    save("message", { consumed: run.queue.consumed, waiting: run.queue.waiting.length }, "now");
  }

  /** The only place where messages are written. What comes while the agent is being started waits for it. */
  function writeWaiting(): void {
    if (!agent || !inputOpen || inputClosed) return;
    for (const message of run.queue.waiting) {
      if (message.writtenAt !== undefined) continue;
      if (!agent.send(message)) return;
      message.writtenAt = clock.now();
    }
  }

  function takeResult(event: Extract<AgentEvent, { type: "result" }>): void {
    result = event;
    if (event.costUsd !== undefined) run.costUsd = event.costUsd;
    if (event.tokens) run.tokens = event.tokens;
    if (event.text) run.result = event.text;
    delete run.currentAction;
    if (background > 0) run.currentAction = "Waiting for what works in the background";
    save("result", { ok: event.ok });
    idle = true;
    closeWhenIdle();
  }

  /** After a result the input is closed in a moment, unless a message is still to be taken up. */
  function closeWhenIdle(): void {
    cancelLinger();
    // What waits opens another turn by itself; else the next result ends it.
    if (!idle || background > 0 || (result?.ok && run.queue.waiting.length > 0)) return;
    cancelLinger = clock.after(LINGER_MS, closeInput);
  }

  function closeInput(): void {
    cancelLinger();
    inputClosed = true;
    agent?.end();
  }

  function askPerson(question: RunQuestion): void {
    run.questions.push(question);
    save("question", { question_id: question.questionId, text: question.text }, "now");
    const cancel = clock.after(limits.questionTimeoutMs, () => {
      void answer(question, "", "timeout");
    });
    questionTimers.set(question.questionId, cancel);
  }

  function withdraw(questionId: string): void {
    const question = run.questions.find((one) => one.questionId === questionId);
    if (!question || question.answeredAt !== undefined) return;
    close(question, "ended");
    save("answered", { question_id: questionId, by: "ended" }, "now");
  }

  /** The person's answer to another question has answered this one, too. */
  function settle(questionId: string, text: string): void {
    const question = run.questions.find((one) => one.questionId === questionId);
    if (!question || question.answeredAt !== undefined) return;
    close(question, "person");
    question.answer = text;
    save("answered", { question_id: questionId, by: "person" }, "now");
  }

  function close(question: RunQuestion, by: NonNullable<RunQuestion["answeredBy"]>): void {
    questionTimers.get(question.questionId)?.();
    questionTimers.delete(question.questionId);
    question.answeredAt = clock.now();
    question.answeredBy = by;
  }

  async function answer(question: RunQuestion, text: string, by: "person" | "timeout"): Promise<RunQuestion> {
    if (question.answeredAt !== undefined) return question;
    close(question, by);
    if (by === "person") question.answer = text;
    const minutes = Math.max(1, Math.round(limits.questionTimeoutMs / 60_000));
    agent?.answer(question.questionId, {
      text: by === "person" ? text : "",
      timedOut:
        by === "timeout"
          ? `Nobody answered within ${minutes} minute${minutes === 1 ? "" : "s"}. Go on without it, and say in the end what was left open.`
          : undefined,
    });
    // The agent has it; a disk that fails does not take it back.
    await store
      .save(run, { type: "answered", data: { question_id: question.questionId, by } }, "now")
      .catch(logUnsaved);
    return question;
  }

  /** How the run ended, from the agent's last result and its exit. */
  function conclude(exit: AgentExit): void {
    if (ending) return;
    if (result?.ok || result?.subtype === "error_max_turns") {
      const limit = `The turn limit of ${run.request.maxTurns ?? "the agent"} was reached before the agent had finished.`;
      if (!result.ok) run.result = [run.result, limit].filter(Boolean).join("\n\n");
      ending = { status: "completed" };
      return;
    }
    const { error, code } = describeFailedEnd(result, exit);
    if (code) run.errorCode = code;
    ending = { status: "failed", error };
  }

  async function finish(): Promise<void> {
    isOver = true;
    cancelLinger();
    inputClosed = true;
    for (const question of run.questions) if (question.answeredAt === undefined) close(question, "ended");
    if (aborting.signal.aborted) limitStocktaking();
    if (workspace) await takeStock(workspace).catch((error) => log.warn((error as Error).message));
    for (const cancel of timers) cancel();
    const { status, error } = ending ?? { status: "failed" as const };
    run.status = status;
    run.endedAt = clock.now();
    if (status === "failed" && !hadAgent) run.neverStarted = true;
    if (error) run.error = run.neverStarted ? `Not started; nothing was charged. ${error}` : error;
    if (status === "killed") run.killedAt = clock.now();
    delete run.currentAction;
    delete run.agentProcess;
    // A disk that fails does not keep the run from having ended; the store writes it as soon as it can.
    await store.save(run, { type: "finished", data: { status } }, "now").catch(logUnsaved);
  }

  function limitStocktaking(): void {
    timers.push(clock.after(STOPPED_ALLOWANCE_MS, () => stocktaking.abort("the run was ended")));
  }

  /** What the engine has to say of a run stands behind what the agent has said. */
  function addToResult(text: string): void {
    run.result = [run.result, text].filter(Boolean).join("\n\n");
  }

  /** What the run has left behind, and what is to become of it. */
  async function takeStock(place: Workspace): Promise<void> {
    const { signal } = stocktaking;
    for (const notice of place.notices) addToResult(notice);
    try {
      const seen = await workspaces.inspect(place, signal);
      run.filesChanged = seen.filesChanged;
      run.commits = seen.commits;
    } catch (error) {
      log.warn((error as Error).message);
    }
    if (run.request.autoMerge && ending?.status === "completed") {
      addToResult(describeMerge(await workspaces.merge(place, signal)));
    }
    if (run.request.persistent && !run.request.tempWorkspace) return;
    // Only what was meant to be thrown away goes whatever is in it; uncommitted work in a worktree stays.
    const { removed, kept } = await workspaces.cleanup(
      { sessionKey: run.sessionId, runId: run.runId, temporary: run.request.tempWorkspace },
      { force: run.request.tempWorkspace, signal },
    );
    if (kept) addToResult(kept);
    run.workspaceRemoved = removed.workspace || removed.tempFiles || removed.worktree;
  }

  async function end(next: { status: RunStatus; error?: string }, force: boolean): Promise<void> {
    // A person's kill counts until the run has ended; a limit or the engine's end does not change how it has gone.
    if (next.status === "killed") ending = { ...ending, ...next };
    ending ??= next;
    aborting.abort();
    if (isOver && next.status === "killed") stocktaking.abort("the run was killed");
    else if (isOver) limitStocktaking();
    await agent?.kill({ force, graceMs: KILL_GRACE_MS });
    await done;
  }

  function stop(reason: string): Promise<void> {
    const what = hadAgent ? "the run was ended. Continue the session to go on." : "there was no agent yet.";
    return end({ status: "failed", error: `${reason}; ${what}` }, false);
  }

  return {
    done,
    deliver() {
      if (inputClosed || ending) return false;
      writeWaiting();
      // Before the agent can take it, the message waits in the queue.
      const isTaken = !inputOpen || run.queue.waiting.every((message) => message.writtenAt !== undefined);
      if (isTaken) cancelLinger();
      return isTaken;
    },
    queueChanged: closeWhenIdle,
    answer,
    kill: (force) => end({ status: "killed" }, force),
    stop,
  };
}

/** What the person is told of a merge: a refused push is part of it, however well the merge itself went. */
function describeMerge(merge: Awaited<ReturnType<Workspaces["merge"]>>): string {
  if (!merge.merged) return merge.reason ?? "Nothing was merged: the merge is not clean.";
  const merged = `Merged${merge.commit ? ` as ${merge.commit}` : ""}`;
  if (merge.pushProblem) return `${merged}, but ${merge.pushProblem}`;
  return `${merged}${merge.pushed ? " and pushed" : ""}.`;
}
