import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { createContractClient } from "./contract/upstream.js";
import { runBin, spawnBin, temporaryFolder, toVariables } from "./support/bin.js";
import { runToCommit } from "./support/committed-run.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { COMPLETE, until } from "./support/harness.js";
import { ENGINE_KEY, SCRIPTED_AGENT, startLocalEngine, withScript } from "./support/local-engine.js";
import { startLosingProxy } from "./support/losing-proxy.js";
import { closeWindow, createMachine, git as machineGit } from "./support/one-machine.js";
import { statusThat } from "./support/patient.js";
import { hasTerminal, runInTypedTerminal } from "./support/typed-terminal.js";

// `sessions diff`, `take`, `discard` and `resume` through the published bin, at an engine of this process.
vi.setConfig({ testTimeout: 120_000 });

const BIN = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

let place: GitPlace;
let source: string;
let engine: LocalEngine;
let mark: string;
beforeEach(async () => {
  place = makeGitPlace();
  ({ source } = place);
  mark = join(place.folder, "mark");
  engine = await startLocalEngine(join(place.folder, "engine"), { engineAllowedFolders: [place.folder] });
});
afterEach(async () => {
  await engine.close();
  place.remove();
});

const git = (...args: string[]) => place.git(source, ...args);
const variables = (url = engine.url) =>
  toVariables({ BASE_URL: url, API_KEY: ENGINE_KEY, STATE_DIR: temporaryFolder() });
const sessions = (...args: string[]) => runBin(["sessions", ...args], variables());

/** Adds a commit to the worktree of a run that has ended. */
async function addCommit(run_id: string, files: Record<string, string>): Promise<void> {
  const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  const { work } = await statusThat(direct, run_id, (found) => found.completed_at !== null);
  place.commit((work as { worktree: string }).worktree, files);
}

describe("sessions diff", () => {
  it("shows the whole diff, plain in a pipe, with nothing that a terminal would obey", async () => {
    const run_id = await runToCommit(engine.url, source);
    const many = Array.from({ length: 3_000 }, (_, index) => `line ${index} of many`).join("\n");
    await addCommit(run_id, { "a.txt": `\u001b[31mred\u001b]0;title\u0007 \u202eback\n-- sql\n${many}\n` });
    // What a run has left is what its diff shows, so the session's next run has the commit.
    const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const { session_id } = await statusThat(direct, run_id, (found) => found.completed_at !== null);
    const fields = { message: withScript("Look", { steps: [{ text: "Done." }] }), session_id };
    const next = await direct.start(fields, "implement");
    await statusThat(direct, next.run_id, (found) => found.completed_at !== null);

    const shown = await sessions("diff", "login");
    expect(shown).toMatchObject({ code: 0, stderr: "" });
    expect(shown.stdout).toMatch(/^ a\.txt +\| 3002 \++\n login\.txt +\| +1 \+\n 2 files changed/);
    expect(shown.stdout).toContain("\ndiff --git a/a.txt b/a.txt\n");
    expect(shown.stdout).toContain("\n+red back\n+-- sql\n+line 0 of many\n");
    expect(shown.stdout).toContain("+line 2999 of many\n");
    expect(shown.stdout).not.toMatch(/[\u001b\u202e]/);

    const stat = await sessions("diff", next.run_id, "--stat");
    expect(stat).toMatchObject({ code: 0, stderr: "" });
    expect(stat.stdout).toMatch(/2 files changed, 3003 insertions\(\+\)\n$/);
    expect((await sessions()).stdout).toMatch(/ automagik\/login +\+3003 -0 /);
    const line = `exec ${process.execPath} ${BIN} sessions diff login | head -n 1`;
    const env = { PATH: process.env.PATH, HOME: temporaryFolder(), ...variables() };
    const read = await promisify(execFile)("/bin/sh", ["-c", line], { env });
    expect(read, "whoever has read enough is not told of an error").toEqual({
      stdout: expect.stringMatching(/^ a\.txt +\| 3002 .*\n$/),
      stderr: "",
    });
    expect(await sessions("diff", "nothing\u001b[31m-so\n-called")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /There is no session or run "nothing-so -called"\. Nothing was sent\. `automagik-workflows-mcp sessions` lists what there is\.\n$/,
      ),
    });
  });

  it("says of a branch that it is none of a session's names, and where the command is that takes it", async () => {
    await runToCommit(engine.url, source);
    expect(await sessions("take", "automagik/ship-join-90d5450cae")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        "Nothing was sent. That is the name of a branch: the status of its plan or session has the command that takes it.",
      ),
    });
  });

  it("lists the sessions when several have the name", async () => {
    const ids = [await runToCommit(engine.url, source), await runToCommit(engine.url, source)];
    for (const command of ["diff", "take", "discard"]) {
      const { code, stdout, stderr } = await sessions(command, "login");
      expect(code, command).toBe(1);
      const told = stdout + stderr;
      expect(told).toContain("2 sessions have this name. Name one by the id of its run.");
      for (const id of ids) expect(told).toContain(id);
    }
    expect(await sessions("diff", ids[0] ?? "", "--stat")).toMatchObject({ code: 0 });
  });
});

