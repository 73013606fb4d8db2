import { randomUUID } from "node:crypto";
import { untilAborted } from "../../../shared/abort.js";
import { withDeadline } from "../../../shared/deadline.js";
import { cleanLine } from "../../../shared/text.js";
import { type AgentChild, watchChild } from "../agent-child.js";
import type { AgentProcess, StartAgent } from "../agent-process.js";
import { REASON_CHARACTERS } from "../bounds.js";
import { buildEnvironment } from "../environment.js";
import type { AgentEvent } from "../events.js";
import { describeFailedStart, failedStart } from "../failed-start.js";
import { asRecord, asText } from "../json.js";
import { messageText } from "../message-text.js";
import { endAgentProcesses, findAgentProcesses, processKey } from "../process-tree.js";
import { spawnProgram } from "../spawn-program.js";
import type { AcpProfile, TurnFailure } from "./acp-profile.js";
import { createAcpQuestions } from "./acp-questions.js";
import { createJsonRpc } from "./json-rpc.js";
import { createMessages } from "./messages.js";
import { NotOpened, type OpenedConversation, openConversation, readFailure } from "./open-conversation.js";
import { createUpdateReader } from "./update-reader.js";

/** An agent that works properly ends its turn within milliseconds of being cancelled; after this long it hangs. In ms. */
const CANCEL_MS = 5_000;
/** A command that goes on after the turn was cancelled gets this long to end by itself, in ms. */
const COMMAND_GRACE_MS = 1_000;
/** An agent whose input has ended gets this long to end by itself, in ms: Codex takes two seconds. */
const CLOSING_MS = 10_000;
/** An agent that has no conversation after this long, in ms, hangs: a cold start takes some seconds. */
const OPENING_MS = 120_000;
/** So many turns in a row may end on refusals; then the run ends on them, too. */
const REFUSED_TURNS = 20;
/** Output that is no message at all would fill the log. */
const PROBLEMS_TOLD = 5;

/** What follows a refusal that has ended the turn. */
const GO_ON = "Go on without it, or stop and say what you need.";

/**
 * Makes a kind of agent that speaks the Agent Client Protocol. The agents that it starts tell what they do like all
 * others: see `StartAgent`.
 */
export function acp(profile: AcpProfile): StartAgent {
  return (options, onEvent) => {
    const refusal = profile.refuse?.(options);
    if (refusal !== undefined) return failedStart(refusal, onEvent);
    const mark = options.mark ?? randomUUID().replaceAll("-", "");
    const { path, extraArgs: args = [], cwd, passedVariables = [] } = options;
    try {
      const env = buildEnvironment(
        options.env,
        mark,
        passedVariables,
        profile.variables({ ...options, mark }),
      );
      const child = spawnProgram({ path, args, cwd, env });
      return talk(profile, options, onEvent, { child, mark });
    } catch (error) {
      return failedStart(describeFailedStart(profile.title, options, error as Error), onEvent);
    }
  };
}

