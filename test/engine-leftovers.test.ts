import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { WorkflowsApi } from "../src/api/client.js";
import { cleanInTerminal } from "../src/cli/sessions/clean-command.js";
import { tellSize } from "../src/cli/sessions/render-leftovers.js";
import type { Workspace } from "../src/engine/workspaces/workspaces.js";
import { createContractClient } from "./contract/upstream.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { ENGINE_KEY, startLocalEngine, withScript } from "./support/local-engine.js";
import { statusThat } from "./support/patient.js";

// What sessions have left on the disk: what the engine says would be lost with it, and that nothing else is removed.
vi.setConfig({ testTimeout: 120_000 });

let place: GitPlace;
beforeEach(() => {
  place = makeGitPlace();
});
afterEach(() => place.remove());

const free = () => false;
const home = (...path: string[]) => join(place.folder, "workspaces", ...path);
const cloneOf = () => join(home("repositories"), readdirSync(home("repositories"))[0] ?? "", ".git");

/** Workspaces, and one of a session that has committed. */
async function working(sessionKey = "one", gitBranch?: string) {
  const workspaces = place.workspaces();
  const begin = async (key: string, branch?: string): Promise<Workspace> => {
    const workspace = await workspaces.prepare({ ...place.request(key, branch), sessionName: key });
    place.commit(workspace.path, { [`${key}.md`]: key });
    return workspace;
  };
  const workspace = await begin(sessionKey, gitBranch);
  const look = async (name = sessionKey) => {
    const found = await workspaces.leftovers(free);
    return { ...found, item: found.items.find((one) => one.name === name) };
  };
  return { ...workspaces, workspace, begin, look };
}

