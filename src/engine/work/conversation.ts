import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import type { Whose } from "../../shared/whose.js";
import type { AgentOptions, AgentProcess, StartAgent } from "../agent/agent-process.js";
import type { AgentEvent, AgentExit } from "../agent/events.js";
import type { AgentAnswer } from "../agent/open-request.js";
import type { RunChange } from "../runs/events.js";
import type { Durability, Recorded, RunStore } from "../runs/run-store.js";
import { createIdleSlot } from "./idle-slot.js";
import type { RunEnding } from "./run-ending.js";
import type { RunSlot } from "./run-queue.js";

type AgentResult = Extract<AgentEvent, { type: "result" }>;

/** What came of one process of the agent. */
export interface Talk {
  exit: AgentExit;
  /** Its last result. */
  result: AgentResult | undefined;
  /** It has reported that it is there, so there is a conversation. */
  begun: boolean;
}

/** The talk between a run and its agent: what the agent tells becomes events, and messages and answers go to it. */
export interface Conversation {
  /**
   * Starts an agent, and waits until it has ended.
   * @throws NotWritten when the start cannot be recorded: then the agent is there, and has to be ended with `kill`
   */
  talk(options: AgentOptions): Promise<Talk>;
  /** Whether there has ever been an agent. */
  hadAgent(): boolean;
  /**
   * Writes what waits to the agent, each message once and in order; one that comes too early waits for it.
   * @param messageId the newest of them
   * @returns false when the agent cannot be written to any more: this message will not be delivered
   */
  deliver(messageId: string): boolean;
  /** Records a person's answer, and hands it to the agent. */
  answer(questionId: string, answer: string, whose?: Whose): Promise<Recorded>;
  /** Hands a recorded answer to the agent, unless it has it. */
  giveAnswer(questionId: string, answer: string): void;
  /** Resolves when nothing of an agent is left. */
  kill(options: { force: boolean }): Promise<void>;
  /** Cancels all timers. */
  close(): void;
}

/** How long the input stays open after the final result when nothing is said of it, in ms. */
const LINGER_MS = 1_000;
/** An agent that was interrupted gets this long to end by itself, in ms. */
const KILL_GRACE_MS = 5_000;
/** What an agent tells of only while it does something. */
const SIGNS_OF_WORK = new Set<AgentEvent["type"]>([
  "init",
  "turn",
  "action",
  "output",
  "tool",
  "tokens",
  "phase",
  "text",
  "result",
]);

