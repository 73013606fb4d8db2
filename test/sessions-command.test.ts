import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { measure, shorten, tellSpan } from "../src/cli/sessions/fit-text.js";
import { renderTable, type SessionLine } from "../src/cli/sessions/render-sessions.js";
import { createPhaseReader } from "../src/engine/agent/claude/phases.js";
import { describeStep } from "../src/engine/agent/describe-tool.js";
import { runBin, spawnBin, temporaryFolder, toVariables } from "./support/bin.js";
import { COMPLETE, until } from "./support/harness.js";
import { SCRIPTED_AGENT, withScript } from "./support/local-engine.js";
import { closeWindow, createMachine } from "./support/one-machine.js";

// `sessions` in a terminal: through the published bin, with an engine of its own whose agents are scripted.
const bash = (command: string) => ({ tools: [{ name: "Bash", input: { command } }] });

/** A machine, and `sessions …` on it. */
function createTerminal() {
  const machine = createMachine({ claudePath: SCRIPTED_AGENT });
  const sessions = (args: string[] = [], env: Record<string, string> = {}) =>
    runBin(["sessions", ...args], {
      HOME: machine.home,
      ...toVariables({ STATE_DIR: machine.home }),
      ...env,
    });
  const list = async () => JSON.parse((await sessions(["--json"])).stdout);
  return { ...machine, sessions, list };
}

it("lists who waits first, then what has ended, with an engine and after its death, and starts none", async () => {
  const { home, repository, sessions, list, openWindow, enginePid, processes } = createTerminal();
  expect(await sessions()).toMatchObject({
    code: 0,
    stdout: "The engine is not running. This is what it has stored.\nNo sessions.\n",
  });
  expect(existsSync(join(home, "engine", "engine.json"))).toBe(false);

  const bin = await openWindow();
  const waits = withScript("Publish it", { steps: [bash("npm publish --access public")] });
  const place = { repository_url: repository, wait_seconds: 0 };
  await bin.call({ ...COMPLETE, ...place, message: waits, session_name: "waits-for-me" });
  const ended = await bin.call({ ...COMPLETE, session_name: "has-ended" });
  expect(ended.data.outcome).toBe("completed");
  const found = await vi.waitFor(
    async () => {
      const found = await list();
      expect(found.sessions[0]).toMatchObject({ waits_for: expect.any(String) });
      return found;
    },
    { timeout: 60_000, interval: 200 },
  );
  expect(found).toMatchObject({
    engine_running: true,
    sessions: [
      {
        session_name: "waits-for-me",
        status: "running",
        waits_for: "architect wants to run `npm publish --access public`",
        waits_since: expect.stringMatching(/^20/),
        turn: 1,
        max_turns: 50,
        git_branch: expect.stringMatching(/^automagik\/waits-for-me/),
      },
      { session_name: "has-ended", status: "completed", can_continue: true, cost_usd: 0.02 },
    ],
  });

  const table = (await sessions()).stdout.split("\n");
  expect(table[0]).toMatch(/^NAME +STATE +WORKFLOW +TURN +BRANCH +COST +AGE$/);
  expect(table[1]).toMatch(
    /^waits-for-me +waits for you, \d+ (?:s|min): architect wants to run `npm publish --access public` +architect +1\/50 +automagik\/waits-for-me\S* +(?:\$0\.01\+ +)?\d+ (?:s|min)$/,
  );
  expect(table[2]).toMatch(/^has-ended +completed +architect +2\/50 +\$0\.02 +\d+ (?:s|min)$/);
  const narrow = (await sessions([], { COLUMNS: "60" })).stdout.trimEnd().split("\n").slice(0, 3);
  expect(Math.max(...narrow.map((line) => line.length))).toBeLessThanOrEqual(60);
  expect(narrow[1]).toMatch(/^waits-for-me +waits for you, \S.*\u2026/);
  // Nobody sees colours in a file.
  expect(table.join("")).not.toContain("\u001b");

  await closeWindow(bin);
  process.kill(enginePid(), "SIGKILL");
  await until(() => processes().every((pid) => pid !== enginePid()), "the engine's death");
  const after = await list();
  expect(after).toMatchObject({ engine_running: false, notes: [expect.stringMatching(/not running/)] });
  // It counts as ended when it was last heard of, which is before the other one has ended.
  expect(after.sessions).toMatchObject([
    { session_name: "has-ended", status: "completed" },
    { session_name: "waits-for-me", status: "failed", error_code: "interrupted", can_continue: true },
  ]);
  expect(after.sessions[1]).not.toHaveProperty("waits_for");
  const told = (await sessions()).stdout;
  expect(told).toMatch(/^The engine is not running\. This is what it has stored\.\n/);
  expect(told).toMatch(/\nwaits-for-me +interrupted /);
  expect(processes().filter((pid) => pid === enginePid())).toEqual([]);
}, 120_000);