describe("sessions take", () => {
  it("shows what would happen and does nothing where nobody can be asked", async () => {
    await runToCommit(engine.url, source);
    const before = git("rev-parse", "main");
    const { code, stdout } = await sessions("take", "login", "--squash", "--check", `touch ${mark}`);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^ login\.txt \| 1 \+\n 1 file changed, 1 insertion\(\+\)\n\n/);
    expect(stdout).toMatch(
      /Run `touch .*mark` on .*, and if it passes merge the work of session "login" into main as one commit/,
    );
    expect(stdout).toContain("Add the login");
    expect(stdout).toContain("Nobody can be asked here. Nothing was done. --yes does it without asking.");
    expect(existsSync(mark)).toBe(false);
    expect(git("rev-parse", "main")).toBe(before);
  });

  it("asks nothing where nothing is to be merged, and merges what was committed since", async () => {
    const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const message = withScript("Look at it", { steps: [{ text: "Done." }] });
    const fields = { message, session_name: "look", repository_url: source };
    const { run_id } = await direct.start(fields, "implement");
    const { workspace_path } = await statusThat(direct, run_id, (found) => found.completed_at !== null);
    const nothing = await sessions("take", "look");
    expect(nothing).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /^Nothing was merged, and nobody was asked: main has all of the work of session "look" already \(branch automagik\/look\S*\)\.\n$/,
      ),
    });
    place.commit(workspace_path as string, { "mine.txt": "mine\n" });
    const asked = await sessions("take", "look");
    expect(asked.stdout).toMatch(
      /Merge the work of session "look" into main\?[\s\S]*Nobody can be asked here/,
    );
    expect(await sessions("take", "look", "--yes")).toMatchObject({ code: 0 });
  });

  it("asks nothing where the work was merged before, until something is committed or the branch is named", async () => {
    const run_id = await runToCommit(engine.url, source);
    expect(await sessions("take", "login", "--yes")).toMatchObject({ code: 0 });
    const again = await sessions("take", "login");
    expect(again.code).toBe(1);
    expect(again.stdout).toContain(
      'Nothing was merged, and nobody was asked: the work of session "login" was merged into main before, and nothing was committed since. To merge it again, name the branch with `into`.\n',
    );
    expect(again.stdout).not.toContain("Merge the work");
    const named = await sessions("take", "login", "--into", "main");
    expect(named.stdout).toMatch(
      /Merge the work of session "login" into main\?[\s\S]*Nobody can be asked here/,
    );
    await addCommit(run_id, { "more.txt": "more\n" });
    const more = await sessions("take", "login");
    expect(more.stdout).toMatch(
      /Merge the work of session "login" into main\?[\s\S]*Nobody can be asked here/,
    );
    expect(await sessions("take", "login", "--yes")).toMatchObject({ code: 0 });
    expect(existsSync(join(source, "more.txt"))).toBe(true);
  });

  it("says of what an agent has left uncommitted where it is, and neither that it is merged nor that nothing changed", async () => {
    const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const write = { tools: [{ name: "Write", input: { file_path: "loose.txt", content: "loose\n" } }] };
    const message = withScript("Build it", { steps: [write, { text: "Done." }] });
    const fields = { message, session_name: "loose", repository_url: source };
    const { run_id } = await direct.start(fields, "implement");
    const { workspace_path } = await statusThat(direct, run_id, (found) => found.completed_at !== null);
    const where = `When the run ended, its agent had left changes uncommitted, in the worktree only: ${workspace_path}.\n`;

    const diff = await sessions("diff", "loose");
    expect(diff).toMatchObject({ code: 0, stdout: "" });
    expect(diff.stderr).toBe(`Session "loose" has committed nothing.\n${where}`);
    expect(await sessions("take", "loose", "--yes")).toMatchObject({
      code: 1,
      stdout: `Nothing was merged, and nobody was asked: session "loose" has committed nothing. ${where.trim()} Have them committed there, then take it again.\n`,
    });

    place.commit(workspace_path as string, { "mine.txt": "mine\n" });
    const taken = await sessions("take", "loose", "--yes");
    expect(taken).toMatchObject({ code: 0, stdout: expect.stringContaining(`Not merged: ${where}`) });
    expect(taken.stdout).toMatch(/Merged into main of [^\n]* When the run ended, its agent had left/);
  });

  it("merges with --yes, and only what passes the check", async () => {
    const run_id = await runToCommit(engine.url, source);
    const before = git("rev-parse", "main");
    const failed = await sessions("take", "login", "--yes", "--check", "echo not good; exit 4");
    expect(failed).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /Nothing was merged: the check .* failed with exit code 4 [\s\S]*\nnot good\n--- end of the output/,
      ),
    });
    expect(failed.stderr).toContain("Checking: echo not good; exit 4");
    const empty = await sessions("take", "login", "--yes", "--check=");
    expect(empty).toMatchObject({ code: 1, stderr: expect.stringContaining("The check is empty") });
    expect(git("rev-parse", "main")).toBe(before);
    expect(await sessions("take", run_id, "--yes", "--into", "typo")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no branch typo. Nothing was merged"),
    });

    const taken = await sessions("take", run_id, "--yes", "--squash", "--check", "test -f login.txt");
    expect(taken).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("Merged as one commit into main of"),
    });
    expect(git("log", "-1", "--format=%s", "main")).toBe("login");
    expect(readFileSync(join(source, "login.txt"), "utf8")).toBe("login\n");
  });

  it("ends the check on Ctrl-C, and merges nothing", async () => {
    await runToCommit(engine.url, source);
    const before = git("rev-parse", "main");
    const check = `echo $$ > ${mark}; sleep 600`;
    const taking = spawnBin(["sessions", "take", "login", "--yes", "--check", check], variables());
    await until(() => existsSync(mark) && readFileSync(mark, "utf8") !== "", "the check's begin");
    taking.child.kill("SIGINT");
    expect(await taking.ended()).toBe(3);
    expect(taking.stdout()).toContain("A check that nobody waits for any more is ended, and merges nothing.");
    await until(() => !existsSync(`/proc/${readFileSync(mark, "utf8").trim()}/cwd`), "the check's end");
    await until(() => engine.activeRuns() === 0, "the end of the take");
    expect(git("rev-parse", "main")).toBe(before);
  });

  it("has exit code 3 when the answer is lost, and is sent once", async () => {
    const run_id = await runToCommit(engine.url, source);
    const between = await startLosingProxy(engine.url, ({ url = "" }) => url.endsWith("/take"));
    const told = await runBin(["sessions", "take", run_id, "--yes"], variables(between.url));
    expect(told).toMatchObject({
      code: 3,
      stdout: expect.stringContaining("It is unknown whether the work was merged"),
    });
    expect(between.requests.filter((one) => one.endsWith("/take"))).toHaveLength(1);
  });
});

