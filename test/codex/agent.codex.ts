import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import {
  FINISHED,
  type ResponsesRequest,
  type ResponsesStep,
  type ScriptedResponses,
  serveScriptedResponses,
} from "../../mocks/scripted-responses.js";
import { codex } from "../../src/engine/agent/acp/codex.js";
import type { AgentOptions, AgentProcess } from "../../src/engine/agent/agent-process.js";
import { describeFailedEnd } from "../../src/engine/agent/end-reasons.js";
import type { AgentEvent } from "../../src/engine/agent/events.js";
import { findAgentProcesses } from "../../src/engine/agent/process-tree.js";
import { createRunPolicy } from "../../src/engine/permissions/run-policy.js";
import { systemClock } from "../../src/shared/clock.js";
import { copyRepository, runGit } from "../support/git-place.js";

/** The real Codex against a scripted model. CODEX_ACP and CODEX_CLI name the programs. */
const ADAPTER = process.env.CODEX_ACP ?? "codex-acp";
const CODEX = process.env.CODEX_CLI ?? "codex";
let folder: string;
let home: string;
let workspace: string;
/** Those of the current test. */
let agents: AgentProcess[];

beforeEach(() => {
  agents = [];
  // Codex puts no programs of its own into a home in the temporary folder, and without them there is no sandbox.
  folder = realpathSync(mkdtempSync(join("/var/tmp", "codex-agent-")));
  home = join(folder, "home");
  workspace = join(folder, "workspace");
  mkdirSync(join(home, ".codex"), { recursive: true });
  mkdirSync(join(folder, "bin"));
  symlinkSync(CODEX, join(folder, "bin", "codex"));
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
}

type Handler = (request: ResponsesRequest) => ResponsesStep | undefined;

/** A model whose n-th answer in the conversation is the n-th step. */
function script(...steps: ResponsesStep[]): Handler {
  return ({ step }) => steps[step];
}

async function serve(handler: Handler): Promise<ScriptedResponses> {
  const api = await serveScriptedResponses(handler);
  onTestFinished(() => api.close());
  return api;
}

/** Codex's own settings, with the scripted model as its provider. */
function configure(api: ScriptedResponses, more = ""): void {
  writeFileSync(
    join(home, ".codex", "config.toml"),
    `model = "gpt-5.5"
model_provider = "fake"
${more}
[model_providers.fake]
name = "fake"
base_url = "${api.url}"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 1
`,
  );
}

/** A repository, and a linked worktree of it as the workspace. */
function makeWorktree(): void {
  const repository = join(folder, "repository");
  copyRepository(repository);
  runGit(
    { PATH: process.env.PATH, HOME: home },
    repository,
    "worktree",
    "add",
    "-q",
    "-b",
    "work",
    workspace,
  );
}

const agentEnv = (): NodeJS.ProcessEnv => ({
  PATH: `${join(folder, "bin")}:${process.env.PATH}`,
  HOME: home,
  AUTOMAGIK_WORKFLOWS_API_KEY: "must-not-reach-the-agent",
  ANTHROPIC_API_KEY: "must-not-reach-it-either",
  GIT_AUTHOR_NAME: "Ada",
  GIT_AUTHOR_EMAIL: "ada@example.org",
  GIT_COMMITTER_NAME: "Ada",
  GIT_COMMITTER_EMAIL: "ada@example.org",
});

async function start(options: Partial<AgentOptions> = {}): Promise<Watched> {
  if (!existsSync(workspace)) mkdirSync(workspace);
  const env = agentEnv();
  const found = await codex.find({ configured: ADAPTER, env });
  if (!found.ok) throw new Error(found.problem);
  const events: AgentEvent[] = [];
  const agent = codex.start(
    {
      path: found.path,
      cwd: workspace,
      prompt: "Hello",
      sessionId: "",
      resume: false,
      allowedTools: [],
      disallowedTools: [],
      permissionMode: "acceptEdits",
      clock: systemClock,
      ...options,
      env: { ...env, ...found.env },
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
        { timeout: 30_000, interval: 20 },
      ),
  };
}

/** Empty for a process that has just ended. */
function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}

async function finish({ agent }: Watched) {
  agent.end();
  return agent.exited;
}

