import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { codex } from "../src/engine/agent/acp/codex.js";
import { listCommitFolders } from "../src/engine/agent/acp/git-folders.js";
import type { AgentOptions, AgentProcess } from "../src/engine/agent/agent-process.js";
import { describeFailedEnd } from "../src/engine/agent/end-reasons.js";
import type { AgentEvent } from "../src/engine/agent/events.js";
import { findAgentProcesses } from "../src/engine/agent/process-tree.js";
import { createRunPolicy } from "../src/engine/permissions/run-policy.js";
import { systemClock } from "../src/shared/clock.js";
import { readAsked, SECRETS, tellAsked } from "./support/asked-programs.js";
import { copyRepository, runGit } from "./support/git-place.js";

const SCRIPTED = fileURLToPath(new URL("./support/scripted-acp.mjs", import.meta.url));
const REPLAYED = fileURLToPath(new URL("./support/replayed-acp.mjs", import.meta.url));
const RECORDINGS = fileURLToPath(new URL("./fixtures/acp", import.meta.url));
let folder: string;
/** Those of the current test. */
let agents: AgentProcess[];

beforeEach(() => {
  agents = [];
  folder = mkdtempSync(join(tmpdir(), "acp-agent-"));
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
}

function watch(options: Partial<AgentOptions>): Watched {
  const events: AgentEvent[] = [];
  const agent = codex.start(
    {
      path: SCRIPTED,
      cwd: folder,
      prompt: "Do it",
      sessionId: "",
      resume: false,
      allowedTools: [],
      disallowedTools: [],
      permissionMode: "acceptEdits",
      clock: systemClock,
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
  };
}

const withScript = (script: object[], message = "Do it") => `${message} #script ${JSON.stringify(script)}`;

function start(script: object[], options: Partial<AgentOptions> = {}, how: object = {}): Watched {
  return watch({
    prompt: withScript(script),
    ...options,
    env: { SCRIPTED_ACP: JSON.stringify(how), ...options.env },
  });
}

function replay(recording: string, options: Partial<AgentOptions> = {}): Watched {
  return watch({ path: REPLAYED, extraArgs: [join(RECORDINGS, `${recording}.json`)], ...options });
}

/** What the host has said to a played recording. */
const said = () =>
  readFileSync(join(folder, "said.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { id?: unknown; method?: string; params?: never; result?: unknown });

/** What the scripted agent has noted of its conversation. */
function readSession() {
  const [file = ""] = readdirSync(join(folder, ".scripted-acp"));
  return JSON.parse(readFileSync(join(folder, ".scripted-acp", file), "utf8")) as {
    messages: string[];
    chosen?: string[];
    asked: Record<string, unknown>;
    env: Record<string, string>;
    model?: string;
    title?: string;
  };
}

async function finish({ agent }: Watched) {
  agent.end();
  return agent.exited;
}

const policyWith = (allowedTools: string[], more: object = {}) =>
  createRunPolicy({
    facts: {
      allowedTools,
      workspace: folder,
      privateFolders: [join(folder, "private")],
      judgesRules: true,
      ...more,
    },
    consents: { has: () => false, add() {} },
    sandboxed: false,
  });

describe("an agent of the Agent Client Protocol", () => {
  test("tells turns, actions, output, tokens and its result, and ends when its input is closed", async () => {
    const run = start([
      { text: "I look around" },
      { command: "ls", output: "a.txt\n" },
      { command: "false", code: 1 },
      { edit: "made.txt", content: "made\n" },
      { text: "All done\nreally" },
    ]);
    expect(await run.next("result")).toMatchObject({
      ok: true,
      subtype: "success",
      text: "All done\nreally",
      turns: 4,
      tokens: { input: 5_000, output: 250 },
    });
    expect(run.all("init")).toEqual([
      { type: "init", sessionId: expect.any(String), tools: [], model: "gpt-5.5" },
    ]);
    expect(run.all("action").map(({ text }) => text)).toEqual([
      "I look around",
      "Bash: ls",
      "Bash: false",
      "Edit made.txt",
      "All done",
    ]);
    expect(run.all("output")).toEqual([
      { type: "output", text: "a.txt" },
      { type: "output", text: "", failed: true },
    ]);
    expect(run.all("tool").map(({ name }) => name)).toEqual(["Bash", "Bash", "Edit"]);
    expect(await finish(run)).toMatchObject({ code: 0, signal: null });
    expect(run.events.at(-1)?.type).toBe("exit");
    expect(run.agent.send({ id: "x", type: "user", content: "late" })).toBe(false);
  });

  test("passes over what it does not know, and tells what cannot be read", async () => {
    const run = start([
      { update: { sessionUpdate: "made_up_last_week", text: 7 } },
      { raw: '{"jsonrpc":"2.0","method":"_made/up","params":null}' },
      { raw: '{"jsonrpc":"2.0","id":77,"method":"fs/read_text_file","params":{"path":"/etc/passwd"}}' },
      { raw: "a note of some library" },
      { raw: '{"jsonrpc":' },
      { text: "end" },
    ]);
    expect(await run.next("result")).toMatchObject({ ok: true, text: "end" });
    expect(run.all("problem")).toEqual([{ type: "problem", text: "A line of the agent could not be read" }]);
    expect(run.all("text")).toEqual([{ type: "text", text: "end" }]);
  });

  test("says once that a part of its plan is done, and what it is at", async () => {
    const run = start([
      {
        plan: [
          { content: "Read", status: "in_progress" },
          { content: "Write", status: "pending" },
        ],
      },
      { command: "ls" },
      {
        plan: [
          { content: "Read", status: "completed" },
          { content: "Write", status: "in_progress" },
        ],
      },
      {
        plan: [
          { content: "Read", status: "completed" },
          { content: "Write", status: "completed" },
        ],
      },
    ]);
    await run.next("result");
    expect(run.all("phase").map(({ name }) => name)).toEqual(["Read", "Write"]);
    expect(run.all("action")[0]?.text).toBe("Read: Bash: ls");
  });

  test("puts a message into the turn that goes on, and tells when", async () => {
    const run = start([{ text: "one" }, { listen: 2 }, { text: "{{messages}}" }]);
    await run.next("turn");
    expect(run.agent.send({ id: "m1", type: "user", content: "/logout is a word here" })).toBe(true);
    expect(run.agent.send({ id: "m2", type: "system", content: "Time is short" })).toBe(true);
    const { text } = await run.next("result");
    expect(run.all("consumed").map(({ messageId }) => messageId)).toEqual(["m1", "m2"]);
    expect((JSON.parse(text ?? "") as string[]).slice(1)).toEqual([
      "This is a message: /logout is a word here",
      "[System message from the service that runs this workflow, not from the person]\n\nTime is short",
    ]);
    expect(run.all("result")).toHaveLength(1);
  });

  test("puts a message that comes before there is a conversation into its first turn", async () => {
    const run = start([{ listen: 1 }, { text: "{{messages}}" }]);
    expect(run.agent.send({ id: "m1", type: "user", content: "early" })).toBe(true);
    expect((await run.next("result")).text).toContain("early");
    expect(run.all("consumed")).toEqual([{ type: "consumed", messageId: "m1" }]);
  });

  test("gets messages when its turn has ended where it takes none before", async () => {
    const run = start(
      [
        { edit: "begun.txt", content: "" },
        { command: "while [ ! -e go ]; do sleep 0.02; done", run: true },
      ],
      {},
      { noSteering: true },
    );
    await vi.waitFor(() => expect(existsSync(join(folder, "begun.txt"))).toBe(true), { timeout: 15_000 });
    run.agent.send({
      id: "m1",
      type: "user",
      content: withScript([{ text: "Second: {{messages}}" }], "Now this"),
    });
    expect(run.all("consumed")).toEqual([]);
    writeFileSync(join(folder, "go"), "");
    expect((await run.next("result")).text).toBe('Second: ["Do it","Now this"]');
    expect(run.all("consumed")).toEqual([{ type: "consumed", messageId: "m1" }]);
    expect(run.all("result")).toHaveLength(1);
  });

  test("opens another turn for a message after the result", async () => {
    const run = start([{ text: "First" }]);
    await run.next("result");
    run.agent.send({ id: "m1", type: "user", content: withScript([{ text: "Second" }], "More") });
    expect(await run.next("result", 2)).toMatchObject({ ok: true, text: "Second", turns: 2 });
    expect(run.all("init")).toHaveLength(2);
  });

  test("an answer without words is told as that: the one before does not stand for it", async () => {
    const run = start([{ text: "Nothing to do: all is well" }]);
    await run.next("result");
    run.agent.send({ id: "m1", type: "user", content: withScript([{ command: "ls" }], "Then change it") });
    expect(await run.next("result", 2)).toMatchObject({ ok: true, text: "" });
  });

  test("a reason for the end that is none of the protocol's is told on one line, and not at any length", async () => {
    const run = start([{ text: "end" }, { stop: "made up\n\u001b[2J".repeat(100) }]);
    const { ok, subtype } = await run.next("result");
    expect(ok).toBe(false);
    expect(subtype).toMatch(/^made up made up [ -~]{1,50}…?$/);
  });

  test.each([
    ["longer", [400_000, 400_000, 400_000, 400_000], 1024 * 1024, "x…"],
    ["as long as", [1024 * 1024 - 1, 1], 1024 * 1024, "xx"],
  ])("says what it says in pieces, %s what is kept of it", async (_how, pieces, length, end) => {
    const run = start([
      ...pieces.map((count) => ({
        update: {
          sessionUpdate: "agent_message_chunk",
          messageId: "m",
          content: { type: "text", text: "x".repeat(count) },
        },
      })),
    ]);
    const { text } = await run.next("result");
    expect(text?.length).toBe(length);
    expect(text?.slice(-2)).toBe(end);
  });

  test("continues a conversation in a new process by the id that it has told", async () => {
    const first = start([{ text: "ok" }], { prompt: withScript([{ text: "ok" }], "Remember the blue door") });
    const { sessionId } = await first.next("init");
    await first.next("result");
    await finish(first);
    const second = start([{ text: "{{messages}}" }], { sessionId, resume: true });
    expect((await second.next("result")).text).toBe('["Remember the blue door","Do it"]');
    expect(second.all("init")[0]?.sessionId).toBe(sessionId);
  });

  test("says why an unknown conversation cannot be continued", async () => {
    const run = start([], { sessionId: "gone", resume: true });
    const exit = await run.agent.exited;
    const [result] = run.all("result");
    expect(result).toMatchObject({ ok: false, errors: [expect.stringMatching(/^No conversation found: /)] });
    expect(run.all("init")).toEqual([]);
    expect(describeFailedEnd(result, exit)).toMatchObject({ code: "transcript_gone" });
  });

  test("gets instructions, folders, servers and its model with the conversation", async () => {
    const run = start([{ text: "ok" }], {
      systemPrompt: "Be brief",
      ownFolders: ["/notes"],
      model: "gpt-6",
      mcpServers: { files: { command: "files", args: ["-x"], env: { A: "1" } } },
      env: {
        ANTHROPIC_API_KEY: "no",
        OPENAI_API_KEY: "yes",
        LINEAR_TEAM: "no",
        CODEX_CONFIG: '{"a":1,"features":{"b":true,"apps":true}}',
      },
      excludedInstructions: [join(folder, "AGENTS.md")],
    });
    expect(await run.next("init")).toMatchObject({ model: "gpt-6" });
    await run.next("result");
    const { asked, env, messages, title } = readSession();
    expect(asked).toMatchObject({
      cwd: folder,
      systemPrompt: { mode: "append", content: [{ type: "text", text: "Be brief" }] },
      additionalDirectories: ["/notes"],
      mcpServers: [{ name: "files", command: "files", args: ["-x"], env: [{ name: "A", value: "1" }] }],
    });
    expect(messages).toEqual(["Do it"]);
    // Else a model would be asked for one, with the person's own servers and hooks.
    expect(title).toMatch(/^Do it/);
    expect(env).toMatchObject({ INITIAL_AGENT_MODE: "workspace-write", OPENAI_API_KEY: "yes" });
    expect(JSON.parse(env.CODEX_CONFIG ?? "")).toMatchObject({
      a: 1,
      features: { b: true, default_mode_request_user_input: true, apps: false, plugins: false, hooks: false },
      notify: [],
      web_search: "disabled",
      shell_environment_policy: { set: { WORKFLOW_AGENT_MARK: env.WORKFLOW_AGENT_MARK } },
      project_doc_max_bytes: 0,
    });
    expect(env).not.toHaveProperty("ANTHROPIC_API_KEY");
    expect(env).not.toHaveProperty("LINEAR_TEAM");
  });

  test("gets its instructions with the first prompt where it takes them in no other way", async () => {
    const run = start([{ text: "ok" }], { systemPrompt: "Be brief" }, { noSystemPrompt: true });
    await run.next("result");
    expect(readSession().messages).toEqual([
      expect.stringMatching(/^\[Instructions of .*\]\n\nBe brief\n\nDo it$/),
    ]);
  });

  test("gets its instructions again with a conversation that is continued", async () => {
    const first = start([{ text: "ok" }], { systemPrompt: "First workflow" });
    const { sessionId } = await first.next("init");
    await first.next("result");
    await finish(first);
    const second = start([{ text: "ok" }], { sessionId, resume: true, systemPrompt: "Second workflow" });
    await second.next("result");
    expect(readSession().messages[1]).toContain("\n\nSecond workflow\n\nDo it");
    expect(readSession().asked).not.toHaveProperty("systemPrompt");
  });

  test("that breaks off tells its exit code and what it said, and no result", async () => {
    const run = start([{ text: "one" }, { stderr: "Out of memory\n" }, { exit: 3 }]);
    expect(await run.agent.exited).toMatchObject({ code: 3, stderr: "Out of memory" });
    expect(run.all("result")).toEqual([]);
  });

  test.each([
    ["a program that is not there", { path: "/nowhere/codex-acp" }],
    ["a folder that is not there", { cwd: "/nowhere" }],
  ])("%s is an exit with the reason", async (_what, options) => {
    const run = watch(options);
    const exit = await run.agent.exited;
    expect(exit.stderr).toMatch(/^Codex could not be started \(/);
    expect(run.events).toEqual([exit]);
  });
});

describe("before anything is asked of a model", () => {
  test.each([
    [{ loggedOut: true }, "not_logged_in"],
    [{ protocolVersion: 2 }, undefined],
    // More rights than it should have.
    [{ mode: "agent-full-access", stuck: true }, undefined],
  ])("%j ends the run", async (how, code) => {
    const run = start([{ text: "must not be said" }], {}, how);
    const exit = await run.agent.exited;
    const [result] = run.all("result");
    expect(result).toMatchObject({ ok: false });
    expect(run.all("init")).toEqual([]);
    expect(describeFailedEnd(result, exit).code).toBe(code);
  });

  test.each(["i".repeat(201), "one\ntwo", "\u001b[2Jid"])(
    "an id of its conversation that cannot be kept and shown ends the run: %j",
    async (calledId) => {
      const run = start([{ text: "must not be said" }], {}, { calledId });
      await run.agent.exited;
      expect(run.all("init")).toEqual([]);
      const [said = ""] = run.all("result")[0]?.errors ?? [];
      expect(said).toMatch(
        /^Codex has given its conversation an id that cannot be kept \([^\n\u001b]{2,60}\), so/,
      );
    },
  );

  test("what it calls its model is kept on one line, and not at any length", async () => {
    const run = start([{ text: "ok" }], {}, { model: `gpt\n\u001b[2J${"5".repeat(1_000)}` });
    expect((await run.next("init")).model).toMatch(/^gpt 5{100,115}…$/);
  });

  test("a model that it does not have ends the run", async () => {
    const run = start([{ text: "no" }], { model: "no-such-model" });
    const exit = await run.agent.exited;
    expect(describeFailedEnd(run.all("result")[0], exit).code).toBe("model_missing");
    expect(run.all("init")).toEqual([]);
  });

  test("an agent in another mode is put into the right one", async () => {
    const run = start([{ text: "ok" }], {}, { mode: "agent" });
    expect(await run.next("result")).toMatchObject({ ok: true });
  });

  test("settings of Codex in the workspace end the run, since they run programs unasked", async () => {
    mkdirSync(join(folder, ".codex"));
    const run = start([{ text: "no" }]);
    expect((await run.agent.exited).stderr).toMatch(/^Codex was not started: the workspace has a \.codex\./);
    expect(run.agent.pid).toBe(0);
    mkdirSync(join(folder, "sub", ".git"), { recursive: true });
    const inside = start([{ text: "ok" }], { cwd: join(folder, "sub") });
    expect(await inside.next("result")).toMatchObject({ ok: true });
  });
});

describe("what is no success", () => {
  test.each([
    [
      [
        {
          failure: "exceeded retry limit, last status: 429",
          info: { responseStreamDisconnected: { httpStatusCode: 429 } },
        },
      ],
      "usage_limit",
    ],
    [
      [{ text: "I begin" }, { failure: "You've hit your usage limit", info: "usageLimitExceeded" }],
      "usage_limit",
    ],
    [[{ text: "I begin" }, { failure: "stream disconnected", info: "serverOverloaded" }], "overloaded"],
    [[{ error: { code: -32000, message: "Authentication required" } }], "not_logged_in"],
    [
      [
        { text: "one" },
        {
          error: { code: -32603, message: "Internal error", data: { codexErrorInfo: "usageLimitExceeded" } },
        },
      ],
      "usage_limit",
    ],
    [[{ failure: "exceeded retry limit, last status: 429 Too Many Requests" }], "usage_limit"],
    [[{ text: "one" }, { error: { code: -32603, message: "It broke" } }], undefined],
    [[{ text: "one" }, { stop: "max_tokens" }], undefined],
    [[{ text: "one" }, { stop: "refusal" }], "model_refused"],
    [[], undefined],
  ])("a turn that ends with %j", async (script, code) => {
    const run = start(script as object[]);
    const exit = await run.agent.exited;
    const [result] = run.all("result");
    expect(result?.ok).toBe(false);
    expect(run.all("result")).toHaveLength(1);
    expect(describeFailedEnd(result, exit).code).toBe(code);
    expect(run.agent.send({ id: "m", type: "user", content: "more" })).toBe(false);
  });

  const LONG = `It broke:\n${"no more tokens ".repeat(1_000)}\u001b[2J last status: 429`;
  test.each([
    [{ failure: LONG }],
    [{ error: { code: -32603, message: LONG } }],
    [{ error: { code: -32603, message: "Internal error", data: { details: LONG } } }],
  ])("is told on one line, and not at any length; why is found in all of it", async (step) => {
    const run = start([step]);
    const { errors, cause } = await run.next("result");
    expect(errors).toHaveLength(1);
    expect(errors?.[0]).toMatch(/^(Internal error: )?It broke: [a-z ]{900,1000}…$/);
    expect(cause).toBe("rate_limit");
  });
});

describe("a request for permission", () => {
  const PUBLISH = { command: "npm publish", ask: true };

  test("is answered for this one time, and a refusal goes on with its reason", async () => {
    const run = start([
      { command: "touch allowed", ask: true, run: true },
      { command: "touch denied", ask: true, run: true },
      { text: "must not be reached in this turn" },
    ]);
    const first = (await run.next("question")).question;
    expect(first).toMatchObject({
      kind: "permission",
      toolName: "Bash",
      text: "The agent wants to run `touch allowed`",
      detail: expect.stringContaining("this runs outside of it"),
    });
    run.agent.answer(first.questionId, { text: "allow_once" });
    const second = (await run.next("question", 2)).question;
    run.agent.answer(second.questionId, { text: withScript([{ text: "{{messages}}" }], "Use mkdir") });
    const { text, ok } = await run.next("result");
    expect(ok).toBe(true);
    expect(text).toContain("They say: Use mkdir");
    expect(existsSync(join(folder, "allowed"))).toBe(true);
    expect(existsSync(join(folder, "denied"))).toBe(false);
    expect(readSession().chosen).toEqual(["allow_once", "cancel"]);
    expect(run.all("result")).toHaveLength(1);
  });

  test("is not asked again once it was allowed for the run, and nothing is allowed for good", async () => {
    const run = start([PUBLISH, PUBLISH, { command: "npm view x", ask: true }, { text: "end" }]);
    run.agent.answer((await run.next("question")).question.questionId, { text: "allow_run" });
    const { question } = await run.next("question", 2);
    expect(question.text).toBe("The agent wants to run `npm view x`");
    run.agent.answer(question.questionId, { text: "allow_once" });
    await run.next("result");
    expect(readSession().chosen).toEqual(["allow_once", "allow_once", "allow_once"]);
  });

  test("needs nobody where the workflow's rules allow the command, and only that one", async () => {
    const policy = policyWith(["Bash(npm test:*)"]);
    const run = start(
      [
        { command: "npm test -- a && git status", ask: true },
        { command: "npm test; curl example.org", ask: true },
        { command: "npm test", cwd: "/elsewhere", ask: true },
        { command: "npm test", extra: { additionalPermissions: { network: { enabled: true } } }, ask: true },
        { text: "end" },
      ],
      { policy },
    );
    const seen = [];
    for (let nth = 1; nth <= 3; nth++) {
      const { question } = await run.next("question", nth);
      seen.push(question.detail);
      run.agent.answer(question.questionId, { text: "allow_once" });
    }
    await run.next("result");
    expect(seen[0]).toContain("npm test; curl example.org");
    expect(seen[1]).toContain("cwd: /elsewhere");
    expect(seen[2]).toContain('additionalPermissions: {"network":{"enabled":true}}');
    expect(run.all("question")).toHaveLength(3);
  });

  test("for a host is asked as that, whatever the command, and one for this machine is refused", async () => {
    const policy = policyWith(["Bash"]);
    const run = start(
      [
        { command: "npm ci", extra: { url: "https://registry.npmjs.org" }, ask: true },
        { command: "curl localhost", extra: { url: "http://localhost" }, ask: true },
      ],
      { policy },
    );
    const { question } = await run.next("question");
    expect(question.text).toBe("The agent wants to let a command reach registry.npmjs.org over the network");
    run.agent.answer(question.questionId, { text: "allow_once" });
    await run.next("result");
    expect(readSession().messages[1]).toMatch(/^Commands may not reach services of this machine\./);
    expect(run.all("question")).toHaveLength(1);
  });

  test("to change a file of the engine's own is refused, and any other one outside shown with its change", async () => {
    const outside = mkdtempSync(join(tmpdir(), "acp-outside-"));
    const run = start(
      [
        { edit: join(outside, "x.txt"), content: "one\n", ask: true },
        { edit: "private/key", content: "two\n", ask: true },
      ],
      { policy: policyWith([]) },
    );
    const { question } = await run.next("question");
    expect(question.text).toBe(`The agent wants to change the file ${join(outside, "x.txt")}`);
    expect(question.detail).toContain("+ one");
    run.agent.answer(question.questionId, { text: "allow_once" });
    await run.next("result");
    expect(existsSync(join(folder, "private", "key"))).toBe(false);
    expect(readSession().chosen).toEqual(["allow_once", "cancel"]);
    rmSync(outside, { recursive: true });
  });

  test("to change a file is asked of a workflow that edits nothing, but not for the agent's own note; where a link leads has to be named", async () => {
    const note = join(folder, "notes", "handover.md");
    mkdirSync(join(folder, "notes"));
    symlinkSync(folder, join(folder, "notes", "link"));
    const run = start(
      [
        { edit: note, content: "note\n", ask: true },
        { edit: join(folder, "notes", "link", "x.txt"), content: "elsewhere\n", ask: true },
        { text: "end" },
      ],
      { permissionMode: "default", ownFolders: [join(folder, "notes")], policy: policyWith([]) },
    );
    await run.next("result");
    expect(run.all("question")).toEqual([]);
    expect(readSession().chosen).toEqual(["allow_once", "cancel"]);
    expect(readSession().messages[1]).toContain(`Name the file where it is: ${realpathSync(folder)}/x.txt.`);
    expect(readFileSync(note, "utf8")).toBe("note\n");
    expect(existsSync(join(folder, "x.txt"))).toBe(false);
    expect(readSession().asked.additionalDirectories).toEqual([]);
    expect(readSession().env.INITIAL_AGENT_MODE).toBe("read-only");
  });

  test("to change a file by a link that leads out of the workspace is refused, also where nothing is there yet", async () => {
    const outside = mkdtempSync(join(tmpdir(), "acp-outside-"));
    symlinkSync(join(outside, "later"), join(folder, "dangling"));
    symlinkSync(outside, join(folder, "docs"));
    const otherwise = [{ edit: "docs/new/a.txt", content: "a", ask: true }];
    const run = start(
      [{ edit: "dangling", content: "d", ask: true }],
      { policy: policyWith([]) },
      { otherwise },
    );
    await run.next("init", 4);
    await run.agent.kill({ force: true, graceMs: 0 });
    expect(run.all("question")).toEqual([]);
    expect(readSession().messages[1]).toMatch(/^A link leads from \S+dangling to another place/);
    expect(readSession().messages[2]).toContain(`${realpathSync(outside)}/new/a.txt.`);
    expect(readdirSync(outside)).toEqual([]);
    rmSync(outside, { recursive: true });
  });

  describe("to change a file without showing the change", () => {
    const edit = { kind: "edit", title: "Edit files" };
    const begins = (update: object) => ({
      update: { sessionUpdate: "tool_call", toolCallId: "e", ...edit, status: "in_progress", ...update },
    });
    const asks = (toolCall: object = {}) => ({
      request: { toolCall: { toolCallId: "e", ...edit, ...toolCall } },
    });
    const diff = (path: string) => ({ type: "diff", oldText: "a", newText: "b", path });
    function startWithNote(script: (note: string) => object[]) {
      mkdirSync(join(folder, "notes"));
      const note = join(folder, "notes", "handover.md");
      return start(script(note), {
        permissionMode: "default",
        ownFolders: [join(folder, "notes")],
        policy: policyWith([]),
      });
    }

    test("is refused, also in the agent's own folder: it may be moved anywhere by it", async () => {
      const run = startWithNote((note) => [begins({}), asks({ locations: [{ path: note }] })]);
      await run.next("result");
      expect(run.all("question")).toEqual([]);
      expect(readSession().chosen).toEqual(["cancel"]);
      expect(readSession().messages[1]).toMatch(/^What this would change is not shown to the person/);
    });

    test("is refused where only another call of the same id has shown one", async () => {
      const run = startWithNote((note) => [
        begins({ content: [diff(note)] }),
        asks(),
        { update: { sessionUpdate: "tool_call_update", toolCallId: "e", status: "completed" } },
        begins({}),
        asks(),
      ]);
      await run.next("result");
      expect(run.all("question")).toEqual([]);
      expect(readSession().chosen).toEqual(["allow_once", "cancel"]);
    });

    test("is another matter than to move it: that is asked with both places", async () => {
      const run = startWithNote((note) => [
        begins({ content: [diff(join(folder, "moved.md"))] }),
        asks({ locations: [{ path: note }] }),
      ]);
      const { question } = await run.next("question");
      expect(question.text).toBe("The agent wants to change several files");
      expect(question.detail).toContain(`${folder}/notes/handover.md\n${folder}/moved.md`);
      expect(question.choices[1]?.title).toBe("Allow for this run: exactly this call");
    });
  });

  test("that can be refused without the end of the turn is, and the reason is put into it", async () => {
    const options = [
      { optionId: "allow_permissions_turn", name: "Yes, for this turn", kind: "allow_once" },
      { optionId: "allow_permissions_session", name: "Yes, for this session", kind: "allow_always" },
      { optionId: "reject_permissions", name: "No", kind: "reject_once" },
    ];
    const toolCall = {
      toolCallId: "c",
      kind: "other",
      title: "Additional sandbox permissions",
      content: [{ type: "content", content: { type: "text", text: "Enable network access" } }],
    };
    const run = start([
      { request: { toolCall, options }, mild: true },
      { listen: 1 },
      { text: "{{messages}}" },
    ]);
    const { question } = await run.next("question");
    expect(question.detail).toContain("Enable network access");
    run.agent.answer(question.questionId, { text: "Work offline" });
    expect((await run.next("result")).text).toContain("They say: Work offline");
    expect(run.all("init")).toHaveLength(1);
  });

  test("that nobody answers is refused with the reason", async () => {
    const run = start([PUBLISH]);
    const { question } = await run.next("question");
    run.agent.answer(question.questionId, {
      text: "allow_once",
      timedOut: "Nobody answered within 1 minute.",
    });
    await run.next("result");
    expect(readSession().chosen).toEqual(["cancel"]);
    expect(readSession().messages[1]).toMatch(/^Nobody answered within 1 minute\./);
  });

  test("that is refused over and over ends the run at last, and not well", async () => {
    const otherwise = [{ command: "sudo id", ask: true }];
    const run = start(otherwise, { policy: policyWith([]) }, { otherwise });
    expect(await run.next("result")).toMatchObject({
      ok: false,
      subtype: "cancelled",
      errors: ["This is never allowed in a run."],
    });
    expect(run.all("init")).toHaveLength(20);
    await run.agent.exited;
  });
});

describe("a question of the agent's own", () => {
  const options = ["SQLite", "Postgres", "None of the above"].map((name) => ({ const: name, title: name }));
  const about = (codexMeta: object) => ({ _meta: { codex: codexMeta } });
  const form = {
    requestedSchema: {
      type: "object",
      properties: {
        db: { type: "string", title: "Which database?", oneOf: options, ...about({ isSecret: false }) },
        db_note: { type: "string", title: "Note", ...about({ questionId: "db", role: "user_note" }) },
        many: { type: "array", title: "Which parts?", items: { enum: ["api", "page"] } },
        sure: { type: "boolean", title: "Sure?" },
      },
    },
  };

  test("is asked part by part, and answered as a whole", async () => {
    const run = start([{ form }]);
    await run.next("question", 3);
    const [db, many, sure] = run.all("question").map(({ question }) => question);
    expect(db).toMatchObject({ kind: "question", text: "Which database?", multiSelect: false });
    expect(db?.choices.map(({ value }) => value)).toEqual(["SQLite", "Postgres", "None of the above"]);
    run.agent.answer(many?.questionId ?? "", { text: "api, page" });
    run.agent.answer(sure?.questionId ?? "", { text: "Yes" });
    run.agent.answer(db?.questionId ?? "", { text: "A file of my own" });
    const { text } = await run.next("result");
    expect(JSON.parse(text ?? "")).toEqual({
      action: "accept",
      content: { db: "None of the above", db_note: "A file of my own", many: ["api", "page"], sure: true },
    });
  });

  test("has choices of a bounded length, each of which stands for what it was", async () => {
    const value = "of a kind ".repeat(100);
    const oneOf = [1, 2, 3].map((number) => ({ const: `${value}${number}` }));
    const run = start([{ form: { requestedSchema: { properties: { kind: { type: "string", oneOf } } } } }]);
    const { question } = await run.next("question");
    const values = question.choices.map((choice) => choice.value);
    expect(values.map((one) => one.length <= 120)).toEqual([true, true, true]);
    expect(new Set(values).size).toBe(3);
    run.agent.answer(question.questionId, { text: values[1] ?? "" });
    const { text } = await run.next("result");
    expect(JSON.parse(text ?? "")).toEqual({ action: "accept", content: { kind: `${value}2` } });
  });

  test("has choices with commas in them, of which several are chosen", async () => {
    const items = { enum: ["red, blue", "red", "blue"] };
    const run = start([{ form: { requestedSchema: { properties: { colours: { type: "array", items } } } } }]);
    const { question } = await run.next("question");
    run.agent.answer(question.questionId, { text: "red, blue, red" });
    const { text } = await run.next("result");
    expect(JSON.parse(text ?? "")).toEqual({ action: "accept", content: { colours: ["red, blue", "red"] } });
  });

  test("with more parts than a person is asked at once is refused, and the model is told", async () => {
    const parts = Array.from({ length: 5_000 }, (_, at) => [`part${at}`, { type: "string" }]);
    const run = start([{ form: { requestedSchema: { properties: Object.fromEntries(parts) } } }]);
    expect(JSON.parse((await run.next("result")).text ?? "")).toEqual({ action: "decline" });
    expect(run.all("question")).toEqual([]);
    expect(readSession().messages.join("\n")).toMatch(/These are 5000 questions, .* at most 20 at once/);
  });

  test("for a secret is not asked: the answer would be kept with the run", async () => {
    const secret = {
      requestedSchema: { properties: { key: { type: "string", ...about({ isSecret: true }) } } },
    };
    const run = start([{ form: secret }]);
    expect(JSON.parse((await run.next("result")).text ?? "")).toEqual({ action: "decline" });
    expect(run.all("question")).toEqual([]);
  });
});

describe("its end", () => {
  const LONG = { command: "touch begun; exec sleep 1000", run: false };
  const identityOf = ({ agent }: Watched) => ({ pid: agent.pid, startedAt: agent.processStart });
  const leftPid = (n: number) => Number(readFileSync(join(folder, `left-${n}.pid`), "utf8"));
  const isAlive = (pid: number) => {
    try {
      return !readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ");
    } catch {
      return false;
    }
  };

  test("an interrupt ends the turn and the command that it leaves running", async () => {
    const run = start([{ spawn: "session" }, LONG, { hang: true }]);
    await run.next("tool");
    const pid = leftPid(1);
    expect(isAlive(pid)).toBe(true);
    expect(await run.agent.interrupt()).toBe(true);
    expect(isAlive(pid)).toBe(false);
    expect(await run.next("result")).toMatchObject({ ok: false, subtype: "cancelled" });
    expect(await run.agent.exited).toMatchObject({ code: 0 });
  });

  test("an interrupt withdraws a question, and what was asked is not allowed", async () => {
    const run = start([{ command: "touch x", ask: true, run: true }, { text: "end" }]);
    const { question } = await run.next("question");
    expect(await run.agent.interrupt()).toBe(true);
    expect(run.all("question_withdrawn")).toEqual([
      { type: "question_withdrawn", questionId: question.questionId },
    ]);
    expect(run.agent.answer(question.questionId, { text: "allow_once" })).toBe(false);
    await run.agent.exited;
    expect(existsSync(join(folder, "x"))).toBe(false);
  });

  test.each([
    ["cancels first", {}, false],
    ["that does not listen", { deaf: true, linger: true }, false],
    ["with force", {}, true],
  ])("a kill %s leaves nothing", async (_what, how, force) => {
    const run = start(
      [{ spawn: "group" }, { spawn: "session" }, { command: "true" }, { hang: true }],
      {},
      how,
    );
    await run.next("tool");
    await run.agent.kill({ force, graceMs: 300 });
    expect(await findAgentProcesses(identityOf(run))).toEqual([]);
    expect([leftPid(1), leftPid(2)].map(isAlive)).toEqual([false, false]);
    expect(run.events.at(-1)?.type).toBe("exit");
    expect(run.all("result").every(({ ok }) => !ok)).toBe(true);
  });

  test("before its first prompt begins nothing, although its conversation is open by then", async () => {
    const run = start([{ text: "must not be said" }], {}, { lateTitle: true });
    await vi.waitFor(() => expect(readSession().title).toBeTruthy(), { timeout: 15_000, interval: 10 });
    await run.agent.kill({ force: false, graceMs: 300 });
    expect(run.all("init")).toEqual([]);
    expect(run.all("result")).toEqual([]);
    expect(readSession().messages).toEqual([]);
  });

  test("that does not come by itself when its input has ended is brought about", async () => {
    const fast = {
      ...systemClock,
      after: (ms: number, task: () => void) => systemClock.after(ms / 100, task),
    };
    const run = start([{ text: "ok" }], { clock: fast }, { linger: true });
    await run.next("result");
    expect(await finish(run)).toMatchObject({ signal: "SIGKILL" });
  });

  test("while a question is open does not come", async () => {
    const run = start([{ command: "touch x", ask: true, run: true }, { text: "end" }]);
    const { question } = await run.next("question");
    run.agent.end();
    run.agent.answer(question.questionId, { text: "allow_once" });
    expect(await run.next("result")).toMatchObject({ ok: true });
    expect(await run.agent.exited).toMatchObject({ code: 0 });
  });

  test("answers are kept while it is held", async () => {
    const run = start([{ command: "touch x", ask: true, run: true }, { text: "end" }]);
    const { question } = await run.next("question");
    expect(run.agent.worksBeside()).toBe(false);
    run.agent.hold();
    run.agent.answer(question.questionId, { text: "allow_once" });
    expect(run.all("result")).toEqual([]);
    run.agent.letGo();
    await run.next("result");
    expect(existsSync(join(folder, "x"))).toBe(true);
  });
});

describe("frames of the real Codex", () => {
  test("work with a permission", async () => {
    const run = replay("codex-work", { name: "implement" });
    const { question } = await run.next("question");
    expect(question.text).toBe(
      "implement wants to run `echo hello-from-agent > /home/ada/lab/outside-$PPID.txt; echo NEEDS_LEAVE; pwd; ls` outside of the sandbox",
    );
    expect(question.detail).toContain("cwd: /home/ada/wt/codex-work-375473");
    run.agent.answer(question.questionId, { text: "allow_run" });
    expect(await run.next("result")).toMatchObject({
      ok: true,
      turns: 3,
      tokens: { input: 3_000, output: 150 },
      text: expect.stringMatching(/^Finished\./),
    });
    expect(said().find(({ method, id }) => method === undefined && id === 0)?.result).toEqual({
      outcome: { outcome: "selected", optionId: "allow_once" },
    });
    expect(run.all("output")).toEqual([
      { type: "output", text: "NEEDS_LEAVE\n/home/ada/wt/codex-work-375473\na.txt" },
    ]);
    expect(run.all("action").map(({ text }) => text)).toEqual([
      "Step 1 of work",
      "Bash: echo hello-from-agent > /home/ada/lab/outside-$PPID.txt; echo NEEDS_LEAVE; pwd; ls",
      "Step 2 of work",
      "Edit /home/ada/wt/codex-work-375473/made.txt",
      'Finished. Said: ["SCENARIO:work+REMEMBER:blue"]; last result: Exit code: 0',
    ]);
    expect(await finish(run)).toMatchObject({ code: 0 });
  });

  test("a refusal, which ends the turn and goes on with the reason", async () => {
    const run = replay("codex-deny");
    const { question } = await run.next("question");
    run.agent.answer(question.questionId, { text: "Not outside of the workspace" });
    await run.next("init", 2);
    await vi.waitFor(() =>
      expect(said().filter(({ method }) => method === "session/prompt")).toHaveLength(2),
    );
    expect(JSON.stringify(said().at(-1))).toContain("They say: Not outside of the workspace");
    expect(run.all("result")).toEqual([]);
  });

  test("a 429, which ends the turn like any other", async () => {
    const run = replay("codex-fail");
    expect(await run.next("result")).toMatchObject({
      ok: false,
      cause: "rate_limit",
      errors: ["exceeded retry limit, last status: 429 Too Many Requests"],
    });
    expect(run.all("turn")).toEqual([]);
  });

  test("a question of its own", async () => {
    const run = replay("codex-ask");
    const { question } = await run.next("question");
    expect(question.text).toBe("Which database should I use?");
    run.agent.answer(question.questionId, { text: "Postgres" });
    expect(await run.next("result")).toMatchObject({ ok: true, turns: 2 });
    expect(said().find(({ method, id }) => method === undefined && id === 0)?.result).toEqual({
      action: "accept",
      content: { db: "Postgres" },
    });
  });

  test("a conversation that is continued", async () => {
    const sessionId = "01a223c3-fc56-7101-9957-d5a41e3e4c76";
    const recorded = JSON.parse(readFileSync(join(RECORDINGS, "codex-resume.json"), "utf8")) as {
      msg: { method?: string; id?: number };
    }[];
    expect(recorded.some(({ msg }) => msg.method === "session/resume")).toBe(true);
    const run = replay("codex-resume", { sessionId, resume: true });
    expect(await run.next("result")).toMatchObject({
      ok: true,
      text: expect.stringContaining("REMEMBER:blue"),
    });
  });

  test("a turn that is cancelled", async () => {
    const run = replay("codex-cancel");
    run.agent.answer((await run.next("question")).question.questionId, { text: "allow_once" });
    await vi.waitFor(() => expect(said().at(-1)?.method).toBe(undefined));
    expect(await run.agent.interrupt()).toBe(true);
    expect(await run.next("result")).toMatchObject({ ok: false, subtype: "cancelled" });
  });
});

describe("finding Codex", () => {
  const find = (how: object, options: object = {}) =>
    codex.find({
      configured: SCRIPTED,
      env: { PATH: process.env.PATH, HOME: folder, SCRIPTED_ACP: JSON.stringify(how) },
      ...options,
    });

  test("tells its version, and leaves the person's own servers out", async () => {
    expect(await find({})).toMatchObject({ ok: true, path: SCRIPTED, version: "0.171.0" });
    const found = await find({ servers: ["linear", "automagik"] });
    expect(found.ok && JSON.parse(found.env?.CODEX_CONFIG ?? "")).toEqual({
      mcp_servers: { linear: { enabled: false }, automagik: { enabled: false } },
    });
  });

  test.each([
    [{ loggedOut: true }, /not logged in\. Run `codex login`/],
    [{ adapter: "2.5.9" }, /codex-acp 2\.5\.9 .* is older than 2\.6\. Update both/],
    [{ serversText: "Error: config.toml is broken" }, /does not tell which MCP servers it has/],
    [{ codex: "0.99.0" }, /Codex 0\.99\.0 is older than 0\.171\. Update both/],
  ])("%j is told", async (how, problem) => {
    expect(await find(how)).toMatchObject({ ok: false, problem: expect.stringMatching(problem) });
  });

  test("needs no login with a provider of the person's own", async () => {
    expect(await find({ loggedOut: true, gateway: true })).toMatchObject({ ok: true });
  });

  test("starts it with what agents get of the environment, and nothing else", async () => {
    const path = join(folder, "codex-acp");
    const script = `#!/bin/sh\n${tellAsked(folder, "$*")}\nexec "${process.execPath}" "${SCRIPTED}" "$@"`;
    writeFileSync(path, script, { mode: 0o755 });
    const env = {
      PATH: process.env.PATH,
      HOME: folder,
      SCRIPTED_ACP: JSON.stringify({ loggedOut: true, gateway: true }),
      OPENAI_API_KEY: "of-the-model",
      ...SECRETS,
    };
    const found = await codex.find({ configured: path, env, passedVariables: ["GITHUB_*"] });
    expect(found).toMatchObject({ ok: true });
    // The first one is asked for how it reaches its model.
    const calls = ["", "--version", "cli -V", "cli login status", "cli mcp list --json"];
    const given = ["GITHUB_TOKEN", "HOME", "OPENAI_API_KEY", "PATH", "SCRIPTED_ACP"];
    expect(readAsked(folder, env)).toEqual(calls.map((asked) => ({ asked, given })));
  });

  test("says what is missing", async () => {
    const problem = expect.stringMatching(
      /^codex-acp was not found at "\/nowhere", where the settings say it is\. .*, or correct the setting\.$/,
    );
    expect(await find({}, { configured: "/nowhere" })).toEqual({ ok: false, problem });
  });
});

describe("commits in a linked worktree", () => {
  test("have their folders, and not the repository's settings and hooks", async () => {
    const env = { PATH: process.env.PATH, HOME: folder };
    const [repository, worktree] = [join(folder, "repository"), join(folder, "worktree")];
    copyRepository(repository);
    runGit(env, repository, "worktree", "add", "-q", worktree);
    const git = join(realpathSync(repository), ".git");
    expect(listCommitFolders(worktree)).toEqual([
      join(git, "worktrees", "worktree"),
      ...["objects", "refs", "logs"].map((name) => join(git, name)),
    ]);
    expect(listCommitFolders(repository)).toEqual([]);
  });
});
