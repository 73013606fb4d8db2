import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { AgentOptions, AgentProcess } from "../src/engine/agent/agent-process.js";
import { buildArguments } from "../src/engine/agent/claude/arguments.js";
import { startAgent } from "../src/engine/agent/claude/claude-agent.js";
import { CLAUDE_VARIABLES } from "../src/engine/agent/claude/environment.js";
import { findClaude } from "../src/engine/agent/claude/find-claude.js";
import { sweepStartFiles } from "../src/engine/agent/claude/start-files.js";
import { buildEnvironment as buildAnyEnvironment } from "../src/engine/agent/environment.js";
import type { AgentEvent } from "../src/engine/agent/events.js";
import {
  agentMark,
  endLeftover,
  findAgentProcesses,
  identityOfRun,
} from "../src/engine/agent/process-tree.js";
import { systemClock } from "../src/shared/clock.js";
import { readAsked, SECRETS, tellAsked } from "./support/asked-programs.js";
import { createHandClock } from "./support/hand-clock.js";

const SCRIPTED = fileURLToPath(new URL("./support/scripted-agent", import.meta.url));
const BASE = {
  path: SCRIPTED,
  resume: false,
  allowedTools: [],
  disallowedTools: [],
  permissionMode: "default" as const,
  clock: systemClock,
};
const buildEnvironment = (env: NodeJS.ProcessEnv, mark: string, passed: string[] = []) =>
  buildAnyEnvironment(env, mark, passed, CLAUDE_VARIABLES);
let folder: string;
/** Those of the current test. */
let agents: AgentProcess[];

beforeEach(() => {
  agents = [];
  folder = mkdtempSync(join(tmpdir(), "engine-agent-"));
});
afterEach(async () => {
  // First, because a living agent goes on writing into the folder.
  await Promise.all(agents.map((agent) => agent.kill({ force: true, graceMs: 0 })));
  rmSync(folder, { recursive: true, force: true });
});

type EventOf<T extends AgentEvent["type"]> = Extract<AgentEvent, { type: T }>;

interface Watched {
  agent: AgentProcess;
  events: AgentEvent[];
  all<T extends AgentEvent["type"]>(type: T): EventOf<T>[];
  /** Waits for the nth event of this type. */
  next<T extends AgentEvent["type"]>(type: T, nth?: number): Promise<EventOf<T>>;
  action(text: string): Promise<void>;
}

function start(script: unknown, options: Partial<AgentOptions> = {}, message = "Do it"): Watched {
  const events: AgentEvent[] = [];
  const agent = startAgent(
    {
      ...BASE,
      cwd: folder,
      sessionId: randomUUID(),
      prompt: `${message} #script ${JSON.stringify(script)}`,
      ...options,
      env: { PATH: process.env.PATH, HOME: folder, ...options.env },
    },
    (event) => events.push(event),
  );
  agents.push(agent);
  const all = <T extends AgentEvent["type"]>(type: T) =>
    events.filter((event): event is EventOf<T> => event.type === type);
  return {
    agent,
    events,
    all,
    next: (type, nth = 1) =>
      vi.waitFor(
        () => {
          const found = all(type)[nth - 1];
          if (!found) throw new Error(`no ${type} ${nth} in ${JSON.stringify(events)}`);
          return found;
        },
        { timeout: 15_000, interval: 10 },
      ),
    action: (text) =>
      vi.waitFor(() => expect(all("action").map((event) => event.text)).toContain(text), {
        timeout: 15_000,
        interval: 10,
      }),
  };
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    // A process that only waits to be collected is not alive any more.
    return !readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" && process.platform !== "linux";
  }
};

const leftPid = (n: number) => Number(readFileSync(join(folder, `left-${n}.pid`), "utf8"));
/** What the scripted agent remembers of its conversation. */
function readSession(): { systemPrompt?: string; lastToolResult?: string } {
  const [file = ""] = readdirSync(join(folder, ".scripted-agent"));
  return JSON.parse(readFileSync(join(folder, ".scripted-agent", file), "utf8"));
}

