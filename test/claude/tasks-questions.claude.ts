import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { serveScriptedAnthropic } from "../../mocks/scripted-anthropic.js";
import { serveSimulatedApi } from "../../mocks/serve.js";
import { temporaryFolder } from "../support/bin.js";
import { CLAUDE, settleChat } from "../support/claude-chat.js";
import { type ClaudeWindow, hasTmux, PATIENCE } from "../support/claude-window.js";
import { git } from "../support/one-machine.js";

// What an agent or a plan asks while the task is in the background, in the real Claude Code: as the chat client, and in
// the first test as the agent too, each with a scripted model of its own. CLAUDE_CLI names the program.

const SAID = "Design the login for my app";
const QUESTION = "Which database should I use?";
const PERSON_MS = 500;

function aRepository(): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "README.md"), "# Shop\n");
  git(folder, "init", "--quiet", "--initial-branch=main");
  git(folder, "add", ".");
  git(folder, "-c", "user.name=A", "-c", "user.email=a@host.example", "commit", "--quiet", "-m", "Begin");
  return folder;
}

/** A chat whose run's agent asks which database it should use. */
async function settleAsking(settings: Record<string, string>) {
  const options = [
    { label: "PostgreSQL", description: "With JSON" },
    { label: "SQLite", description: "One file" },
  ];
  const questions = [{ question: QUESTION, header: "Database", multiSelect: false, options }];
  const agents = await serveScriptedAnthropic({
    script: [[{ tools: [{ name: "AskUserQuestion", input: { questions } }] }, { text: "It is designed." }]],
  });
  onTestFinished(() => agents.close());
  const repository = aRepository();
  const place = { session_name: "login", repository_url: repository, git_branch: "main" };
  const local = { ENGINE: "local", API_KEY: "", CLAUDE_PATH: CLAUDE, ENGINE_ALLOWED_FOLDERS: repository };
  const chat = await settleChat({
    calls: { [SAID]: { workflow_name: "architect", message: "Design the login", ...place } },
    settings: { ...local, ERA: "auto", ...settings },
    serverEnv: { ANTHROPIC_BASE_URL: agents.url },
  });
  return { chat, agents };
}

test.skipIf(!hasTmux)(
  "a question accepted without an answer is asked once more, and one closed with Esc stays on the screen",
  async () => {
    const { chat } = await settleAsking({});
    const window = await chat.open();
    await window.say(SAID);
    await window.shows(`architect (login) asks: ${QUESTION}`);
    const again = "Nothing was chosen or written. Choose an answer, or write your own. architect";
    await window.choose("Accept", again);
    await window.shows(again);
    // What is closed faster than by a person counts as closed by the client.
    await new Promise((resolve) => setTimeout(resolve, PERSON_MS));
    window.press("Escape");
    const shown = await window.shows(/Waiting for an answer since [\d:]+ UTC \(ask how it is, to answer\): /);
    expect(shown).toContain(QUESTION);
  },
);

test.skipIf(!hasTmux)(
  "an agent's question pops up while its run is in the background, and the answer reaches the agent",
  async () => {
    const { chat, agents } = await settleAsking({ TASK_AFTER: "0" });
    const window = await chat.open();
    await window.say(SAID);
    await window.shows(`architect (login) asks: ${QUESTION}`);
    expect(window.screen()).toContain("1 MCP task still running");
    // Closed with Esc it is for later, and nothing is said to the agent.
    window.press("Escape");
    await window.shows("needs your input");
    expect(chat.sent("tasks/update")).toEqual([]);
    window.press("Down");
    await window.shows("enter to view");
    window.press("Enter");
    await window.shows("The server is waiting for your answer");
    window.press("Enter");
    await window.shows("requests your input");
    await choose(window, "SQLite: One file");
    await window.choose("Accept");
    const told = await chat.modelReads(/<status>completed/);
    expect(JSON.stringify(told.body)).toContain("It is designed.");
    expect(JSON.stringify(agents.requests.at(-1)?.body)).toContain(`\\"${QUESTION}\\"=\\"SQLite\\"`);
    expect(chat.sent("tasks/update")).toHaveLength(1);
  },
);

/** Chooses one of the choices of a form's first field. */
async function choose(window: ClaudeWindow, label: string): Promise<void> {
  window.press("Right");
  await window.shows(/❯ ◯/);
  while (!window.screen().includes(`❯ ◯ ${label}`)) {
    const before = window.screen();
    window.press("Down");
    await vi.waitFor(() => expect(window.screen()).not.toBe(before), PATIENCE);
  }
  window.press("Enter");
  await window.shows(new RegExp(`✔ (Answer|Decision): ▸? ?${label}`));
}

const GATED = {
  name: "login",
  steps: [
    { id: "design", run: "architect", task: "Design the login" },
    { id: "ok", gate: "Build this design?", needs: ["design"] },
    { id: "build", run: "implement", needs: ["ok"], from: "design", task: "Build it" },
  ],
};

test.skipIf(!hasTmux)(
  "a plan's gate pops up while the plan is in the background, and the decision reaches the plan",
  async () => {
    const served = await serveSimulatedApi({
      apiKey: "test-key",
      paceMs: 300,
      branches: true,
      describe: true,
      script: { actions: ["Working"], result: "Done" },
    });
    onTestFinished(() => served.close());
    const chat = await settleChat({
      calls: {
        [SAID]: {
          action: "plan",
          plan: JSON.stringify(GATED),
          session_name: "login",
          repository_url: "",
          git_branch: "",
        },
      },
      settings: { BASE_URL: served.url, ERA: "auto", TASK_AFTER: "0" },
    });
    const window = await chat.open();
    await window.say(SAID);
    await window.shows("login: Build this design?");
    expect(served.api.posts("/run/")).toHaveLength(1);
    await choose(window, "Approve: the plan goes on");
    await window.choose("Accept");
    const told = await chat.modelReads(/<status>completed/);
    expect(JSON.stringify(told.body)).toContain("is completed");
    expect(served.api.posts("/run/")).toHaveLength(2);
    expect(chat.sent("tasks/update")).toHaveLength(1);
  },
);
