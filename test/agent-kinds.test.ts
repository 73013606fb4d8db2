import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { renderAgentsTable } from "../scripts/render-agents-table.js";
import type { AboutKind, AgentKind } from "../src/engine/agent/agent-kind.js";
import { AGENT_KINDS } from "../src/engine/agent/agent-kinds.js";
import { createLiveAgents } from "../src/engine/live-agents.js";
import type { EngineRun, RunRequest } from "../src/engine/runs/run.js";
import { EngineRefusal } from "../src/engine/types.js";
import { systemClock } from "../src/shared/clock.js";
import { createWorld, REQUEST, type World } from "./support/walked-engine.js";

const CLAUDE = AGENT_KINDS[0] as AboutKind;
/** Another kind, which can be held to little. */
const OTHER: AboutKind = {
  name: "codex",
  title: "Codex",
  login: "Run `codex login` in a terminal",
  models: [],
  capabilities: {
    ...CLAUDE.capabilities,
    chosenSessionId: false,
    tellsCost: false,
    turnLimit: "engine",
    costLimit: false,
    rules: "asked",
    disallowedTools: false,
    sandbox: false,
    mcpServers: false,
    tellsSuccess: false,
  },
};
const CODEX_KIND: AgentKind = { ...(AGENT_KINDS[0] as AgentKind), ...OTHER };
const CODEX = { agent: "codex" } as const;
const DONE = `${REQUEST.message} [say Looked at all of it.]`;

type Options = Parameters<World["open"]>[0];

/** An engine with both kinds, and how to have a run carried out there. */
async function open(options: Options = {}) {
  const world = createWorld();
  const walked = await world.open({ kinds: [CLAUDE, OTHER], ...options });
  onTestFinished(() => walked.engine.close());
  const start = (request: Partial<RunRequest> = {}) => walked.engine.start({ ...REQUEST, ...request });
  return {
    world,
    engine: walked.engine,
    start,
    async run(request: Partial<RunRequest> = {}): Promise<EngineRun> {
      return walked.over((await start(request)).runId);
    },
    /** Why it was refused. */
    async refusal(request: Partial<RunRequest> = {}): Promise<EngineRefusal> {
      const error = await start(request).catch((refused: unknown) => refused);
      expect(error).toBeInstanceOf(EngineRefusal);
      expect(walked.engine.list({})).toEqual([]);
      return error as EngineRefusal;
    },
  };
}

it("docs/engine.md has the table of what agents can do, as the code has it", () => {
  const text = readFileSync(new URL("../docs/engine.md", import.meta.url), "utf8");
  const [, table] = /<!-- agents:begin -->\n([\s\S]*?)\n?<!-- agents:end -->/.exec(text) ?? [];
  // npm run readme
  expect(table).toBe(renderAgentsTable(AGENT_KINDS));
});

describe("the agent of a run", () => {
  it.each([
    ["Claude Code where nothing else is said", {}, {}, "claude"],
    ["the workflow's", CODEX, {}, "codex"],
    ["that of the start", {}, CODEX, "codex"],
    ["that of the start, whatever the workflow has", CODEX, { agent: "claude" as const }, "claude"],
  ])("is %s", async (_, workflow, request, kind) => {
    const { world, run } = await open({ workflow });
    expect(await run({ message: DONE, ...request })).toMatchObject({ status: "completed" });
    expect(world.agents.map((agent) => agent.kind)).toEqual([kind]);
  });

  it("is kept with the run where the start has named it: one that resumes it has the same", async () => {
    const { run } = await open({ workflow: CODEX });
    const { request } = await run({ message: DONE, agent: "claude" });
    expect(request.agent).toBe("claude");
    expect((await run({ message: DONE })).request.agent).toBe("codex");
  });

  it("has to be one that the engine has", async () => {
    const { refusal } = await open({ kinds: [CLAUDE] });
    expect(await refusal(CODEX)).toMatchObject({
      status: 400,
      message: 'This engine has no agent "codex". It has: claude. Nothing was started.',
    });
  });

  it("is not given the model that the workflow names for its own one", async () => {
    const { world, run, refusal } = await open({ workflow: { model: "opus", models: ["opus"] } });
    expect((await refusal({ ...CODEX, model: "opus" })).message).toMatch(/with Codex\. Allowed: none\./);
    await run({ message: DONE });
    await run({ message: DONE, ...CODEX });
    expect(world.agents.map(({ options }) => options.model)).toEqual(["opus", undefined]);
  });
});

