import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createCommands } from "../src/engine/agent/run-command.js";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import type { WorkspacesOptions } from "../src/engine/workspaces/workspaces.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { createContractClient } from "./contract/upstream.js";
import { runToCommit } from "./support/committed-run.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { connectInMemory, until } from "./support/harness.js";
import { ENGINE_KEY, startLocalEngine } from "./support/local-engine.js";
import { startLosingProxy } from "./support/losing-proxy.js";

// Checks before a merge, on real git and real commands.
vi.setConfig({ testTimeout: 60_000 });

let place: GitPlace;
let source: string;
/** A file outside of every repository, by which a command shows that it has run. */
let mark: string;
beforeEach(() => {
  place = makeGitPlace();
  ({ source } = place);
  mark = join(place.folder, "mark");
});
afterEach(() => place.remove());

const git = (at: string, ...args: string[]) => place.git(at, ...args);
const idOf = (branch: string) => git(source, "rev-parse", branch);

/** A session with commits, whose run has ended. */
async function session(
  options: Partial<WorkspacesOptions> = {},
  files: Record<string, string> = { "a.txt": "a\n" },
) {
  const workspaces = place.workspaces(options);
  const workspace = await workspaces.prepare({ ...place.request("key"), sessionName: "login" });
  const head = place.commit(workspace.path, { ".gitignore": "cache/\n", ...files });
  const which = { runId: workspace.runId, sessionKey: workspace.sessionKey };
  await workspaces.settle(workspace, { merge: false });
  return { ...workspaces, workspaces, at: workspace.path, which, head };
}

/** The command has written its mark. */
const hasBegun = () => existsSync(mark) && readFileSync(mark, "utf8") !== "";
/** How the worktree stands: its branch, its commit, and what is not committed. */
const stateOf = (at: string) => [
  git(at, "symbolic-ref", "--short", "HEAD"),
  git(at, "rev-parse", "HEAD"),
  git(at, "status", "--porcelain"),
];
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

