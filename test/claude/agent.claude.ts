import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import {
  FINISHED,
  type ModelStep,
  type ScriptedAnthropic,
  type ScriptedAnthropicOptions,
  serveScriptedAnthropic,
} from "../../mocks/scripted-anthropic.js";
import type { AgentOptions, AgentProcess } from "../../src/engine/agent/agent-process.js";
import { startAgent } from "../../src/engine/agent/claude/claude-agent.js";
import { findClaude } from "../../src/engine/agent/claude/find-claude.js";
import type { AgentEvent } from "../../src/engine/agent/events.js";
import { findOutsideMemory } from "../../src/engine/agent/outside-memory.js";
import { findAgentProcesses } from "../../src/engine/agent/process-tree.js";
import { systemClock } from "../../src/shared/clock.js";

/** The real Claude Code against a scripted model. CLAUDE_CLI names the program. */
const CLAUDE = process.env.CLAUDE_CLI ?? "claude";
let folder: string;
/** Those of the current test. */
let agents: AgentProcess[];
let workspace: string;

beforeEach(() => {
  agents = [];
  folder = mkdtempSync(join(tmpdir(), "claude-agent-"));
  workspace = join(folder, "workspace");
  mkdirSync(workspace);
});
afterEach(async () => {
  // First, because a living agent goes on writing into the folder.
  await Promise.all(agents.map((agent) => agent.kill({ force: true, graceMs: 0 })));
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

type EventOf<T extends AgentEvent["type"]> = Extract<AgentEvent, { type: T }>;

interface Watched {
  agent: AgentProcess;
  events: AgentEvent[];
  all<T extends AgentEvent["type"]>(type: T): EventOf<T>[];
  next<T extends AgentEvent["type"]>(type: T, nth?: number): Promise<EventOf<T>>;
  action(text: string): Promise<void>;
}

async function serve(options: ScriptedAnthropicOptions): Promise<ScriptedAnthropic> {
  const api = await serveScriptedAnthropic(options);
  onTestFinished(() => api.close());
  return api;
}

function agentEnv(api?: ScriptedAnthropic): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: folder,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    AUTOMAGIK_WORKFLOWS_API_KEY: "must-not-reach-the-agent",
    // Leave to use bypassPermissions as root.
    IS_SANDBOX: "1",
    ...(api ? { ANTHROPIC_BASE_URL: api.url, ANTHROPIC_API_KEY: "sk-ant-test" } : {}),
  };
}

async function start(api: ScriptedAnthropic, options: Partial<AgentOptions> = {}): Promise<Watched> {
  const env = agentEnv(api);
  const found = await findClaude({ configured: CLAUDE, env });
  if (!found.ok) throw new Error(found.problem);
  const events: AgentEvent[] = [];
  const agent = startAgent(
    {
      path: found.path,
      extraArgs: found.extraArgs,
      cwd: workspace,
      prompt: "Hello",
      sessionId: randomUUID(),
      resume: false,
      allowedTools: [],
      disallowedTools: [],
      permissionMode: "acceptEdits",
      env,
      clock: systemClock,
      ...options,
    },
    (event) => events.push(event),
  );
  agents.push(agent);
  const all = <T extends AgentEvent["type"]>(type: T) =>
    events.filter((event): event is EventOf<T> => event.type === type);
  const patience = { timeout: 30_000, interval: 20 };
  return {
    agent,
    events,
    all,
    next: (type, nth = 1) =>
      vi.waitFor(() => {
        const found = all(type)[nth - 1];
        if (!found) throw new Error(`no ${type} ${nth} in ${JSON.stringify(events)}`);
        return found;
      }, patience),
    action: (text) =>
      vi.waitFor(() => expect(all("action").map((event) => event.text)).toContain(text), patience),
  };
}

/** Writes a file below the test's folder, which is the agent's home. @returns its path */
function put(name: string, content: string | object): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

async function finish(run: Watched) {
  run.agent.end();
  return run.agent.exited;
}

/** A command; a description of a single word says less than it, and is not shown in its place. */
const bash = (command: string, description = "Step"): ModelStep => ({
  tools: [{ name: "Bash", input: { command, description } }],
});

