import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import {
  FINISHED,
  type ModelStep,
  type ScriptedAnthropic,
  type ScriptedAnthropicOptions,
  serveScriptedAnthropic,
} from "../../mocks/scripted-anthropic.js";
import { systemClock } from "../../src/clock.js";
import {
  type AgentEvent,
  type AgentOptions,
  type AgentProcess,
  startAgent,
} from "../../src/engine/agent/claude-agent.js";
import { findClaude } from "../../src/engine/agent/find-claude.js";
import { findAgentProcesses } from "../../src/engine/agent/process-tree.js";

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
      claudePath: found.path,
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

async function finish(run: Watched) {
  run.agent.end();
  return run.agent.exited;
}

const bash = (command: string): ModelStep => ({
  tools: [{ name: "Bash", input: { command, description: "A step" } }],
});

const identityOf = ({ agent }: Watched) => ({ pid: agent.pid, startedAt: agent.processStart });

/** Every request of the conversation as text; what the model has seen. */
const seen = (api: ScriptedAnthropic, index = -1) => JSON.stringify(api.requests.at(index)?.body);

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
        [{ text: "Looking around\nfirst", ...bash("echo one") }, bash("echo two"), { text: "All done" }],
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
      "Bash: echo two",
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

describe("questions", () => {
  const touch = (name: string) => bash(`node -e "require('fs').writeFileSync('${name}','')"`);

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