describe("what an agent cannot be held to is refused before anything starts", () => {
  it.each<[string, Options, Partial<RunRequest>, RegExp]>([
    [
      "tools that the workflow disallows",
      { workflow: { disallowedTools: ["Edit(./**)", "NotebookEdit"] } },
      {},
      /disallows tools \(Edit\(\.\/\*\*\), NotebookEdit\), and Codex cannot be held to that/,
    ],
    [
      "the workflow's MCP servers",
      { workflow: { mcpServers: { own: { command: "serve" } } } },
      {},
      /Codex is given none/,
    ],
    [
      "a limit of cost in the start",
      {},
      { costLimitUsd: 2 },
      /does not tell what it costs, so the limit of \$2\.00 for a run cannot be kept\. Start it without/,
    ],
    [
      "a limit of cost for each run",
      { limits: { costLimitUsd: 3 } },
      {},
      /\$3\.00 for a run .* Unset AUTOMAGIK_WORKFLOWS_ENGINE_COST_LIMIT,/,
    ],
    [
      "a limit of cost for a day",
      { limits: { costLimitPerDayUsd: 4 } },
      {},
      /\$4\.00 for a day .* Unset AUTOMAGIK_WORKFLOWS_ENGINE_COST_LIMIT_PER_DAY,/,
    ],
    [
      "a limit of cost for a caller's day",
      { limits: { costLimitPerDayAndCallerUsd: 5 } },
      {},
      /\$5\.00 for a caller's day/,
    ],
    [
      "a turn limit, where no turns are told",
      { kinds: [CLAUDE, { ...OTHER, capabilities: { ...OTHER.capabilities, turnLimit: "no" } }] },
      { maxTurns: 5 },
      /does not tell its turns, so the limit of 5 cannot be kept/,
    ],
  ])("%s", async (_, options, request, message) => {
    const { world, refusal, run } = await open(options);
    const { status, message: told } = await refusal({ ...CODEX, ...request });
    expect([status, told]).toEqual([400, expect.stringMatching(message)]);
    expect(told).toMatch(/Nothing was started\.$/);
    expect(world.agents).toEqual([]);
    // Another one can be.
    expect((await run(request)).status).toBe("completed");
  });

  it("a turn limit is kept by the engine where turns are told", async () => {
    const { world, run } = await open();
    const ended = await run({ ...CODEX, maxTurns: 4, message: "Work [turns] [hang]" });
    expect(ended).toMatchObject({ status: "failed", errorCode: "turn_limit" });
    expect(ended.error).toMatch(/^The turn limit of 4 was reached before the agent had finished\./);
    expect(world.agents.map(({ alive }) => alive)).toEqual([false]);
  });
});

it("an agent outside of the engine's sandbox is not started where the settings require that", async () => {
  const sandbox = { found: () => undefined, problem: () => undefined };
  const look = (isRequired: boolean) =>
    createLiveAgents({
      kinds: [{ ...CODEX_KIND, find: async () => ({ ok: true, path: "/bin/codex" }) }],
      settings: { configured: () => undefined, personHooks: false, limitsCost: false, passedVariables: [] },
      sandbox: { ...sandbox, required: () => isRequired },
      guard: { watch() {}, forget() {}, close() {} },
      listPrivatePaths: () => [],
      ...{ env: {}, platform: process.platform, clock: systemClock },
    }).find("codex");
  expect(await look(false)).toEqual({ ok: true, path: "/bin/codex" });
  expect(await look(true)).toEqual({
    ok: false,
    problem:
      "The settings require the engine's sandbox for agents, and Codex does not run its commands in it. Nothing was started. Use another agent, or set AUTOMAGIK_WORKFLOWS_ENGINE_SANDBOX to auto.",
  });
});

it("an agent is looked for with the variables that agents are passed, and anew when those are others", async () => {
  let passedVariables = ["GH_TOKEN"];
  const places: unknown[] = [];
  const agents = createLiveAgents({
    kinds: [
      {
        ...CODEX_KIND,
        async find({ passedVariables: passed }) {
          places.push(passed);
          return { ok: true, path: "/bin/codex" };
        },
      },
    ],
    settings: {
      configured: () => undefined,
      ...{ personHooks: false, limitsCost: false },
      get passedVariables() {
        return passedVariables;
      },
    },
    sandbox: { found: () => undefined, problem: () => undefined, required: () => false },
    guard: { watch() {}, forget() {}, close() {} },
    listPrivatePaths: () => [],
    ...{ env: {}, platform: process.platform, clock: systemClock },
  });
  await agents.find("codex");
  await agents.find("codex");
  expect(places).toEqual([["GH_TOKEN"]]);
  passedVariables = [];
  await agents.find("codex");
  expect(places).toEqual([["GH_TOKEN"], []]);
});