const identityOf = ({ agent }: Watched) => ({ pid: agent.pid, startedAt: agent.processStart });

/** Every request of the conversation as text; what the model has seen. */
const seen = (api: ScriptedAnthropic, index = -1) => JSON.stringify(api.requests.at(index)?.body);
const seenAtAll = (api: ScriptedAnthropic) => JSON.stringify(api.requests.map(({ body }) => body));

describe("finding", () => {
  test("tells the version and who is logged in", async () => {
    expect(await findClaude({ configured: CLAUDE, env: agentEnv() })).toMatchObject({
      ok: false,
      reason: "logged_out",
    });
    const env = { ...agentEnv(), ANTHROPIC_API_KEY: "sk-ant-test" };
    expect(await findClaude({ configured: CLAUDE, env })).toMatchObject({ ok: true, loggedIn: true });
  });
});

describe("a run", () => {
  test("tells turns, actions, tokens, cost and its result, and gets our system prompt", async () => {
    const api = await serve({
      script: [
        [
          { text: "Looking around\nfirst", ...bash("echo one") },
          bash("echo two", "Print the second"),
          { text: "All done" },
        ],
      ],
    });
    const run = await start(api, { systemPrompt: `Marker-of-the-workflow ${"x".repeat(150_000)}` });
    expect(await run.next("result")).toEqual({
      type: "result",
      ok: true,
      subtype: "success",
      text: "All done",
      turns: 3,
      costUsd: expect.any(Number),
      tokens: { input: 3000, output: 300 },
    });
    expect(run.all("action").map(({ text }) => text)).toEqual([
      "Looking around",
      "Bash: echo one",
      "Print the second",
      "All done",
    ]);
    expect(seen(api)).toContain("Marker-of-the-workflow");
    expect(await finish(run)).toMatchObject({ code: 0 });
  });

  test("shows the model a message that comes in mid-run, and tells when it is taken up", async () => {
    const api = await serve({ script: [[bash("sleep 1; echo slept"), bash("echo after")]] });
    const run = await start(api);
    await run.action("Bash: sleep 1; echo slept");
    run.agent.send({ id: "m1", type: "user", content: "Please use Postgres" });
    run.agent.send({ id: "m2", type: "system", content: "Half of the time is over" });
    expect(run.all("consumed")).toEqual([]);
    await run.next("result");
    expect(run.all("consumed").map(({ messageId }) => messageId)).toEqual(["m1", "m2"]);
    expect(seen(api, 0)).not.toContain("Please use Postgres");
    expect(seen(api, 1)).toContain("Please use Postgres");
    expect(seen(api, 1)).toContain("[System message from the service that runs this workflow");
    expect(run.all("result")).toHaveLength(1);
  });

  test("opens another turn for a message after the result; a slash at its beginning is no command", async () => {
    const api = await serve({ script: [[{ text: "First" }], [{ text: "Second" }]] });
    const run = await start(api);
    await run.next("result");
    run.agent.send({ id: "m1", type: "user", content: "/clear is what the user typed" });
    expect(await run.next("result", 2)).toMatchObject({ text: "Second", turns: 2 });
    expect(seen(api)).toContain("/clear is what the user typed");
    expect(run.all("consumed")).toEqual([{ type: "consumed", messageId: "m1" }]);
  });

  test("continues in a new process with its history, another system prompt, and its own cost", async () => {
    const api = await serve({});
    const sessionId = randomUUID();
    const first = await start(api, { sessionId, systemPrompt: "First workflow", prompt: "The door is blue" });
    const { costUsd } = await first.next("result");
    await finish(first);
    const second = await start(api, { sessionId, resume: true, systemPrompt: "Second workflow" });
    const result = await second.next("result");
    expect(api.requests.at(-1)?.userTexts).toEqual(["The door is blue", "Hello"]);
    expect(seen(api)).toContain("Second workflow");
    expect(seen(api)).not.toContain("First workflow");
    expect(result.costUsd).toBeCloseTo(costUsd ?? 0, 5);
  });

  test("says so when the conversation is not known", async () => {
    const run = await start(await serve({}), { resume: true });
    const exit = await run.agent.exited;
    expect(exit.code).toBe(1);
    expect(exit.stderr).toContain("No conversation found");
    expect(run.all("result")[0]).toMatchObject({ ok: false, turns: 0 });
  });

  test("ends at the turn limit", async () => {
    const run = await start(await serve({ handler: () => bash("echo again") }), { maxTurns: 2 });
    expect(await run.next("result")).toMatchObject({ ok: false, subtype: "error_max_turns", turns: 2 });
  });

  test("ends at the cost limit", async () => {
    const run = await start(await serve({ handler: () => bash("echo again") }), { maxBudgetUsd: 0.001 });
    expect(await run.next("result")).toMatchObject({ ok: false, subtype: "error_max_budget_usd" });
  });

  test("uses the model that is named, by its short name, and another one when the conversation is continued", async () => {
    const api = await serve({});
    const sessionId = randomUUID();
    const first = await start(api, { sessionId, model: "opus" });
    await first.next("result");
    await finish(first);
    const second = await start(api, { sessionId, resume: true, model: "haiku" });
    await second.next("result");
    const models = [first, second].map((run) => run.all("init")[0]?.model);
    expect(models).toEqual([expect.stringMatching(/^claude-opus-/), expect.stringMatching(/^claude-haiku-/)]);
    const asked = api.requests.map(({ body }) => (body as { model?: string }).model);
    expect(asked).toContain(models[0]);
    expect(asked.at(-1)).toBe(models[1]);
  });

  test.each(["sonnet", "fable", "best", "opusplan", "sonnet[1m]"])("knows the model %s", async (model) => {
    const run = await start(await serve({}), { model });
    await run.next("result");
    // A name that it does not know goes to the model's API as it is.
    expect(run.all("init")[0]?.model).toMatch(/^claude-/);
  });

  test("tells in the midst of its work what it has cost, without what the conversation had cost before", async () => {
    const api = await serve({ handler: () => bash("echo again") });
    const sessionId = randomUUID();
    const first = await start(api, { sessionId, maxTurns: 4 });
    const { costUsd = 0 } = await first.next("result");
    const told = first.all("cost").map(({ usd }) => usd);
    expect(told.length).toBeGreaterThan(1);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
    expect(told.at(-1)).toBeLessThanOrEqual(costUsd);
    expect(told.at(-1)).toBeGreaterThan(costUsd / 2);
    await finish(first);
    const second = await start(api, { sessionId, resume: true, maxTurns: 2 });
    const result = await second.next("result");
    expect(result.costUsd).toBeLessThan(costUsd);
    for (const { usd } of second.all("cost")) expect(usd).toBeLessThanOrEqual(result.costUsd ?? 0);
  });

  test("tells what of its list of things to do is done", async () => {
    const create = { name: "TaskCreate", input: { subject: "Analysis", description: "d" } };
    const load = { name: "ToolSearch", input: { query: "select:TaskCreate,TaskUpdate", max_results: 5 } };
    const update = { name: "TaskUpdate", input: { taskId: "1", status: "completed" } };
    const api = await serve({ script: [[{ tools: [load] }, { tools: [create] }, { tools: [update] }]] });
    const run = await start(api);
    await run.next("result");
    expect(run.all("phase")).toEqual([{ type: "phase", name: "Analysis" }]);
  });

  test("reads the folder's CLAUDE.md, but runs no hooks of the folder, and gets no key of ours", async () => {
    const hook = { hooks: [{ type: "command", command: `touch ${join(folder, "hook-ran")}` }] };
    mkdirSync(join(workspace, ".claude"));
    writeFileSync(
      join(workspace, ".claude", "settings.json"),
      JSON.stringify({ hooks: { SessionStart: [hook], UserPromptSubmit: [hook] } }),
    );
    writeFileSync(join(workspace, "CLAUDE.md"), "Rule-of-the-folder");
    const api = await serve({ script: [[bash("env | grep -c AUTOMAGIK_; echo counted")]] });
    const run = await start(api, { permissionMode: "bypassPermissions" });
    await run.next("result");
    expect(existsSync(join(folder, "hook-ran"))).toBe(false);
    expect(seen(api)).toContain("Rule-of-the-folder");
    expect(api.requests.at(-1)?.toolResults[0]?.text).toMatch(/^0\ncounted/);
  });
});