const bash = (command: string, more: object = {}) => ({
  tools: [{ name: "Bash", input: { command }, ...more }],
});

describe("a run", () => {
  test("tells turns, actions and its result, and ends when its input is closed", async () => {
    const sessionId = randomUUID();
    const run = start([bash("echo one"), { text: "All done\nreally" }], { sessionId });
    const result = await run.next("result");
    expect(result).toMatchObject({ ok: true, text: "All done\nreally", turns: 2, costUsd: 0.02 });
    expect(run.all("init")[0]).toMatchObject({ sessionId });
    run.agent.end();
    expect(await run.agent.exited).toMatchObject({ code: 0, signal: null });
    expect(run.events.at(-1)?.type).toBe("exit");
    expect(run.all("action").map(({ text }) => text)).toEqual(["Bash: echo one", "All done"]);
    expect(run.agent.send({ id: "x", type: "user", content: "late" })).toBe(false);
  });

  test("puts a message before the model in mid-run, and tells when", async () => {
    const run = start([bash("echo one"), { listen: 2 }, { text: "{{messages}}" }]);
    await run.action("Bash: echo one");
    expect(run.agent.send({ id: "m1", type: "user", content: "/clear is a word here" })).toBe(true);
    expect(run.agent.send({ id: "m2", type: "system", content: "Time is short" })).toBe(true);
    expect(run.all("consumed")).toEqual([]);
    const { text } = await run.next("result");
    expect(run.all("consumed").map(({ messageId }) => messageId)).toEqual(["m1", "m2"]);
    const seen = JSON.parse(text ?? "") as string[];
    expect(seen.slice(1)).toEqual([
      " /clear is a word here",
      "[System message from the service that runs this workflow, not from the person]\n\nTime is short",
    ]);
    expect(run.all("result")).toHaveLength(1);
  });

  test("opens another turn for a message after the result", async () => {
    const run = start([{ text: "First" }]);
    await run.next("result");
    run.agent.send({ id: "m1", type: "user", content: `More #script [{"text":"Second"}]` });
    expect(await run.next("result", 2)).toMatchObject({ text: "Second", turns: 2, costUsd: 0.02 });
    expect(run.all("consumed")).toHaveLength(1);
  });

  test("continues a conversation in a new process with its history, at its own cost", async () => {
    const sessionId = randomUUID();
    const first = start([{ text: "ok" }], { sessionId }, "Remember the blue door");
    await first.next("result");
    first.agent.end();
    await first.agent.exited;
    const second = start([{ text: "{{messages}}" }], { sessionId, resume: true });
    const result = await second.next("result");
    expect(result.text).toContain("Remember the blue door");
    expect(result.costUsd).toBeCloseTo(0.01, 5);
  });

  test("says why an unknown conversation cannot be continued", async () => {
    const run = start([], { resume: true });
    expect(await run.agent.exited).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^No conversation/),
    });
    expect(run.all("result")[0]).toMatchObject({ ok: false, errors: [expect.stringMatching(/^No conv/)] });
  });

  test("ends at the turn limit", async () => {
    const run = start([bash("echo 1"), bash("echo 2"), bash("echo 3")], { maxTurns: 2 });
    expect(await run.next("result")).toMatchObject({ ok: false, subtype: "error_max_turns", turns: 2 });
  });

  test("gets its system prompt in a file that is gone afterwards, however long it is", async () => {
    vi.stubEnv("TMPDIR", folder);
    onTestFinished(() => void vi.unstubAllEnvs());
    const promptFolders = () => readdirSync(folder).filter((name) => name.startsWith("workflow-agent-"));
    const run = start([{ text: "read" }], { systemPrompt: "x".repeat(200_000) });
    expect(promptFolders()).toHaveLength(1);
    await run.next("result");
    expect(promptFolders()).toEqual([]);
    run.agent.end();
    await run.agent.exited;
    expect(readSession().systemPrompt).toHaveLength(200_000);
  });

  test("that breaks off tells its exit code and the end of what it said, cleaned", async () => {
    const run = start([
      { stderr: `${"a".repeat(5_000)}\u001b[31mOut of memory\u001b[0m` },
      { wait: 50 },
      { exit: 3 },
    ]);
    const exit = await run.agent.exited;
    expect(exit.code).toBe(3);
    expect(exit.stderr).toHaveLength(2_000);
    expect(exit.stderr.endsWith("aOut of memory")).toBe(true);
  });

  test.each([
    ["a program that is not there", { path: "/nowhere/claude" }],
    ["a folder that is not there", { cwd: "/nowhere" }],
    ["arguments that no system takes", { model: "a\0b" }],
  ])("%s is an exit with the reason", async (_what, options) => {
    const run = start([], options);
    const exit = await run.agent.exited;
    expect(exit).toMatchObject({ code: null, signal: null });
    expect(exit.stderr).toMatch(/^Claude Code could not be started \(/);
    expect(run.events).toEqual([exit]);
    await run.agent.kill({ force: false, graceMs: 100 });
  });
});