it("sessions discard throws a session's work away, after asking or with --yes", async () => {
  const run_id = await runToCommit(engine.url, source);
  const asked = await sessions("discard", "login");
  expect(asked).toMatchObject({ code: 1, stdout: expect.stringContaining("Nothing was done. --yes") });
  expect(asked.stdout).toMatch(/Throw away the worktree and the branch of [\s\S]*Add the login/);
  expect(git("branch", "--list", "automagik/*")).toContain("automagik/login");
  // What it has cost is what all of its runs have, and that is no "so far" of one that has ended.
  const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  const { session_id } = await statusThat(direct, run_id, (found) => found.completed_at !== null);
  const look = { message: withScript("Look", { steps: [{ text: "Done." }] }), session_id };
  const next = await direct.start(look, "implement");
  await statusThat(direct, next.run_id, (found) => found.completed_at !== null);
  const { sessions: listed } = JSON.parse((await sessions("--json")).stdout);
  const [{ cost_usd }] = listed as [{ cost_usd: number }];
  const { runs } = (await direct.get("/runs")).body as { runs: { cost_usd?: number }[] };
  expect(cost_usd).toBeGreaterThan(runs[0]?.cost_usd ?? 0);
  const both = await sessions("discard", "login");
  expect(both.stdout).toMatch(
    new RegExp(
      `Throw away the worktree and the branch of session "login" \\([^)]*, \\$${cost_usd.toFixed(2)}\\)`,
    ),
  );
  const gone = await sessions("discard", "login", "--yes");
  expect(gone).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /Thrown away: the worktree, .*Commits that were nowhere else: \w+ Add the login\./,
    ),
  });
  expect(git("branch", "--list", "automagik/*")).toBe("");
});

