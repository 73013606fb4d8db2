#!/usr/bin/env node
// Stands in for codex-acp in tests: the Agent Client Protocol on stdio, as 2.6.0 was seen to speak it. What it does is
// scripted by `#script <JSON>` in a prompt; without one it says so and ends its turn. A script is a list of steps:
//   { text }                                    the model says something; {{messages}} is all that was said to it, as JSON
//   { command, ask?, run?, output?, code? }     a command; `ask` asks for leave first, `run` carries it out
//   { edit: path, content, ask? }               a change of a file, which is written
//   { request: { toolCall…, options… }, mild? } a request for permission as it is; `mild`: the turn goes on when refused
//   { form: { requestedSchema… } }              a form; the answer is said
//   { plan: entries }  { update: {…} }          updates as they are
//   { listen: n }                               waits until n messages were put into the turn
//   { hang: true }                              waits until the turn is cancelled
//   { spawn: "group" | "session" }              leaves a process behind; its pid is written to left-<n>.pid
//   { failure: message, info }                  the model's API fails: an ordinary end with the error as text
//   { error: { code, message, data } }          the prompt is answered with this
//   { stop: reason }                            ends the turn so
//   { raw: text }  { stderr: text }  { exit: code }
// SCRIPTED_ACP is JSON with how it is: { mode, protocolVersion, loggedOut, deaf (to cancelling), noSteering, linger,
// lateTitle (the request of the title is answered when it is to end), model (that it has), calledId (what it says that its conversation is), otherwise: script of prompts without one, … }.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";

const { env, argv } = process;
const print = (text) => process.stdout.write(`${text}\n`);
const how = JSON.parse(env.SCRIPTED_ACP ?? "{}");
if (argv.includes("--version")) {
  print(`@agentclientprotocol/codex-acp ${how.adapter ?? "2.6.0"}`);
  process.exit(0);
}
if (argv[2] === "cli") {
  if (argv[3] === "-V") print(`codex-cli ${how.codex ?? "0.171.0"}`);
  else if (argv[3] === "mcp")
    print(how.serversText ?? JSON.stringify((how.servers ?? []).map((name) => ({ name }))));
  else if (how.loggedOut) {
    process.stderr.write("Not logged in\n");
    process.exit(1);
  }
  process.exit(0);
}

const folder = join(env.HOME ?? ".", ".scripted-acp");
const waiting = new Map();
let lastId = 0;
let calls = 0;
let messages = 0;
let session;
let turn;
let left = 0;

const write = (message) =>
  process.stdout.write(
    `${typeof message === "string" ? message : JSON.stringify({ jsonrpc: "2.0", ...message })}\n`,
  );
const update = (what) => write({ method: "session/update", params: { sessionId: session.id, update: what } });
const status = (type) =>
  update({ sessionUpdate: "session_info_update", _meta: { codex: { threadStatus: { type } } } });
const say = (text) =>
  update({
    sessionUpdate: "agent_message_chunk",
    messageId: `msg_${++messages}`,
    content: { type: "text", text },
  });