describe("a question", () => {
  const PUBLISH = bash("npm publish --tag next", { run: true });
  const written = (command: string) => bash(`touch ${command}`, { run: true });

  test("waits for the person, and only what is allowed is carried out", async () => {
    const run = start([written("allowed"), written("denied"), written("changed"), { text: "end" }]);
    const answers = ["allow_once", "deny", "Use mkdir instead"];
    for (const [index, text] of answers.entries()) {
      const { question } = await run.next("question", index + 1);
      expect(question).toMatchObject({ kind: "permission", toolName: "Bash" });
      run.agent.answer(question.questionId, { text });
    }
    await run.next("result");
    expect(existsSync(join(folder, "allowed"))).toBe(true);
    expect(existsSync(join(folder, "denied"))).toBe(false);
    expect(existsSync(join(folder, "changed"))).toBe(false);
  });

  test("is not asked again once it was allowed for the run, but anything else is", async () => {
    const run = start([
      PUBLISH,
      PUBLISH,
      bash("npm view x"),
      { tools: [{ name: "Write", input: { file_path: "/nowhere/x", content: "1" } }] },
      { text: "end" },
    ]);
    const first = await run.next("question");
    expect(first.question.choices[1]?.title).toBe("Allow for this run: this same command");
    run.agent.answer(first.question.questionId, { text: "allow_run" });
    const second = await run.next("question", 2);
    expect(second.question.text).toBe("The agent wants to run `npm view x`");
    run.agent.answer(second.question.questionId, { text: "deny" });
    const third = await run.next("question", 3);
    expect(third.question.text).toBe("The agent wants to write the file /nowhere/x");
    run.agent.answer(third.question.questionId, { text: "deny" });
    await run.next("result");
    expect(run.all("question")).toHaveLength(3);
  });

  test("for one word that has no rule is remembered as exactly this command", async () => {
    const run = start([bash("reboot"), bash("reboot"), { text: "end" }]);
    const { question } = await run.next("question");
    expect(question.choices[1]?.title).toBe("Allow for this run: this same command");
    run.agent.answer(question.questionId, { text: "allow_run" });
    await run.next("result");
    expect(run.all("question")).toHaveLength(1);
  });

  test("that nobody answers is a refusal with the reason", async () => {
    const run = start([written("x"), { text: "end" }]);
    const { question } = await run.next("question");
    run.agent.answer(question.questionId, {
      text: "allow_once",
      timedOut: "Nobody answered within 1 minute.",
    });
    await run.next("result");
    expect(existsSync(join(folder, "x"))).toBe(false);
    run.agent.end();
    await run.agent.exited;
    expect(readSession().lastToolResult).toBe("Nobody answered within 1 minute.");
  });

  test("of the agent's own with several parts is answered when all parts are", async () => {
    const options = [{ label: "Postgres", description: "p" }, { label: "SQLite" }];
    const run = start([
      {
        ask: [
          { question: "Which database?", options },
          { question: "Which features?", options, multiSelect: true },
        ],
      },
      { text: "end" },
    ]);
    const first = (await run.next("question", 1)).question;
    const second = (await run.next("question", 2)).question;
    expect([first.text, second.text]).toEqual(["Which database?", "Which features?"]);
    run.agent.answer(second.questionId, { text: "Postgres, SQLite" });
    run.agent.answer(first.questionId, { text: "Neither, use files" });
    run.agent.answer(first.questionId, { text: "too late" });
    await run.next("result");
    run.agent.end();
    await run.agent.exited;
    expect(readSession().lastToolResult).toBe(
      'Your questions have been answered: "Which database?"="Neither, use files", "Which features?"="Postgres, SQLite".',
    );
    expect(run.all("question_withdrawn")).toEqual([]);
  });

  test("keeps the input open, and is withdrawn when the agent is interrupted or ends", async () => {
    const run = start([written("x"), { text: "end" }]);
    const { question } = await run.next("question");
    run.agent.end();
    expect(await run.agent.interrupt()).toBe(true);
    expect(run.all("question_withdrawn")).toEqual([
      { type: "question_withdrawn", questionId: question.questionId },
    ]);
    expect(await run.agent.exited).toMatchObject({ code: 1 });

    const other = start([written("x"), { text: "end" }]);
    const asked = await other.next("question");
    await other.agent.kill({ force: true, graceMs: 0 });
    expect(other.events.slice(-2)).toMatchObject([
      { type: "question_withdrawn", questionId: asked.question.questionId },
      { type: "exit" },
    ]);
    expect(existsSync(join(folder, "x"))).toBe(false);
  });

  test("whose id cannot be kept is asked of nobody, and the agent does not wait for an answer", async () => {
    const request = { subtype: "can_use_tool", tool_name: "WebFetch", input: { url: "https://example.com" } };
    const ask = (request_id: string) => ({ raw: { type: "control_request", request_id, request } });
    const run = start([ask("r".repeat(201)), ask("one\ntwo"), ask("short"), { hang: true }]);
    expect((await run.next("question")).question.questionId).toBe("short");
  });

  test("of a kind that is not known gets an answer, so that the agent does not hang", async () => {
    const run = start([
      { raw: { type: "control_request", request_id: "r", request: { subtype: "hook_callback" } } },
      { wait: 50 },
      { text: "end" },
    ]);
    await run.next("result");
    expect(run.all("question")).toEqual([]);
  });
});

