import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import type { Workspace } from "../src/engine/workspaces/workspaces.js";
import { createContractClient } from "./contract/upstream.js";
import { runToCommit } from "./support/committed-run.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { connectInMemory } from "./support/harness.js";
import { ENGINE_KEY, startLocalEngine, withScript } from "./support/local-engine.js";
import { statusThat } from "./support/patient.js";

vi.setConfig({ testTimeout: 60_000 });

let place: GitPlace;
let source: string;
beforeEach(() => {
  place = makeGitPlace();
  ({ source } = place);
});
afterEach(() => place.remove());

const git = (at: string, ...args: string[]) => place.git(at, ...args);
const idOf = (branch: string) => git(source, "rev-parse", branch);
const branches = () => git(source, "branch", "--format=%(refname:short)").split("\n");

/** A session with commits, whose run has ended. */
async function session(files: Record<string, string> = { "a.txt": "a\n" }) {
  const workspaces = place.workspaces();
  const workspace = await workspaces.prepare({ ...place.request("key"), sessionName: "login" });
  const head = place.commit(workspace.path, files);
  const which = { runId: workspace.runId, sessionKey: workspace.sessionKey };
  const { work } = await workspaces.settle(workspace, { merge: false });
  return { ...workspaces, workspace, which, head, work };
}

describe("the diff of a session", () => {
  it("has what its commits change, and is cut at whole lines", async () => {
    const { which, diff, work } = await session({ "a.txt": "one\ntwo\n" });
    const range = { base: work?.baseCommit, head: work?.headCommit ?? "" };
    const whole = await diff(which, { range, maxBytes: 100_000 });
    expect(whole).toMatchObject({ cut: false, branch: "automagik/login", baseBranch: "main" });
    expect(whole.text).toMatch(/diff --git a\/a\.txt b\/a\.txt[\s\S]*\+one\n\+two\n$/);
    const cut = await diff(which, { range, maxBytes: 120 });
    expect(cut.cut).toBe(true);
    expect(whole.text.startsWith(cut.text)).toBe(true);
    expect(cut.text.endsWith("\n")).toBe(true);
  });

  it("runs no program that settings name, and is there without the worktree, too", async () => {
    const trap = join(place.folder, "trap");
    const program = join(place.folder, "program");
    writeFileSync(program, `#!/bin/sh\ntouch ${trap}\ncat "$1"\n`, { mode: 0o755 });
    const config = join(place.folder, "config");
    writeFileSync(config, `[diff]\n\texternal = ${program}\n[diff "x"]\n\ttextconv = ${program}\n`);
    place.commit(source, { ".gitattributes": "*.txt diff=x\n" });
    const { which, workspace, cleanup } = await session();
    await cleanup(workspace, { force: true });
    const later = place.workspaces({ env: { ...place.env, GIT_CONFIG_GLOBAL: config } });
    expect((await later.diff(which, { maxBytes: 100_000 })).text).toContain("+a");
    expect(existsSync(trap)).toBe(false);
  });
});