const bash = (cmd: string, more: object = {}): ResponsesStep => ({
  calls: [{ name: "exec_command", input: { cmd, ...more } }],
});
/** A command that its sandbox would not let do its work. */
const escalated = (cmd: string): ResponsesStep =>
  bash(cmd, { sandbox_permissions: "require_escalated", justification: "It writes elsewhere" });

describe("the real Codex", () => {
  test("works in its workspace without a question: commands, a patch, tokens, and its result", async ({
    annotate,
  }) => {
    const api = await serve(
      script(
        { ...bash("cat readme.md; pwd"), text: "I look around" },
        { patch: "*** Begin Patch\n*** Add File: made.txt\n+made by the agent\n*** End Patch" },
        { text: FINISHED },
      ),
    );
    configure(api);
    makeWorktree();
    const began = performance.now();
    const run = await start({ systemPrompt: "Be brief, says the workflow." });
    await run.next("init");
    await annotate(`from looking for Codex to its conversation: ${Math.round(performance.now() - began)} ms`);
    expect(await run.next("result")).toMatchObject({
      ok: true,
      text: FINISHED,
      turns: 3,
      tokens: { input: 3_000, output: 150 },
    });
    expect(readFileSync(join(workspace, "made.txt"), "utf8")).toBe("made by the agent\n");
    expect(run.all("question")).toEqual([]);
    expect(run.all("output")[0]?.text).toContain("hello");
    expect(run.all("action").map(({ text }) => text)).toContain("Edit made.txt");
    expect(api.requests[0]?.instructions).toContain("Be brief, says the workflow.");
    const processes = await findAgentProcesses({ pid: run.agent.pid, startedAt: run.agent.processStart });
    const rss = processes.map(({ pid }) => Number(/VmRSS:\s+(\d+)/.exec(readStatus(pid))?.[1] ?? 0));
    await annotate(
      `memory of its ${rss.length} processes: ${Math.round(rss.reduce((sum, kb) => sum + kb, 0) / 1024)} MiB`,
    );
    const ending = performance.now();
    expect(await finish(run)).toMatchObject({ code: 0 });
    await annotate(`from the end of its input to its own: ${Math.round(performance.now() - ending)} ms`);
    // No other one, for a title say, which would be paid and made with the person's own settings.
    expect(api.requests).toHaveLength(3);
  });

  test("commits in a linked worktree inside of its sandbox, and cannot change what git runs programs by", async () => {
    makeWorktree();
    const repository = join(folder, "repository", ".git");
    const api = await serve(
      script(
        bash("touch n.txt && git add -A && git commit -qm 'agent commit'; echo rc $?"),
        bash(`echo x >> ${repository}/hooks/pre-commit; echo x >> ${repository}/config; echo rc $?`),
      ),
    );
    configure(api);
    const run = await start();
    expect(await run.next("result")).toMatchObject({ ok: true });
    expect(run.all("question")).toEqual([]);
    const git = (...args: string[]) => runGit({ PATH: process.env.PATH, HOME: home }, workspace, ...args);
    expect(git("log", "--format=%s", "-1")).toBe("agent commit");
    expect(existsSync(join(repository, "hooks", "pre-commit"))).toBe(false);
    expect(readFileSync(join(repository, "config"), "utf8")).not.toContain("x\n");
  });

  test("asks before it leaves its sandbox, is allowed once, and a refusal goes on with its reason", async () => {
    const api = await serve((request) =>
      request.userTexts.length > 1
        ? { text: `I heard: ${request.userTexts.at(-1)}` }
        : script(escalated("touch ../one"), escalated("touch ../two"), { text: "not reached" })(request),
    );
    configure(api);
    const run = await start({ name: "fix" });
    const { question } = await run.next("question");
    expect(question.text).toBe("fix wants to run `touch ../one`");
    run.agent.answer(question.questionId, { text: "allow_once" });
    run.agent.answer((await run.next("question", 2)).question.questionId, { text: "Stay inside" });
    const { ok, text } = await run.next("result");
    expect(ok).toBe(true);
    expect(text).toContain("They say: Stay inside");
    expect(existsSync(join(folder, "one"))).toBe(true);
    expect(existsSync(join(folder, "two"))).toBe(false);
    await finish(run);
    // Nothing of it outlives the run.
    expect(existsSync(join(home, ".codex", "rules"))).toBe(false);
  });

  test("needs nobody for what the workflow's rules allow, and is asked for more than that", async () => {
    const api = await serve(
      script(escalated("touch ../ruled"), escalated("touch ../ruled && touch ../more"), { text: "end" }),
    );
    configure(api);
    const facts = {
      allowedTools: ["Bash(touch ../ruled)"],
      workspace,
      privateFolders: [],
      judgesRules: true,
    };
    const policy = createRunPolicy({ facts, consents: { has: () => false, add() {} }, sandboxed: false });
    const run = await start({ policy });
    const { question } = await run.next("question");
    expect(question.detail).toContain("touch ../more");
    expect(existsSync(join(folder, "ruled"))).toBe(true);
    run.agent.answer(question.questionId, { text: "deny" });
    expect(await run.next("result")).toMatchObject({ ok: true });
    expect(run.all("question")).toHaveLength(1);
  });

  test("of a workflow that edits nothing asks before any change, but not for its own note", async () => {
    const notes = join(folder, "notes");
    mkdirSync(notes);
    const add = (path: string) => ({
      patch: `*** Begin Patch\n*** Add File: ${path}\n+text\n*** End Patch`,
    });
    const api = await serve(
      script(
        bash("cat readme.md"),
        bash("touch by-command"),
        add(join(notes, "handover.md")),
        add("made.txt"),
        {
          text: "end",
        },
      ),
    );
    configure(api);
    makeWorktree();
    const run = await start({ permissionMode: "default", ownFolders: [notes] });
    const { question } = await run.next("question");
    expect(question.text).toBe("The agent wants to change the file made.txt");
    run.agent.answer(question.questionId, { text: "deny" });
    expect(await run.next("result")).toMatchObject({ ok: true });
    expect(readFileSync(join(notes, "handover.md"), "utf8")).toBe("text\n");
    expect(existsSync(join(workspace, "made.txt"))).toBe(false);
    expect(existsSync(join(workspace, "by-command"))).toBe(false);
    expect(run.all("turn")).toHaveLength(5);
  });

  test("asks a question of its own where its settings let it", async () => {
    const questions = [
      {
        id: "db",
        header: "Database",
        question: "Which database should I use?",
        options: [
          { label: "SQLite", description: "One file" },
          { label: "Postgres", description: "A server" },
        ],
      },
    ];
    const api = await serve((request) =>
      request.step === 0
        ? { calls: [{ name: "request_user_input", input: { questions } }] }
        : { text: `It says ${request.outputs.at(-1)}` },
    );
    configure(api);
    const run = await start();
    const { question } = await run.next("question");
    expect(question).toMatchObject({ kind: "question", text: "Which database should I use?" });
    run.agent.answer(question.questionId, { text: "Postgres" });
    expect((await run.next("result")).text).toContain('"Postgres"');
  });

  test("gets a message in mid-run", async () => {
    const api = await serve((request) =>
      request.userTexts.length > 1
        ? { text: `I heard: ${request.userTexts.at(-1)}` }
        : script(bash("touch begun; while [ ! -e go ]; do sleep 0.05; done"), { text: "not heard" })(request),
    );
    configure(api);
    const run = await start();
    await vi.waitFor(() => expect(existsSync(join(workspace, "begun"))).toBe(true), { timeout: 30_000 });
    expect(run.agent.send({ id: "m1", type: "user", content: "Use tabs" })).toBe(true);
    await run.next("consumed");
    writeFileSync(join(workspace, "go"), "");
    expect((await run.next("result")).text).toBe("I heard: Use tabs");
    expect(run.all("consumed")).toEqual([{ type: "consumed", messageId: "m1" }]);
    // And one after the result, in the same process.
    run.agent.send({ id: "m2", type: "user", content: "/logout is only a word" });
    expect((await run.next("result", 2)).text).toContain("/logout is only a word");
  });

  test("continues its conversation in a new process", async () => {
    const api = await serve(({ userTexts }) => ({ text: JSON.stringify(userTexts) }));
    configure(api);
    const first = await start({ prompt: "Remember the blue door", systemPrompt: "First workflow" });
    const { sessionId } = await first.next("init");
    await first.next("result");
    await finish(first);
    const second = await start({
      prompt: "And now?",
      sessionId,
      resume: true,
      systemPrompt: "Second workflow",
    });
    const { text = "" } = await second.next("result");
    expect(JSON.parse(text)).toEqual([
      "Remember the blue door",
      expect.stringMatching(/Second workflow\n\nAnd now\?$/),
    ]);
    const gone = await start({ sessionId: "01a223c3-fc56-7101-9957-d5a41e3e4c76", resume: true });
    const exit = await gone.agent.exited;
    expect(describeFailedEnd(gone.all("result")[0], exit).code).toBe("transcript_gone");
  });

  test("an interrupt ends the command that runs", async () => {
    const api = await serve(script(bash("touch begun; (setsid sleep 311 &) ; sleep 300")));
    configure(api);
    const run = await start();
    await vi.waitFor(() => expect(existsSync(join(workspace, "begun"))).toBe(true), { timeout: 30_000 });
    expect(await run.agent.interrupt()).toBe(true);
    const listed = execFileSync("ps", ["-eo", "args="], { encoding: "utf8" });
    expect(listed).not.toMatch(/^sleep 31[1]$/m);
    expect(await run.next("result")).toMatchObject({ ok: false, subtype: "cancelled" });
    await run.agent.exited;
  });

  test.each([false, true])("a kill (force: %s) leaves nothing", async (force) => {
    const policy = createRunPolicy({
      facts: { allowedTools: ["Bash"], workspace, privateFolders: [], judgesRules: true },
      consents: { has: () => false, add() {} },
      sandboxed: false,
    });
    const api = await serve(script(bash("touch begun; sleep 300")));
    configure(api);
    const run = await start({ policy });
    await vi.waitFor(() => expect(existsSync(join(workspace, "begun"))).toBe(true), { timeout: 30_000 });
    await run.agent.kill({ force, graceMs: 3_000 });
    expect(await findAgentProcesses({ pid: run.agent.pid, startedAt: run.agent.processStart })).toEqual([]);
    expect(run.events.at(-1)?.type).toBe("exit");
  });

  test.each([
    ["at once", 0, { status: 429, message: "Too many requests" }, "usage_limit"],
    ["in the middle", 1, { status: 429, message: "Too many requests" }, "usage_limit"],
    ["with its API down", 0, { status: 503, message: "Away" }, "overloaded"],
  ])("that its model does not answer (%s) is no success", async (_when, at, failure, code) => {
    const api = await serve(({ step }) => (step < at ? bash("true") : { failure }));
    configure(api);
    const run = await start();
    const exit = await run.agent.exited;
    const [result] = run.all("result");
    expect(result?.ok).toBe(false);
    expect(describeFailedEnd(result, exit).code).toBe(code);
  });

  test("without a login is told before anything starts", async () => {
    writeFileSync(join(home, ".codex", "config.toml"), "");
    const found = await codex.find({ configured: ADAPTER, env: agentEnv() });
    expect(found).toEqual({ ok: false, problem: expect.stringMatching(/not logged in\. Run `codex login`/) });
  });

  test("gets no MCP server of the person's own, and starts where none of the repository's are", async () => {
    const api = await serve(({ tools }) => ({ text: JSON.stringify(tools) }));
    const touch = (name: string) =>
      `[mcp_servers.${name}]\ncommand = "touch"\nargs = ["${join(folder, `${name}-was-started`)}"]\n`;
    configure(api, "");
    const config = join(home, ".codex", "config.toml");
    writeFileSync(config, `${readFileSync(config, "utf8")}\n${touch("mine")}`);
    const run = await start();
    await run.next("result");
    await finish(run);
    expect(existsSync(join(folder, "mine-was-started"))).toBe(false);
    mkdirSync(join(workspace, ".codex"));
    writeFileSync(join(workspace, ".codex", "config.toml"), touch("theirs"));
    const other = await start();
    expect((await other.agent.exited).stderr).toMatch(/^Codex was not started/);
    expect(existsSync(join(folder, "theirs-was-started"))).toBe(false);
  });

  test("holds nothing of this product or of another agent, and its commands bear the mark by which they are found", async () => {
    const api = await serve((request) =>
      request.step === 0 ? bash("env") : { text: request.outputs.at(-1) ?? "" },
    );
    // Whatever the person's own settings let commands have: by the mark they are found.
    configure(api, '[shell_environment_policy]\ninherit = "none"\nset = { PATH = "/usr/bin:/bin" }');
    const run = await start();
    const { text = "" } = await run.next("result");
    expect(text).toContain("WORKFLOW_AGENT_MARK=");
    expect(text).not.toContain("must-not-reach");
  });
});