function talk(
  profile: AcpProfile,
  options: Parameters<StartAgent>[0],
  onEvent: (event: AgentEvent) => void,
  program: { child: ReturnType<typeof spawnProgram>; mark: string },
): AgentProcess {
  const { clock, cwd } = options;
  const endNow = new AbortController();
  let problems = 0;
  let conversation: OpenedConversation | undefined;
  /** The processes that were there before it had anything to do. */
  let ownProcesses: ReadonlySet<string> = new Set();
  /** Resolves with the end of the turn that goes on. */
  let turn: Promise<unknown> | undefined;
  let ending = false;
  let cancelled = false;
  let killing: Promise<void> | undefined;
  let cancelClosing = () => {};

  const child: AgentChild = watchChild(program.child, {
    mark: program.mark,
    clock,
    endNow: endNow.signal,
    describeFailure: (error) => describeFailedStart(profile.title, options, error),
    onLine(line) {
      // A line without a brace is a note of some library, not a message.
      if (!rpc.take(line) && line.includes("{")) problem("A line of the agent could not be read");
    },
    onTooLong: () => problem("The agent wrote a line beyond 64 MiB; it was ignored"),
    onEnd() {
      cancelClosing();
      rpc.close();
      questions.withdrawAll();
    },
    onExit: onEvent,
  });
  const rpc = createJsonRpc({
    write: child.write,
    onNotification(method, params) {
      if (method !== "session/update" || params.sessionId !== conversation?.id) return;
      reader.update(asRecord(params.update));
    },
    // What is asked outside of a turn is not of this conversation's work.
    onRequest: (id, method, params) => turn !== undefined && !cancelled && questions.ask(id, method, params),
  });
  const reader = createUpdateReader({ cwd, profile, emit: onEvent });
  const questions = createAcpQuestions({
    profile,
    cwd,
    clock,
    who: options.name ?? "The agent",
    policy: options.policy,
    own: (options.ownFolders ?? []).filter((folder) => !profile.folders(options).includes(folder)),
    rpc: () => rpc,
    emit: onEvent,
    callOf: reader.call,
    onReason: (reason) => messages.add({ text: reason }),
  });
  const messages = createMessages({
    clock,
    steer: (text) =>
      turn && !cancelled && conversation?.steers && profile.steering
        ? rpc.request(profile.steering.method, {
            ...promptOf(text),
            _meta: profile.steering.meta,
          })
        : undefined,
    onTaken: (messageId) => onEvent({ type: "consumed", ...(messageId === undefined ? {} : { messageId }) }),
  });
  void work();

  function problem(text: string): void {
    if (problems++ < PROBLEMS_TOLD) onEvent({ type: "problem", text });
  }

  function promptOf(text: string) {
    return { sessionId: conversation?.id, prompt: [{ type: "text", text: profile.asText(text) }] };
  }

  async function work(): Promise<void> {
    try {
      conversation = await withDeadline(clock, OPENING_MS, () => openConversation(rpc, profile, options));
      if (!conversation) throw new NotOpened({ text: `${profile.title} has not answered in two minutes` });
      const there = await findAgentProcesses(child.identity);
      ownProcesses = new Set(there.map(processKey));
      // To one that is being ended nothing is said: what it was to do must not count as told.
      const isEnding = killing !== undefined || !child.inputOpen();
      let next: string | undefined = isEnding
        ? undefined
        : [conversation.preface, options.prompt].filter(Boolean).join("\n\n");
      while (next !== undefined)
        next = (await takeTurns(next)) ? await messages.next(() => ending) : undefined;
    } catch (error) {
      if (child.inputOpen())
        tellFailure(error instanceof NotOpened ? error.failure : readFailure(error, profile));
    }
    close();
  }

  /** Works off a prompt and what follows from it, and tells the result. @returns whether it can be told more */
  async function takeTurns(prompt: string): Promise<boolean> {
    let text = prompt;
    for (let refused = 0; ; ) {
      const { stopReason, end } = await takeTurn(text);
      const reasons = questions.takeReasons();
      const isRefused = reasons.length > 0 && !cancelled && end.failure === undefined;
      const waiting = cancelled || end.failure ? [] : await messages.take();
      refused = isRefused ? refused + 1 : 0;
      const goesOn = isRefused && refused < REFUSED_TURNS;
      if (goesOn || waiting.length > 0) {
        onEvent({ type: "tokens", ...end.tokens });
        text = [...reasons, ...(goesOn ? [GO_ON] : []), ...waiting].join("\n\n");
        continue;
      }
      const failure = end.failure ?? (isRefused ? { text: reasons.join("\n\n") } : undefined);
      const ok = stopReason === "end_turn" && failure === undefined && !cancelled;
      const stop = failure && stopReason === "end_turn" ? "api_error" : stopReason;
      onEvent({
        type: "result",
        ok,
        subtype: ok ? "success" : stop,
        // An answer without words is one, too: the one before does not stand for it.
        ...(ok || end.said ? { text: end.said } : {}),
        turns: end.turns,
        tokens: end.tokens,
        ...(failure ? { errors: [failure.text] } : {}),
        ...(failure?.cause ? { cause: failure.cause } : {}),
      });
      return ok;
    }
  }

  async function takeTurn(text: string) {
    reader.beginTurn();
    onEvent({
      type: "init",
      sessionId: conversation?.id ?? "",
      tools: [],
      ...(conversation?.model ? { model: conversation.model } : {}),
    });
    const sent = rpc.request("session/prompt", promptOf(text));
    turn = sent;
    messages.begun();
    try {
      const { stopReason, usage } = await sent;
      return {
        stopReason: cleanLine(asText(stopReason) ?? "unknown", REASON_CHARACTERS),
        end: reader.endTurn(usage),
      };
    } catch (error) {
      // It has ended: its exit says why.
      if (!child.inputOpen()) throw error;
      const end = reader.endTurn(undefined);
      return { stopReason: "api_error", end: { ...end, failure: readFailure(error, profile) } };
    } finally {
      turn = undefined;
      questions.cancelAll();
    }
  }

  /** Nothing was asked of a model, or it has not answered. */
  function tellFailure({ text, cause }: TurnFailure): void {
    onEvent({ type: "result", ok: false, subtype: "api_error", errors: [text], ...(cause ? { cause } : {}) });
  }

  function close(): void {
    ending = true;
    if (!child.inputOpen()) return;
    child.closeInput();
    cancelClosing = clock.after(CLOSING_MS, () => void child.end({ force: false, graceMs: 0 }));
  }

  /** @returns whether the agent has said that it has stopped */
  async function cancel(ms: number): Promise<boolean> {
    const going = turn;
    if (!going || !conversation || !child.inputOpen()) return false;
    cancelled = true;
    questions.cancelAll();
    rpc.notify("session/cancel", { sessionId: conversation.id });
    const stopped = going.then(
      () => true,
      () => false,
    );
    const inTime = (signal: AbortSignal) => Promise.race([stopped, untilAborted(signal).then(() => false)]);
    const isStopped = (await withDeadline(clock, ms, inTime, endNow.signal)) ?? false;
    if (profile.commandsOutliveCancel)
      await endAgentProcesses(child.identity, {
        graceMs: COMMAND_GRACE_MS,
        clock,
        endNow: endNow.signal,
        spared: ownProcesses,
      });
    return isStopped;
  }

  async function kill(force: boolean, graceMs: number): Promise<void> {
    if (!force) await cancel(graceMs);
    ending = true;
    cancelled = true;
    messages.close();
    await child.end({ force, graceMs });
  }

  return {
    pid: child.identity.pid,
    processStart: child.identity.startedAt,
    send(message) {
      if (ending || killing || cancelled || !child.inputOpen()) return false;
      messages.add({ id: message.id, text: messageText(message) });
      return true;
    },
    answer: questions.answer,
    hold: questions.hold,
    letGo: questions.letGo,
    worksBeside: () => reader.worksBeside(questions.calls()),
    interrupt: () => cancel(CANCEL_MS),
    end() {
      ending = true;
      messages.wake();
    },
    kill({ force, graceMs }) {
      if (force) endNow.abort();
      killing ??= kill(force, graceMs);
      return killing;
    },
    exited: child.exited,
  };
}
