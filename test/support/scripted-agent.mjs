// Stands in for Claude Code in tests, started by the program `scripted-agent` beside it: the same arguments, and the
// same stream-json both ways as 2.1.332 was seen to write. What it does is scripted: by `#script <JSON>` in the message of a person, else by the JSON in SCRIPTED_AGENT,
// else it makes one Bash call and finishes.
//
// A script is { steps: [...], pace?: ms between steps, ignoreSigterm?: true, deaf?: true (to interrupts),
// linger?: true (lives on when its input has ended) }, or the list of steps alone. A step:
//   { text, cost?: USD }                       the model says something; what a turn costs can be said with each
//   { tools: [{ name, input, result?, fails?, run?, id?, details? }], text? }   one answer with several blocks; leave
//                                              is asked as the real one does; `run` carries a Bash command out,
//                                              Write always writes its file
//   { ask: [{ question, header, multiSelect, options: [{ label, description }] }] }   AskUserQuestion
//   { subagent: [steps], name }                steps of a sub-agent (text and tools)
//   { background: [steps], name, kind? }       the same in the background: the turn goes on, and when the sub-agent is
//                                              done, another turn says so
//   { listen: n }                              waits until n messages have come since the turn began
//   { wait: ms }  { hang: true }
//   { spawn: "group" | "session" }             leaves a process behind; its pid is written to left-<n>.pid in the folder
//   { text?, output: {…} }                     it gives this by the tool that `--json-schema` brings, which ends the turn;
//                                              without a schema there is no such tool, and only the text is said
//   { result: { subtype?, is_error?, result?, errors? } }   how the turn ends
//   { raw: text or object }  { stderr: text }  { exit: code }
// With SCRIPTED_AGENT_DIARY each agent appends there, a JSON line each, when it began, that it is alive, what it has taken
// up, what it was answered, and its end; times are of the system's monotonic clock, in ms.
// {{messages}} in a text is replaced by everything that persons have said in the conversation, as JSON.
import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";

const { env } = process;
const argv = process.argv.slice(2);
const COST_USD = 0.01;