describe("what an agent gets of the person's", () => {
  /** An MCP server that writes its environment into a file and has one tool. */
  function mcpServer(name: string) {
    const script = put(
      "mcp-server.mjs",
      `import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
writeFileSync(process.argv[2], JSON.stringify(process.env));
createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const result = {
    initialize: () => ({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } }),
    "tools/list": () => ({ tools: [{ name: "ping", description: "p", inputSchema: { type: "object" } }] }),
    "tools/call": () => ({ content: [{ type: "text", text: "PONG" }] }),
  }[method]?.() ?? {};
  process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result }) + "\\n");
});`,
    );
    return { command: process.execPath, args: [script, join(folder, `mcp-${name}.json`)] };
  }
  const hook = (name: string) => [
    { hooks: [{ type: "command", command: `touch ${join(folder, `hook-${name}`)}` }] },
  ];
  const HOOKS = ["SessionStart", "UserPromptSubmit", "PreToolUse", "Stop"];
  const traces = () =>
    ["mcp-user", "mcp-folder", "mcp-plugin"]
      .map((name) => `${name}.json`)
      .concat(["hook-plugin", ...HOOKS.map((name) => `hook-${name}`)])
      .filter((name) => existsSync(join(folder, name)));

  /** A home with an MCP server, hooks, and a plugin that brings both; and a folder with an MCP server. */
  function fillHome(): void {
    put(".claude.json", { mcpServers: { user: mcpServer("user") } });
    put("workspace/.mcp.json", { mcpServers: { folder: mcpServer("folder") } });
    put("market/.claude-plugin/marketplace.json", {
      name: "market",
      owner: { name: "o" },
      plugins: [{ name: "plug", source: "./plug", description: "d", version: "1.0.0" }],
    });
    put("market/plug/.claude-plugin/plugin.json", { name: "plug", version: "1.0.0", description: "d" });
    put("market/plug/hooks/hooks.json", { hooks: { SessionStart: hook("plugin") } });
    put("market/plug/.mcp.json", { mcpServers: { plugin: mcpServer("plugin") } });
    const options = { env: agentEnv(), stdio: "ignore" } as const;
    execFileSync(CLAUDE, ["plugin", "marketplace", "add", join(folder, "market")], options);
    execFileSync(CLAUDE, ["plugin", "install", "plug@market"], options);
    const settings = JSON.parse(readFileSync(join(folder, ".claude", "settings.json"), "utf8"));
    put(".claude/settings.json", {
      ...settings,
      hooks: Object.fromEntries(HOOKS.map((name) => [name, hook(name)])),
    });
  }

  test("are no MCP servers and no hooks, neither of the settings nor of plugins", async () => {
    fillHome();
    const api = await serve({ script: [[bash("echo one")]] });
    const run = await start(api);
    await run.next("result");
    await finish(run);
    expect(traces()).toEqual([]);
    expect(run.all("init")[0]?.tools.filter((tool) => tool.startsWith("mcp__"))).toEqual([]);
  });

  test("are the hooks where a setting says so", async () => {
    fillHome();
    const run = await start(await serve({ script: [[bash("echo one")]] }), { personHooks: true });
    await run.next("result");
    await finish(run);
    expect(traces()).toEqual(["hook-plugin", ...HOOKS.map((name) => `hook-${name}`)]);
  });

  test("are not the commands that they have allowed for themselves, nor their further folders", async () => {
    put("further/secret.txt", "hush");
    const further = join(folder, "further");
    put(".claude/settings.json", {
      permissions: { allow: ["Bash(node:*)"], additionalDirectories: [further, folder] },
    });
    const run = await start(
      await serve({
        script: [
          [
            bash("node -e 1"),
            bash(`touch ${join(further, "planted")}`),
            bash(`cat ${join(further, "secret.txt")}`),
            bash("touch here"),
          ],
        ],
      }),
    );
    const { question } = await run.next("question");
    expect(question.text).toContain("node -e 1");
    run.agent.answer(question.questionId, { text: "deny" });
    await run.next("result");
    await finish(run);
    expect(run.all("question")).toHaveLength(1);
    expect(existsSync(join(further, "planted"))).toBe(false);
    // A folder that holds the workspace stays as it is.
    expect(existsSync(join(workspace, "here"))).toBe(true);
  });

  test("are the login and the model", async () => {
    put(".claude/settings.json", { apiKeyHelper: "echo sk-ant-helper", model: "claude-sonnet-4-5" });
    const api = await serve({});
    const env: NodeJS.ProcessEnv = { ...agentEnv(api), ANTHROPIC_API_KEY: undefined };
    const run = await start(api, { env });
    expect(await run.next("result")).toMatchObject({ ok: true });
    expect(run.all("init")[0]?.model).toBe("claude-sonnet-4-5");
  });

  test("are the MCP servers that the workflow names, which bear the agent's mark and are asked for", async () => {
    fillHome();
    const api = await serve({ script: [[{ tools: [{ name: "mcp__named__ping", input: {} }] }]] });
    const run = await start(api, { mcpServers: { named: mcpServer("named") } });
    const { question } = await run.next("question");
    expect(question.toolName).toBe("mcp__named__ping");
    run.agent.answer(question.questionId, { text: "allow_once" });
    await run.next("result");
    expect(api.requests.at(-1)?.toolResults[0]?.text).toBe("PONG");
    expect(traces()).toEqual([]);
    const environment = JSON.parse(readFileSync(join(folder, "mcp-named.json"), "utf8"));
    expect(environment.WORKFLOW_AGENT_MARK).toMatch(/^\w+/);
    expect(environment).not.toHaveProperty("AUTOMAGIK_WORKFLOWS_API_KEY");
  });

  test("is never this product's server, however the agent comes to it", async () => {
    const bin = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
    const own = { command: process.execPath, args: [bin] };
    const api = await serve({ script: [[bash(`${process.execPath} ${bin} --engine local </dev/null`)]] });
    const run = await start(api, { permissionMode: "bypassPermissions", mcpServers: { helper: own } });
    await run.next("result");
    expect(run.all("init")[0]?.tools.filter((tool) => tool.startsWith("mcp__"))).toEqual([]);
    expect(api.requests.at(-1)?.toolResults[0]?.text).toContain("Refused: this was started by an agent");
  });
});

