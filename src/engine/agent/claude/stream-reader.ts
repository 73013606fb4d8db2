import { cleanLine, cleanText } from "../../../shared/text.js";
import { showEnds } from "../../../shared/visible-text.js";
import {
  FAILURE_CHARACTERS,
  isKeptId,
  keptText,
  MODEL_CHARACTERS,
  REASON_CHARACTERS,
  TOOL_CHARACTERS,
} from "../bounds.js";
import { describeStep, describeToolUse } from "../describe-tool.js";
import type { AgentEvent } from "../events.js";
import { asCount, asList, asRecord, asText, type JsonRecord } from "../json.js";
import { createOpenCalls } from "./open-calls.js";
import { parseOutputLine, readDamagedResult } from "./parse-output-line.js";
import { createPhaseReader } from "./phases.js";
import { tellStructured } from "./structured-output.js";
import { createUsageCounter } from "./usage.js";

/** Output that is not stream-json at all would fill the log. */
const PROBLEMS_TOLD = 5;
/** Of what a command prints so many characters are told, its beginning and its end: enough to see how a test has failed. */
const OUTPUT_CHARS = 2_000;

export interface StreamReader {
  /** One line of the agent's output. False when it could not be read. */
  line(text: string): boolean;
  /** The agent's input has got this message; its uuid comes back when it is taken up. */
  expect(uuid: string, messageId: string): void;
  problem(text: string): void;
  /** Whether another tool call goes on than those that wait for a person; see `createOpenCalls`. */
  worksBeside(asked: readonly (string | undefined)[]): boolean;
}

/**
 * Turns the agent's stream-json into events. What is unknown is passed over: the protocol grows with every version.
 * @param options.emit gets the events
 * @param options.onControl gets `control_request`, `control_response` and `control_cancel_request` as they are
 */
