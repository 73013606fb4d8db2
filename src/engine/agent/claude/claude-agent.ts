import { randomUUID } from "node:crypto";
import { untilAborted } from "../../../shared/abort.js";
import { withDeadline } from "../../../shared/deadline.js";
import { cleanText } from "../../../shared/text.js";
import type { StartAgent } from "../agent-process.js";
import type { AgentEvent, AgentExit } from "../events.js";
import { describeFailedStart, failedStart } from "../failed-start.js";
import { asRecord, asText, type JsonRecord } from "../json.js";
import { readBegan } from "../process-list.js";
import { type AgentIdentity, endAgentProcesses, formatStartedAt } from "../process-tree.js";
import { createAgentQuestions } from "../questions.js";
import { createLineReader } from "../split-lines.js";
import { createCostReader } from "./cost-reader.js";
import { createInterrupts } from "./interrupts.js";
import { type Launched, launch } from "./launch.js";
import { findSilenceLimit } from "./silence-limit.js";
import { createStreamReader } from "./stream-reader.js";

/** With `force`, the time in ms to write the conversation down before SIGKILL. */
const FORCED_GRACE_MS = 1_000;
/** What a run leaves in the background gets this long, in ms, to end by itself. */
const LEFTOVER_GRACE_MS = 2_000;
/** How long output may still come after the end of the process, in ms; another process may hold the pipe open. */
const TRAILING_MS = 1_000;
/** A process that even SIGKILL has not ended hangs in the kernel; the run must not hang with it. In ms. */
const HANGING_MS = 5_000;
const STDERR_CHARS = 2_000;
/** What people call it. */
export const TITLE = "Claude Code";

/** What tells the model that a message does not come from the person. */
const SYSTEM_MARK = "[System message from the service that runs this workflow, not from the person]";

/**
 * Starts Claude Code for one run and tells what it does. The prompt goes through its input, never through the
 * command line. Never throws: a program that cannot be started is an exit with the reason in `stderr`.
 */
export const startAgent: StartAgent = (options, onEvent) => {
  const { clock } = options;
  const mark = options.mark ?? randomUUID().replaceAll("-", "");
  const hurry = new AbortController();
  let inputOpen = true;
  let busy = true;
  /** Kinds of what works in the background; while there is anything, the input stays open. */
  let background: string[] = [];
  /** The last line could not be read. */
  let unread = false;
  let ending = false;
  let killing: Promise<void> | undefined;
  let stderr = "";
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
  const { child, forgetFiles } = launched;
  const identity: AgentIdentity = {
    pid: child.pid ?? 0,
    startedAt: formatStartedAt(child.pid === undefined ? "0" : readBegan(child.pid), mark),
  };

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
  const interrupts = createInterrupts({ clock, write, hurry: hurry.signal });
  const lines = createLineReader({
    onLine(line) {
      // A line without a brace is a note of some library, not a message.
      unread = !reader.line(line) && line.includes("{");
    },
    onTooLong: () => reader.problem("The agent wrote a line beyond 64 MiB; it was ignored"),
  });
  child.stdout?.on("data", (chunk: Buffer) => {
    lines.push(chunk);
    limitSilence();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    // More than is shown, because cleaning takes some of it away.
    stderr = (stderr + chunk.toString("utf8")).slice(-4 * STDERR_CHARS);
  });
  // A process that ends may close the pipe in mid-write; its exit says the rest.
  child.stdin?.on("error", () => {
    inputOpen = false;
  });
  const exited = watchExit();
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
    if (!inputOpen || !child.stdin?.writable) return false;
    child.stdin.write(`${JSON.stringify(message)}\n`);
    return true;
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
    } else if (!questions.ask(requestId, asRecord(message.request))) {
      // Without an answer it would wait for ever.
      const error = "This host cannot do that";
      write({ type: "control_response", response: { subtype: "error", request_id: requestId, error } });
    }
  }

  function endWhenFree(): void {
    if (!ending || questions.open() > 0 || background.length > 0 || !inputOpen) return;
    closeInput();
  }

  function closeInput(): void {
    inputOpen = false;
    child.stdin?.end();
    limitSilence();
  }

  /** Begins the wait anew: an agent that is silent for too long while nobody is asked is ended. */
  function limitSilence(): void {
    cancelSilenceLimit();
    if (killing || questions.open() > 0) return;
    const limit = findSilenceLimit({ busy, unread, inputOpen, background });
    if (!limit) return;
    cancelSilenceLimit = clock.after(limit.ms, () => {
      if (limit.action === "close_input") closeInput();
      else void endAgentProcesses(identity, { graceMs: LEFTOVER_GRACE_MS, clock });
    });
  }

  function watchExit(): Promise<AgentExit> {
    return new Promise((resolve) => {
      let failure: string | undefined;
      child.once("error", (error) => {
        failure = describeFailedStart(TITLE, options, error);
        if (child.pid === undefined) finish(null, null);
      });
      child.once("exit", (code, signal) => {
        const closed = new Promise<void>((done) => child.once("close", () => done()));
        void withDeadline(clock, TRAILING_MS, () => closed).then(() => finish(code, signal));
      });
      function finish(code: number | null, signal: string | null): void {
        inputOpen = false;
        lines.end();
        cancelSilenceLimit();
        child.stdout?.destroy();
        child.stderr?.destroy();
        forgetFiles();
        interrupts.close();
        questions.withdrawAll();
        void endLeft().then(() => {
          const said = cleanText(failure ?? stderr).trim();
          const exit: AgentExit = { type: "exit", code, signal, stderr: said.slice(-STDERR_CHARS) };
          onEvent(exit);
          resolve(exit);
        });
      }
      async function endLeft(): Promise<void> {
        if (child.pid === undefined || process.platform === "win32") return;
        const how = { graceMs: LEFTOVER_GRACE_MS, clock, hurry: hurry.signal, hasJustEnded: true };
        await endAgentProcesses(identity, how);
      }
    });
  }

  async function kill(force: boolean, graceMs: number): Promise<void> {
    if (force) hurry.abort();
    if (!force) {
      const stopped = new Promise<void>((resolve) => {
        sawResult = resolve;
      });
      // With its result the agent has stopped its commands and saved the conversation.
      const untilStopped = async (signal: AbortSignal) => {
        if ((await interrupts.send(graceMs)) && busy)
          await Promise.race([stopped, exited, untilAborted(signal)]);
      };
      await withDeadline(clock, graceMs, untilStopped, hurry.signal);
    }
    ending = true;
    inputOpen = false;
    if (identity.pid > 0)
      await endAgentProcesses(identity, {
        graceMs: force ? Math.min(graceMs, FORCED_GRACE_MS) : graceMs,
        clock,
        ...(force ? {} : { hurry: hurry.signal }),
      });
    await withDeadline(clock, HANGING_MS, () => exited);
  }

  return {
    pid: identity.pid,
    processStart: identity.startedAt,
    send({ id, type, content }) {
      if (ending || killing) return false;
      const uuid = randomUUID();
      reader.expect(uuid, id);
      return writeUser(uuid, type === "system" ? `${SYSTEM_MARK}\n\n${content}` : content);
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
      if (force) hurry.abort();
      killing ??= kill(force, graceMs);
      return killing;
    },
    exited,
  };
};