describe("files that nobody has asked for", () => {
  test("do not reach the model by an @ in the task or in a message", async () => {
    const key = put("key.txt", "SECRET-OUTSIDE");
    put("home.txt", "SECRET-HOME");
    put("workspace/inside.txt", "SECRET-INSIDE");
    const api = await serve({ script: [[bash("sleep 1; echo slept"), bash("echo after")]] });
    const run = await start(api, { prompt: `Look at @${key}, @~/home.txt and @inside.txt` });
    await run.action("Bash: sleep 1; echo slept");
    run.agent.send({ id: "m1", type: "user", content: `And at @${key} and @~/home.txt, please` });
    await run.next("result");
    expect(seenAtAll(api)).not.toContain("SECRET");
    expect(seen(api)).toContain("And at @");
  });

  test("do not reach it by links in place of CLAUDE.md and rules, by a linked .claude, nor by imports", async () => {
    const secret = put("outside/secret.md", "SECRET-LINKED");
    put("outside/.claude/CLAUDE.md", "SECRET-FOLDER");
    put("workspace/AGENTS.md", "Rule-of-the-folder");
    const link = (target: string, name: string) => {
      mkdirSync(dirname(join(workspace, name)), { recursive: true });
      symlinkSync(target, join(workspace, name));
    };
    link(secret, ".claude/CLAUDE.md");
    link(secret, ".claude/rules/linked.md");
    link(join(folder, "outside"), ".claude/rules/deep");
    link(secret, "linked.md");
    put("workspace/.claude/rules/own.md", "Rule-in-a-file\n@../../linked.md\n@../../../outside/secret.md");
    // A link that stays inside is fine, and common.
    link("AGENTS.md", "CLAUDE.md");
    const api = await serve({});
    const leaving = await findOutsideMemory(workspace);
    const excludedInstructions = leaving.map((name) => join(workspace, name));
    const run = await start(api, { excludedInstructions });
    await run.next("result");
    expect(seen(api)).toContain("Rule-of-the-folder");
    expect(seen(api)).toContain("Rule-in-a-file");
    expect(seen(api)).not.toContain("SECRET");

    const second = join(folder, "second [1] (x)");
    mkdirSync(second);
    symlinkSync(join(folder, "outside", ".claude"), join(second, ".claude"));
    symlinkSync(secret, join(second, "CLAUDE.md"));
    const found = await findOutsideMemory(second);
    expect(found.sort()).toEqual([join(".claude", "CLAUDE.md"), "CLAUDE.md"]);
    const other = await start(api, {
      cwd: second,
      excludedInstructions: found.map((name) => join(second, name)),
    });
    await other.next("result");
    expect(seen(api)).not.toContain("SECRET");
  });
});