export function createStreamReader(options: {
  cwd: string;
  emit: (event: AgentEvent) => void;
  onControl: (message: JsonRecord) => void;
}): StreamReader {
  const { cwd, emit } = options;
  const usage = createUsageCounter();
  const phases = createPhaseReader((name) => emit({ type: "phase", name }));
  const calls = createOpenCalls();
  /** The calls among them that are commands. */
  const commands = new Set<string>();
  const turnIds = new Set<string>();
  const waiting = new Map<string, string>();
  let problems = 0;
  /** Why the model's API has not answered, in the agent's word for it; told before the result. */
  let apiError: string | undefined;
  /** What the agent has said last since its last result. */
  let said = "";

  function problem(text: string): void {
    if (problems++ < PROBLEMS_TOLD) emit({ type: "problem", text });
  }

  function take(message: JsonRecord): void {
    const { type } = message;
    if (type === "system") takeSystem(message);
    else if (type === "assistant") takeAssistant(message);
    else if (type === "user") takeUser(message);
    else if (type === "result") takeResult(message);
    else if (type === "command_lifecycle" && message.state === "started")
      consumed(asText(message.command_uuid));
    else if (typeof type === "string" && type.startsWith("control_")) options.onControl(message);
  }

  function takeSystem(message: JsonRecord): void {
    if (message.subtype === "init") {
      const model = cleanLine(asText(message.model) ?? "", MODEL_CHARACTERS);
      emit({
        type: "init",
        sessionId: keptId(asText(message.session_id) ?? ""),
        tools: asList(message.tools).flatMap((tool) => (typeof tool === "string" ? [toolName(tool)] : [])),
        ...(model ? { model } : {}),
      });
    } else if (message.subtype === "api_retry") {
      const reason = cleanLine(asText(message.error) ?? `status ${String(message.error_status)}`, 80);
      emit({
        type: "action",
        text: `Waiting for the model's API (${reason}, attempt ${asCount(message.attempt)} of ${asCount(message.max_retries)})`,
      });
    } else if (message.subtype === "background_tasks_changed") {
      // Each time the whole list. Watchers are no work, and what goes on elsewhere does not need this process.
      const tasks = asList(message.tasks)
        .map(asRecord)
        .filter((task) => task.ambient !== true && task.off_host !== true);
      emit({ type: "background", tasks: tasks.map((task) => asText(task.task_type) ?? "") });
    }
  }

  /** Its conversation has the id that it was given; another one counts only where it can be kept. */
  function keptId(id: string): string {
    if (isKeptId(id)) return id;
    problem(`The agent gave its conversation an id that cannot be kept: ${cleanLine(id, REASON_CHARACTERS)}`);
    return "";
  }

  function takeAssistant(line: JsonRecord): void {
    const message = asRecord(line.message);
    const id = asText(message.id);
    const isMain = asText(line.parent_tool_use_id) === undefined;
    // Notices of the program itself, such as failures of the API, come as answers of this model.
    const isModel = message.model !== "<synthetic>";
    if (isMain) apiError = isModel ? undefined : asWord(line.error);
    if (id && isModel && isMain && !turnIds.has(id)) {
      turnIds.add(id);
      emit({ type: "turn", turn: turnIds.size });
    }
    if (id && isModel && usage.addMessage(id, message.usage)) emit({ type: "tokens", ...usage.totals() });
    for (const block of asList(message.content).map(asRecord)) {
      if (block.type === "tool_use") {
        calls.begun(asText(block.id), asText(line.parent_tool_use_id));
        if (block.name === "Bash") commands.add(asText(block.id) ?? "");
      }
      if (block.type === "text") takeText(asText(block.text), isMain);
      else if (block.type === "tool_use") takeToolUse(block, isMain, asText(line.task_description));
    }
  }

  function takeText(raw: string | undefined, isMain: boolean): void {
    const text = raw && isMain ? keptText(raw) : "";
    if (!text) return;
    said = text;
    emit({ type: "text", text });
    emit({ type: "action", text: cleanLine(text.split("\n", 1)[0] ?? text, 200) });
  }

  function takeToolUse(block: JsonRecord, isMain: boolean, task: string | undefined): void {
    const name = asText(block.name);
    if (!name) return;
    const told = toolName(name);
    emit({ type: "tool", name: told });
    const step = isMain
      ? describeStep(name, block.input, cwd, phases.current())
      : { text: `${cleanLine(task ?? "Sub-agent", 80)}: ${describeToolUse(name, block.input, cwd)}` };
    emit({ type: "action", ...step, toolName: told });
    if (isMain) phases.toolUse(asText(block.id) ?? "", name, block.input);
  }

  function takeUser(line: JsonRecord): void {
    if (line.isReplay === true) consumed(asText(line.uuid));
    const isMain = asText(line.parent_tool_use_id) === undefined;
    for (const block of asList(asRecord(line.message).content).map(asRecord)) {
      if (block.type !== "tool_result") continue;
      calls.ended(asText(block.tool_use_id));
      if (commands.delete(asText(block.tool_use_id) ?? "")) takeOutput(block);
      if (isMain)
        phases.toolResult(asText(block.tool_use_id) ?? "", block.is_error === true, line.tool_use_result);
    }
  }

  function takeOutput({ content, is_error }: JsonRecord): void {
    const parts =
      typeof content === "string" ? [content] : asList(content).map((part) => asText(asRecord(part).text));
    const { text } = showEnds(cleanText(parts.filter(Boolean).join("\n")).trim(), OUTPUT_CHARS);
    if (text || is_error === true)
      emit({ type: "output", text, ...(is_error === true ? { failed: true } : {}) });
  }

  /** Which sign comes first depends on where the agent stands; both come when the message is before the model. */
  function consumed(uuid = ""): void {
    const messageId = waiting.get(uuid);
    if (messageId === undefined) return;
    waiting.delete(uuid);
    emit({ type: "consumed", messageId });
  }

  function takeResult(result: JsonRecord): void {
    usage.addResult(result);
    const subtype = asWord(result.subtype) ?? "unknown";
    const text = tellStructured(result, said) ?? keptText(asText(result.result) ?? "");
    said = "";
    // The program's debugging notes mean nothing to a person.
    const errors = asList(result.errors)
      .filter((error): error is string => typeof error === "string" && !error.startsWith("[ede_diagnostic]"))
      .map((error) => cleanLine(error, FAILURE_CHARACTERS));
    const costUsd = usage.costUsd();
    const tokens = usage.totals();
    const isRefused = result.stop_reason === "refusal";
    const cause = isRefused
      ? "refusal"
      : result.terminal_reason === "prompt_too_long"
        ? "prompt_too_long"
        : apiError;
    emit({ type: "tokens", ...tokens });
    emit({
      type: "result",
      // A failure of the API comes as `success` with `is_error`.
      ok: result.subtype === "success" && result.is_error !== true && !isRefused,
      subtype,
      turns: turnIds.size,
      tokens,
      ...(text ? { text: cleanText(text) } : {}),
      ...(costUsd === undefined ? {} : { costUsd }),
      ...(errors.length > 0 ? { errors } : {}),
      ...(cause && (result.is_error === true || isRefused) ? { cause } : {}),
    });
  }

  return {
    line(text) {
      const messages = parseOutputLine(text);
      for (const message of messages) take(message);
      if (messages.length > 0) return true;
      problem(`The agent wrote a line that is not JSON: ${cleanLine(text, 200)}`);
      const damaged = readDamagedResult(text);
      if (damaged) take(damaged);
      return damaged !== undefined;
    },
    expect(uuid, messageId) {
      waiting.set(uuid, messageId);
    },
    problem,
    worksBeside: calls.besides,
  };
}

/** A word of the agent's protocol, which may be a new one. */
function asWord(value: unknown): string | undefined {
  return asText(cleanLine(asText(value) ?? "", REASON_CHARACTERS));
}

/** What a tool is called where it is recorded; what it is told by is its name as it came. */
function toolName(name: string): string {
  return cleanLine(name, TOOL_CHARACTERS) || "a tool";
}
