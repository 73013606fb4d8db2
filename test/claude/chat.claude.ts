import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type ScriptedAnthropic, serveScriptedAnthropic } from "../../mocks/scripted-anthropic.js";
import { type ServedApi, serveSimulatedApi } from "../../mocks/serve.js";
import { runBin, temporaryFolder, toVariables } from "../support/bin.js";

// The real Claude Code as the chat client of our server, which `install claude-code` has set up: a scripted model
// calls the tool, and the API is simulated. CLAUDE_CLI names the program.
const CLAUDE = process.env.CLAUDE_CLI ?? "claude";
const TOOL = "mcp__automagik__orchestrate_workflow";
const TASK = { workflow_name: "architect", message: "Design the login", max_turns: 2 };

let served: ServedApi;
let model: ScriptedAnthropic;
let home: string;
let env: Record<string, string>;

beforeEach(async () => {
  served = await serveSimulatedApi({ apiKey: "test-key", paceMs: 300 });
  onTestFinished(() => served.close());
  model = await serveScriptedAnthropic({ script: [[{ tools: [{ name: TOOL, input: TASK }] }]] });
  onTestFinished(() => model.close());
  home = temporaryFolder();
  env = {
    PATH: process.env.PATH ?? "",
    HOME: home,
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: "sk-ant-test",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    ...toVariables({ API_KEY: "test-key" }),
  };
  const written = toVariables({ BASE_URL: served.url, STATE_DIR: home, POLLING_INTERVAL: "0.2" });
  expect(await runBin(["install", "claude-code", "--yes"], { ...env, ...written })).toMatchObject({
    code: 0,
  });
});

/** Runs Claude Code in the scratch home. */
function claude(...args: string[]): ChildProcess & { ended: Promise<string> } {
  const child = spawn(CLAUDE, args, { env, cwd: home, stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const ended = new Promise<string>((resolve) => child.once("close", () => resolve(output)));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return Object.assign(child, { ended });
}

interface Form {
  message: string;
  requested_schema: { properties: Record<string, unknown> };
}

/** A conversation of one request, in a program that shows Claude Code's forms itself. @returns the forms shown */
async function converse(answer: ElicitResult): Promise<Form[]> {
  const child = claude(
    ...["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"],
    ...["--permission-prompt-tool", "stdio", "--allowedTools", TOOL],
  );
  const say = (line: object) => child.stdin?.write(`${JSON.stringify(line)}\n`);
  say({ type: "control_request", request_id: "1", request: { subtype: "initialize" } });
  say({ type: "user", message: { role: "user", content: "Design the login for my app" } });
  const forms: Form[] = [];
  if (!child.stdout) throw new Error("no output");
  for await (const line of createInterface({ input: child.stdout })) {
    const { type, request_id, request } = JSON.parse(line);
    if (type === "control_request" && request.subtype === "elicitation") {
      forms.push(request);
      say({ type: "control_response", response: { subtype: "success", request_id, response: answer } });
    }
    if (type === "result") child.stdin?.end();
  }
  await child.ended;
  return forms;
}

/** What the model has read of the tool's answer. */
const read = () => JSON.parse(model.requests.at(-1)?.toolResults[0]?.text ?? "{}");
const runs = () => served.api.world.runs();

test("Claude Code finds the server that was installed for it", async () => {
  const list = claude("mcp", "list");
  list.stdin?.end();
  expect(await list.ended).toMatch(/^automagik: .*cli\.js - .*Connected$/m);
});

/** Claude Code finds tools by searching, and asks the model only when its servers are there. */
const SEARCHES = { ENABLE_TOOL_SEARCH: "true", MCP_CONNECTION_NONBLOCKING: "false" };

test("where tools are searched for, the one tool is there without that, and the instructions name the workflows", async () => {
  Object.assign(env, SEARCHES);
  const child = claude("-p", "--allowedTools", TOOL, "--", "Which workflows are there?");
  child.stdin?.end();
  await child.ended;
  const [first] = model.requests;
  expect(first?.tools).toEqual(expect.arrayContaining(["ToolSearch", TOOL]));
  const told = JSON.stringify(first?.body);
  expect(told).toContain("not your own workflow, task or sub-agent feature");
  expect(told).toMatch(/the workflows [\w, -]*architect/);
});

test("where tools are searched for, a tool of its own is found by words that its name does not have", async () => {
  await model.close();
  model = await serveScriptedAnthropic({
    script: [[{ tools: [{ name: "ToolSearch", input: { query: "refactor bug", max_results: 3 } }] }]],
  });
  Object.assign(env, {
    ANTHROPIC_BASE_URL: model.url,
    ...SEARCHES,
    ...toVariables({ TOOLSET: "named" }),
  });
  const child = claude("-p", "--", "Hand the refactoring over");
  child.stdin?.end();
  await child.ended;
  const [before, after] = model.requests;
  expect(before?.tools.filter((name) => name.startsWith("mcp__"))).toEqual([]);
  expect(after && JSON.stringify(after.body.messages)).toContain("run_workflow");
});

test("a form that the person fills in starts one run, and the model reads its result", async () => {
  const [form, ...more] = await converse({
    action: "accept",
    content: { session_name: "login", git_branch: "feature/login" },
  });
  expect(more).toEqual([]);
  expect(form?.message).toBe("Start workflow architect for: Design the login");
  expect(Object.keys(form?.requested_schema.properties ?? {})).toEqual([
    "session_name",
    "repository_url",
    "git_branch",
  ]);
  expect(read()).toMatchObject({ outcome: "completed", run: { session_name: "login", turn: 2 } });
  expect(runs()).toHaveLength(1);
});

test("a form that is declined starts nothing, and the model reads that", async () => {
  expect(await converse({ action: "decline" })).toHaveLength(1);
  expect(read()).toMatchObject({ outcome: "declined" });
  expect(runs()).toEqual([]);
});

test("in print mode, where Claude Code closes forms by itself, nothing starts, and the model reads what to do", async () => {
  const child = claude("-p", "--allowedTools", TOOL, "--", "Design the login for my app");
  child.stdin?.end();
  expect(await child.ended).toContain("Finished.");
  expect(read()).toMatchObject({
    outcome: "cancelled",
    summary: expect.stringMatching(/nobody saw it.*call again with session_name, repository_url, git_branch/),
  });
  expect(runs()).toEqual([]);
});