describe("work in the background", () => {
  test("can ask after the main agent's result", async () => {
    const input = {
      description: "Look",
      prompt: "SUB-JOB",
      subagent_type: "general-purpose",
      run_in_background: true,
    };
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const api = await serve({
      async handler({ userTexts, userTurn, step }) {
        if (userTexts[0]?.includes("SUB-JOB")) {
          if (step > 0) return { text: "Sub-agent done" };
          await held;
          return bash(`node -e "require('fs').writeFileSync('made','')"`);
        }
        return userTurn === 0 && step === 0 ? { tools: [{ name: "Agent", input }] } : undefined;
      },
    });
    const run = await start(api);
    await run.next("result");
    run.agent.end();
    release();
    const { question } = await run.next("question");
    expect(question.text).toContain("node -e");
    run.agent.answer(question.questionId, { text: "allow_once" });
    expect(await run.agent.exited).toMatchObject({ code: 0 });
    expect(existsSync(join(workspace, "made"))).toBe(true);
    expect(run.all("background").at(-1)).toEqual({ type: "background", tasks: [] });
    expect(run.all("result").length).toBeGreaterThan(1);
  });
});

test("messages are found behind titles and notes that something writes into the agent's output", async () => {
  const wrapper = put(
    "wrapper.mjs",
    `import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
const child = spawn(${JSON.stringify(CLAUDE)}, process.argv.slice(2), { stdio: ["inherit", "pipe", "inherit"] });
createInterface({ input: child.stdout }).on("line", (line) => console.log("\\u001b]0;claude\\u0007Note {x}: " + line));
child.on("close", (code) => process.exit(code ?? 1));`,
  );
  const run = await start(await serve({ script: [[bash("echo one")]] }), { path: wrapper });
  expect(await run.next("result")).toMatchObject({ ok: true, text: FINISHED });
  expect(run.all("problem")).toEqual([]);
  expect(await finish(run)).toMatchObject({ code: 0 });
});