describe("a session's workspace", () => {
  it("is safe once the repository has its commits, by any of its branches", async () => {
    const { workspace, look, settle } = await working();
    expect((await look()).item).toMatchObject({ safe: false, commitsOnlyHere: 1 });
    await settle(workspace, { merge: false });
    expect((await look()).item).toMatchObject({ safe: true, heldBy: "automagik/one", isDelivered: true });
    place.git(place.source, "merge", "--quiet", "automagik/one");
    expect((await look()).item).toMatchObject({ safe: true, heldBy: "main", isDelivered: false });
    place.git(place.source, "reset", "--quiet", "--hard", "HEAD~1");
    place.git(place.source, "branch", "-D", "automagik/one");
    const { item } = await look();
    expect(item).toMatchObject({
      safe: false,
      commitsOnlyHere: 1,
      commits: [expect.stringMatching(/Write one\.md$/)],
    });
  });

  it("is removed without force only where nothing is lost, looked at again at that moment", async () => {
    const { workspace, look, settle, removeLeftover } = await working();
    await settle(workspace, { merge: false });
    const { item } = await look();
    const { id = "", mark = "" } = item ?? {};
    place.write(workspace.path, "late.md", "late");
    await expect(removeLeftover(id, { force: true, mark })).rejects.toThrow(/changed since it was looked at/);
    const { mark: seen = "" } = (await look()).item ?? {};
    await expect(removeLeftover(id, { force: false, mark: seen })).rejects.toThrow(/nowhere else/);
    expect(existsSync(join(workspace.path, "late.md"))).toBe(true);
    expect(await removeLeftover(id, { force: true, mark: seen })).toMatchObject({
      lost: expect.stringContaining("late.md"),
      errors: [],
    });
    expect(existsSync(workspace.path)).toBe(false);
    expect(place.git(place.source, "log", "-1", "--format=%s", "automagik/one")).toBe("Write one.md");
  });

  it("goes by force with the commits that are nowhere else, and so does its branch in the clone", async () => {
    const { look, removeLeftover } = await working();
    const { item } = await look();
    await removeLeftover(item?.id ?? "", { force: true, mark: item?.mark ?? "" });
    expect(place.git(cloneOf(), "branch", "--list", "automagik/*")).toBe("");
  });

  it("does not take a branch away that another session was given since", async () => {
    const { begin, look, removeLeftover } = await working();
    const other = await begin("two", "automagik/one");
    const { item } = await look();
    expect(item).toMatchObject({ safe: false });
    await removeLeftover(item?.id ?? "", { force: true, mark: item?.mark ?? "" });
    expect(place.git(other.path, "status", "--porcelain")).toBe("");
    expect(place.git(other.path, "log", "--format=%s", "-2")).toBe("Write two.md\nWrite one.md");
  });

  it("counts git-ignored files that nobody can make anew, and not what is built", async () => {
    place.commit(place.source, { ".gitignore": "reports/\nnode_modules/\n" });
    const { workspace, settle, look } = await working();
    await settle(workspace, { merge: false });
    place.write(workspace.path, "node_modules/a.js", "made");
    expect((await look()).item).toMatchObject({ safe: true });
    place.write(workspace.path, "reports/audit.md", "found");
    expect((await look()).item).toMatchObject({
      safe: false,
      files: 1,
      losses: ["1 git-ignored file (reports/audit.md)"],
    });
  });

  it("is not known to be safe where its repository is gone, or not allowed any more", async () => {
    const { workspace, settle, look } = await working();
    await settle(workspace, { merge: false });
    rmSync(place.source, { recursive: true });
    expect((await look()).item).toMatchObject({
      safe: false,
      problem: expect.stringMatching(/no git repository/),
    });
  });

  it("whose folder was removed by hand is still there to be tidied up", async () => {
    const { workspace, settle, look, removeLeftover } = await working();
    await settle(workspace, { merge: false });
    rmSync(workspace.path, { recursive: true });
    const { item } = await look();
    expect(item).toMatchObject({ safe: true, size: { bytes: 0 } });
    await removeLeftover(item?.id ?? "", { force: false, mark: item?.mark ?? "" });
    expect((await look()).item).toBeUndefined();
    expect(existsSync(join(cloneOf(), "worktrees", basename(workspace.path)))).toBe(false);
  });

  it("without a repository is only files, which exist nowhere else", async () => {
    const { prepare, leftovers } = place.workspaces();
    const { path } = await prepare({ sessionKey: "plain", runId: "r", tempWorkspace: false });
    expect((await leftovers(free)).items).toMatchObject([{ kind: "session", safe: true }]);
    place.write(path, "plan.md", "plan");
    expect((await leftovers(free)).items).toMatchObject([
      { safe: false, files: 1, losses: ["1 file (plan.md)"] },
    ]);
  });

  it("with a run that goes on is not removed, whoever asks for it", async () => {
    const engine = await startLocalEngine(join(place.folder, "engine"), {
      engineAllowedFolders: [place.folder],
    });
    const { product, start, post } = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const message = withScript("Work", { steps: [{ text: "Begin" }, { hang: true }] });
    const { run_id, session_id } = await start({
      message,
      session_name: "busy",
      repository_url: place.source,
    });
    const worktree = join(place.folder, "engine", "workspaces", "worktrees", "source-busy");
    await vi.waitFor(() => expect(existsSync(worktree)).toBe(true), { timeout: 30_000 });
    const [item] = (await product.listLeftovers()).items;
    expect(item).toMatchObject({ id: `session:${session_id}`, inUse: true, safe: false });
    const body = { id: item?.id, mark: item?.mark, force: true };
    expect(await post("/leftovers/remove", body)).toMatchObject({
      status: 409,
      body: { detail: expect.stringMatching(/going on or waiting\. Nothing was removed/) },
    });
    expect(existsSync(worktree)).toBe(true);
    await post(`/workflow/run/${run_id}/kill`);
    await engine.close();
  });

  it("in use is neither looked at nor changed", async () => {
    const { workspace, leftovers } = await working();
    rmSync(join(workspace.path, ".git"));
    expect((await leftovers(() => true)).items).toMatchObject([{ inUse: true, safe: false, losses: [] }]);
  });
});

