import { cleanLine, cleanText } from "../../../shared/text.js";
import { showEnds } from "../../../shared/visible-text.js";
import { FAILURE_CHARACTERS, KEPT_CHARACTERS, keptText, SAID_CHARACTERS } from "../bounds.js";
import type { AgentEvent } from "../events.js";
import { asCount, asList, asRecord, asText, type JsonRecord } from "../json.js";
import type { AcpProfile, ConversationState, TurnFailure } from "./acp-profile.js";
import { describeCall, describeCallLine } from "./describe-call.js";

/** Of what a command prints so many characters are told, its beginning and its end. */
const OUTPUT_CHARACTERS = 2_000;
/** Calls of a turn that are kept in mind; beyond it the oldest are forgotten. */
const KEPT_CALLS = 1_000;

/** Reads what an agent tells of its work, by `session/update`. */
export interface UpdateReader {
  /** It has been given something to do. */
  beginTurn(): void;
  update(update: JsonRecord): void;
  /** Takes what it told with the end of a turn, and gives how that was. @param usage in the protocol's words */
  endTurn(usage: unknown): TurnEnd;
  /** All that it has told of a call so far. */
  call(id: string | undefined): JsonRecord;
  /** Whether another call goes on than these. */
  worksBeside(ids: readonly (string | undefined)[]): boolean;
}

export interface TurnEnd {
  /** What the model has said last. */
  said: string;
  /** It has failed, although the agent ends it like any other. */
  failure?: TurnFailure | undefined;
  /** Answers of the model in this process so far. */
  turns: number;
  /** Tokens of this process so far. */
  tokens: { input: number; output: number };
}