describe("killing", () => {
  const BUSY = [bash("echo busy"), { spawn: "group" }, { spawn: "session" }, { text: "left" }];

  test.each([
    ["in an orderly way", {}, { force: false, graceMs: 10_000 }],
    ["by force", {}, { force: true, graceMs: 10_000 }],
    [
      "an agent that is deaf to interrupts and to SIGTERM",
      { deaf: true, ignoreSigterm: true },
      { force: false, graceMs: 300 },
    ],
  ])("%s leaves nothing of it, in whatever group", async (_how, character, how) => {
    const run = start({ steps: [...BUSY, { hang: true }], ...character });
    await run.action("left");
    const pids = [run.agent.pid, leftPid(1), leftPid(2)];
    expect(pids.map(isAlive)).toEqual([true, true, true]);
    await run.agent.kill(how);
    expect(pids.map(isAlive)).toEqual([false, false, false]);
    expect(run.events.at(-1)?.type).toBe("exit");
    expect(run.all("result")).toHaveLength(how.force || how.graceMs < 1_000 ? 0 : 1);
  });

  test("an agent that has nothing to do does not wait for a result", async () => {
    const run = start([{ text: "done" }]);
    await run.next("result");
    // Far beyond the test's own limit: waiting for the grace would fail it.
    await run.agent.kill({ force: false, graceMs: 600_000 });
    expect(run.all("exit")).toHaveLength(1);
  });

  test("by force cuts an orderly one short that takes its time", async () => {
    const run = start({ steps: [bash("echo busy"), { hang: true }], deaf: true });
    await run.action("Bash: echo busy");
    const orderly = run.agent.kill({ force: false, graceMs: 600_000 });
    await run.agent.kill({ force: true, graceMs: 100 });
    await orderly;
    expect(isAlive(run.agent.pid)).toBe(false);
  });

  test("is not needed for what a run that ended by itself has left in the background", async () => {
    const run = start(BUSY);
    await run.next("result");
    run.agent.end();
    await run.agent.exited;
    expect([leftPid(1), leftPid(2)].map(isAlive)).toEqual([false, false]);
  });

  test("is done for a run whose background commands keep it alive long after its result", async () => {
    const clock = createHandClock();
    const run = start({ steps: [{ text: "done" }], linger: true }, { clock });
    await run.next("result");
    run.agent.end();
    clock.advance(299_000);
    expect(isAlive(run.agent.pid)).toBe(true);
    expect(run.all("exit")).toEqual([]);
    clock.advance(1_000);
    expect(await run.agent.exited).toMatchObject({ code: 143 });
  });

  test.each([
    ["a command", "local_bash", 300_000],
    ["a sub-agent", "local_agent", 1_200_000],
  ])("is done for %s in the background that shows no sign of life any more", async (_what, kind, limitMs) => {
    const clock = createHandClock();
    const run = start({ steps: [{ background: [{ hang: true }], kind }, { text: "done" }] }, { clock });
    await run.next("result");
    clock.advance(limitMs - 1_000);
    expect(isAlive(run.agent.pid)).toBe(true);
    clock.advance(1_000);
    expect(await run.agent.exited).toMatchObject({ code: 143 });
  });

  test("is not needed where the line with the result was lost", async () => {
    const clock = createHandClock();
    const run = start([{ raw: '{"type":"resu' }, { hang: true }], { clock });
    await run.next("problem");
    clock.advance(1_200_000);
    expect(run.agent.send({ id: "m", type: "user", content: "x" })).toBe(false);
    process.kill(run.agent.pid, "SIGKILL");
    await run.agent.exited;
  });

  test("after a restart finds what an agent that is gone has left, and nothing else", async () => {
    const run = start([{ spawn: "session" }, { text: "left" }, { hang: true }]);
    await run.action("left");
    const bystander = start([{ text: "here" }, { hang: true }]);
    await bystander.action("here");
    const identity = { pid: run.agent.pid, startedAt: run.agent.processStart };
    // As if the pid had been given to another process in the meantime.
    const other = { pid: bystander.agent.pid, startedAt: run.agent.processStart };
    const found = (await findAgentProcesses(other)).map(({ pid }) => pid).sort();
    expect(found).toEqual([run.agent.pid, leftPid(1)].sort());
    expect(await endLeftover(identity, systemClock)).toBe(true);
    expect([run.agent.pid, leftPid(1)].map(isAlive)).toEqual([false, false]);
    expect(await endLeftover(identity, systemClock)).toBe(false);
    expect(isAlive(bystander.agent.pid)).toBe(true);
  });

  test("after a restart finds the agent of a run whose process was not written down any more", async () => {
    const runId = randomUUID();
    const run = start([{ text: "here" }, { hang: true }], { mark: agentMark(runId) });
    await run.action("here");
    expect(await endLeftover(identityOfRun(randomUUID()), systemClock)).toBe(false);
    expect(isAlive(run.agent.pid)).toBe(true);
    expect(await endLeftover(identityOfRun(runId), systemClock)).toBe(true);
    expect(isAlive(run.agent.pid)).toBe(false);
  });
});