describe("taking a session's work", () => {
  it("moves the branch that the person has checked out, with its files, and leaves other changes alone", async () => {
    const { which, take, head } = await session();
    place.write(source, "readme.md", "not committed\n");
    place.write(source, "own.txt", "untracked\n");
    expect(await take(which, {})).toMatchObject({ taken: true, into: "main", commit: head, where: source });
    expect(idOf("main")).toBe(head);
    expect(readFileSync(join(source, "a.txt"), "utf8")).toBe("a\n");
    expect(git(source, "status", "--porcelain")).toBe("M readme.md\n?? own.txt");
    expect(git(source, "for-each-ref", "refs/automagik"), "nothing is left of the way").toBe("");
    expect(await take(which, {})).toMatchObject({ taken: false, reason: expect.stringContaining("already") });
  });

  it("does nothing where a change that is not committed is in the way, and names the file", async () => {
    const { which, take } = await session({ "readme.md": "theirs\n" });
    place.write(source, "readme.md", "mine\n");
    const before = idOf("main");
    expect(await take(which, {})).toMatchObject({
      taken: false,
      reason: expect.stringMatching(/would overwrite what is not committed in .*readme\.md/),
    });
    expect(idOf("main")).toBe(before);
    expect(readFileSync(join(source, "readme.md"), "utf8")).toBe("mine\n");
    expect(git(source, "status", "--porcelain")).toBe("M readme.md");
  });

  it("makes a merge commit where both have moved on, in a linked worktree, too", async () => {
    const { which, take } = await session();
    const beside = join(place.folder, "beside");
    git(source, "worktree", "add", "--quiet", "-b", "next", beside);
    place.commit(beside, { "b.txt": "b\n" });
    expect(await take(which, { into: "next" })).toMatchObject({ taken: true, into: "next" });
    expect(git(beside, "log", "-1", "--format=%P").split(" ")).toHaveLength(2);
    expect(existsSync(join(beside, "a.txt"))).toBe(true);
    expect(git(beside, "status", "--porcelain")).toBe("");
  });

  it("tells conflicts file by file, and leaves nothing half done", async () => {
    const { which, take } = await session({ "readme.md": "theirs\n", "b.txt": "theirs\n" });
    place.commit(source, { "readme.md": "mine\n", "b.txt": "mine\n" });
    const before = idOf("main");
    expect(await take(which, {})).toMatchObject({ taken: false, conflicts: ["b.txt", "readme.md"] });
    expect(idOf("main")).toBe(before);
    expect(git(source, "status", "--porcelain")).toBe("");
    expect(existsSync(join(source, ".git", "MERGE_HEAD"))).toBe(false);
  });

  it("makes one commit where that is asked for", async () => {
    const { which, take, workspace } = await session();
    place.commit(workspace.path, { "b.txt": "b\n" });
    const taken = await take(which, { squash: "Add the login" });
    expect(taken).toMatchObject({ taken: true, commit: idOf("main") });
    expect(git(source, "log", "--format=%s", "main").split("\n")).toEqual([
      "Add the login",
      "Write readme.md",
    ]);
    expect(git(source, "ls-tree", "--name-only", "main").split("\n")).toEqual([
      "a.txt",
      "b.txt",
      "readme.md",
    ]);
  });

  it("runs no hook and no filter, and leaves files that need one to the person", async () => {
    const mark = join(place.folder, "sprung");
    const program = join(place.folder, "program");
    writeFileSync(program, `#!/bin/sh\ntouch ${mark}\ncat\n`, { mode: 0o755 });
    const { which, take, head } = await session();
    mkdirSync(join(source, ".git", "hooks"), { recursive: true });
    for (const hook of [
      "post-merge",
      "pre-merge-commit",
      "post-checkout",
      "reference-transaction",
      "post-index-change",
    ])
      writeFileSync(join(source, ".git", "hooks", hook), `#!/bin/sh\ntouch ${mark}\n`, { mode: 0o755 });
    for (const name of ["core.fsmonitor", "filter.evil.smudge", "filter.evil.clean", "gpg.program"])
      git(source, "config", name, program);
    git(source, "config", "merge.verifySignatures", "true");
    writeFileSync(join(source, ".git", "info-none"), "");
    expect(await take(which, {})).toMatchObject({ taken: true, commit: head });
    expect(existsSync(mark)).toBe(false);

    place.write(source, ".gitattributes", "*.bin filter=evil\n");
    const other = await place.workspaces().prepare({ ...place.request("other"), sessionName: "other" });
    place.commit(other.path, { "x.bin": "x" });
    const second = await take({ runId: other.runId, sessionKey: "other" }, {});
    expect(second).toMatchObject({ taken: false, reason: expect.stringContaining("pass a filter") });
    expect(idOf("main")).toBe(head);
    expect(existsSync(mark)).toBe(false);
  });

  it("does not write to a worktree outside of the allowed folders, whatever the repository says of it", async () => {
    const { which, take } = await session();
    git(source, "worktree", "add", "--quiet", "-b", "next", join(place.folder, "beside"));
    const [admin = ""] = git(source, "worktree", "list", "--porcelain").match(/beside/) ?? [];
    const victim = join(place.folder, "victim");
    mkdirSync(victim);
    // The repository claims another folder, which knows nothing of it.
    writeFileSync(join(source, ".git", "worktrees", admin, "gitdir"), `${join(victim, ".git")}\n`);
    const before = idOf("next");
    expect(await take(which, { into: "next" })).toMatchObject({ taken: false });
    expect(idOf("next")).toBe(before);
    expect(existsSync(join(victim, "a.txt"))).toBe(false);
  });

  it("makes a branch that is to be new, also for the second of two, and says when it has all already", async () => {
    const { which, take, head } = await session();
    const how = { into: "automagik/joined", newBranch: true };
    expect(await take(which, { ...how, check: "test ! -f a.txt" })).toMatchObject({
      taken: false,
      failedCheck: true,
    });
    expect(branches()).not.toContain("automagik/joined");
    expect(await take(which, how)).toMatchObject({ taken: true, commit: head });
    expect(idOf("automagik/joined")).toBe(head);
    expect(await take(which, how)).toMatchObject({ taken: false, hadAll: head });
    const other = await place.workspaces().prepare({ ...place.request("other"), sessionName: "other" });
    place.commit(other.path, { "b.txt": "b\n" });
    const second = await take({ runId: other.runId, sessionKey: "other" }, how);
    expect(second).toMatchObject({ taken: true });
    expect(git(source, "ls-tree", "--name-only", "automagik/joined").split("\n")).toEqual([
      "a.txt",
      "b.txt",
      "readme.md",
    ]);
    expect(git(source, "ls-tree", "--name-only", "main")).toBe("readme.md");
  });

  it("refuses a branch that the repository does not have", async () => {
    const { which, take } = await session();
    await expect(take(which, { into: "typo" })).rejects.toThrow(/no branch typo\. Nothing was merged/);
  });
});