describe("questions", () => {
  const touch = (name: string) => bash(`node -e "require('fs').writeFileSync('${name}','')"`);

  const WAITS = "until [ -e go ]; do sleep 0.1; done";
  const WAITING = ["Bash(until:*)", "Bash(sleep:*)", "Bash([:*)"];
  /** A model that begins two sub-agents: one that has to ask for its command, and one that works by these steps. */
  const serveTwo = (asking: ModelStep, working: ModelStep[]) => {
    const job = (name: string) => ({
      name: "Agent",
      input: { description: name, prompt: `${name}-JOB`, subagent_type: "general-purpose" },
    });
    return serve({
      handler({ userTexts, userTurn, step }) {
        const [first = ""] = userTexts;
        if (first.includes("ASKING-JOB")) return step === 0 ? asking : { text: "done" };
        if (first.includes("WORKING-JOB")) return working[step] ?? { text: "done" };
        return userTurn === 0 && step === 0 ? { tools: [job("ASKING"), job("WORKING")] } : undefined;
      },
    });
  };

  test("an answer that is kept reaches the agent only when it is let go", async () => {
    const dozen = Array.from({ length: 12 }, () => bash("node --version"));
    const api = await serveTwo(touch("kept"), [bash(WAITS), ...dozen]);
    const run = await start(api, { allowedTools: [...WAITING, "Bash(node --version)"] });
    const { question } = await run.next("question");
    await run.action(`WORKING: Bash: ${WAITS}`);
    run.agent.hold();
    expect(run.agent.answer(question.questionId, { text: "allow_once" })).toBe(true);
    // Beside it the same agent carries out a dozen commands, of which each takes as long as the kept one would.
    put("workspace/go", "");
    const hasWorked = () =>
      api.requests.some(({ userTexts, step }) => userTexts[0]?.includes("WORKING-JOB") && step === 13);
    await vi.waitFor(() => expect(hasWorked()).toBe(true), { timeout: 30_000 });
    expect(existsSync(join(workspace, "kept"))).toBe(false);
    run.agent.letGo();
    const isThere = () => expect(existsSync(join(workspace, "kept"))).toBe(true);
    await vi.waitFor(isThere, { timeout: 30_000 });
  });

  test("a sub-agent's command beside the question of another counts as work, until it has ended", async () => {
    const api = await serveTwo(touch("asked"), [bash(WAITS)]);
    const run = await start(api, { allowedTools: WAITING });
    await run.next("question");
    await run.action(`WORKING: Bash: ${WAITS}`);
    expect(run.agent.worksBeside()).toBe(true);
    put("workspace/go", "");
    await vi.waitFor(() => expect(run.agent.worksBeside()).toBe(false), { timeout: 30_000 });
    expect(run.all("question")).toHaveLength(1);
  });

  test("leave is asked; what is allowed is done, what is denied is not, and the model reads why", async () => {
    const api = await serve({ script: [[touch("allowed"), touch("denied")]] });
    const run = await start(api, { name: "implement" });
    const first = (await run.next("question")).question;
    expect(first.text).toMatch(/^implement wants to run `node -e /);
    expect(existsSync(join(workspace, "allowed"))).toBe(false);
    run.agent.answer(first.questionId, { text: "allow_once" });
    const second = (await run.next("question", 2)).question;
    run.agent.answer(second.questionId, { text: "No, not in this folder" });
    await run.next("result");
    expect(existsSync(join(workspace, "allowed"))).toBe(true);
    expect(existsSync(join(workspace, "denied"))).toBe(false);
    expect(api.requests.at(-1)?.toolResults[0]).toMatchObject({
      isError: true,
      text: expect.stringContaining("They say: No, not in this folder"),
    });
  });

  test("leave for the run covers what the person was shown, and nothing else", async () => {
    const outside = (content: string): ModelStep => ({
      tools: [{ name: "Write", input: { file_path: join(folder, "outside.txt"), content } }],
    });
    const api = await serve({
      script: [
        [
          bash("npm publish"),
          bash("npm publish"),
          bash("npm view x"),
          outside("1"),
          bash("npm publish && reboot"),
        ],
      ],
    });
    const run = await start(api);
    const first = (await run.next("question")).question;
    expect(first.choices[1]).toEqual({ value: "allow_run", title: "Allow for this run: this same command" });
    run.agent.answer(first.questionId, { text: "allow_run" });
    for (const nth of [2, 3, 4]) {
      const { question } = await run.next("question", nth);
      run.agent.answer(question.questionId, { text: "deny" });
    }
    await run.next("result");
    expect(run.all("question").map(({ question }) => question.text.replace(folder, ""))).toEqual([
      "The agent wants to run `npm publish`",
      "The agent wants to run `npm view x`",
      "The agent wants to write the file /outside.txt",
      "The agent wants to run `npm publish && reboot`",
    ]);
    expect(existsSync(join(folder, "outside.txt"))).toBe(false);
  });

  test("of the agent's own are answered together, with a choice and an own text", async () => {
    const options = [
      { label: "Postgres", description: "A server" },
      { label: "SQLite", description: "A file" },
    ];
    const questions = [
      { question: "Which database?", header: "Database", multiSelect: false, options },
      { question: "Which others?", header: "Others", multiSelect: true, options },
    ];
    const api = await serve({ script: [[{ tools: [{ name: "AskUserQuestion", input: { questions } }] }]] });
    const run = await start(api);
    const first = (await run.next("question", 1)).question;
    const second = (await run.next("question", 2)).question;
    expect(first).toMatchObject({ kind: "question", text: "Which database?", multiSelect: false });
    run.agent.answer(first.questionId, { text: "MariaDB, please" });
    run.agent.answer(second.questionId, { text: "Postgres, SQLite" });
    await run.next("result");
    expect(api.requests.at(-1)?.toolResults[0]?.text).toContain(
      '"Which database?"="MariaDB, please", "Which others?"="Postgres, SQLite"',
    );
  });

  test("that nobody answers lets the agent go on, and it reads so", async () => {
    const questions = [
      {
        question: "Which?",
        header: "W",
        multiSelect: false,
        options: [
          { label: "A", description: "a" },
          { label: "B", description: "b" },
        ],
      },
    ];
    const api = await serve({ script: [[{ tools: [{ name: "AskUserQuestion", input: { questions } }] }]] });
    const run = await start(api);
    const { question } = await run.next("question");
    run.agent.answer(question.questionId, { text: "", timedOut: "Nobody answered. Go on without it." });
    expect(await run.next("result")).toMatchObject({ ok: true, text: FINISHED });
    expect(api.requests.at(-1)?.toolResults[0]?.text).toContain("Nobody answered. Go on without it.");
  });
});

describe("killing", () => {
  // Each in a session of its own, as the agent starts its commands, and one that has left its parent.
  const BUSY = bash(`node -e "setInterval(()=>{},1000)" & node -e "setInterval(()=>{},2000)"`);

  test.each([
    ["in an orderly way", { force: false, graceMs: 10_000 }],
    ["by force", { force: true, graceMs: 10_000 }],
    ["at once", { force: true, graceMs: 0 }],
  ])("%s leaves no process", async (_how, how) => {
    const run = await start(await serve({ script: [[BUSY]] }), { permissionMode: "bypassPermissions" });
    // The agent, the shell and its two commands.
    await vi.waitFor(
      async () => expect((await findAgentProcesses(identityOf(run))).length).toBeGreaterThanOrEqual(4),
      { timeout: 20_000 },
    );
    const before = (await findAgentProcesses(identityOf(run))).map(({ pid }) => pid);
    await run.agent.kill(how);
    expect(run.events.at(-1)?.type).toBe("exit");
    expect(before.filter(isAlive)).toEqual([]);
    expect(execFileSync("ps", ["-A", "-o", "args"], { encoding: "utf8" })).not.toContain(
      run.all("init")[0]?.sessionId,
    );
  });

  test("and afterwards the conversation can be continued", async () => {
    const api = await serve({
      handler: (request) => (request.userTurn === 0 && request.step === 0 ? BUSY : undefined),
    });
    const sessionId = randomUUID();
    const run = await start(api, {
      sessionId,
      permissionMode: "bypassPermissions",
      prompt: "The door is blue",
    });
    await run.next("action");
    await run.agent.kill({ force: false, graceMs: 10_000 });
    const second = await start(api, { sessionId, resume: true });
    expect(await second.next("result")).toMatchObject({ ok: true });
    expect(seen(api)).toContain("The door is blue");
  });

  test("an interrupt stops what it does and keeps it for further messages", async () => {
    const api = await serve({
      script: [[BUSY]],
      handler: (r) => (r.userTexts.includes("Go on") ? { text: "On" } : undefined),
    });
    const run = await start(api, { permissionMode: "bypassPermissions" });
    await run.next("tool");
    expect(await run.agent.interrupt()).toBe(true);
    expect(await run.next("result")).toMatchObject({ ok: false, subtype: "error_during_execution" });
    run.agent.send({ id: "m1", type: "user", content: "Go on" });
    expect(await run.next("result", 2)).toMatchObject({ ok: true, text: "On" });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync("/proc") || !readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ");
  } catch {
    return false;
  }
}