const save = () => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${session.id}.json`), JSON.stringify(session));
};

function ask(method, params) {
  const id = ++lastId;
  write({ id, method, params: { sessionId: session.id, ...params } });
  return new Promise((resolve) => waiting.set(id, resolve));
}

const OPTIONS = [
  { optionId: "allow_once", name: "Yes, proceed", kind: "allow_once" },
  { optionId: "accept_execpolicy_amendment", name: "Yes, and don't ask again", kind: "allow_always" },
  { optionId: "cancel", name: "No, and tell Codex what to do differently", kind: "reject_once" },
];

/** @returns whether it was allowed; a refusal ends the turn, as Codex does */
async function mayGoOn(toolCall, options = OPTIONS, mild = false) {
  const { outcome } = await ask("session/request_permission", {
    toolCall: { status: "pending", ...toolCall },
    options,
  });
  const kind = options.find(({ optionId }) => optionId === outcome?.optionId)?.kind;
  session.chosen = [...(session.chosen ?? []), outcome?.optionId ?? outcome?.outcome ?? "error"];
  if (kind === "allow_once") return true;
  if (kind === "allow_always") throw new Error("something was allowed for good");
  if (!mild) turn.cancelled = true;
  return false;
}

async function takeCommand({
  command,
  ask: asks,
  run,
  output = "",
  code = 0,
  cwd = session.cwd,
  extra = {},
}) {
  const toolCallId = `call_${++calls}`;
  const rawInput = { command, cwd, ...extra };
  const call = { toolCallId, kind: "execute", title: command, rawInput };
  update({
    sessionUpdate: "tool_call",
    ...call,
    status: "in_progress",
    content: [{ type: "terminal", terminalId: toolCallId }],
  });
  const end = (state, code, data) =>
    update({
      sessionUpdate: "tool_call_update",
      toolCallId,
      status: state,
      _meta: {
        ...(data ? { terminal_output_delta: { data, terminal_id: toolCallId } } : {}),
        terminal_exit: { exit_code: code, signal: null, terminal_id: toolCallId },
      },
    });
  if (asks && !(await mayGoOn(call))) return end("failed", null);
  const done = run
    ? spawnSync("sh", ["-c", command], { cwd, encoding: "utf8" })
    : { stdout: output, status: code };
  end("completed", done.status, done.stdout);
}

async function takeEdit({ edit, content, ask: asks }) {
  const toolCallId = `call_${++calls}`;
  const path = resolve(session.cwd, edit);
  const diff = { type: "diff", oldText: null, newText: content, path, _meta: { kind: "add" } };
  update({
    sessionUpdate: "tool_call",
    toolCallId,
    kind: "edit",
    title: "Editing files",
    status: "in_progress",
    content: [diff],
  });
  const request = { toolCallId, kind: "edit", title: "Edit files" };
  if (asks && !(await mayGoOn(request)))
    return update({ sessionUpdate: "tool_call_update", toolCallId, status: "failed" });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  update({ sessionUpdate: "tool_call_update", toolCallId, status: "completed" });
}

function leave(where) {
  const child = spawn("sleep", ["1000"], {
    cwd: session.cwd,
    detached: where === "session",
    stdio: "ignore",
  });
  child.unref();
  writeFileSync(join(session.cwd, `left-${++left}.pid`), String(child.pid));
}

async function takeStep(step) {
  if (step.text !== undefined) say(step.text.replaceAll("{{messages}}", JSON.stringify(session.messages)));
  if (step.command !== undefined) await takeCommand(step);
  if (step.edit !== undefined) await takeEdit(step);
  if (step.request) await mayGoOn(step.request.toolCall, step.request.options, step.mild);
  if (step.form) {
    const answer = await ask("elicitation/create", {
      mode: "form",
      message: "Codex needs your input",
      ...step.form,
    });
    say(JSON.stringify(answer));
  }
  if (step.plan) update({ sessionUpdate: "plan", entries: step.plan });
  if (step.update) update(step.update);
  if (step.listen) while (turn.heard < step.listen && !turn.cancelled) await turn.change();
  if (step.hang) while (!turn.cancelled) await turn.change();
  if (step.spawn) leave(step.spawn);
  if (step.raw !== undefined) write(step.raw);
  if (step.stderr) process.stderr.write(step.stderr);
  if (step.exit !== undefined) process.exit(step.exit);
}

async function prompt(id, text) {
  let wake = () => {};
  turn = {
    cancelled: false,
    heard: 0,
    change: () => new Promise((resolve) => (wake = resolve)),
    tell: () => wake(),
  };
  session.messages.push(text.replace(/ #script .*/, ""));
  save();
  const [, script = JSON.stringify(how.otherwise ?? [{ text: "No script" }])] =
    / #script (.*)/.exec(text) ?? [];
  status("active");
  let end = { stopReason: "end_turn" };
  let failed = false;
  const before = messages + calls;
  for (const step of JSON.parse(script)) {
    if (turn.cancelled) break;
    await takeStep(step);
    if (step.error) return finish({ id, error: step.error });
    if (step.stop) end = { stopReason: step.stop };
    if (step.failure) {
      const codex = { error: { message: "Reconnecting... 1/1", codexErrorInfo: step.info, willRetry: true } };
      update({ sessionUpdate: "session_info_update", _meta: { codex } });
      status("systemError");
      update({
        sessionUpdate: "agent_message_chunk",
        content: { type: "text", text: `${step.failure}\n\n` },
      });
      failed = true;
    }
  }
  if (turn.cancelled) end = { stopReason: "cancelled" };
  if (!failed) status("idle");
  const steps = messages + calls - before;
  const usage =
    steps === 0
      ? null
      : {
          totalTokens: 1050 * steps,
          inputTokens: 600 * steps,
          cachedReadTokens: 400 * steps,
          outputTokens: 50 * steps,
        };
  finish({ id, result: { ...end, usage } });
}

function finish(answer) {
  turn = undefined;
  save();
  write(answer);
}

const open = () => ({
  modes: { currentModeId: how.mode ?? env.INITIAL_AGENT_MODE ?? "agent" },
  configOptions: [{ id: "model", category: "model", currentValue: session.model ?? how.model ?? "gpt-5.5" }],
});

const REQUESTS = {
  initialize: () => ({
    protocolVersion: how.protocolVersion ?? 1,
    agentCapabilities: {
      sessionCapabilities: {
        resume: {},
        additionalDirectories: {},
        ...(how.noSystemPrompt ? {} : { systemPrompt: {} }),
      },
      mcpCapabilities: { http: true, sse: false },
    },
    _meta: { steering: { supported: !how.noSteering } },
  }),
  "authentication/status": () => ({ type: how.gateway ? "gateway" : "unauthenticated" }),
  "session/new"(params) {
    if (how.loggedOut) throw { code: -32000, message: "Authentication required" };
    session = {
      id: `session-${process.pid}-${Date.now()}`,
      messages: [],
      asked: params,
      cwd: params.cwd,
      env: { ...env },
    };
    save();
    return { sessionId: how.calledId ?? session.id, ...open() };
  },
  "session/resume"(params) {
    const file = join(folder, `${params.sessionId}.json`);
    if (!existsSync(file))
      throw { code: -32603, message: "Internal error", data: { details: "no rollout found" } };
    session = JSON.parse(readFileSync(file, "utf8"));
    Object.assign(session, { asked: params, cwd: params.cwd });
    return open();
  },
  "session/set_mode"(params) {
    if (how.stuck) throw { code: -32602, message: "No such mode" };
    how.mode = params.modeId;
    return {};
  },
  "session/set_title"(params) {
    session.title = params.title;
    save();
    return { title: params.title };
  },
  "session/set_config_option"(params) {
    if (params.value === "no-such-model") throw { code: -32602, message: "Invalid params" };
    session.model = params.value;
    return open();
  },
  "_session/steering"(params) {
    if (!turn || turn.cancelled) return { outcome: "promptRequired", reason: "noRunningTurn" };
    session.messages.push(params.prompt[0].text);
    turn.heard++;
    turn.tell();
    return { outcome: "injected" };
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, method, params, result, error } = JSON.parse(line);
    if (method === undefined) {
      waiting.get(id)?.(result ?? { outcome: { outcome: "error" }, error });
    } else if (method === "session/cancel") {
      if (!turn || how.deaf) return;
      turn.cancelled = true;
      turn.tell();
    } else if (method === "session/prompt") {
      void prompt(id, params.prompt[0].text);
    } else if (REQUESTS[method]) {
      try {
        const answer = { id, result: REQUESTS[method](params) };
        if (how.lateTitle && method === "session/set_title") process.on("SIGTERM", () => write(answer));
        else write(answer);
      } catch (problem) {
        write({ id, error: problem });
      }
    } else if (id !== undefined) write({ id, error: { code: -32601, message: "Method not found" } });
  })
  .on("close", () => {
    if (!how.linger) process.exit(0);
  });
// Keeps a lingering process alive; everything else ends by process.exit.
setInterval(() => {}, 60_000);