describe("throwing a session's work away", () => {
  async function thrownAway(workspace: Workspace, tools: ReturnType<GitPlace["workspaces"]>) {
    await tools.cleanup(workspace, { force: true });
    return tools.discardBranches({ runId: workspace.runId, sessionKey: workspace.sessionKey });
  }

  it("takes its branch out of the repository, and names the commits that were nowhere else", async () => {
    const { workspace, head, ...tools } = await session();
    expect(branches()).toContain("automagik/login");
    const gone = await thrownAway(workspace, tools);
    expect(gone).toEqual({
      removed: [`automagik/login in ${source}`],
      lost: [`${head.slice(0, 7)} Write a.txt`],
      kept: [],
    });
    expect(branches()).toEqual(["main"]);
  });

  it("keeps what is merged, and a branch that somebody has checked out or put commits on", async () => {
    const { workspace, ...tools } = await session();
    git(source, "checkout", "--quiet", "automagik/login");
    const own = place.commit(source, { "own.txt": "own\n" });
    git(source, "checkout", "--quiet", "main");
    expect(await thrownAway(workspace, tools)).toMatchObject({
      kept: [expect.stringMatching(/^automagik\/login was kept in .*: it has other commits\.$/)],
      lost: [],
    });
    expect(idOf("automagik/login")).toBe(own);
  });
});

