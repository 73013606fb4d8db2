import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  type ModelRequest,
  type ModelStep,
  type ScriptedAnthropicOptions,
  serveScriptedAnthropic,
} from "../../mocks/scripted-anthropic.js";
import { COMPLETE, type ShownForm, until } from "../support/harness.js";
import { closeWindow, createMachine, git } from "../support/one-machine.js";

// The founding story once more, with the real Claude Code as the agent and a scripted model behind it. CLAUDE_CLI
// names the program.
const CLAUDE = process.env.CLAUDE_CLI ?? "claude";
const NAME = "auth-system-project";
const BRANCH = "feature/login";
const FEEDBACK = "Make sure to include refresh token rotation";
const QUESTION = "Which database should I use?";
const PATIENCE_MS = 60_000;

const bash = (command: string, text?: string): ModelStep => ({
  ...(text ? { text } : {}),
  tools: [{ name: "Bash", input: { command, description: "Step" } }],
});
const write = (file_path: string, content: string): ModelStep => ({
  tools: [{ name: "Write", input: { file_path, content } }],
});
const BUSY = bash(`node -e "setInterval(()=>{},1000)" & node -e "setInterval(()=>{},2000)"`);

/** A machine with the real Claude Code, and the model that it talks to. */
async function settle(options: ScriptedAnthropicOptions) {
  const model = await serveScriptedAnthropic(options);
  onTestFinished(() => model.close());
  const env = {
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: "sk-ant-test",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
  };
  return { ...createMachine({ claudePath: CLAUDE, env }), model };
}

/** Finds what tells that a command is at work, and not only waits for permission. */
const tellsCommand = (text: string) => (line: string) =>
  line.includes(text) && !line.includes("Waiting for permission");

/** What the person in the chat is shown of a call. */
function transcript() {
  const shown: string[] = [];
  return {
    shown,
    onprogress: ({ message = "" }: { message?: string | undefined }) =>
      void shown.push(`progress: ${message}`),
  };
}

test("architect → feedback → implement → test, with a worktree, a commit and a person who is asked", async ({
  annotate,
}) => {
  const questions = [
    {
      question: QUESTION,
      header: "Database",
      multiSelect: false,
      options: [
        { label: "PostgreSQL", description: "With JSON" },
        { label: "SQLite", description: "One file" },
      ],
    },
  ];
  const { model, repository, openWindow, engine, processes } = await settle({
    script: [
      [
        { tools: [{ name: "AskUserQuestion", input: { questions } }] },
        bash(`node -e "setTimeout(()=>{},3000)"`, "Trying something that takes a while"),
        write("docs/auth.md", "SQLite, with refresh token rotation\n"),
        bash("git push origin HEAD"),
        { text: "The design is in docs/auth.md" },
      ],
      [
        write("auth.test.js", 'require("node:test")("logs in", () => {});\n'),
        bash(`node -e "require('fs').writeFileSync('made-by-leave','')"`),
        bash(`node -e "require('fs').writeFileSync('made-by-leave','')"`),
        bash('git add --all && git commit --quiet -m "Add the login"'),
        { text: "Implemented" },
      ],
      [bash("node --test"), { text: "Tested" }],
    ],
  });
  const { shown, onprogress } = transcript();

  function answer({ message }: ShownForm): Record<string, string> {
    if (message.startsWith("Start workflow"))
      return { session_name: NAME, repository_url: repository, git_branch: BRANCH };
    if (message.includes("asks: ")) return { answer: "SQLite" };
    if (message.includes("git push")) return { answer: "deny" };
    return { answer: message.includes("made-by-leave") ? "allow_run" : "allow_once" };
  }
  const onForm = (form: ShownForm) => {
    const content = answer(form);
    shown.push(`form: ${form.message.split("\n")[0]} → ${JSON.stringify(content)}`);
    return { action: "accept" as const, content };
  };

  const architect = await openWindow({ onForm });
  const designing = architect.call(
    { workflow_name: "architect", message: "Design the authentication system" },
    { onprogress, timeoutMs: PATIENCE_MS },
  );
  await until(() => shown.some(tellsCommand("setTimeout")), "the command", PATIENCE_MS);
  const feedback = await architect.call({
    action: "feedback",
    session_name: NAME,
    message: FEEDBACK,
    wait_seconds: PATIENCE_MS / 1000,
  });
  shown.push(`feedback: ${feedback.text.split("\n")[0]}`);
  const design = await designing;
  shown.push(`answer: ${design.text}`);
  expect(feedback.text).toMatch(/^Delivered/);
  expect(design.data).toMatchObject({
    outcome: "completed",
    run: { session_name: NAME, turn: 5, result: expect.stringContaining("docs/auth.md") },
  });
  const seen = (request: ModelRequest | undefined) => JSON.stringify(request?.body);
  expect(seen(model.requests.at(-1))).toContain(FEEDBACK);
  expect(seen(model.requests.at(-1))).toContain(`\\"${QUESTION}\\"=\\"SQLite\\"`);
  expect(model.requests.at(-1)?.toolResults[0]).toMatchObject({
    isError: true,
    text: expect.stringContaining("refused"),
  });
  const { session_id } = design.data.run;
  await closeWindow(architect);

  const folders: string[] = [];
  for (const workflow_name of ["implement", "test"]) {
    const window = await openWindow({ onForm });
    const { data, text } = await window.call(
      { workflow_name, message: `Now ${workflow_name} it`, continue_session: NAME },
      { onprogress, timeoutMs: PATIENCE_MS },
    );
    shown.push(`answer: ${text}`);
    expect(data).toMatchObject({ outcome: "completed", run: { workflow_name, session_id } });
    expect(model.requests.at(-1)?.userTexts.slice(0, 1)).toEqual(["Design the authentication system"]);
    const { run } = (await window.call({ action: "status", run_id: data.run.run_id, detailed: true })).data;
    folders.push(run.workspace_path);
    if (workflow_name === "implement") {
      expect(run.commits).toEqual([expect.stringMatching(/Add the login$/)]);
      // The second request for the same was not put to the person again.
      expect(window.forms.filter(({ message }) => message.includes("made-by-leave"))).toHaveLength(1);
    } else {
      expect(window.forms.map(({ message }) => message.split("\n")[0])).toEqual([
        `test (${NAME}) wants to run this repository's own scripts: \`node --test\``,
      ]);
      const list = await window.call({ action: "list_sessions", active_only: false });
      expect(list.data.sessions).toMatchObject([{ session_name: NAME, session_id, runs: 3 }]);
    }
    await closeWindow(window);
  }
  await annotate(`What the chat client saw:\n${shown.join("\n")}`);
  const [worktree = "", same] = folders;
  expect(same).toBe(worktree);
  expect(git(worktree, "log", "--format=%s", BRANCH).split("\n")).toEqual(["Add the login", "Begin"]);
  expect(git(worktree, "show", `${BRANCH}:docs/auth.md`)).toContain("rotation");
  expect(git(worktree, "ls-tree", "--name-only", BRANCH).split("\n")).toContain("made-by-leave");
  // The commits are in the person's own repository, beside the branch that is checked out there.
  expect(git(repository, "branch", "--format=%(refname:short)")).toBe(`${BRANCH}\nmain`);
  expect(git(repository, "log", "--format=%s", BRANCH).split("\n")).toEqual(["Add the login", "Begin"]);
  expect(model.requests.at(-1)?.toolResults[0]?.text).toMatch(/pass 1/);

  expect(processes()).toHaveLength(1);
  expect(await engine("stop")).toMatchObject({ code: 0 });
  expect(processes()).toEqual([]);
});