it("lists what an API elsewhere tells, and leaves out what it does not", async () => {
  const served = await serveSimulatedApi({ paceMs: "manual" });
  onTestFinished(() => served.close());
  const { world } = served.api;
  const run = world.start("fix", { message: "Repair it", session_name: "elsewhere", input_format: "text" });
  const env = toVariables({ BASE_URL: served.url, API_KEY: "test-key", STATE_DIR: temporaryFolder() });
  const { code, stdout, stderr } = await runBin(["sessions", "--json"], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const { sessions, ...more } = JSON.parse(stdout);
  expect(more).toEqual({});
  expect(sessions).toMatchObject([{ session_name: "elsewhere", workflow_name: "fix", run_id: run.runId }]);
  expect(sessions[0]).not.toHaveProperty("cost_usd");
  const { stdout: table } = await runBin(["sessions"], env);
  expect(table.split("\n")[0]).not.toMatch(/COST|BRANCH/);
}, 60_000);

it("says what is wrong where an API does not answer", async () => {
  const env = toVariables({
    BASE_URL: "http://127.0.0.1:9",
    API_KEY: "test-key",
    MAX_RETRIES: "0",
    STATE_DIR: temporaryFolder(),
  });
  const { code, stdout, stderr } = await runBin(["sessions"], env);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^automagik-workflows-mcp: Could not .*127\.0\.0\.1:9/);
});

const line = (more: Partial<SessionLine>): SessionLine => ({
  session_name: "a",
  can_continue: true,
  workflow_name: "fix",
  status: "completed",
  run_id: "1",
  runs: 1,
  age_s: 90_000,
  ...more,
});

it.each([40, 60, 80, 120])("keeps each line within %i cells, and cuts names so that it shows", (width) => {
  const lines = renderTable(
    [
      line({
        session_name: "a-very-long-name-that-somebody-has-given-to-a-session-of-theirs",
        waits_for: "implement wants to run `npm run something:very:long -- --with-options`",
        waits_since: new Date(0).toISOString(),
        turn: 12,
        max_turns: 50,
        git_branch: "automagik/a-very-long-name-that-somebody-has-given",
        cost_usd: 1.5,
      }),
      line({ session_name: "\u65e5\u672c\u8a9e\u306e\u30bb\u30c3\u30b7\u30e7\u30f3\u306e\u540d\u524d" }),
    ],
    { width, now: 12 * 60_000, paint: (text) => text },
  ).split("\n");
  expect(lines).toHaveLength(3);
  for (const shown of lines) expect(measure(shown)).toBeLessThanOrEqual(width);
  expect(lines[1]).toMatch(/^a-very-lo\S*\u2026 +waits for you, 12 min/);
});

it("calls merged only what a branch of the person has, and names no branch that is not there", () => {
  const changed = { insertions: 1, deletions: 0 };
  const rows = [
    line({ session_name: "taken", git_branch: "automagik/taken", ...changed, merged_into: "main" }),
    line({
      session_name: "step",
      git_branch: "automagik/step",
      ...changed,
      merged_into: "automagik/ship-join",
    }),
    line({ session_name: "looked", git_branch: "automagik/looked" }),
    line({ session_name: "elsewhere", git_branch: "main" }),
    line({ session_name: "going", git_branch: "automagik/going", status: "running" }),
  ];
  const table = renderTable(rows, { width: 200, now: 0, paint: (text) => text });
  const shown = table.split("\n").slice(1);
  expect(shown.map((text) => text.split(/ {2,}/).slice(3, -1).join(" | "))).toEqual([
    "automagik/taken | +1 -0 merged",
    "automagik/step | +1 -0 in ship-join",
    "",
    "main",
    "automagik/going",
  ]);
});

it("tells spans by one unit, and cuts texts by cells", () => {
  expect([0, 59_400, 60_000, 3_600_000, 47 * 3_600_000, 14 * 86_400_000].map(tellSpan)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "1 h",
    "47 h",
    "14 d",
  ]);
  expect(shorten("abcdef", 4)).toBe("abc\u2026");
  expect(shorten("\u65e5\u672c\u8a9e", 5)).toBe("\u65e5\u672c\u2026");
  expect(shorten("abc", 3)).toBe("abc");
});