describe("the actions on the engine", () => {
  let engine: LocalEngine;
  beforeEach(async () => {
    engine = await startLocalEngine(join(place.folder, "engine"), { engineAllowedFolders: [place.folder] });
  });
  afterEach(() => engine.close());

  const connect = (choice: "yes" | "no") =>
    connectInMemory({
      settings: { API_KEY: ENGINE_KEY, BASE_URL: engine.url },
      onForm: () => ({
        action: "accept",
        content: { confirm: choice },
      }),
    });
  const run = () => runToCommit(engine.url, source);

  it("show a session's work, take it only when the person says yes, and tell it from the end of its run on", async () => {
    const { call, client, forms } = await connect("yes");
    const run_id = await run();
    const done = await call({ action: "status", run_id, wait_seconds: 5 });
    const { work } = done.data.run;
    expect(work).toMatchObject({
      branch: "automagik/login",
      base_branch: "main",
      commits: [expect.stringMatching(/^[0-9a-f]{7,} Add the login$/)],
      ...{ files: 1, insertions: 1, deletions: 0, delivered_to: "repository", where: source },
      look: "git diff main...automagik/login",
      take: "git merge automagik/login",
      discard: "git branch -D automagik/login",
      resume: expect.stringMatching(/^cd \S+ && claude --resume [0-9a-f-]{36}$/),
    });
    expect(done.text).toContain("Work:");
    expect(done.data.summary).toContain(
      `1 commit is on automagik/login in your repository ${source} (1 file, +1 -0).`,
    );
    const status = await call({ action: "status", run_id, detailed: true });
    expect(status.data.diff.text).toContain("+login");
    const { contents } = await client.readResource({ uri: `automagik://runs/${run_id}/diff` });
    expect(contents[0]).toMatchObject({ text: expect.stringContaining("+login") });
    const glance = (await client.readResource({ uri: "automagik://sessions" })).contents[0] as {
      text: string;
    };
    expect(JSON.parse(glance.text).sessions).toMatchObject([
      {
        session_name: "login",
        git_branch: "automagik/login",
        ...{ insertions: 1, deletions: 0, cost_usd: expect.any(Number), age_s: expect.any(Number) },
      },
    ]);
    const shown = await call({ action: "diff", session_name: "login" });
    expect(shown.data).toMatchObject({
      outcome: "ok",
      diff: { cut: false, text: expect.stringContaining("+login") },
    });
    expect(shown.text).toContain("written by the run's agent");

    const refusing = await connect("no");
    const main = git(source, "rev-parse", "main");
    const kept = await refusing.call({ action: "take", run_id, confirm: true });
    expect(kept.data.outcome).toBe("declined");
    expect(git(source, "rev-parse", "main")).toBe(main);
    const taken = await call({ action: "take", run_id });
    expect(forms.at(-1)?.message).toMatch(/^Merge the work of .* into main\?.*Add the login/s);
    expect(taken.data).toMatchObject({
      outcome: "ok",
      summary: expect.stringMatching(/^Merged into main of \S+ as [0-9a-f]{10}\.$/),
    });
    expect(git(source, "log", "-1", "--format=%s")).toBe("Add the login");
    const after = await call({ action: "status", run_id });
    expect(after.data.run.work).toMatchObject({ merged_into: "main" });
    expect(after.data.run.work.take).toBeUndefined();
    const listed = await call({ action: "list_sessions", active_only: false });
    expect(listed.data.sessions).toMatchObject([{ insertions: 1, deletions: 0, merged_into: "main" }]);
  });

  it("say how to look at it, take it and throw it away where the repository cannot have it", async () => {
    const { call } = await connect("yes");
    // No branch can be below one of that name.
    git(source, "branch", "automagik");
    const run_id = await run();
    const { work } = (await call({ action: "status", run_id, wait_seconds: 5 })).data.run;
    expect(work).toMatchObject({
      delivered_to: "engine",
      problem: expect.any(String),
      look: expect.stringMatching(/^git fetch \S+ automagik\/login\S* && git diff main\.\.\.FETCH_HEAD$/),
      take: expect.stringMatching(/^git fetch \S+ automagik\/login\S* && git merge FETCH_HEAD$/),
      discard: "automagik-workflows-mcp sessions discard login",
    });
  });

  it("do nothing with what a later run has done while the person was asked, and say which run that is", async () => {
    const run_id = await run();
    const first = await connect("yes");
    const { session_id } = (await first.call({ action: "status", run_id })).data.run;
    const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    let later = "";
    // Another window goes on with the session while the form stands there.
    const { call } = await connectInMemory({
      settings: { API_KEY: ENGINE_KEY, BASE_URL: engine.url },
      onForm: async () => {
        const message = withScript("Go on", { steps: [{ text: "Done." }] });
        later = (await direct.start({ message, session_id }, "implement")).run_id;
        await statusThat(direct, later, ({ completed_at }) => completed_at !== null);
        return { action: "accept", content: { confirm: "yes" } };
      },
    });
    const before = branches();
    for (const asked of [{ action: "take" }, { action: "discard" }, { action: "cleanup", force: true }]) {
      const answer = await call({ ...asked, run_id });
      expect(answer.text).toContain(
        `Session "login" has gone on since this run, with run ${later} (implement, completed)`,
      );
      expect(answer.text).toContain("Nothing was done.");
    }
    expect([git(source, "log", "-1", "--format=%s"), branches()]).toEqual(["Write readme.md", before]);
    expect((await first.call({ action: "take", session_name: "login" })).data.outcome).toBe("ok");
    expect(git(source, "log", "-1", "--format=%s")).toBe("Add the login");
  });

  it("throw it away only when the person says yes", async () => {
    const refusing = await connect("no");
    const run_id = await run();
    const kept = await refusing.call({ action: "discard", run_id, confirm: true });
    expect(kept.data.outcome).toBe("declined");
    expect(branches()).toContain("automagik/login");
    const { call, forms } = await connect("yes");
    const gone = await call({ action: "discard", run_id });
    const listed = await call({ action: "list_sessions", active_only: false });
    expect(listed.data.sessions, "the list does not say that there is work").toMatchObject([
      { session_name: "login", insertions: 0, deletions: 0 },
    ]);
    expect(forms.at(-1)?.message).toMatch(/Throw away the worktree and the branch of .*Add the login/s);
    expect(gone.data).toMatchObject({
      outcome: "ok",
      cleanup: { success: true, removed: ["the worktree", expect.stringContaining("automagik/login")] },
      summary: expect.stringMatching(/Commits that were nowhere else: [0-9a-f]+ Add the login\./),
    });
    expect(branches()).toEqual(["main"]);
    expect((await call({ action: "status", run_id })).data.run.work).toBeUndefined();
  });
});