describe("what no session has", () => {
  it("is a worktree whose record is gone: with what it holds, and as one of the clone", async () => {
    const { workspace, settle } = await working();
    await settle(workspace, { merge: false });
    rmSync(home("sessions"), { recursive: true });
    const next = place.workspaces();
    const stray = async () => (await next.leftovers(free)).items.find(({ kind }) => kind === "folder");
    expect(await stray()).toMatchObject({ name: "source-one", safe: true, heldBy: "automagik/one" });
    place.write(workspace.path, "half.md", "half");
    const found = await stray();
    expect(found).toMatchObject({ safe: false, files: 1 });
    await next.removeLeftover(found?.id ?? "", { force: true, mark: found?.mark ?? "" });
    expect(existsSync(workspace.path)).toBe(false);
    expect(place.git(cloneOf(), "worktree", "list").split("\n")).toHaveLength(1);
  });

  it("is a folder of unknown content, and none outside of their place can be named", async () => {
    const { removeLeftover, leftovers } = place.workspaces();
    mkdirSync(home("worktrees", "stray"), { recursive: true });
    writeFileSync(home("worktrees", "stray", ".git"), `gitdir: ${place.source}/.git\n`);
    writeFileSync(home("worktrees", "stray", "a.md"), "a");
    const [item] = (await leftovers(free)).items;
    expect(item).toMatchObject({ kind: "folder", safe: false, files: 2 });
    const how = { force: true, mark: item?.mark ?? "" };
    for (const id of [
      "folder:../source",
      "folder:worktrees/../../source",
      "folder:worktrees",
      "clone:../..",
      "x",
    ])
      await expect(removeLeftover(id, how)).rejects.toThrow(/not there any more/);
    await removeLeftover(item?.id ?? "", how);
    expect([existsSync(home("worktrees", "stray")), existsSync(join(place.source, ".git"))]).toEqual([
      false,
      true,
    ]);
  });

  it("is a clone, safe only while the repository has all of its commits by now", async () => {
    const { workspace, settle, cleanup, leftovers, removeLeftover, prepare } = await working();
    await settle(workspace, { merge: false });
    await cleanup(workspace, { force: false });
    const clone = async () => (await leftovers(free)).items.find(({ kind }) => kind === "clone");
    const safe = await clone();
    expect(safe).toMatchObject({ safe: true, repository: place.source });
    expect(safe?.size.bytes).toBeGreaterThan(0);
    const how = { force: false, mark: safe?.mark ?? "" };
    place.git(place.source, "branch", "-D", "automagik/one");
    await expect(removeLeftover(safe?.id ?? "", how)).rejects.toThrow(/changed since/);
    expect(await clone()).toMatchObject({ safe: false, commitsOnlyHere: 1 });
    place.git(place.source, "fetch", "--quiet", cloneOf(), "automagik/one:automagik/one");
    await removeLeftover(safe?.id ?? "", how);
    expect(readdirSync(home("repositories"))).toEqual([]);
    // The session goes on all the same.
    const again = await prepare({ ...place.request("one"), sessionName: "one" });
    expect([again.path, again.branch, again.baseBranch]).toEqual([workspace.path, "automagik/one", "main"]);
    expect(existsSync(join(again.path, "one.md"))).toBe(true);
  });

  it("are branches in a clone: those that the repository has go together, one with commits by its name", async () => {
    const { workspace, settle, cleanup, begin, leftovers, removeLeftover } = await working();
    await settle(workspace, { merge: false });
    await cleanup(workspace, { force: false });
    await cleanup(await begin("two"), { force: false });
    await begin("stays");
    const { items } = await leftovers(free);
    const branches = items.filter(({ kind }) => kind.startsWith("branch"));
    expect(branches).toMatchObject([
      { kind: "branches", safe: true, commits: ["automagik/one"] },
      { kind: "branch", name: "automagik/two", safe: false, commitsOnlyHere: 1 },
    ]);
    const [held, own] = branches;
    await expect(removeLeftover(own?.id ?? "", { force: false, mark: own?.mark ?? "" })).rejects.toThrow(
      /nowhere/,
    );
    await removeLeftover(held?.id ?? "", { force: false, mark: held?.mark ?? "" });
    await removeLeftover(own?.id ?? "", { force: true, mark: own?.mark ?? "" });
    expect(place.git(cloneOf(), "branch", "--list", "automagik/*").replace("+ ", "")).toBe("automagik/stays");
  });
});

describe("a branch in the person's repository", () => {
  it("is offered and deleted only when it is merged, unchanged, checked out nowhere, and of no session that is there", async () => {
    const { workspace, settle, cleanup, begin, leftovers, removeMergedBranch } = await working();
    await settle(workspace, { merge: false });
    for (const name of ["two", "three", "four"]) {
      const other = await begin(name);
      await settle(other, { merge: false });
      if (name !== "four") await cleanup(other, { force: false });
    }
    await cleanup(workspace, { force: false });
    place.git(place.source, "merge", "--quiet", "automagik/one");
    place.git(place.source, "merge", "--quiet", "-m", "Take three", "automagik/three");
    place.git(place.source, "merge", "--quiet", "-m", "Take four", "automagik/four");
    place.git(place.source, "worktree", "add", "--quiet", join(place.folder, "mine"), "automagik/three");
    const { mergedBranches } = await leftovers(free);
    expect(mergedBranches).toMatchObject([
      { repository: place.source, branch: "automagik/one", into: "main" },
    ]);
    const [one] = mergedBranches;
    if (!one) return;
    await expect(removeMergedBranch({ ...one, branch: "automagik/two" })).rejects.toThrow(/was kept/);
    await expect(removeMergedBranch({ ...one, branch: "main" })).rejects.toThrow(/was kept/);
    await expect(removeMergedBranch({ ...one, branch: "automagik/three" })).rejects.toThrow(/was kept/);
    await removeMergedBranch(one);
    expect(
      place.git(place.source, "branch", "--list", "--format=%(refname:short)").split("\n").sort(),
    ).toEqual(["automagik/four", "automagik/three", "automagik/two", "main"]);
  });
});