test("a run that is killed leaves no process, and its session goes on", async () => {
  const { openWindow, processes, engine } = await settle({
    handler: ({ userTurn, step }) => (userTurn === 0 && step === 0 ? BUSY : undefined),
  });
  const window = await openWindow({
    onForm: ({ message }) => ({
      action: "accept",
      content: message.startsWith("Kill") ? { confirm: "yes" } : { answer: "allow_once" },
    }),
  });
  const { shown, onprogress } = transcript();
  const running = window.call(
    { ...COMPLETE, workflow_name: "implement" },
    { onprogress, timeoutMs: PATIENCE_MS },
  );
  // The server, the engine, the agent, the shell and its two commands.
  const isBusy = () => shown.some(tellsCommand("setInterval")) && processes().length >= 6;
  await until(isBusy, "the agent's commands", PATIENCE_MS);
  const killed = await window.call(
    { action: "kill", session_name: COMPLETE.session_name },
    { timeoutMs: 30_000 },
  );
  expect(killed.data.outcome).toBe("killed");
  expect((await running).data.outcome).toBe("killed");
  expect(processes()).toHaveLength(2);
  const next = await window.call(
    { workflow_name: "fix", message: "Go on", continue_session: COMPLETE.session_name },
    { timeoutMs: PATIENCE_MS },
  );
  expect(next.data.outcome).toBe("completed");
  await closeWindow(window);
  await engine("stop");
  expect(processes()).toEqual([]);
});

test("an engine killed in mid-run is started again, says how the run ended, and the session goes on", async () => {
  const { model, home, openWindow, processes, enginePid, engine } = await settle({
    handler: ({ userTurn, step }) => (userTurn === 0 && step === 0 ? BUSY : undefined),
  });
  const window = await openWindow({
    onForm: () => ({ action: "accept", content: { answer: "allow_once" } }),
  });
  const { shown, onprogress } = transcript();
  const running = window.call(
    { ...COMPLETE, workflow_name: "implement", message: "The door is blue" },
    { onprogress, timeoutMs: PATIENCE_MS },
  );
  const isBusy = () => shown.some(tellsCommand("setInterval")) && processes().length >= 6;
  await until(isBusy, "the agent's commands", PATIENCE_MS);
  const before = enginePid();
  process.kill(before, "SIGKILL");
  const { data, text } = await running;
  expect(data.outcome).toBe("failed");
  expect(text).toMatch(/The engine stopped while the run was going on/);
  expect(enginePid()).not.toBe(before);
  // The server and the new engine: nothing of the agent is left.
  expect(processes()).toHaveLength(2);
  const next = await window.call(
    { workflow_name: "fix", message: "Go on", continue_session: COMPLETE.session_name },
    { timeoutMs: PATIENCE_MS },
  );
  expect(next.data).toMatchObject({ outcome: "completed", run: { session_id: data.run.session_id } });
  expect(model.requests.at(-1)?.userTexts).toEqual(
    expect.arrayContaining(["The door is blue", expect.stringMatching(/interrupted[\s\S]*\n\nGo on$/)]),
  );
  expect(readFileSync(join(home, "engine", "engine.log"), "utf8")).not.toMatch(/unforeseen|unheard/);
  await closeWindow(window);
  await engine("stop");
  expect(processes()).toEqual([]);
});