const KNOWN = new Set(
  `-p --verbose --input-format --output-format --replay-user-messages --permission-prompt-tool --permission-mode
  --resume --session-id --append-system-prompt-file --max-turns --max-budget-usd --model --setting-sources --add-dir
  --allowedTools --disallowedTools --json-schema --system-prompt-snapshot --settings --strict-mcp-config --mcp-config`.split(
    /\s+/,
  ),
);
const options = new Map();
for (const argument of argv) {
  const [, name, value = ""] = /^(-[^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
  if (!KNOWN.has(name)) fail(`error: unknown option '${argument}'`);
  options.set(name, [...(options.get(name) ?? []), value]);
}
const option = (name) => options.get(name)?.at(-1);

const resumed = option("--resume");
const sessionId = resumed ?? option("--session-id") ?? randomUUID();
const sessions = join(env.HOME ?? ".", ".scripted-agent");
const sessionFile = join(sessions, `${sessionId}.json`);
const known = existsSync(sessionFile);
const session = known ? JSON.parse(readFileSync(sessionFile, "utf8")) : { messages: [], costUsd: 0 };
const startCostUsd = session.costUsd;
let resultCount = 0;
let lastResultCostUsd = startCostUsd;
if (option("--append-system-prompt-file"))
  session.systemPrompt = readFileSync(option("--append-system-prompt-file"), "utf8");

if (resumed && !known) {
  const error = `No conversation found with session ID: ${resumed}`;
  write({ type: "result", subtype: "error_during_execution", is_error: true, num_turns: 0, errors: [error] });
  fail(error);
}
if (!resumed && known) fail(`Error: Session ID ${sessionId} is already in use.`);

note("began");
if (env.SCRIPTED_AGENT_DIARY) setInterval(() => note("lives"), 100);
process.on("exit", () => note("ended"));

let messageCount = 0;
let turns = 0;
let interrupted = false;
let wake = () => {};
let inputEnded = false;
let running = false;
let heard = 0;
let heardInAll = 0;
let deaf = false;
let linger = false;
let ignoreSigterm = false;
let resultFailed = false;
let pace = 5;
const queue = [];
let backgroundTasks = [];
const pendingRequests = new Map();
const sessionRules = [];

// Keeps a lingering process alive; everything else ends by process.exit.
setInterval(() => {}, 60_000);

process.on("SIGTERM", () => {
  if (!ignoreSigterm) process.exit(143);
});

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function write(message) {
  process.stdout.write(`${typeof message === "string" ? message : JSON.stringify(withIds(message))}\n`);
}

function withIds(message) {
  return message.type.startsWith("control_")
    ? message
    : { ...message, session_id: sessionId, uuid: message.uuid ?? randomUUID() };
}

function note(what, text) {
  if (!env.SCRIPTED_AGENT_DIARY) return;
  const at = Number(process.hrtime.bigint()) / 1e6;
  const line = { run: env.WORKFLOW_AGENT_MARK, session: sessionId, pid: process.pid, at, what, text };
  appendFileSync(env.SCRIPTED_AGENT_DIARY, `${JSON.stringify(line)}\n`);
}

function save() {
  mkdirSync(sessions, { recursive: true });
  writeFileSync(sessionFile, JSON.stringify(session));
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const message = JSON.parse(line);
    if (message.type === "user") takeUser(message);
    else if (message.type === "control_request") takeRequest(message);
    else if (message.type === "control_response") takeResponse(message.response);
  })
  .on("close", () => {
    inputEnded = true;
    for (const [requestId, settle] of pendingRequests) {
      write({ type: "control_cancel_request", request_id: requestId });
      interrupted = true;
      settle({ behavior: "deny", message: "The user doesn't want to proceed with this tool use." });
    }
    leaveWhenDone();
  });

/** The real one lives on while something works in the background, also when nobody can be asked any more. */
function leaveWhenDone() {
  if (inputEnded && !running && !linger && backgroundTasks.length === 0) process.exit(resultFailed ? 1 : 0);
}

function takeUser(message) {
  const { content } = message.message;
  const text = typeof content === "string" ? content : content.map((block) => block.text).join("\n");
  const entry = { uuid: message.uuid ?? randomUUID(), text };
  queue.push(entry);
  heard++;
  heardInAll++;
  write({ type: "command_lifecycle", command_uuid: entry.uuid, state: "queued" });
  if (!running) void work();
}

function takeRequest(message) {
  const response = { subtype: "success", request_id: message.request_id, response: {} };
  if (message.request.subtype === "get_session_cost") {
    const text = `Estimated cost:        $${session.costUsd.toFixed(4)}\nTotal duration (API):  0s`;
    return write({ type: "control_response", response: { ...response, response: { text } } });
  }
  if (message.request.subtype !== "interrupt") {
    const error = `Unsupported control request subtype: ${message.request.subtype}`;
    return write({
      type: "control_response",
      response: { subtype: "error", request_id: message.request_id, error },
    });
  }
  if (deaf) return;
  interrupted = running;
  for (const [requestId, settle] of pendingRequests) {
    write({ type: "control_cancel_request", request_id: requestId });
    settle({ behavior: "deny", message: "The user doesn't want to proceed with this tool use." });
  }
  response.response = { still_queued: queue.map((entry) => entry.uuid) };
  write({ type: "control_response", response });
  wake();
}

function takeResponse(response) {
  pendingRequests.get(response.request_id)?.(
    response.response ?? { behavior: "deny", message: response.error },
  );
}

/** Puts what was said before the model. */
function takeUp(entry, replayFirst) {
  const signs = [
    { type: "command_lifecycle", command_uuid: entry.uuid, state: "started" },
    {
      type: "user",
      message: { role: "user", content: entry.text },
      parent_tool_use_id: null,
      uuid: entry.uuid,
      isReplay: true,
    },
  ];
  for (const sign of replayFirst ? signs.reverse() : signs) write(sign);
  if (!entry.own) session.messages.push(entry.text);
  note("took", entry.text);
  save();
}

async function work() {
  running = true;
  while (queue.length > 0) {
    interrupted = false;
    const entry = queue.shift();
    heard = queue.length;
    write({
      type: "system",
      subtype: "init",
      cwd: process.cwd(),
      tools: ["Task", "AskUserQuestion", "Bash", "Edit", "Read", "Write", "TodoWrite"],
      model: option("--model") ?? "scripted-model",
      permissionMode: option("--permission-mode"),
    });
    takeUp(entry, false);
    await perform(readScript(entry.text));
    write({ type: "command_lifecycle", command_uuid: entry.uuid, state: "completed" });
  }
  running = false;
  leaveWhenDone();
}

function readScript(text) {
  // The last one: a message that tells of an earlier task has that one's before it.
  const [, own] = /^.*\n#script\s+([[{].*)$/s.exec(text) ?? /#script\s+([[{].*)$/s.exec(text) ?? [];
  const fallback = { steps: [{ tools: [{ name: "Bash", input: { command: "echo hello" } }] }] };
  const script = own ? JSON.parse(own) : env.SCRIPTED_AGENT ? JSON.parse(env.SCRIPTED_AGENT) : fallback;
  return Array.isArray(script) ? { steps: script } : script;
}

async function perform(script) {
  pace = script.pace ?? Number(env.SCRIPTED_AGENT_PACE ?? 5);
  ignoreSigterm = script.ignoreSigterm === true;
  deaf = script.deaf === true;
  linger = script.linger === true;
  const maxTurns = Number(option("--max-turns") ?? Number.POSITIVE_INFINITY);
  const maxCostUsd = startCostUsd + Number(option("--max-budget-usd") ?? Number.POSITIVE_INFINITY);
  const steps = [...script.steps];
  const last = steps.at(-1);
  // As a model does: a turn ends with words.
  if (!last || (last.text === undefined && last.result === undefined) || last.tools)
    steps.push({ text: "Finished. I have read: {{messages}}" });
  let text = "";
  turns = 0;
  for (const step of steps) {
    if (step.result) return finish(step.result);
    if (step.text !== undefined || step.tools || step.ask) {
      if (turns >= maxTurns)
        return finish({
          subtype: "error_max_turns",
          is_error: true,
          errors: [`Reached maximum number of turns (${maxTurns})`],
        });
      if (session.costUsd >= maxCostUsd)
        return finish({
          subtype: "error_max_budget_usd",
          is_error: true,
          errors: [`Reached maximum budget ($${option("--max-budget-usd")})`],
        });
      turns++;
      session.costUsd += step.cost ?? COST_USD;
    }
    await pause(pace);
    const isGiven = step.output !== undefined && option("--json-schema") !== undefined;
    const call = {
      name: "StructuredOutput",
      input: step.output,
      result: "Structured output provided successfully",
    };
    text = (await carryOut(isGiven ? { ...step, tools: [call] } : step, null)) ?? text;
    if (isGiven) return finish({ result: JSON.stringify(step.output), structured_output: step.output });
    if (interrupted) {
      write(userLine([{ type: "text", text: "[Request interrupted by user for tool use]" }]));
      return finish({
        subtype: "error_during_execution",
        is_error: true,
        errors: ["[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=tool_use"],
      });
    }
    // What came while tools ran is put before the model with their results.
    if (step.tools || step.ask || step.wait || step.listen)
      while (queue.length > 0) takeUp(queue.shift(), true);
  }
  finish({ result: text });
}

function finish(result) {
  resultFailed = result.is_error === true;
  const sinceUsd = session.costUsd - lastResultCostUsd;
  const perModel = {
    inputTokens: Math.round(sinceUsd * 100_000),
    outputTokens: Math.round(sinceUsd * 10_000),
  };
  lastResultCostUsd = session.costUsd;
  save();
  write({
    type: "result",
    subtype: "success",
    is_error: false,
    num_turns: turns,
    total_cost_usd: session.costUsd,
    usage: { input_tokens: perModel.inputTokens, output_tokens: perModel.outputTokens },
    model_usage_since_last_result: { "scripted-model": { ...perModel, costUSD: sinceUsd } },
    result_index: resultCount++,
    ...result,
  });
}

async function carryOut(step, parent) {
  if (step.raw !== undefined) write(typeof step.raw === "string" ? step.raw : { type: "raw", ...step.raw });
  if (step.stderr !== undefined) process.stderr.write(step.stderr);
  if (step.exit !== undefined) process.exit(step.exit);
  if (step.wait !== undefined) await pause(step.wait);
  while (step.listen > heard && !interrupted) await pause(5);
  if (step.hang) await pause(2 ** 30);
  if (step.spawn) leaveBehind(step.spawn);
  if (step.subagent) await delegate(step);
  if (step.background) await delegateInBackground(step);
  const text = step.text?.replaceAll("{{messages}}", JSON.stringify(session.messages));
  const tools = step.ask ? [{ name: "AskUserQuestion", input: { questions: step.ask } }] : (step.tools ?? []);
  if (text === undefined && tools.length === 0) return undefined;
  const calls = tools.map((tool) => ({ ...tool, id: tool.id ?? `toolu_${randomUUID()}` }));
  const id = `msg_${++messageCount}_${randomUUID()}`;
  const blocks = text === undefined ? [] : [{ type: "text", text }];
  blocks.push(...calls.map(({ id, name, input }) => ({ type: "tool_use", id, name, input })));
  for (const block of blocks)
    write({
      type: "assistant",
      message: {
        id,
        type: "message",
        role: "assistant",
        model: option("--model") ?? "scripted-model",
        content: [block],
        stop_reason: null,
        usage: { input_tokens: 1_000, output_tokens: 1 },
      },
      parent_tool_use_id: parent,
    });
  for (const call of calls) await callTool(call, parent);
  return text;
}

async function callTool(call, parent) {
  const leave = await askLeave(call);
  if (leave.behavior !== "allow") return writeResult(call, leave.message, true, parent);
  if (interrupted) return writeResult(call, "The tool use was rejected", true, parent);
  const { content, isError, details } = runTool({ ...call, input: leave.updatedInput ?? call.input });
  writeResult(call, call.result ?? content, call.fails ?? isError, parent, call.details ?? details);
  await pause(pace);
}

function runTool({ name, input, run }) {
  if (name === "AskUserQuestion") {
    const answers = Object.entries(input.answers ?? {}).map(
      ([question, answer]) => `"${question}"="${answer}"`,
    );
    note("answered", Object.values(input.answers ?? {}).join());
    return { content: `Your questions have been answered: ${answers.join(", ")}.`, details: input };
  }
  if (name === "Write") {
    const path = resolve(input.file_path);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, input.content);
    return { content: `File created successfully at: ${path}` };
  }
  if (name === "Bash" && run) {
    const done = spawnSync("sh", ["-c", input.command], { encoding: "utf8" });
    return { content: done.stdout + done.stderr, isError: done.status !== 0 };
  }
  return { content: "done" };
}