describe("the person in a terminal", () => {
  /** An engine with two ended sessions, one with an uncommitted file, and its client. */
  async function atEngine() {
    const engine = await startLocalEngine(join(place.folder, "engine"), {
      engineAllowedFolders: [place.folder],
    });
    const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const write = { tools: [{ name: "Write", input: { file_path: "half.md", content: "half" } }] };
    for (const [session_name, ...steps] of [["clean"], ["loose", write]] as const) {
      const message = withScript("Work", { steps: [...steps, { text: "Done" }] });
      const { run_id } = await client.start({ message, session_name, repository_url: place.source });
      await statusThat(client, run_id, ({ status }) => status === "completed");
    }
    return { engine, api: client.product };
  }

  function terminal(api: WorkflowsApi, lines: string[], answers: boolean[]) {
    const shown: string[] = [];
    const asked: string[] = [];
    const options = {
      ...{ api, olderThanMs: 0, yes: false, dryRun: false, json: false, width: 100, now: Date.now() },
      signal: new AbortController().signal,
      out: (text: string) => void shown.push(text),
      askLine: async () => lines.shift() ?? "",
      ask: async (question: string) => {
        asked.push(question);
        return answers.shift() ?? false;
      },
    };
    return { run: () => cleanInTerminal(options), text: () => shown.join(""), asked };
  }

  it("has no folder removed under an agent, a temporary one neither, whoever names it", async () => {
    const engine = await startLocalEngine(join(place.folder, "engine"));
    const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const message = withScript("Work", { steps: [{ hang: true }] });
    for (const temp_workspace of ["true", "false"]) {
      const { run_id } = await client.start({ message }, "implement", { temp_workspace });
      await statusThat(client, run_id, ({ workspace_path }) => workspace_path !== null);
      const [item] = (await client.product.listLeftovers()).items.filter(({ inUse }) => inUse);
      const { id = "", mark = "", path = "" } = item ?? {};
      const removed = client.product.removeLeftover({ id, mark, name: "it" }, true);
      await expect(removed).rejects.toThrow(/going on or waiting\. Nothing was removed/);
      expect(existsSync(path)).toBe(true);
      await client.post(`/run/${run_id}/kill`, undefined, { force: "true" });
      await statusThat(client, run_id, ({ completed_at }) => completed_at !== null);
    }
    await engine.close();
  });

  it("names what goes by numbers, and is asked once more about what is only there", async () => {
    const { engine, api } = await atEngine();
    const worktrees = () => readdirSync(join(place.folder, "engine", "workspaces", "worktrees")).sort();
    const none = terminal(api, [""], []);
    expect(await none.run()).toBe(0);
    expect(none.text()).toMatch(
      /\* 1 {2}clean .*nothing committed\n[\s\S]*named one by one:\n {2}2 {2}loose .*uncommitted files: 1/,
    );
    expect(worktrees()).toEqual(["source-clean", "source-loose"]);

    const range = terminal(api, ["1-2", "7", "what", "2"], [false]);
    expect(await range.run()).toBe(0);
    expect(range.text()).toMatch(
      /named one by one, not in a range: 2\.\n[\s\S]*no number 7\.\n"what" is no number\.\n/,
    );
    expect(range.text()).toMatch(
      /loose: uncommitted files: 1\.\n {2}it has uncommitted changes in 1 file \(half\.md\)\n {2}To look: git -C \S+source-loose status/,
    );
    expect(range.asked).toEqual(["Remove loose for good?"]);
    expect(worktrees()).toHaveLength(2);

    const all = terminal(api, ["all"], []);
    expect(await all.run()).toBe(0);
    expect(all.asked).toEqual([]);
    expect(worktrees()).toEqual(["source-loose"]);

    const rest = terminal(api, ["1"], [true, true]);
    expect(await rest.run()).toBe(0);
    expect(rest.text()).toMatch(
      /Removed: loose\. Removed by force: uncommitted changes in 1 file \(half\.md\)\.\n/,
    );
    expect(rest.text()).toMatch(
      /Used by no session now:\n {2}clone of \S+, \S+ [KM]?B\n[\s\S]*Removed: 2\. Workspaces and clones: \S+ .B before, \S+ .?B now\.\n$/,
    );
    expect([worktrees(), readdirSync(join(place.folder, "engine", "workspaces", "repositories"))]).toEqual([
      [],
      [],
    ]);
    await api.close();
    await engine.close();
  });
});

it("tells sizes by one unit", () => {
  expect([0, 999, 1_000, 9_960, 48_200_000, 1_500_000_000].map((bytes) => tellSize(bytes))).toEqual([
    "0 B",
    "999 B",
    "1.0 KB",
    "10.0 KB",
    "48 MB",
    "1.5 GB",
  ]);
  expect(tellSize(2_000_000, false)).toBe("at least 2.0 MB");
});