describe("a check before the merge", () => {
  it("runs on the merged result in the session's worktree, which is as it was afterwards", async () => {
    const { take, which, head, at } = await session();
    place.commit(source, { "theirs.txt": "theirs\n" });
    const command = [
      `pwd > ${mark}`,
      `git log -1 --format=%P >> ${mark}`,
      "test -f a.txt && test -f theirs.txt && git diff --quiet HEAD",
      "mkdir -p cache new/deep && touch cache/kept new/deep/gone && rm readme.md && echo more >> a.txt && git add a.txt",
      "echo fine",
    ].join(" && ");
    const taken = await take(which, { check: command });
    expect(taken).toMatchObject({
      taken: true,
      check: { passed: true, exitCode: 0, output: "fine", cut: false, place: { kind: "worktree" } },
    });
    const [folder, parents] = readFileSync(mark, "utf8").trim().split("\n");
    expect(folder).toBe(at);
    expect(parents?.split(" ")).toHaveLength(2);
    expect(git(source, "show", "--format=%s", "--stat", "main")).toContain("Merge branch");
    expect(existsSync(join(source, "a.txt"))).toBe(true);
    expect(readFileSync(join(source, "a.txt"), "utf8")).toBe("a\n");
    expect(stateOf(at)).toEqual(["automagik/login", head, ""]);
    expect(existsSync(join(at, "cache", "kept")), "caches stay").toBe(true);
    expect(existsSync(join(at, "new"))).toBe(false);
    expect(readdirSync(join(place.folder, "workspaces", "checks"))).toEqual([]);
  });

  it("removes what it made and nothing else, whatever the merge and the branch ignore", async () => {
    place.commit(source, { ".gitignore": "cache/\n" });
    const workspaces = place.workspaces();
    const workspace = await workspaces.prepare({ ...place.request("key"), sessionName: "login" });
    const { path: at } = workspace;
    const head = place.commit(at, { "a.txt": "a\n" });
    place.write(at, "cache/there-before", "of the agent\n");
    // In the merge `cache` is not ignored any more, and `out` is.
    place.commit(source, { ".gitignore": "out/\n" });
    const which = { runId: workspace.runId, sessionKey: workspace.sessionKey };
    const seen = `git status --porcelain > ${mark}`;
    const check = `${seen}; mkdir -p out && touch out/made cache/made made && echo changed > cache/there-before; exit 1`;
    expect(await workspaces.take(which, { check })).toMatchObject({
      taken: false,
      check: { exitCode: 1, place: { kind: "worktree" } },
    });
    expect(readFileSync(mark, "utf8"), "the files were at hand, and not ignored").toBe("?? cache/\n");
    expect(stateOf(at)).toEqual(["automagik/login", head, ""]);
    expect(existsSync(join(at, "cache", "there-before"))).toBe(true);
    expect(["out", "made", "cache/made"].filter((path) => existsSync(join(at, path)))).toEqual([]);
  });

  it("merges nothing when it fails, and has the end of what it wrote, cleaned", async () => {
    const { take, which, head, at } = await session();
    const before = idOf("main");
    const command = `i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; done; printf '10%%\\r90%%\\n\\033[31mred\\033[0m\\n' >&2; exit 3`;
    const taken = await take(which, { check: command });
    expect(taken).toMatchObject({
      taken: false,
      failedCheck: true,
      check: { passed: false, exitCode: 3, cut: true },
    });
    const lines = taken.check?.output.split("\n") ?? [];
    expect(lines).toHaveLength(40);
    expect(lines.slice(-3)).toEqual(["line 60", "90%", "red"]);
    expect(idOf("main")).toBe(before);
    expect(stateOf(at)).toEqual(["automagik/login", head, ""]);
  });

  it("does not run where the merge conflicts, or nothing is to be merged", async () => {
    const { take, which } = await session({}, { "readme.md": "theirs\n" });
    place.commit(source, { "readme.md": "mine\n" });
    const check = `touch ${mark}`;
    expect(await take(which, { check })).toMatchObject({ taken: false, conflicts: ["readme.md"] });
    expect(existsSync(mark)).toBe(false);
  });

  it("runs in a copy where the worktree has uncommitted work, and leaves neither touched nor behind", async () => {
    const { take, which, at, head } = await session();
    place.write(at, "own.txt", "not committed\n");
    const check = `pwd > ${mark}; test ! -e own.txt && test -f a.txt && touch left`;
    const taken = await take(which, { check });
    expect(taken).toMatchObject({
      taken: true,
      check: { passed: true, place: { kind: "copy", why: expect.stringContaining("own.txt") } },
    });
    expect(readFileSync(mark, "utf8").trim()).not.toBe(at);
    expect(existsSync(readFileSync(mark, "utf8").trim())).toBe(false);
    expect(stateOf(at)).toEqual(["automagik/login", head, "?? own.txt"]);
    expect(
      git(at, "worktree", "list")
        .split("\n")
        .filter((line) => line.includes("check-")),
    ).toEqual([]);
    expect(readdirSync(join(place.folder, "workspaces", "checks"))).toEqual([]);
  });

  it("runs in a copy where the merge would overwrite ignored files, also where git needs force for others", async () => {
    place.commit(source, { "a.txt": "one\r\ntwo\n", ".gitignore": "local.env\ncache/\n" });
    place.write(source, ".gitattributes", "*.txt text eol=crlf\n");
    git(source, "add", ".gitattributes");
    git(source, "commit", "--quiet", "--message", "Write .gitattributes");
    const workspaces = place.workspaces();
    const workspace = await workspaces.prepare({ ...place.request("key"), sessionName: "login" });
    const at = workspace.path;
    expect(git(at, "status", "--porcelain"), "differs since its checkout").toBe("M a.txt");
    place.write(at, "new.md", "work\n");
    git(at, "add", "new.md");
    git(at, "commit", "--quiet", "--message", "Write new.md");
    place.write(at, "local.env", "only here\n");
    git(source, "checkout", "--quiet", "-b", "beside");
    place.write(source, "local.env", "theirs\n");
    git(source, "add", "--force", "local.env");
    git(source, "commit", "--quiet", "--message", "Write local.env");
    git(source, "branch", "--force", "main");
    const which = { runId: workspace.runId, sessionKey: workspace.sessionKey };
    expect(await workspaces.take(which, { check: "grep theirs local.env" })).toMatchObject({
      taken: true,
      check: { place: { kind: "copy", why: expect.stringContaining("overwritten") } },
    });
    expect(readFileSync(join(at, "local.env"), "utf8")).toBe("only here\n");
  });

  it("runs in a copy where the worktree is gone", async () => {
    const { take, which, cleanup } = await session();
    await cleanup(which.runId, { force: true });
    const taken = await take(which, { check: "test -f a.txt" });
    expect(taken).toMatchObject({ taken: true, check: { place: { kind: "copy" } } });
  });

  it("gets no input, no credentials and none of this product's variables", async () => {
    const secret = { GH_TOKEN: "s3cret", AUTOMAGIK_WORKFLOWS_API_KEY: "s3cret", PLAIN: "plain" };
    const env = { ...place.env, ...secret };
    const { take, which } = await session({ env });
    const check = 'test -z "$(cat)"; echo "[$GH_TOKEN$AUTOMAGIK_WORKFLOWS_API_KEY]$PLAIN"; exit 1';
    expect((await take(which, { check })).check?.output).toBe("[]plain");
  });

  it("is ended with all that it has started when its time is over", async () => {
    const checkTimeoutMs = 1_234;
    // Its time is over as soon as it is at work, however slow the machine is.
    const clock: Clock = {
      ...systemClock,
      after(ms, task) {
        if (ms !== checkTimeoutMs) return systemClock.after(ms, task);
        void until(hasBegun, "the check's begin").then(task);
        return () => {};
      },
    };
    const commands = createCommands({ env: place.env, clock });
    const { take, which, head, at } = await session({ checkTimeoutMs, commands });
    const before = idOf("main");
    const check = `touch made; setsid sleep 600 & echo $! > ${mark}; wait`;
    const taken = await take(which, { check });
    expect(taken).toMatchObject({
      taken: false,
      check: { passed: false, endedBy: "timeout", limitMs: checkTimeoutMs },
    });
    expect(isAlive(Number(readFileSync(mark, "utf8")))).toBe(false);
    expect(idOf("main")).toBe(before);
    expect(stateOf(at)).toEqual(["automagik/login", head, ""]);
  });

  it("ends when the person stops it, and nothing is merged", async () => {
    const { take, which, head, at } = await session();
    const before = idOf("main");
    const stop = new AbortController();
    const taking = take(which, { check: `echo $$ > ${mark}; sleep 600`, signal: stop.signal });
    await until(hasBegun, "the check's begin");
    stop.abort("enough");
    await expect(taking).rejects.toThrow(/stopped before it finished: enough/);
    expect(isAlive(Number(readFileSync(mark, "utf8")))).toBe(false);
    expect(idOf("main")).toBe(before);
    expect(stateOf(at)).toEqual(["automagik/login", head, ""]);
  });

  it("that has passed is not cut off amid the person's files: they are moved whole", async () => {
    place.write(source, "own.txt", "own\n");
    const mine = place.workspaces();
    const asked = { ...place.request("key"), sessionName: "login", uncommitted: true };
    const workspace = await mine.prepare(asked);
    place.commit(workspace.path, { "own.txt": "theirs\n" });
    await mine.settle(workspace, { merge: false });
    // The stop comes when the files are there and the branch is not.
    const program = join(place.folder, "git");
    const script = `case " $* " in *"update-ref -m merge: Fast-forward"*) touch ${mark}; sleep 1;; esac`;
    writeFileSync(program, `#!/bin/sh\n${script}\nexec git "$@"\n`, { mode: 0o755 });
    const stop = new AbortController();
    const which = { runId: workspace.runId, sessionKey: workspace.sessionKey };
    const taking = place.workspaces({ gitPath: program }).take(which, { check: "true", signal: stop.signal });
    await until(() => existsSync(mark), "the move of the branch");
    stop.abort();
    expect(await taking).toMatchObject({ taken: true });
    expect(git(source, "status", "--porcelain")).toBe("");
    expect(readFileSync(join(source, "own.txt"), "utf8")).toBe("theirs\n");
  });

  it("does not leave what it has started in the background", async () => {
    const { take, which } = await session();
    const taken = await take(which, { check: `setsid sleep 600 >/dev/null 2>&1 & echo $! > ${mark}` });
    expect(taken).toMatchObject({ taken: true });
    expect(isAlive(Number(readFileSync(mark, "utf8")))).toBe(false);
  });

  it.each([
    // At its end it is mostly in the middle of becoming `sleep`.
    ["has only just begun", "setsid sleep 600 & echo $! >&3"],
    ["has no environment any more", "env -i sleep 600 & echo $! >&3"],
    ["is begun by one that ends at once", "sh -c 'setsid sleep 600 & echo $! >&3'"],
  ])("leaves nothing behind that %s", async (_what, begin) => {
    const commands = createCommands({ env: place.env, clock: systemClock });
    const pids: number[] = [];
    for (let time = 0; time < 20; time++) {
      const own = { cwd: source, mark: randomUUID().replaceAll("-", ""), timeoutMs: 30_000 };
      await commands.run({ ...own, command: `exec 3>${mark} >/dev/null 2>&1; ${begin}` });
      pids.push(Number(readFileSync(mark, "utf8")));
    }
    expect(pids).not.toContain(0);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("merges nothing where the branch has moved on meanwhile: that was not checked", async () => {
    const { take, which } = await session();
    const commit = "git -c user.name=A -c user.email=a@b commit -q --allow-empty -m meanwhile";
    const taken = await take(which, { check: `cd ${source} && ${commit}` });
    expect(taken).toMatchObject({
      taken: false,
      reason: "main has moved on meanwhile",
      check: { passed: true },
    });
    expect(git(source, "log", "-1", "--format=%s", "main")).toBe("meanwhile");
  });

  it("puts right what the command does to the session's branch", async () => {
    const { take, which, head, at } = await session();
    const commit = "git -c user.name=A -c user.email=a@b commit -q --allow-empty -m intruder";
    await take(which, { check: `git checkout -q automagik/login && ${commit}; exit 1` });
    expect(stateOf(at)).toEqual(["automagik/login", head, ""]);
    await take(which, { check: "git branch -D automagik/login; git init -q nested; exit 1" });
    expect(stateOf(at)).toEqual(["automagik/login", head, ""]);
  });

  it("holds up no other session of the repository, and keeps its own branch", async () => {
    const { take, which, prepare, diff, head } = await session();
    const go = join(place.folder, "go");
    const taking = take(which, { check: `touch ${mark}; while [ ! -e ${go} ]; do sleep 0.05; done` });
    await until(() => existsSync(mark), "the check's begin");
    const other = await prepare({ ...place.request("other"), sessionName: "other" });
    expect(existsSync(other.path)).toBe(true);
    await expect(prepare(place.request("third", "automagik/login"))).rejects.toThrow(
      /is being checked before it is taken/,
    );
    // Its commits are the session's own, not those of the merge that is being checked.
    expect((await diff(which, { maxBytes: 10_000 })).branch).toBe("automagik/login");
    writeFileSync(go, "");
    expect(await taking).toMatchObject({ taken: true, commit: head });
  });
});

describe("an engine that goes away during a check", () => {
  /** Commands of an engine that hears nothing of their end any more. */
  function deaf() {
    const commands = createCommands({ env: place.env, clock: systemClock });
    return {
      ...commands,
      run: (request: Parameters<typeof commands.run>[0]) => {
        void commands.run(request);
        return new Promise<never>(() => {});
      },
    };
  }

  it("leaves a worktree that the next one brings back, and a process that it ends", async () => {
    const { take, which, head, at } = await session({ commands: deaf() });
    void take(which, { check: `touch made && echo more >> a.txt && echo $$ > ${mark}; sleep 600` });
    await until(hasBegun, "the check's begin");
    const next = place.workspaces();
    await next.open();
    expect(isAlive(Number(readFileSync(mark, "utf8")))).toBe(false);
    expect(stateOf(at)).toEqual(["automagik/login", head, ""]);
    expect(readdirSync(join(place.folder, "workspaces", "checks"))).toEqual([]);
    expect(await next.take(which, { check: "test -f a.txt" })).toMatchObject({ taken: true, commit: head });
  });

  it("leaves a copy that the next one removes", async () => {
    const { take, which, at } = await session({ commands: deaf() });
    place.write(at, "own.txt", "own\n");
    void take(which, { check: `pwd > ${mark}; sleep 600` });
    await until(hasBegun, "the check's begin");
    await place.workspaces().open();
    expect(existsSync(readFileSync(mark, "utf8").trim())).toBe(false);
    expect(readdirSync(join(place.folder, "workspaces", "checks"))).toEqual([]);
    expect(git(at, "worktree", "list")).not.toContain("check-");
    expect(readFileSync(join(at, "own.txt"), "utf8")).toBe("own\n");
  });

  it("leaves alone what somebody has committed in the worktree since", async () => {
    const { take, which, at } = await session({ commands: deaf() });
    place.commit(source, { "theirs.txt": "theirs\n" });
    void take(which, { check: `touch ${mark}; sleep 600` });
    await until(() => existsSync(mark), "the check's begin");
    const own = place.commit(at, { "later.txt": "by hand\n" });
    await place.workspaces().open();
    expect(git(at, "rev-parse", "HEAD")).toBe(own);
    expect(existsSync(join(at, "later.txt"))).toBe(true);
  });
});

describe("the action with a check, on the engine", () => {
  let engine: LocalEngine;
  beforeEach(async () => {
    engine = await startLocalEngine(join(place.folder, "engine"), { engineAllowedFolders: [place.folder] });
  });
  afterEach(() => engine.close());

  const connect = (choice: "yes" | "no", settings = {}) =>
    connectInMemory({
      settings: { API_KEY: ENGINE_KEY, BASE_URL: engine.url, ...settings },
      onForm: () => ({ action: "accept", content: { confirm: choice } }),
    });
  const git = (...args: string[]) => place.git(source, ...args);

  it("runs the exact command that the person has agreed to, and merges when it passes", async () => {
    const run_id = await runToCommit(engine.url, source);
    const check = `touch ${mark} && test -f login.txt`;
    const refusing = await connect("no", { ENGINE: "local" });
    const before = git("rev-parse", "main");
    expect((await refusing.call({ action: "take", run_id, check, confirm: true })).data.outcome).toBe(
      "declined",
    );
    expect(existsSync(mark), "not run against a no").toBe(false);
    expect(refusing.forms.at(-1)?.message).toContain(
      `Run \`${check}\` on this machine as you, and if it passes merge the work of session "login" into main?`,
    );

    const { call, forms } = await connect("yes");
    const failed = await call({ action: "take", run_id, check: "printf '\\033[31mno good'; exit 2" });
    expect(failed.data).toMatchObject({
      outcome: "failed",
      summary: expect.stringMatching(
        /^Nothing was merged: the check `.*` failed with exit code 2 after [\d.]+ s\.$/,
      ),
      check: { passed: false, exit_code: 2, output: "no good", cut: false },
    });
    expect(failed.text).toContain("written by programs of the repository, not by this server");
    expect(git("rev-parse", "main")).toBe(before);

    const told: string[] = [];
    const taken = await call(
      { action: "take", run_id, check },
      { onprogress: ({ message }) => told.push(message ?? "") },
    );
    expect(forms.at(-1)?.message).toContain(
      `Run \`${check}\` on the engine's machine as its user, and if it passes merge the work of `,
    );
    expect(forms.at(-1)?.message).toContain("1 commit, 1 file, +1 -0, on automagik/login: Add the login");
    expect(taken.data).toMatchObject({
      outcome: "ok",
      summary: expect.stringMatching(/^Merged into main of .* The check `touch .*` passed in [\d.]+ s\.$/),
      check: { command: check, passed: true, exit_code: 0 },
    });
    expect(told).toContain(`Checking: ${check}`);
    expect(git("log", "-1", "--format=%s", "main")).toBe("Add the login");
    expect((await call({ action: "status", run_id })).data.run.work).toMatchObject({ merged_into: "main" });
  });

  it("is ended when the client cancels, and the session is nobody else's until then", async () => {
    const run_id = await runToCommit(engine.url, source);
    const before = git("rev-parse", "main");
    const { call } = await connect("yes");
    const cancel = new AbortController();
    const taking = call(
      { action: "take", run_id, check: `echo $$ > ${mark}; sleep 600` },
      { signal: cancel.signal },
    );
    taking.catch(() => {});
    await until(hasBegun, "the check's begin");
    expect(engine.activeRuns(), "the engine does not end as idle").toBe(1);
    for (const action of ["discard", "cleanup", "take"]) {
      const refused = await call({ action, run_id });
      expect(refused.text, action).toContain("is being checked before it is taken. Nothing was done");
    }
    cancel.abort();
    await expect(taking).rejects.toThrow();
    await until(() => !isAlive(Number(readFileSync(mark, "utf8"))), "the check's end");
    await until(() => engine.activeRuns() === 0, "the end of the take");
    expect(git("rev-parse", "main")).toBe(before);
    expect((await call({ action: "take", run_id })).data.outcome).toBe("ok");
  });

  it("is ended by an engine that stops, which says so", async () => {
    const run_id = await runToCommit(engine.url, source);
    const { call } = await connect("yes");
    const taking = call({ action: "take", run_id, check: `touch ${mark}; sleep 600` });
    await until(() => existsSync(mark), "the check's begin");
    await engine.close();
    expect((await taking).text).toMatch(/stopped before it finished: The engine is stopping/);
    expect(git("log", "-1", "--format=%s", "main")).toBe("Write readme.md");
  });

  it("says that it is unknown when the answer is lost, and how to see; it is sent once", async () => {
    const run_id = await runToCommit(engine.url, source);
    const between = await startLosingProxy(engine.url, ({ url = "" }) => url.endsWith("/take"));
    const { call } = await connectInMemory({
      settings: {
        API_KEY: ENGINE_KEY,
        BASE_URL: between.url,
      },
      onForm: () => ({ action: "accept", content: { confirm: "yes" } }),
    });
    const lost = await call({ action: "take", run_id, check: "true" });
    expect(lost.data).toMatchObject({
      outcome: "unknown",
      summary: expect.stringMatching(/^It is unknown whether the work was merged\. .*merged_into/),
      next_step: { arguments: { action: "status", run_id } },
    });
    expect(between.requests.filter((one) => one.endsWith("/take"))).toHaveLength(1);
    expect((await call({ action: "status", run_id })).data.run.work).toMatchObject({ merged_into: "main" });
  });

  it("is not sent to an API that would pass over it and merge: nobody is asked, and nothing is sent", async () => {
    const run_id = await runToCommit(engine.url, source);
    const older = await startLosingProxy(
      engine.url,
      () => false,
      (description) => description.replaceAll('"check":', '"other":'),
    );
    const { call, forms } = await connectInMemory({
      settings: { API_KEY: ENGINE_KEY, BASE_URL: older.url },
      onForm: () => ({ action: "accept", content: { confirm: "yes" } }),
    });
    const refused = await call({ action: "take", run_id, check: "true" });
    expect(refused).toMatchObject({
      isError: true,
      text: expect.stringContaining(
        "does not say that it runs checks, so it might merge without. Nothing was merged",
      ),
    });
    expect(forms).toEqual([]);
    expect(older.requests.filter((one) => one.startsWith("POST"))).toEqual([]);
  });

  it("ends it at what the call may wait, and says what gives it more", async () => {
    const run_id = await runToCommit(engine.url, source);
    const { call } = await connect("yes");
    const told = await call({ action: "take", run_id, check: "sleep 600", wait_seconds: 6 });
    expect(told.data).toMatchObject({
      outcome: "failed",
      summary: expect.stringMatching(
        /^Nothing was merged: .* its time limit of 1\.0 s\. .*`wait_seconds`.*sessions take/,
      ),
    });
  });

  it.each([
    ["a line break", "npm test\nrm -rf ~"],
    ["what is not seen", "npm test \u202e"],
    ["too much", `npm test ${"x".repeat(100)}`],
  ])("takes no command with %s, which a person would not see as it is", async (_what, check) => {
    const { call, forms } = await connect("yes");
    const refused = await call({ action: "take", run_id: "any", check });
    expect(refused).toMatchObject({ isError: true, text: expect.stringContaining("Nothing was merged") });
    expect(forms).toEqual([]);
    const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const answer = await direct.post("/run/any/take", { check });
    expect(answer.status).toBe(422);
  });
});