function writeResult(call, content, isError, parent, details) {
  write({
    ...userLine([{ type: "tool_result", tool_use_id: call.id, content, is_error: isError === true }], parent),
    ...(details === undefined ? {} : { tool_use_result: details }),
  });
  if (content) session.lastToolResult = content;
}

function userLine(content, parent = null) {
  return { type: "user", message: { role: "user", content }, parent_tool_use_id: parent };
}

const READING = new Set([
  "Read",
  "Grep",
  "Glob",
  "TodoWrite",
  "TaskCreate",
  "TaskUpdate",
  "Task",
  "StructuredOutput",
]);
const WRITING = new Set(["Write", "Edit"]);

async function askLeave({ name, input, id }) {
  const mode = option("--permission-mode");
  if ((options.get("--disallowedTools") ?? []).some((rule) => matches(rule, name, input)))
    return { behavior: "deny", message: `Permission to use ${name} has been denied.` };
  const rules = [...(options.get("--allowedTools") ?? []), ...sessionRules];
  const inside = WRITING.has(name) && resolve(input.file_path).startsWith(process.cwd());
  if (name !== "AskUserQuestion") {
    if (mode === "bypassPermissions" || READING.has(name) || rules.some((rule) => matches(rule, name, input)))
      return { behavior: "allow" };
    if (mode === "acceptEdits" && inside) return { behavior: "allow" };
    if (name === "Bash" && /^echo /.test(input.command)) return { behavior: "allow" };
  }
  if (option("--permission-prompt-tool") !== "stdio")
    return {
      behavior: "deny",
      message: `Claude requested permissions to use ${name}, but you haven't granted it.`,
    };
  if (inputEnded) return { behavior: "deny", message: "Tool permission request failed: Stream closed" };
  const requestId = randomUUID();
  const words = name === "Bash" ? input.command.split(" ") : [];
  const rule = words.length > 1 ? `${words.slice(0, 2).join(" ")} *` : undefined;
  write({
    type: "control_request",
    request_id: requestId,
    request: {
      subtype: "can_use_tool",
      tool_name: name,
      display_name: name,
      input,
      ...(name === "AskUserQuestion" ? { requires_user_interaction: true } : {}),
      ...(rule ? { permission_suggestions: suggest(rule) } : {}),
      tool_use_id: id,
    },
  });
  const answer = await new Promise((settle) => pendingRequests.set(requestId, settle));
  pendingRequests.delete(requestId);
  for (const update of answer.updatedPermissions ?? [])
    for (const { toolName, ruleContent } of update.rules ?? [])
      sessionRules.push(`${toolName}(${ruleContent})`);
  return answer;
}