describe("sessions resume", () => {
  const starts = (requests: readonly string[]) => requests.filter((one) => /^POST .*\/run\/\w+$/.test(one));
  const message = withScript("Go on", { steps: [{ text: "Done." }] });

  it("sends exactly one POST", async () => {
    await runToCommit(engine.url, source);
    const between = await startLosingProxy(engine.url);
    const told = await runBin(["sessions", "resume", "login", message, "--yes"], variables(between.url));
    expect(told).toMatchObject({ code: 0, stderr: "" });
    expect(starts(between.requests)).toEqual([expect.stringMatching(/\/run\/implement$/)]);
  });

  it("sends none without a yes", async () => {
    await runToCommit(engine.url, source);
    const between = await startLosingProxy(engine.url);
    const told = await runBin(["sessions", "resume", "login", message], variables(between.url));
    expect(told).toMatchObject({ code: 1, stdout: expect.stringContaining("Nobody can be asked here") });
    expect(between.requests.filter((one) => one.startsWith("POST"))).toEqual([]);
  });

  it("sends exactly one POST to an API without keys when the answer is lost, too", async () => {
    const served = await serveSimulatedApi({ paceMs: 1 });
    onTestFinished(() => served.close());
    const { world } = served.api;
    const run = world.start("fix", { message: "Repair it", session_name: "elsewhere", input_format: "text" });
    await vi.waitFor(() => expect(world.get(run.runId)?.status).toBe("completed"), { timeout: 60_000 });
    // Nor does its list tell afterwards what has become of it.
    let isSent = false;
    const between = await startLosingProxy(served.url, ({ method }) => {
      isSent ||= method === "POST";
      return isSent;
    });
    const env = toVariables({ BASE_URL: between.url, API_KEY: "test-key", STATE_DIR: temporaryFolder() });
    const told = await runBin(["sessions", "resume", "elsewhere", "Go on", "--yes"], env);
    // Whoever repeats what ends with 1 is not to pay twice.
    expect(told).toMatchObject({
      code: 3,
      stdout: expect.stringContaining("It is unknown whether the run was started"),
    });
    expect(between.requests.filter((one) => one.startsWith("POST"))).toHaveLength(1);
  });

  it("starts exactly one run at the engine when the answer is lost: what is sent again has the same key", async () => {
    const run_id = await runToCommit(engine.url, source);
    let lost = 0;
    const between = await startLosingProxy(engine.url, ({ method }) => method === "POST" && ++lost === 1);
    const told = await runBin(["sessions", "resume", "login", message, "--yes"], variables(between.url));
    expect(told).toMatchObject({ code: 0, stderr: "" });
    expect(starts(between.requests).length).toBeGreaterThan(1);
    expect(new Set(between.keys).size).toBe(1);
    expect(between.keys).toHaveLength(starts(between.requests).length);
    const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const { runs } = (await direct.get("/runs")).body as { runs: { run_id: string }[] };
    expect(runs.filter((one) => one.run_id !== run_id)).toHaveLength(1);
  });
});