describe("a session that goes on with another agent", () => {
  function openWithNotes(hasNote = true) {
    const notes = mkdtempSync(join(tmpdir(), "automagik-test-"));
    onTestFinished(() => rmSync(notes, { recursive: true, force: true }));
    if (hasNote) writeFileSync(join(notes, "handover.md"), "# Handover", { mode: 0o600 });
    return open({ notes, workflow: { prompt: "Find it. {{previous_handover}}" } });
  }

  it("begins anew from the handover note, and says so", async () => {
    const { world, engine, run, start } = await openWithNotes();
    const { sessionId, sessionName } = await run({ sessionName: "login" });
    const second = await start({ sessionId, message: DONE, ...CODEX });
    const told =
      'Session "login" was with Claude Code so far and goes on with Codex: the conversation begins anew, from the handover note.';
    expect([sessionName, engine.agentNote(second)]).toEqual(["login", told]);
    const third = await run({ sessionId, message: DONE, ...CODEX });
    expect(engine.get(second.runId).result).toContain(told);
    const [, first, again] = world.agents.map(({ options }) => options);
    expect(first).toMatchObject({ resume: false });
    expect(first?.prompt).toMatch(
      /^This session was with another agent so far \(Claude Code, workflow fix\), and its conversation is not yours: the handover note tells of it\.\n\nFind it/,
    );
    expect(first?.systemPrompt).toMatch(
      /\(fix\) has left a handover note at .*handover\.md\. Read it first\./,
    );
    // Its own conversation has its own id.
    expect(again).toMatchObject({ resume: true, sessionId: `codex-of-${first?.mark}` });
    expect(again?.prompt).toBe(DONE);
    expect(engine.agentNote(third)).toBeUndefined();
  });

  it("says that there is no note where none was left", async () => {
    const { world, run } = await openWithNotes(false);
    const { sessionId } = await run();
    await run({ sessionId, message: DONE, ...CODEX });
    const [, { options } = { options: undefined }] = world.agents;
    expect(options?.prompt).toContain("its conversation is not yours: it has left no handover note.");
    expect(options?.systemPrompt).toContain("(fix) has left no handover note.");
  });

  it("goes on in the conversation that an agent had when it comes back to it", async () => {
    const { world, engine, run, start } = await openWithNotes();
    const { sessionId } = await run({ sessionName: "login" });
    await run({ sessionId, message: DONE, ...CODEX });
    const back = await start({ sessionId });
    expect(engine.agentNote(back)).toBe(
      'Session "login" goes on with Claude Code, in the conversation that it had before Codex worked there (fix).',
    );
    await run({ sessionId });
    const [, , third, fourth] = world.agents.map(({ options }) => options);
    expect(third).toMatchObject({ resume: true, sessionId });
    expect(third?.prompt).toMatch(
      /^Since your last message here another agent \(Codex, workflow fix\) has worked in this session: the handover note tells of it\.\n\n/,
    );
    expect(fourth?.prompt).toBe(REQUEST.message);
  });
});

describe("an agent that only tells that its turn has ended has completed its run", () => {
  const commit = { workflow: { success: "commit" as const } };
  it.each<[string, Options, string]>([
    ["with a final message, where that is all that is wanted", {}, "Three mistakes."],
    ["with a commit, where one is wanted", { ...commit, commits: ["abc1234 fix"] }, "Done."],
    ["with the word that there was nothing to do", commit, "Nothing to do: it works."],
  ])("%s", async (_, options, said) => {
    const { run } = await open(options);
    expect(await run({ ...CODEX, message: `Work [say ${said}]` })).toMatchObject({ status: "completed" });
  });

  it.each<[string, Options, string, RegExp]>([
    ["no final message", {}, "", /^Codex has ended its turn without a report/],
    ["no commit", commit, "Done.", /^Codex has ended its turn without a commit, and has not said/],
    ["words that only sound like it", commit, "Nothing to do with me, it fails.", /without a commit/],
    ["an error in place of a commit", commit, "exceeded retry limit, last status: 429", /without a commit/],
  ])("and not with %s", async (_, options, said, error) => {
    const { run } = await open(options);
    expect(await run({ ...CODEX, message: `Work [say ${said}]` })).toMatchObject({
      status: "failed",
      errorCode: "not_shown",
      error: expect.stringMatching(error),
    });
  });

  it("while one that tells its success is believed", async () => {
    const { run } = await open(commit);
    expect(await run()).toMatchObject({ status: "completed" });
  });
});