function suggest(ruleContent) {
  const rules = [{ toolName: "Bash", ruleContent }];
  return [
    { type: "addRules", rules, behavior: "allow", destination: "localSettings" },
    { type: "setMode", mode: "acceptEdits", destination: "session" },
  ];
}

function matches(rule, name, input) {
  const [, tool, pattern] = /^([^(]+)(?:\((.*)\))?$/s.exec(rule) ?? [];
  if (tool !== name) return false;
  if (pattern === undefined) return true;
  const subject = String(input.command ?? input.file_path ?? "");
  const prefix = pattern.replace(/(:\*| \*|\*)$/, "");
  return prefix === pattern ? subject === pattern.replace(/^\/\//, "/") : subject.startsWith(prefix);
}

async function delegate({ subagent, name = "sub-task" }) {
  const call = { id: `toolu_${randomUUID()}`, name: "Task", input: { description: name, prompt: "…" } };
  await carryOut({ tools: [{ ...call, result: "sub-agent done" }] }, null);
  for (const step of subagent) await carryOut(step, call.id);
}

async function delegateInBackground({ background, name = "sub-task", kind = "local_agent" }) {
  const call = { id: `toolu_${randomUUID()}`, name: "Task", input: { description: name, prompt: "…" } };
  const task = { task_id: randomUUID(), task_type: kind, description: name };
  const tell = () => write({ type: "system", subtype: "background_tasks_changed", tasks: backgroundTasks });
  backgroundTasks = [...backgroundTasks, task];
  tell();
  await carryOut({ tools: [{ ...call, result: "launched" }] }, null);
  const before = heardInAll;
  void (async () => {
    for (const { listen = 0, ...step } of background) {
      while (heardInAll - before < listen) await pause(5);
      await carryOut(step, call.id);
    }
    backgroundTasks = backgroundTasks.filter((one) => one !== task);
    write({ type: "system", subtype: "task_notification", task_id: task.task_id, status: "completed" });
    tell();
    queue.push({
      uuid: randomUUID(),
      text: `#script ${JSON.stringify([{ text: `${name} is done` }])}`,
      own: true,
    });
    if (!running) void work();
  })();
}

let left = 0;

/** A process that outlives this one; in a session of its own neither the group nor a parent leads to it. */
function leaveBehind(kind) {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], {
    detached: kind === "session",
    stdio: "ignore",
  });
  child.unref();
  writeFileSync(`left-${++left}.pid`, String(child.pid));
}

/** Waits, or less when an interrupt comes. */
function pause(ms) {
  if (interrupted) return Promise.resolve();
  return new Promise((done) => {
    const timer = setTimeout(finished, Math.min(ms, 2 ** 30));
    function finished() {
      clearTimeout(timer);
      wake = () => {};
      done();
    }
    wake = finished;
  });
}