export function createConversation(options: {
  runId: string;
  runs: Pick<RunStore, "get" | "record">;
  startAgent: StartAgent;
  questionTimeoutMs: number;
  /** After the final result the agent's input stays open this long, in ms: a message then opens another turn. */
  lingerMs?: number | undefined;
  slot: RunSlot;
  timeLimit: Pick<RunEnding, "pause" | "goOn">;
  clock: Clock;
  log: Log;
  /** Called while the agent is at work: it has begun another turn, or told what it has cost so far. */
  onSpent: () => void;
  /** How a person's answers are written. */
  answers: Durability;
}): Conversation {
  const { runId, runs, timeLimit, clock, log, questionTimeoutMs, lingerMs = LINGER_MS } = options;
  let agent: AgentProcess | undefined;
  let hadAgent = false;
  let result: AgentResult | undefined;
  let begun = false;
  /** The agent can be written to. */
  let inputOpen = false;
  /** Messages that this agent has got. */
  const sent = new Set<string>();
  /** Messages that came when the agent could not be written to any more. */
  const refused = new Set<string>();
  /** It has given a result and begun no other turn since. */
  let idle = false;
  /** How many tasks work in its background, and may still ask something or report. */
  let background = 0;
  let turn = 0;
  let cancelLinger = () => {};
  /** One for each open question. */
  const questionTimers = new Map<string, () => void>();
  const slot = createIdleSlot({
    slot: options.slot,
    clock,
    agent: () => agent,
    asksPerson: () => questionTimers.size > 0,
    onChange(type) {
      void record({ type }, "now");
      if (type === "slot-taken") timeLimit.goOn();
    },
  });

  function record(change: RunChange, durability: Durability = "soon"): Promise<Recorded | undefined> {
    return runs.record(runId, change, durability).catch((error: Error) => {
      log.error(`Run ${runId}: "${change.type}" could not be recorded: ${error.message}`);
      return undefined;
    });
  }

  /** The agent's own id of the conversation, where it is not the session's. */
  function ownConversation(id: string): { conversationId?: string } {
    return id === "" || id === runs.get(runId)?.sessionId ? {} : { conversationId: id };
  }

  /** Gives an answer to the agent; where it has no slot, it gets it with the next free one. */
  function give(questionId: string, answer: AgentAnswer): void {
    const goesOn = agent?.answer(questionId, answer);
    if (!goesOn) return;
    if (slot.has()) {
      slot.watch();
      return;
    }
    timeLimit.pause();
    slot.regain();
  }

  function hear(event: Exclude<AgentEvent, { type: "exit" }>): void {
    if (SIGNS_OF_WORK.has(event.type)) slot.stir();
    switch (event.type) {
      case "text":
        break;
      case "problem":
        log.warn(`Run ${runId}: ${event.text}`);
        break;
      case "init":
        // A turn begins; until the model answers, nothing else tells of it.
        begun = true;
        idle = false;
        cancelLinger();
        void record({
          type: "conversation-begun",
          ...(event.model === undefined ? {} : { model: event.model }),
          ...ownConversation(event.sessionId),
        });
        break;
      case "turn":
        turn = event.turn;
        idle = false;
        // A turn after a result means that a message has opened another one.
        cancelLinger();
        void record({ type: "turn", turn }).then(noteSpent);
        break;
      case "action":
        void record({
          type: "action",
          text: event.text,
          turn,
          ...(event.detail === undefined ? {} : { detail: event.detail }),
        });
        break;
      case "output":
        void record(event);
        break;
      case "tool":
      case "phase":
        void record({ type: event.type, name: event.name });
        break;
      case "tokens":
        void record({ type: "usage", input: event.input, output: event.output });
        break;
      case "cost":
        void record({ type: "cost", usd: event.usd }).then(noteSpent);
        break;
      case "background":
        background = event.tasks.length;
        closeInputWhenIdle();
        break;
      case "consumed":
        void record(
          { type: "message-taken", ...(event.messageId === undefined ? {} : { messageId: event.messageId }) },
          "now",
        );
        break;
      case "question": {
        const { question } = event;
        void record({ type: "question-asked", question }, "now");
        const cancel = clock.after(questionTimeoutMs, () => void giveUp(question.questionId));
        questionTimers.set(question.questionId, cancel);
        slot.watch();
        break;
      }
      case "question_withdrawn":
        void closeQuestion(event.questionId, "ended");
        // It goes on without an answer. One that has ended needs no slot.
        if (agent && !slot.has()) slot.regain();
        break;
      case "question_settled":
        // The person's answer to another question has answered this one, too.
        void closeQuestion(event.questionId, "person", event.answer);
        break;
      case "result":
        hearResult(event);
        break;
    }
  }

  /** One that has given its result meanwhile spends nothing more. */
  function noteSpent(): void {
    if (!idle) options.onSpent();
  }

  function hearResult(event: AgentResult): void {
    result = event;
    void record({
      type: "result",
      ok: event.ok,
      ...(event.text === undefined ? {} : { text: event.text }),
      ...(event.costUsd === undefined ? {} : { costUsd: event.costUsd }),
      ...(event.tokens ? { tokens: event.tokens } : {}),
      ...(background > 0 ? { action: "Waiting for background work" } : {}),
    });
    idle = true;
    closeInputWhenIdle();
  }

  /** After a result the input is closed in a moment, unless something may still open another turn. */
  function closeInputWhenIdle(): void {
    cancelLinger();
    if (idle && background === 0) cancelLinger = clock.after(lingerMs, () => void closeInput());
  }

  /** The run takes no message any more, and then the agent is told so. One that waits keeps the input open. */
  async function closeInput(): Promise<void> {
    const closing = agent;
    // A message opens another turn only after a good result.
    const recorded = await record({ type: "input-closed", ...(result?.ok ? {} : { anyway: true }) }, "now");
    if (recorded === undefined || recorded.run.inputClosed) closing?.end();
  }

  function sendWaiting(): void {
    if (!agent || !inputOpen) return;
    for (const message of runs.get(runId)?.queue.waiting ?? []) {
      if (sent.has(message.id) || refused.has(message.id)) continue;
      if (!agent.send(message)) return;
      sent.add(message.id);
      cancelLinger();
    }
  }

  function closeQuestion(
    questionId: string,
    by: "person" | "ended",
    answer?: string,
  ): Promise<Recorded | undefined> {
    questionTimers.get(questionId)?.();
    questionTimers.delete(questionId);
    return record(
      { type: "question-closed", questionId, by, ...(answer === undefined ? {} : { answer }) },
      "now",
    );
  }

  function giveAnswer(questionId: string, answer: string): void {
    const cancel = questionTimers.get(questionId);
    if (!cancel) return;
    cancel();
    questionTimers.delete(questionId);
    give(questionId, { text: answer });
  }

  /** Nobody has answered in time. The answer of somebody who has, which is being written, still finds it open. */
  async function giveUp(questionId: string): Promise<void> {
    const closed = await record({ type: "question-closed", questionId, by: "timeout" }, "now");
    if (!closed?.happened) return;
    questionTimers.delete(questionId);
    const minutes = Math.max(1, Math.round(questionTimeoutMs / 60_000));
    const timedOut = `Nobody answered within ${minutes} minute${minutes === 1 ? "" : "s"}. Go on without it, and say at the end what was left open.`;
    give(questionId, { text: "", timedOut });
  }

  return {
    async talk(agentOptions) {
      [result, begun, idle, background] = [undefined, false, false, 0];
      sent.clear();
      const started = options.startAgent(agentOptions, (event) => {
        if (event.type !== "exit") hear(event);
      });
      agent = started;
      hadAgent = true;
      const process = { pid: started.pid, startedAt: started.processStart };
      const recorded = await runs.record(runId, { type: "agent-started", process }, "written");
      // The run has ended meanwhile: it was taken for lost while this process stood still.
      if (!recorded.happened) void started.kill({ force: true, graceMs: 0 });
      inputOpen = true;
      sendWaiting();
      const exit = await started.exited;
      agent = undefined;
      inputOpen = false;
      cancelLinger();
      slot.cancel();
      return { exit, result, begun };
    },
    hadAgent: () => hadAgent,
    deliver(messageId) {
      sendWaiting();
      const isDelivered = !agent || !inputOpen || sent.has(messageId);
      if (!isDelivered) refused.add(messageId);
      return isDelivered;
    },
    async answer(questionId, answer, whose) {
      const recorded = await runs.record(
        runId,
        { type: "question-closed", questionId, by: "person", answer, ...(whose ? { whose } : {}) },
        options.answers,
      );
      if (recorded.happened) giveAnswer(questionId, answer);
      return recorded;
    },
    giveAnswer,
    async kill({ force }) {
      await agent?.kill({ force, graceMs: KILL_GRACE_MS });
    },
    close() {
      cancelLinger();
      slot.cancel();
      for (const cancel of questionTimers.values()) cancel();
      questionTimers.clear();
    },
  };
}
