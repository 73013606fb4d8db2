import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { FINISHED } from "../../mocks/scripted-anthropic.js";
import { type ServedApi, serveSimulatedApi } from "../../mocks/serve.js";
import { type ClaudeChat, settleChat } from "../support/claude-chat.js";
import { type ClaudeWindow, hasTmux, PATIENCE } from "../support/claude-window.js";

// The real Claude Code in a terminal as the chat client, on protocol 2026-07-28 with runs as tasks and once on the
// earlier ones. The model is scripted, the API simulated: the test moves its runs. CLAUDE_CLI names the program.

const SAID = "Design the login for my app";
const MORE = "Tell it to use Postgres";
const CALLS = {
  [SAID]: { workflow_name: "architect", message: "Design the login", max_turns: 4 },
  [MORE]: { action: "feedback", session_name: "design-login", message: "Use Postgres", wait_seconds: 0 },
};

let served: ServedApi;
beforeEach(async () => {
  served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
  onTestFinished(() => served.close());
});

const settle = (settings: Record<string, string> = {}, env: Record<string, string> = {}) =>
  settleChat({
    calls: CALLS,
    env,
    settings: { BASE_URL: served.url, ERA: "auto", TASK_AFTER: "4", ...settings },
  });

const starts = () => served.api.posts("/run/");
const kills = () => served.api.posts("/run/*/kill");
const statusOf = () => served.api.world.runs()[0]?.status;

async function theRun() {
  await vi.waitFor(() => expect(starts()).toHaveLength(1), PATIENCE);
  return served.api.world.run(served.api.world.runs()[0]?.runId ?? "");
}

/** A window in which a run was asked for, and its form accepted. */
async function begin(chat: ClaudeChat) {
  const window = await chat.open();
  await window.say(SAID);
  await window.choose("Accept");
  return { window, run: await theRun() };
}

/** A window whose run has become a task, while the model is idle. */
async function openWithTask(chat: ClaudeChat): Promise<ClaudeWindow> {
  const { window, run } = await begin(chat);
  run.turn("Designing database schema");
  await window.shows("MCP task still running");
  return window;
}

/** Opens the view of the one task. */
async function lookAtTask(window: ClaudeWindow): Promise<void> {
  window.press("Down");
  await window.shows("enter to view");
  window.press("Enter");
  await window.shows("x to stop");
}

