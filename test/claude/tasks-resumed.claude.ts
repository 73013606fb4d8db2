import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type ServedApi, serveSimulatedApi } from "../../mocks/serve.js";
import { spawnBin, temporaryFolder, toVariables } from "../support/bin.js";
import { type ClaudeChat, settleChat } from "../support/claude-chat.js";
import { type ClaudeWindow, hasTmux, PATIENCE } from "../support/claude-window.js";
import { freePort } from "../support/free-port.js";

// Tasks of the real Claude Code that outlive what has begun them: its window, and our server. The model is scripted,
// the API simulated: the test moves its runs. CLAUDE_CLI names the program.

const SAID = "Design the login for my app";
const CALLS = { [SAID]: { workflow_name: "architect", message: "Design the login", max_turns: 4 } };
const TOKEN = "token-of-anna-0123456789";

let served: ServedApi;
beforeEach(async () => {
  served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
  onTestFinished(() => served.close());
});

const starts = () => served.api.posts("/run/");
const kills = () => served.api.posts("/run/*/kill");
const theRun = () => served.api.world.run(served.api.world.runs()[0]?.runId ?? "");

async function beginTask(window: ClaudeWindow): Promise<void> {
  await window.say(SAID);
  await window.choose("Accept");
  await window.shows("MCP task still running");
  theRun().turn("Designing database schema");
}

async function closeWindow(window: ClaudeWindow): Promise<void> {
  await window.say("/exit");
  await window.shows("❯ 1. Exit and stop tasks");
  window.press("Enter");
  await window.closed();
}

/** The tasks that were asked for, each once. */
const tasksOf = (chat: ClaudeChat) => [...new Set(chat.sent("tasks/get").map(({ params }) => params.taskId))];

describe.skipIf(!hasTmux)("a window that is closed with its task", () => {
  const settle = () =>
    settleChat({ calls: CALLS, settings: { BASE_URL: served.url, ERA: "auto", TASK_AFTER: "0" } });

  test("ends no run, though Claude Code says that it stops tasks, and resumed it follows the same task to its end", async () => {
    const chat = await settle();
    const id = randomUUID();
    const window = await chat.open("--session-id", id);
    await beginTask(window);
    await closeWindow(window);
    theRun().turn("Writing the document");
    const before = chat.sent("tasks/get").length;
    const again = await chat.open("--resume", id);
    await chat.sends("tasks/get", before + 1);
    expect(tasksOf(chat)).toHaveLength(1);
    const asked = chat.model.requests.length;
    theRun().complete({ result: "The design is in docs/auth.md" });
    const told = await chat.modelReads(/<status>completed/);
    expect(told.index).toBe(asked);
    expect(JSON.stringify(told.body)).toContain("The design is in docs/auth.md");
    await again.shows(/MCP task \S+ \(automagik\/orchestrate_workflow\) completed\./);
    expect(chat.sent("tasks/cancel")).toEqual([]);
    expect(kills()).toEqual([]);
    expect(starts()).toHaveLength(1);
  });

  test("is told at once of a run that has ended in between", async () => {
    const chat = await settle();
    const id = randomUUID();
    const window = await chat.open("--session-id", id);
    await beginTask(window);
    await closeWindow(window);
    theRun().complete({ result: "The design is in docs/auth.md" });
    await chat.open("--resume", id);
    await chat.modelReads(/<status>completed.*The design is in docs\/auth\.md/);
    expect(starts()).toHaveLength(1);
  });
});

test.skipIf(!hasTmux)(
  "over HTTP a server that is killed in mid-run and started again goes on with the task",
  async () => {
    const port = await freePort();
    const folder = temporaryFolder();
    const startServer = async () => {
      const { child, stderr } = spawnBin(["serve", "--port", String(port)], {
        HOME: folder,
        ...toVariables({
          API_KEY: "test-key",
          BASE_URL: served.url,
          ERA: "auto",
          POLLING_INTERVAL: "0.2",
          STATE_DIR: folder,
          TASK_AFTER: "0",
          TOKENS: `anna=${TOKEN}`,
        }),
      });
      const isUp = () => fetch(`http://127.0.0.1:${port}/health`).then(({ ok }) => ok);
      await vi.waitFor(async () => expect(await isUp().catch(() => false), stderr()).toBe(true), PATIENCE);
      return child;
    };
    const server = await startServer();
    const chat = await settleChat({
      calls: CALLS,
      http: { url: `http://127.0.0.1:${port}`, token: TOKEN },
    });
    const window = await chat.open();
    await beginTask(window);
    server.kill("SIGKILL");
    await once(server, "close");
    // It looks for the server in vain, and again.
    await chat.sends("initialize");
    theRun().turn("Writing the document");
    await startServer();
    theRun().complete({ result: "The design is in docs/auth.md" });
    const told = await chat.modelReads(/<status>completed/);
    expect(JSON.stringify(told.body)).toContain("The design is in docs/auth.md");
    expect(tasksOf(chat)).toHaveLength(1);
    expect(starts()).toHaveLength(1);
  },
);
