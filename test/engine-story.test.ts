import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it, vi } from "vitest";
import { temporaryFolder } from "./support/bin.js";
import { COMPLETE, type ShownForm, until } from "./support/harness.js";
import { QUESTION, SCRIPTED_AGENT, withScript } from "./support/local-engine.js";
import { closeWindow, createMachine, git } from "./support/one-machine.js";

// The product's founding story on one machine: the published bin with `--engine local`, every part of it in a server
// process of its own, a real git repository, and an agent that is scripted.
const NAME = "auth-system-project";
const BRANCH = "feature/login";
const FEEDBACK = "Make sure to include refresh token rotation";
const bash = (command: string) => ({ tools: [{ name: "Bash", input: { command }, run: true }] });
const write = (file_path: string, content: string) => ({
  tools: [{ name: "Write", input: { file_path, content } }],
});

it("an architect asks, takes feedback and is handed on to implement and test, all on this machine", async () => {
  const { repository, engine, openWindow, processes } = createMachine({ claudePath: SCRIPTED_AGENT });
  const told: string[] = [];
  const onprogress = ({ message }: { message?: string | undefined }) => void told.push(message ?? "");

  function answer({ message }: ShownForm) {
    if (message.startsWith("Start workflow")) {
      return { session_name: NAME, repository_url: pathToFileURL(repository).href, git_branch: BRANCH };
    }
    return { answer: message.includes(" wants to ") ? "allow_once" : "SQLite" };
  }
  const architect = await openWindow({ onForm: (form) => ({ action: "accept", content: answer(form) }) });
  // The names of the workflows stand in the list as soon as the engine, which is only starting, has told them.
  await vi.waitFor(
    async () => {
      const { tools } = await architect.client.listTools();
      expect(JSON.stringify(tools[0]?.inputSchema)).toContain("architect");
    },
    { timeout: 30_000, interval: 200 },
  );
  const design = withScript("Design the authentication system", {
    steps: [
      { ask: [QUESTION] },
      { text: "Listening", tools: [{ name: "Bash", input: { command: "ls docs" } }] },
      { listen: 1 },
      write("docs/auth.md", "SQLite, with refresh token rotation"),
      { text: "The design is in docs/auth.md. I have read: {{messages}}" },
    ],
  });
  const designing = architect.call({ workflow_name: "architect", message: design }, { onprogress });
  await until(() => told.some((message) => message.startsWith("Turn 2/50")), "the second turn");
  const feedback = await architect.call({ action: "feedback", session_name: NAME, message: FEEDBACK });
  expect(feedback.text).toMatch(/^Delivered/);
  const designed = await designing;
  expect(architect.forms.map(({ message }) => message.split("\n")[0])).toEqual([
    expect.stringMatching(/^Start workflow architect for: Design the authentication system/),
    `architect (${NAME}) asks: ${QUESTION.question}`,
    `architect (${NAME}) wants to run \`ls docs\``,
    `architect (${NAME}) wants to write the file docs/auth.md`,
  ]);
  expect(told[0]).toBe(`Started architect as ${NAME}`);
  expect(designed.data).toMatchObject({
    outcome: "completed",
    run: { session_name: NAME, turn: 4, result: expect.stringContaining(FEEDBACK) },
  });
  const { session_id } = designed.data.run;
  await closeWindow(architect);
  // The engine outlives the window that has started it.
  expect(await engine("status")).toMatchObject({ code: 0 });

  const works = {
    implement: [
      write("auth.test.js", 'require("node:test")("logs in", () => {});\n'),
      bash("git add --all"),
      bash('git commit --quiet -m "Add the login"'),
      { text: "Implemented. I have read: {{messages}}" },
    ],
    test: [bash("node --test"), { text: "Tested. I have read: {{messages}}" }],
    fix: [bash("node --test"), { text: "Fixed. I have read: {{messages}}" }],
  };
  const folders: string[] = [];
  // biome-ignore lint/suspicious/noExplicitAny: the answer's own shape.
  let work: any;
  for (const [workflow_name, steps] of Object.entries(works)) {
    const bin = await openWindow({
      onForm: () => ({ action: "accept", content: { answer: "allow_repository" } }),
    });
    const { data } = await bin.call({
      workflow_name,
      message: withScript(`Now ${workflow_name} it`, { steps }),
      continue_session: NAME,
    });
    expect(data).toMatchObject({ outcome: "completed", run: { workflow_name, session_id } });
    // The conversation goes on: the agent knows all that was said before.
    expect(data.run.result).toContain("Design the authentication system");
    const status = await bin.call({ action: "status", run_id: data.run.run_id, detailed: true });
    folders.push(status.data.run.workspace_path);
    expect(status.data.run).toMatchObject({ git_branch: BRANCH });
    if (workflow_name === "implement") {
      ({ work } = data.run);
      expect(status.data.run.commits).toEqual([expect.stringMatching(/^[0-9a-f]+ Add the login$/)]);
    }
    if (workflow_name === "test") {
      const list = await bin.call({ action: "list_sessions", active_only: false });
      expect(list.data.sessions).toMatchObject([
        { session_name: NAME, session_id, runs: 3, workflow_name: "test", can_continue: true },
      ]);
    }
    // The repository's own scripts are asked for, once for all runs on it; commits and changes are not.
    expect(bin.forms.map(({ message }) => message.split("\n")[0])).toEqual(
      workflow_name === "test"
        ? [`test (${NAME}) wants to run this repository's own scripts: \`node --test\``]
        : [],
    );
    // A form shows two lines of it: what the scripts can do comes right after the command, which is not said again.
    if (workflow_name === "test")
      expect(bin.forms[0]?.message.split("\n")[2]).toMatch(/^They .* in a sandbox/);
    await closeWindow(bin);
  }
  const [worktree = "", ...same] = folders;
  expect(same).toEqual([worktree, worktree]);
  expect(readFileSync(join(worktree, "docs", "auth.md"), "utf8")).toContain("rotation");
  expect(git(worktree, "log", "--format=%s", BRANCH).split("\n")).toEqual(["Add the login", "Begin"]);
  // The work is in the person's own repository, and taken as the answer says.
  expect(git(repository, "branch", "--format=%(refname:short)")).toBe(`${BRANCH}\nmain`);
  expect(work).toMatchObject({ branch: BRANCH, where: repository, take: `git merge ${BRANCH}` });
  git(repository, ...work.take.split(" ").slice(1));
  expect(git(repository, "log", "--format=%s", "main").split("\n")).toEqual(["Add the login", "Begin"]);

  expect(processes()).toHaveLength(1);
  expect(await engine("stop")).toMatchObject({ code: 0 });
  expect(processes()).toEqual([]);
}, 120_000);