test("files of agents whose engine is gone are removed, and no others", async () => {
  const temporary = join(folder, "temporary");
  const gone = spawnSync(process.execPath, ["-e", ""]).pid;
  const began = readFileSync("/proc/self/stat", "latin1").split(") ")[1]?.split(" ")[19];
  const put = (name: string) => {
    mkdirSync(join(temporary, name), { recursive: true });
    writeFileSync(join(temporary, name, "system-prompt.md"), "secret");
  };
  const kept = [`workflow-agent-${process.pid}.${began}-abc`, "workflow-agent-notes.d", "other"];
  const swept = [
    `workflow-agent-${gone}.5-abc`,
    `workflow-agent-${process.pid}.1-abc`,
    "workflow-agent-Xy12ab",
  ];
  for (const name of [...kept, ...swept]) put(name);
  symlinkSync(join(temporary, "other"), join(temporary, "workflow-agent-link"));
  sweepStartFiles(temporary);
  expect(readdirSync(temporary).sort()).toEqual([...kept, "workflow-agent-link"].sort());
  expect(existsSync(join(temporary, "other", "system-prompt.md"))).toBe(true);
  sweepStartFiles(join(folder, "none"));
});

describe("work in the background", () => {
  const publish = { tools: [{ name: "Bash", input: { command: "touch made" }, run: true }] };

  test("can ask and gets messages after the result of the turn that has begun it", async () => {
    const run = start([{ background: [{ listen: 1 }, publish], name: "Release" }, { text: "Begun" }]);
    expect(await run.next("result")).toMatchObject({ text: "Begun" });
    expect(run.all("background")).toEqual([{ type: "background", tasks: ["local_agent"] }]);
    expect(run.agent.send({ id: "m1", type: "user", content: 'Go #script [{"text":"Heard"}]' })).toBe(true);
    const { question } = await run.next("question");
    run.agent.end();
    run.agent.answer(question.questionId, { text: "allow_once" });
    expect(await run.agent.exited).toMatchObject({ code: 0 });
    expect(existsSync(join(folder, "made"))).toBe(true);
    expect(run.all("result").map(({ text }) => text)).toEqual(["Begun", "Heard", "Release is done"]);
    expect(run.all("background").at(-1)).toEqual({ type: "background", tasks: [] });
  });

  test("keeps the input open although no further message will come", async () => {
    const run = start([{ background: [{ listen: 1 }, publish], name: "Release" }, { text: "Begun" }]);
    await run.next("result");
    run.agent.send({ id: "m1", type: "user", content: 'Go #script [{"text":"Heard"}]' });
    run.agent.end();
    run.agent.answer((await run.next("question")).question.questionId, { text: "allow_once" });
    expect(await run.agent.exited).toMatchObject({ code: 0 });
    expect(existsSync(join(folder, "made"))).toBe(true);
  });
});