/** In a terminal of its own, with what a person types. */
describe.skipIf(!hasTerminal)("in a terminal", () => {
  const inTerminal = (command: string, typed: string) =>
    runInTypedTerminal(`sessions ${command}`, { HOME: temporaryFolder(), ...variables() }, [
      ["[y/N]", typed],
    ]);

  it("the diff has colours, and a take is asked about", async () => {
    await runToCommit(engine.url, source);
    const before = git("rev-parse", "main");
    const diff = await inTerminal("diff login", "");
    expect(diff.code).toBe(0);
    expect(diff.text).toContain("\u001b[32m+login\u001b[39m");
    expect(diff.text).toMatch(/\u001b\[1mdiff --git a\/login\.txt b\/login\.txt\u001b\[22m/);

    const refused = await inTerminal(`take login --check 'touch ${mark}'`, "n");
    expect(refused).toMatchObject({ code: 1, text: expect.stringContaining("You said no to") });
    expect(existsSync(mark)).toBe(false);
    expect(git("rev-parse", "main")).toBe(before);
    const taken = await inTerminal(`take login --check 'touch ${mark}'`, "y");
    expect(taken).toMatchObject({ code: 0, text: expect.stringContaining("Merged into main of") });
    expect(existsSync(mark)).toBe(true);
  });
});

it("a check that is going on when the engine is killed merges nothing, and the next engine puts all in order", async () => {
  const {
    home,
    repository,
    openWindow,
    enginePid,
    processes,
    engine: control,
  } = createMachine({
    claudePath: SCRIPTED_AGENT,
  });
  const env = {
    HOME: home,
    ...toVariables({ STATE_DIR: home, CLAUDE_PATH: SCRIPTED_AGENT, ENGINE_ALLOWED_FOLDERS: repository }),
  };
  const bin = await openWindow();
  const message = withScript("Add it", {
    steps: [
      { tools: [{ name: "Write", input: { file_path: "docs/new.md", content: "new\n" } }] },
      {
        tools: [
          { name: "Bash", input: { command: "git add docs/new.md && git commit -qm 'Add it'" }, run: true },
        ],
      },
      { text: "Done." },
    ],
  });
  const asked = { ...COMPLETE, message, repository_url: repository, session_name: "kept" };
  let { data } = await bin.call(asked);
  while (data.outcome === "input_required") {
    const [{ question_id }] = data.run.questions;
    const { run_id } = data.run;
    await bin.call({ action: "answer", run_id, question_id, answer: "allow_once", confirm: true });
    ({ data } = await bin.call({ action: "status", run_id, wait_seconds: 40 }));
  }
  expect(data).toMatchObject({ outcome: "completed", run: { work: { commit_count: 1 } } });
  await closeWindow(bin);
  const worktree: string = data.run.workspace_path ?? /cd (\S+) /.exec(data.run.work.resume)?.[1];
  const before = machineGit(repository, "rev-parse", "main");

  // In the sandbox a check can write here, and not to the folders of tests.
  const shared = mkdtempSync("/tmp/automagik-check-");
  onTestFinished(() => rmSync(shared, { recursive: true, force: true }));
  const mark = join(shared, "mark");
  const check = `echo more >> docs/new.md; touch made; echo $$ > ${mark}; sleep 600`;
  const taking = spawnBin(["sessions", "take", "kept", "--yes", "--check", check], env);
  await until(() => existsSync(mark) && readFileSync(mark, "utf8") !== "", "the check's begin");
  expect(taking.stdout()).toContain("on this machine as you, and if it passes merge the work");
  process.kill(enginePid(), "SIGKILL");
  expect(await taking.ended()).toBe(3);
  expect(machineGit(repository, "rev-parse", "main")).toBe(before);

  const taken = await runBin(["sessions", "take", "kept", "--yes", "--check", "test ! -e made"], env);
  expect(taken).toMatchObject({ code: 0, stdout: expect.stringContaining("Merged into main of") });
  const pid = Number(readFileSync(mark, "utf8"));
  expect(processes().filter((one) => one === pid)).toEqual([]);
  expect(machineGit(worktree, "symbolic-ref", "--short", "HEAD")).toBe("automagik/kept");
  expect(machineGit(worktree, "status", "--porcelain")).toBe("");
  expect(readFileSync(join(repository, "docs/new.md"), "utf8")).toBe("new\n");
  await control("stop");
}, 180_000);