it("shows what the agent did, live and afterwards, and goes on by one run once the person agrees", async () => {
  const { home, repository, sessions, list, openWindow, enginePid, engine, processes } = createTerminal();
  const bin = await openWindow();
  const message = withScript("Build it", {
    steps: [
      { tools: [{ name: "Bash", input: { command: "echo one", description: "Say one" } }] },
      bash("npm publish --access public"),
    ],
  });
  const started = await bin.call({
    ...COMPLETE,
    message,
    repository_url: repository,
    session_name: "goes-on",
    wait_seconds: 0,
  });
  const { run_id } = started.data.run;
  const env = { HOME: home, ...toVariables({ STATE_DIR: home }) };
  const follow = spawnBin(["sessions", "show", "goes-on", "--follow"], env);
  await until(() => follow.stdout().includes("asks: "), "the question in the log");
  const going = await sessions(["resume", "goes-on", "--yes"]);
  expect(going).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/has a run going on .*Nothing was started/),
  });
  const interrupted = spawnBin(["sessions", "show", run_id, "--follow"], env);
  await until(() => interrupted.stdout().includes("asks: "), "the second log");
  interrupted.child.kill("SIGINT");
  expect(await interrupted.ended()).toBe(0);

  // What is open is told once, with its choices.
  const shown = await sessions(["show", "goes-on"]);
  expect(shown.stdout.split("wants to run `npm publish --access public`")).toHaveLength(2);
  expect(shown.stdout).toContain("Open questions of the agent:");
  expect(shown.stdout).toMatch(/\nAnswer in the chat client: .*`automagik-workflows-mcp dashboard`\.\n$/);
  const { run } = (await bin.call({ action: "status", run_id })).data;
  const { question_id } = run.questions[0];
  await bin.call({ action: "answer", run_id, question_id, answer: "deny" });
  expect(await follow.ended()).toBe(0);
  const log = follow.stdout();
  expect(log).toMatch(
    /\d\d:\d\d:\d\d {2}accepted\n[\s\S]*turn 1\n\S+ {4}Say one \(Bash: echo one\)\n[\s\S]*turn 2\n[\s\S]*asks: architect wants to run `npm publish --access public`\n\S+ {4}-> denied in a chat\n[\s\S]*completed\n/,
  );
  expect(log).toContain(`run_id: ${run_id}`);
  await closeWindow(bin);

  const idle = await sessions(["resume", "goes-on"]);
  expect(idle).toMatchObject({ code: 1, stdout: expect.stringMatching(/Say what is to be done now/) });
  const unasked = await sessions(["resume", "goes-on", "Now the rest"]);
  expect(unasked).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/Nobody can be asked here\. Nothing was started/),
  });
  expect((await list()).sessions).toMatchObject([{ session_name: "goes-on", runs: 1 }]);

  process.kill(enginePid(), "SIGKILL");
  await until(() => processes().every((pid) => pid !== enginePid()), "the engine's death");
  const stored = await sessions(["show", "goes-on"]);
  expect(stored.stdout).toMatch(
    /^The engine is not running\. [\s\S]*Say one \(Bash: echo one\)\n[\s\S]*-> denied in a chat\n/,
  );
  const resumed = await sessions(["resume", "goes-on", "Now the rest", "--yes"], {
    ...toVariables({ CLAUDE_PATH: SCRIPTED_AGENT, ENGINE_ALLOWED_FOLDERS: repository }),
  });
  expect(resumed).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/This starts one paid run: architect goes on/),
  });
  await vi.waitFor(
    async () => expect((await list()).sessions).toMatchObject([{ runs: 2, status: "completed" }]),
    { timeout: 60_000, interval: 200 },
  );
  expect(await sessions(["show", "no-such-session"])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/There is no session or run "no-such-session"/),
  });
  await engine("stop");
}, 180_000);

it("says what the agent says that it does before the command", () => {
  const step = (input: object, todo?: string) => describeStep("Bash", input, "/workspace", todo);
  expect(step({ command: "npm test", description: "Run the tests" }, "Designing the schema")).toEqual({
    text: "Run the tests",
    detail: "Bash: npm test",
  });
  expect(step({ command: "npm test" }, "Designing the schema")).toEqual({
    text: "Designing the schema: Bash: npm test",
  });
  expect(step({ command: "npm test" })).toEqual({ text: "Bash: npm test" });
  const phases = createPhaseReader(() => {});
  const todo = (status: string) => ({ content: "Design", activeForm: "Designing the schema", status });
  for (const [status, current] of [
    ["in_progress", "Designing the schema"],
    ["completed", undefined],
  ] as const) {
    phases.toolUse("1", "TodoWrite", { todos: [todo(status)] });
    phases.toolResult("1", false, undefined);
    expect(phases.current()).toBe(current);
  }
});
