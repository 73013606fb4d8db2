import { randomUUID } from "node:crypto";
import { untilAborted } from "../../../shared/abort.js";
import { withDeadline } from "../../../shared/deadline.js";
import { watchChild } from "../agent-child.js";
import type { StartAgent } from "../agent-process.js";
import { isKeptId } from "../bounds.js";
import type { AgentEvent } from "../events.js";
import { describeFailedStart, failedStart } from "../failed-start.js";
import { asRecord, asText, type JsonRecord } from "../json.js";
import { messageText } from "../message-text.js";
import { endAgentProcesses } from "../process-tree.js";
import { createAgentQuestions } from "../questions.js";
import { createCostReader } from "./cost-reader.js";
import { createInterrupts } from "./interrupts.js";
import { type Launched, launch } from "./launch.js";
import { findSilenceLimit } from "./silence-limit.js";
import { createStreamReader } from "./stream-reader.js";

/** What is silent for too long gets this long, in ms, to end by itself. */
const SILENT_GRACE_MS = 2_000;
/** What people call it. */
export const TITLE = "Claude Code";

/**
 * Starts Claude Code for one run and tells what it does. The prompt goes through its input, never through the
 * command line. Never throws: a program that cannot be started is an exit with the reason in `stderr`.
 */
export const startAgent: StartAgent = (options, onEvent) => {
  const { clock } = options;
  const mark = options.mark ?? randomUUID().replaceAll("-", "");
  const endNow = new AbortController();
  let busy = true;
  /** Kinds of what works in the background; while there is anything, the input stays open. */
  let background: string[] = [];
  /** The last line could not be read. */
  let unread = false;
  let ending = false;
  let killing: Promise<void> | undefined;
  let sawResult = () => {};
  /** What the process has cost up to its last result, in USD. */
  let costUsd = 0;
  let cancelSilenceLimit = () => {};

  let launched: Launched;
  try {
    launched = launch(options, mark);
  } catch (error) {
    return failedStart(describeFailedStart(TITLE, options, error as Error), onEvent);
  }
  const { forgetFiles } = launched;
  const child = watchChild(launched.child, {
    mark,
    clock,
    endNow: endNow.signal,
    describeFailure: (error) => describeFailedStart(TITLE, options, error),
    onLine(line) {
      // A line without a brace is a note of some library, not a message.
      unread = !reader.line(line) && line.includes("{");
    },
    onTooLong: () => reader.problem("The agent wrote a line beyond 64 MiB; it was ignored"),
    onOutput: limitSilence,
    onEnd() {
      cancelSilenceLimit();
      forgetFiles();
      interrupts.close();
      questions.withdrawAll();
    },
    onExit: onEvent,
  });
  const { identity, exited } = child;

  const reader = createStreamReader({ cwd: options.cwd, emit, onControl: takeControl });
  const questions = createAgentQuestions({
    cwd: options.cwd,
    clock,
    who: options.name ?? "The agent",
    policy: options.policy,
    emit: onEvent,
    respond: (requestId, response) =>
      write({ type: "control_response", response: { subtype: "success", request_id: requestId, response } }),
  });
  const costs = createCostReader({
    continued: options.resume,
    write,
    onCost: (sinceResultUsd) => onEvent({ type: "cost", usd: costUsd + sinceResultUsd }),
  });
  const interrupts = createInterrupts({ clock, write, endNow: endNow.signal });
  writeUser(randomUUID(), options.prompt);

  function emit(event: AgentEvent): void {
    if (event.type === "init") forgetFiles();
    // Each of them means that a turn is in progress; the second comes only when the model answers.
    if (event.type === "init" || event.type === "turn") busy = true;
    if (event.type === "init") costs.begun();
    if (event.type === "turn") costs.turn();
    if (event.type === "result") {
      busy = false;
      costUsd = event.costUsd ?? costUsd;
      costs.result(costUsd);
      sawResult();
    }
    if (event.type === "background") background = event.tasks;
    onEvent(event);
    if (event.type === "result" || event.type === "background") endWhenFree();
  }

  function write(message: JsonRecord): boolean {
    return child.write(JSON.stringify(message));
  }

  function writeUser(uuid: string, content: string): boolean {
    // A slash at the beginning would make it a command to the program itself (/clear …), not words to the model.
    const text = content.startsWith("/") ? ` ${content}` : content;
    busy = true;
    return write({
      type: "user",
      uuid,
      session_id: options.sessionId,
      parent_tool_use_id: null,
      message: { role: "user", content: text },
    });
  }

  function takeControl(message: JsonRecord): void {
    const requestId = asText(message.request_id) ?? "";
    if (message.type === "control_cancel_request") {
      questions.cancel(requestId);
      endWhenFree();
    } else if (message.type === "control_response") {
      interrupts.answered(message);
      costs.answered(message);
    } else if (!isKeptId(requestId) || !questions.ask(requestId, asRecord(message.request))) {
      // Its id is the question's, which is kept. Without an answer it would wait for ever.
      const error = "This host cannot do that";
      write({ type: "control_response", response: { subtype: "error", request_id: requestId, error } });
    }
  }

  function endWhenFree(): void {
    if (!ending || questions.open() > 0 || background.length > 0 || !child.inputOpen()) return;
    closeInput();
  }

  function closeInput(): void {
    child.closeInput();
    limitSilence();
  }

  /** Begins the wait anew: an agent that is silent for too long while nobody is asked is ended. */
  function limitSilence(): void {
    cancelSilenceLimit();
    if (killing || questions.open() > 0) return;
    const limit = findSilenceLimit({ busy, unread, inputOpen: child.inputOpen(), background });
    if (!limit) return;
    cancelSilenceLimit = clock.after(limit.ms, () => {
      if (limit.action === "close_input") closeInput();
      else void endAgentProcesses(identity, { graceMs: SILENT_GRACE_MS, clock });
    });
  }

  async function kill(force: boolean, graceMs: number): Promise<void> {
    if (force) endNow.abort();
    if (!force) {
      const stopped = new Promise<void>((resolve) => {
        sawResult = resolve;
      });
      // With its result the agent has stopped its commands and saved the conversation.
      const untilStopped = async (signal: AbortSignal) => {
        if ((await interrupts.send(graceMs)) && busy)
          await Promise.race([stopped, exited, untilAborted(signal)]);
      };
      await withDeadline(clock, graceMs, untilStopped, endNow.signal);
    }
    ending = true;
    await child.end({ force, graceMs });
  }

  return {
    pid: identity.pid,
    processStart: identity.startedAt,
    send(message) {
      if (ending || killing) return false;
      const uuid = randomUUID();
      reader.expect(uuid, message.id);
      return writeUser(uuid, messageText(message));
    },
    answer(questionId, answer) {
      const goesOn = questions.answer(questionId, answer);
      endWhenFree();
      limitSilence();
      return goesOn;
    },
    hold: questions.hold,
    letGo() {
      questions.letGo();
      endWhenFree();
      limitSilence();
    },
    worksBeside: () => reader.worksBeside(questions.calls()),
    interrupt: () => interrupts.send(),
    end() {
      ending = true;
      endWhenFree();
    },
    kill({ force, graceMs }) {
      if (force) endNow.abort();
      killing ??= kill(force, graceMs);
      return killing;
    },
    exited,
  };
};