it("a repository on this machine is taken from the allowed folders and from nowhere else", async () => {
  const { repository, engine, openWindow } = createMachine({ claudePath: SCRIPTED_AGENT });
  const elsewhere = temporaryFolder();
  git(elsewhere, "init", "--quiet");
  const bin = await openWindow();
  const run = (repository_url: string, session_name = "refused") =>
    bin.call({ ...COMPLETE, session_name, repository_url });
  const relative = await run("./auth");
  expect(relative).toMatchObject({
    isError: true,
    text: expect.stringMatching(/there is no folder .*auth\..*Nothing was sent/s),
  });
  const outside = await run(elsewhere);
  // The client has no forms, so the ways to allow it are told, and nothing was sent.
  expect(outside.isError).toBe(true);
  expect(outside.text).toMatch(
    /not allowed for agents yet.*Nothing was sent.*automagik-workflows-mcp allow /s,
  );
  // Nothing has run, so nobody is asked whether to continue it, and only the second is there afterwards.
  const inside = await run(repository);
  expect(inside.data).toMatchObject({ outcome: "completed" });
  expect(bin.forms).toEqual([]);
  const { sessions } = (await bin.call({ action: "list_sessions", active_only: false })).data;
  expect(sessions).toMatchObject([{ session_name: "refused", status: "completed" }]);
  await closeWindow(bin);
  await engine("stop");
}, 60_000);

it("a branch that was refused leaves the session on the branch that it had", async () => {
  const { repository, engine, openWindow } = createMachine({ claudePath: SCRIPTED_AGENT });
  const bin = await openWindow();
  const first = await bin.call({ ...COMPLETE, session_name: "kept", repository_url: repository });
  expect(first.data).toMatchObject({ outcome: "completed" });
  const read = async (run_id: string) =>
    (await bin.call({ action: "status", run_id, detailed: true })).data.run;
  const { workspace_path, git_branch } = await read(first.data.run.run_id);
  writeFileSync(join(workspace_path, "unfinished.txt"), "not committed\n");

  const goOn = { action: "run", workflow_name: "fix", message: "Go on", continue_session: "kept" };
  const refused = await bin.call({ ...goOn, git_branch: "typo" });
  expect(refused.data.outcome).toBe("failed");
  expect(refused.data.summary).toMatch(
    /^Not started; nothing was charged\. .*unfinished\.txt.*the session is as it was\.$/,
  );
  const { sessions } = (await bin.call({ action: "list_sessions", active_only: false })).data;
  expect(sessions).toMatchObject([{ session_name: "kept", git_branch, can_continue: true }]);
  const again = await bin.call(goOn);
  expect(again.data).toMatchObject({ outcome: "completed" });
  expect(await read(again.data.run.run_id)).toMatchObject({ workspace_path, git_branch });
  await closeWindow(bin);
  await engine("stop");
}, 120_000);