describe.skipIf(!hasTmux)("on protocol 2026-07-28", () => {
  test("a run is one POST after its form, shows its turns live, goes on as a task, and the idle model is told its end", async () => {
    const chat = await settle();
    const window = await chat.open();
    await window.say(SAID);
    await window.shows("Start workflow architect for: Design the login");
    expect(starts()).toEqual([]);
    await window.choose("Accept");
    const run = await theRun();
    run.turn("Designing database schema");
    await window.shows("Turn 1/4: Designing database schema (25%)");
    await chat.modelReads(/started server-side task/);
    await window.shows("MCP task still running");
    await window.shows("1 MCP task · ↓ to manage");

    run.turn("Writing the document");
    await lookAtTask(window);
    await window.shows("working · design-login · Turn 2/4: Writing the document");
    // Back to the chat, by way of the list.
    await window.leave("1 MCP task · ↓ to manage");

    const asked = chat.model.requests.length;
    run.complete({ result: "The design is in docs/auth.md" });
    // Nobody has said anything: Claude Code calls the model by itself.
    const told = await chat.modelReads(/<status>completed/);
    expect(told.index).toBe(asked);
    const text = JSON.stringify(told.body);
    expect(text).toMatch(/<result>[\\n]+\{[\\]+"summary[\\]+":[\\]+"Started workflow architect, session/);
    expect(text).toContain("The design is in docs/auth.md");
    await window.shows(/MCP task \S+ \(automagik\/orchestrate_workflow\) completed\./);
    expect(starts()).toHaveLength(1);
  });

  test.each([
    ["declined", "declined", (window: ClaudeWindow) => window.choose("Decline")],
    ["closed with Esc", "cancelled", async (window: ClaudeWindow) => window.press("Escape")],
  ])("a form that is %s starts nothing, and the model reads that", async (_, outcome, close) => {
    const chat = await settle();
    const window = await chat.open();
    await window.say(SAID);
    await window.shows("requests your input");
    await close(window);
    const { toolResults } = await chat.modelReads(/tool_result/);
    expect(JSON.parse(toolResults[0]?.text ?? "")).toMatchObject({ outcome });
    await window.hides("requests your input");
    expect(starts()).toEqual([]);
  });

  test("a run that ends before its time to become a task is answered in its call", async () => {
    const chat = await settle({ TASK_AFTER: "60" });
    const { window, run } = await begin(chat);
    run.complete({ result: "Done at once" });
    const { toolResults } = await chat.modelReads(/Done at once/);
    expect(JSON.parse(toolResults[0]?.text ?? "")).toMatchObject({ outcome: "completed" });
    expect(window.screen()).not.toContain("MCP task");
  });

  test("Esc while a call shows its run ends the call, and the run goes on", async () => {
    const chat = await settle({ TASK_AFTER: "60" });
    const { window, run } = await begin(chat);
    run.turn("Designing database schema");
    await window.shows("Turn 1/4: Designing database schema (25%)");
    window.press("Escape");
    await window.shows("Interrupted");
    await chat.sends("notifications/cancelled");
    expect(statusOf()).toBe("running");
    expect(kills()).toEqual([]);
  });

  test("what the person says while the task goes on is sent to its run at once", async () => {
    const chat = await settle();
    const window = await openWithTask(chat);
    await window.say(MORE);
    await vi.waitFor(() => expect(served.api.posts("/run/*/add-message")).toHaveLength(1), PATIENCE);
    const { toolResults } = await chat.modelReads(/"tool_use_id":"call-2"/);
    expect(JSON.parse(toolResults[0]?.text ?? "")).toMatchObject({ outcome: "ok" });
    expect(statusOf()).toBe("running");
  });

  test("x on the task ends its run, once, though Claude Code says it twice", async () => {
    const chat = await settle();
    const window = await openWithTask(chat);
    await lookAtTask(window);
    window.press("x");
    const [first, second] = await chat.sends("tasks/cancel", 2);
    expect(second?.params.taskId).toBe(first?.params.taskId);
    await vi.waitFor(() => expect(statusOf()).toBe("killed"), PATIENCE);
    await window.shows("No tasks currently running");
    expect(kills()).toHaveLength(1);
  });

  test("x on a task whose run cannot be ended just then: Claude Code takes it for ended, and it is ended later", async () => {
    const chat = await settle();
    const window = await openWithTask(chat);
    const mend = served.api.fault({ path: "/run/*/kill" }, { status: 503 });
    await lookAtTask(window);
    window.press("x");
    await window.shows("No tasks currently running");
    await vi.waitFor(() => expect(kills()).not.toEqual([]), PATIENCE);
    expect(statusOf()).toBe("running");
    mend();
    await vi.waitFor(() => expect(statusOf()).toBe("killed"), PATIENCE);
  });

  test("Esc on a task that Claude Code waits for in the foreground ends its run", async () => {
    const chat = await settle({ TASK_AFTER: "1" }, { CLAUDE_CODE_DISABLE_MCP_TASK_BACKGROUND: "1" });
    const { window } = await begin(chat);
    await chat.sends("tasks/get");
    window.press("Escape");
    await chat.sends("tasks/cancel");
    await window.shows("Interrupted");
    await vi.waitFor(() => expect(statusOf()).toBe("killed"), PATIENCE);
    expect(kills()).toHaveLength(1);
  });
});

describe("in print mode, on protocol 2026-07-28", () => {
  const print = async (call: object) => {
    const chat = await settleChat({
      calls: { [SAID]: call },
      env: { MCP_CONNECTION_NONBLOCKING: "false" },
      settings: { BASE_URL: served.url, ERA: "auto", TASK_AFTER: "0" },
    });
    const { stdout } = await chat.print(SAID);
    expect(stdout.trim()).toBe(FINISHED);
    expect(chat.sent("tools/call")[0]?.params._meta).toMatchObject({
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    });
    expect(chat.sent("tasks/get")).toEqual([]);
    return JSON.parse(chat.toolResult());
  };

  test("the form is closed by itself, nothing starts, and the model reads what to do", async () => {
    expect(await print(CALLS[SAID])).toMatchObject({
      outcome: "cancelled",
      summary: expect.stringMatching(
        /nobody saw it.*call again with session_name, repository_url, git_branch/,
      ),
    });
    expect(starts()).toEqual([]);
  });

  test("with all values the run is no task: the call is answered with its end", async () => {
    const place = { session_name: "login", repository_url: "", git_branch: "" };
    const printed = print({ ...CALLS[SAID], ...place });
    (await theRun()).complete({ result: "The design is in docs/auth.md" });
    expect(await printed).toMatchObject({ outcome: "completed", run: { session_name: "login" } });
    expect(starts()).toHaveLength(1);
  });
});

test.skipIf(!hasTmux)(
  "on the earlier protocols a run is one POST after its form, shows its turns, and its call is answered with the end",
  async () => {
    const chat = await settle({ ERA: "legacy" });
    const window = await chat.open();
    await window.say(SAID);
    await window.shows("Start workflow architect for: Design the login");
    expect(starts()).toEqual([]);
    await window.choose("Accept");
    const run = await theRun();
    run.turn("Designing database schema");
    await window.shows("Turn 1/4: Designing database schema (25%)");
    run.complete({ result: "The design is in docs/auth.md" });
    const { toolResults } = await chat.modelReads(/docs\/auth\.md/);
    expect(JSON.parse(toolResults[0]?.text ?? "")).toMatchObject({ outcome: "completed" });
    expect(chat.sent("initialize")).toHaveLength(1);
    expect(starts()).toHaveLength(1);
  },
);