/** Turns updates into events. What is unknown is passed over. */
export function createUpdateReader(options: {
  cwd: string;
  profile: Pick<AcpProfile, "isOfModel" | "readState" | "causeOf" | "usageOfEachAnswer">;
  emit: (event: AgentEvent) => void;
}): UpdateReader {
  const { cwd, profile, emit } = options;
  const calls = new Map<string, JsonRecord>();
  const open = new Set<string>();
  const outputs = new Map<string, string>();
  const phasesDone = new Set<string>();
  const tokens = { input: 0, output: 0 };
  let turns = 0;
  let current: string | undefined;
  /** The model's answer has begun, and none of the calls in it has ended. */
  let answering = false;
  /** The answer whose usage comes next has been counted. */
  let isCounted = false;
  let messageId: string | undefined;
  /** What it is saying. */
  let saying = "";
  let said = "";
  /** What the program itself has said. */
  let notice = "";
  let state: ConversationState = { failed: false };
  let turnsBefore = 0;

  function answer(): void {
    if (answering) return;
    answering = true;
    isCounted = true;
    emit({ type: "turn", turn: ++turns });
  }

  /** An answer is complete; nothing else may have been told of it. */
  function takeUsage(): void {
    if (!profile.usageOfEachAnswer) return;
    if (!isCounted) {
      answering = false;
      answer();
    }
    isCounted = false;
  }

  /** What was said is complete. */
  function finishSaying(): void {
    const text = keptText(saying);
    saying = "";
    if (!text) return;
    said = text;
    emit({ type: "text", text });
    emit({ type: "action", text: cleanLine(text.split("\n", 1)[0] ?? text, 200) });
  }

  function takeMessage(update: JsonRecord): void {
    const text = asText(asRecord(update.content).text);
    if (text === undefined) return;
    if (!profile.isOfModel(update)) {
      notice = (notice + text).slice(-KEPT_CHARACTERS);
      return;
    }
    const id = asText(update.messageId);
    if (id !== messageId) {
      finishSaying();
      answering = false;
      messageId = id;
    }
    answer();
    saying = (saying + text).slice(0, SAID_CHARACTERS);
  }

  function takeCall(update: JsonRecord): void {
    const id = asText(update.toolCallId);
    if (id === undefined) return;
    // A call that begins after one of the same id has ended is another one: nothing of that holds for it.
    const isAnother = update.sessionUpdate === "tool_call" && !open.has(id);
    const known = isAnother ? undefined : calls.get(id);
    const call = { ...known, ...update };
    calls.set(id, call);
    if (calls.size > KEPT_CALLS) calls.delete([...calls.keys()][0] ?? "");
    if (!known) {
      finishSaying();
      answer();
      open.add(id);
      const { toolName } = describeCall(call);
      emit({ type: "tool", name: toolName });
      const line = describeCallLine(call, cwd);
      emit({ type: "action", text: current ? `${current}: ${line}` : line, toolName });
    }
    takeOutput(id, update);
    const status = asText(update.status);
    if ((status === "completed" || status === "failed") && open.delete(id)) endCall(id, call, status);
  }

  function takeOutput(id: string, update: JsonRecord): void {
    const { data } = asRecord(asRecord(update._meta).terminal_output_delta);
    const parts = asList(update.content).map((part) => asText(asRecord(asRecord(part).content).text));
    const text = [typeof data === "string" ? data : "", ...parts].join("");
    if (text) outputs.set(id, ((outputs.get(id) ?? "") + text).slice(-KEPT_CHARACTERS));
  }

  function endCall(id: string, call: JsonRecord, status: string): void {
    answering = false;
    const output = outputs.get(id) ?? "";
    outputs.delete(id);
    if (call.kind !== "execute") return;
    const { exit_code: exitCode } = asRecord(asRecord(call._meta).terminal_exit);
    const failed = status === "failed" || (typeof exitCode === "number" && exitCode !== 0);
    const { text } = showEnds(cleanText(output).trim(), OUTPUT_CHARACTERS);
    if (text || failed) emit({ type: "output", text, ...(failed ? { failed: true as const } : {}) });
  }

  function takePlan(update: JsonRecord): void {
    const entries = asList(update.entries).map(asRecord);
    const at = entries.find(({ status }) => status === "in_progress");
    current = at && (cleanLine(asText(at.content) ?? "", 120) || undefined);
    for (const entry of entries) {
      const name = cleanLine(asText(entry.content) ?? "", 120);
      if (entry.status !== "completed" || !name || phasesDone.has(name)) continue;
      phasesDone.add(name);
      emit({ type: "phase", name });
    }
  }

  function findFailure(usedTokens: boolean): TurnFailure | undefined {
    // An agent that was not answered ends its turn like any other, with the failure as its last words.
    if (!state.failed && turns > turnsBefore && (usedTokens || !notice)) return undefined;
    const text = cleanLine(notice, FAILURE_CHARACTERS) || "The model gave no answer";
    return { text, cause: state.cause ?? profile.causeOf(undefined, notice) };
  }

  return {
    beginTurn() {
      [said, saying, notice, answering, messageId] = ["", "", "", false, undefined];
      isCounted = false;
      state = { failed: false };
      turnsBefore = turns;
    },
    update(update) {
      state = { ...state, ...profile.readState(update) };
      switch (update.sessionUpdate) {
        case "agent_message_chunk":
          return takeMessage(update);
        case "agent_thought_chunk":
          return answer();
        case "tool_call":
        case "tool_call_update":
          return takeCall(update);
        case "plan":
          return takePlan(update);
        case "usage_update":
          return takeUsage();
      }
    },
    endTurn(usage) {
      finishSaying();
      const { inputTokens, cachedReadTokens, cachedWriteTokens, outputTokens } = asRecord(usage);
      const input = asCount(inputTokens) + asCount(cachedReadTokens) + asCount(cachedWriteTokens);
      tokens.input += input;
      tokens.output += asCount(outputTokens);
      open.clear();
      outputs.clear();
      return { said, failure: findFailure(input > 0), turns, tokens: { ...tokens } };
    },
    call: (id) => calls.get(id ?? "") ?? {},
    worksBeside: (ids) => [...open].some((id) => !ids.includes(id)),
  };
}