test("the environment keeps this product's settings and an outer agent's session from the agent", () => {
  const env = {
    PATH: "/bin",
    AUTOMAGIK_WORKFLOWS_API_KEY: "secret",
    automagik_x: "1",
    CLAUDECODE: "1",
    CLAUDE_CODE_SESSION_ID: "outer",
    CLAUDE_CODE_OAUTH_TOKEN: "token",
    CLAUDE_CODE_ENABLE_TODO_TOOLS: "0",
  };
  expect(buildEnvironment(env, "m")).toEqual({
    PATH: "/bin",
    CLAUDE_CODE_OAUTH_TOKEN: "token",
    CLAUDE_CODE_ENABLE_TODO_TOOLS: "0",
    CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD: "1",
    CLAUDE_CODE_DISABLE_ATTACHMENTS: "1",
    DISABLE_AUTOUPDATER: "1",
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "safe.bareRepository",
    GIT_CONFIG_VALUE_0: "explicit",
    WORKFLOW_AGENT_MARK: "m",
  });
});

test("a folder that only looks like a repository is none to the agent's git, beside settings of the person's own", () => {
  const folder = mkdtempSync(join(tmpdir(), "looks-like-git-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const planted = join(folder, "planted");
  for (const name of ["objects", "refs"]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "HEAD"), "ref: refs/heads/main\n");
  writeFileSync(
    join(folder, "config"),
    `[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\nfsmonitor = "touch ${planted}; false"\n`,
  );
  const own = { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "user.name", GIT_CONFIG_VALUE_0: "Ada" };
  const env = buildEnvironment({ PATH: process.env.PATH, HOME: folder, ...own }, "m");
  const git = (...args: string[]) => spawnSync("git", args, { cwd: folder, env, encoding: "utf8" });
  for (const command of ["status", "log"]) expect(git(command).stderr).toMatch(/bareRepository/);
  expect(existsSync(planted)).toBe(false);
  expect(git("config", "--get", "user.name").stdout.trim()).toBe("Ada");
});

test("credentials of other services are kept from the agent, unless a setting names them", () => {
  const taken = {
    GH_TOKEN: "1",
    GITHUB_TOKEN: "1",
    GH_ENTERPRISE_TOKEN: "1",
    GITLAB_PAT: "1",
    LINEAR_API_KEY: "1",
    LINEAR_TEAM_ID: "1",
    SLACK_CHANNEL: "1",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer 1",
    DISCORD_WEBHOOK_URL: "1",
    NPM_TOKEN: "1",
    "npm_config_//registry.example/:_authToken": "1",
    OPENAI_API_KEY: "1",
    AWS_SECRET_ACCESS_KEY: "1",
    AWS_ACCESS_KEY_ID: "1",
    AWS_SESSION_TOKEN: "1",
    GOOGLE_APPLICATION_CREDENTIALS: "/key.json",
    DB_PASSWORD: "1",
  };
  const kept = {
    PATH: "/bin",
    HTTPS_PROXY: "http://proxy",
    SSH_AUTH_SOCK: "/s",
    NODE_EXTRA_CA_CERTS: "/c",
    TOKENIZERS_PARALLELISM: "1",
    ANTHROPIC_API_KEY: "k",
    ANTHROPIC_AUTH_TOKEN: "k",
    CLAUDE_CODE_OAUTH_TOKEN: "k",
    CLAUDE_CODE_MAX_OUTPUT_TOKENS: "1000",
    AWS_REGION: "eu",
  };
  const env = { ...taken, ...kept };
  const names = (result: NodeJS.ProcessEnv) => Object.keys(result).filter((name) => name in env);
  expect(names(buildEnvironment(env, "m"))).toEqual(Object.keys(kept));
  const listed = names(buildEnvironment(env, "m", ["GH_TOKEN", "slack_*"]));
  expect(listed).toEqual(["GH_TOKEN", "SLACK_CHANNEL", ...Object.keys(kept)]);
  const bedrock = buildEnvironment({ ...env, CLAUDE_CODE_USE_BEDROCK: "1" }, "m");
  expect(names(bedrock).filter((name) => name.startsWith("AWS_"))).toHaveLength(4);
  expect(bedrock).not.toHaveProperty("GITHUB_TOKEN");
});

test("no value on the command line can be taken for an option, and the folder's own settings stay out", () => {
  const args = buildArguments(
    {
      ...BASE,
      cwd: "/w",
      sessionId: "-s",
      allowedTools: ["Bash(a, b:*)", "--x"],
      disallowedTools: ["-y"],
      maxTurns: 3,
      maxBudgetUsd: 1.5,
      model: "--m",
      extraArgs: ["--system-prompt-snapshot=off"],
    },
    { systemPrompt: "/tmp/p" },
  );
  expect(args).toContain("--allowedTools=Bash(a, b:*)");
  expect(args).toContain("--setting-sources=user");
  const names = args.map((argument) => argument.split("=", 1)[0]);
  expect(names.filter((name) => !/^(-p|--[a-z][A-Za-z-]+)$/.test(name ?? ""))).toEqual([]);
  expect(args).not.toContain("--x");
});

test("an agent has no MCP servers and runs no hooks of the person, unless it is told so", () => {
  const plain = buildArguments({ ...BASE, cwd: "/w", sessionId: "s" }, {});
  expect(plain).toContain("--strict-mcp-config");
  expect(plain.filter((argument) => argument.startsWith("--mcp-config"))).toEqual([]);
  expect(plain).toContain('--settings={"disableAllHooks":true}');
  const told = buildArguments(
    { ...BASE, cwd: "/w", sessionId: "s", personHooks: true },
    { mcpConfig: "/tmp/mcp.json" },
  );
  expect(told).toEqual(
    expect.arrayContaining(["--strict-mcp-config", "--mcp-config=/tmp/mcp.json", "--settings={}"]),
  );
});

describe("finding Claude Code", () => {
  const find = (env: NodeJS.ProcessEnv = {}, configured: string | undefined = SCRIPTED) =>
    findClaude({ ...(configured ? { configured } : {}), env: { PATH: process.env.PATH, ...env } });

  /** A program that gives this version and knows these options, and nothing about logins. */
  const pretend = (version: string, options: string) =>
    program(
      `#!/bin/sh\ncase $1 in --help) echo "${options}";; --version) echo ${version};; *) exit 1;; esac`,
    );
  const NEEDED =
    "--input-format --session-id --replay-user-messages --setting-sources --settings --strict-mcp-config";

  function program(text: string): string {
    const path = join(folder, "bin", "claude");
    mkdirSync(join(folder, "bin"), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    return path;
  }

  test("gives its path, version and what this version should be started with", async () => {
    expect(await find()).toEqual({
      ok: true,
      path: SCRIPTED,
      version: "2.1.332",
      loggedIn: true,
      extraArgs: ["--system-prompt-snapshot=off"],
      takesSchema: true,
    });
  });

  test("looks on the PATH, but not in relative folders of it", async () => {
    const path = pretend("9.9.9", NEEDED);
    expect(await find({ PATH: `${join(folder, "bin")}:/bin` }, "")).toMatchObject({ path, version: "9.9.9" });
    expect(await find({ PATH: ".:bin:" }, "")).toMatchObject({ ok: false, reason: "missing" });
  });

  test("says what to do when it is missing, broken, too old or not logged in", async () => {
    expect(await find({}, "/nowhere/claude")).toMatchObject({
      reason: "missing",
      problem: expect.stringContaining('was not found at "/nowhere/claude"'),
    });
    expect(await find({}, program("#!/bin/sh\necho oops >&2; exit 1"))).toMatchObject({
      reason: "broken",
      problem: expect.stringContaining("oops"),
    });
    expect(await find({}, pretend("1.0.3", "--session-id"))).toMatchObject({
      reason: "too_old",
      problem: expect.stringContaining("claude update"),
    });
    expect(await find({ SCRIPTED_AGENT_LOGGED_OUT: "1" })).toMatchObject({
      reason: "logged_out",
      problem: expect.stringContaining("not logged in"),
    });
  });

  test("does not ask about a login where a key is given, and does not know where it cannot be asked", async () => {
    const env = { SCRIPTED_AGENT_LOGGED_OUT: "1", ANTHROPIC_API_KEY: "k" };
    expect(await find(env)).toMatchObject({ ok: true, loggedIn: true });
    const silent = pretend("2.0.1", NEEDED);
    expect(await find({}, silent)).toEqual({
      ok: true,
      path: silent,
      version: "2.0.1",
      loggedIn: "unknown",
      extraArgs: [],
      takesSchema: false,
    });
  });

  test("starts it with what agents get of the environment, and nothing else", async () => {
    const path = program(`#!/bin/sh\n${tellAsked(folder, "$*")}\nexec "${SCRIPTED}" "$@"`);
    const env = {
      PATH: process.env.PATH,
      CLAUDE_CONFIG_DIR: folder,
      ...SECRETS,
      CLAUDE_CODE_SSE_PORT: "1",
    };
    const found = await findClaude({ configured: path, env, passedVariables: ["GITHUB_*"] });
    expect(found).toMatchObject({ ok: true, loggedIn: true });
    const given = ["CLAUDE_CONFIG_DIR", "GITHUB_TOKEN", "PATH"];
    expect(readAsked(folder, env)).toEqual(
      ["--help", "--version", "auth status --json"].map((asked) => ({ asked, given })),
    );
  });

  test("follows npm's batch file on Windows to the program that it starts", async () => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "cli.mjs"), `process.stdout.write("2.1.0 ${NEEDED}")`);
    writeFileSync(join(bin, "claude.cmd"), `@ECHO off\r\n"%_prog%"  "%dp0%\\cli.mjs" %*\r\n`);
    const found = await findClaude({
      env: { PATH: bin, ANTHROPIC_API_KEY: "k" },
      platform: "win32",
    });
    expect(found).toMatchObject({ path: join(bin, "cli.mjs") });
  });
});
