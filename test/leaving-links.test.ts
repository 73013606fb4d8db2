import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { findOutsideMemory } from "../src/engine/agent/outside-memory.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";

vi.setConfig({ testTimeout: 60_000 });

let place: GitPlace;
beforeEach(() => {
  place = makeGitPlace();
  writeFileSync(join(place.folder, "secret.txt"), "SECRET");
});
afterEach(() => place.remove());

function link(target: string, path: string): void {
  symlinkSync(target, join(place.source, path));
}

describe("links of a repository", () => {
  it("that lead out of the worktree are not among its files, and stay in every commit", async () => {
    const { commit, git, source, folder, workspaces, request } = place;
    mkdirSync(join(source, "docs"));
    link(join(folder, "secret.txt"), "docs/secret");
    link(folder, "everything");
    link("../not-there-yet", "dangling");
    link("everything", "indirect");
    link("/", "root");
    link("readme.md", "docs-of-it");
    link("../readme.md", "docs/up");
    link("gone.md", "broken-inside");
    commit(source, { "a.txt": "a" });
    const { prepare, inspect } = workspaces();
    const workspace = await prepare(request());
    const left = ["dangling", "docs/secret", "everything", "indirect", "root"];
    for (const path of left)
      expect(lstatSync(join(workspace.path, path), { throwIfNoEntry: false })).toBe(undefined);
    expect(workspace.notices).toEqual([
      `${left.join(", ")} are links to a place outside the repository, so the agent was not given them.`,
    ]);
    for (const path of ["docs-of-it", "docs/up", "broken-inside"])
      expect(lstatSync(join(workspace.path, path)).isSymbolicLink()).toBe(true);

    expect(git(workspace.path, "status", "--porcelain")).toBe("");
    commit(workspace.path, { "b.txt": "b" });
    expect(git(workspace.path, "diff", "--name-only", "HEAD~1")).toBe("b.txt");
    expect(git(workspace.path, "ls-tree", "-r", "--name-only", "HEAD").split("\n")).toEqual(
      expect.arrayContaining(left),
    );
    expect((await inspect(workspace)).filesChanged).toEqual(["b.txt"]);
  });

  it("that come later, or come back, are taken out at the next run", async () => {
    const { commit, git, source, folder, workspaces, request } = place;
    link(join(folder, "secret.txt"), "first");
    commit(source, {});
    const { prepare } = workspaces();
    const { path } = await prepare(request("s"));
    git(path, "update-index", "--no-skip-worktree", "first");
    git(path, "checkout", "--", "first");
    symlinkSync("/etc", join(path, "second"));
    commit(path, { "c.txt": "c" });
    const again = await prepare(request("s"));
    expect(again.notices.join()).toContain("first, second are links");
    expect(existsSync(join(path, "first")) || existsSync(join(path, "second"))).toBe(false);
    expect(git(path, "status", "--porcelain")).toBe("");
    expect((await prepare(request("s"))).notices, "nothing new").toEqual([]);
  });

  it("are not looked for behind a folder that an agent has put a link in the place of", async () => {
    const { commit, source, folder, workspaces, request } = place;
    mkdirSync(join(source, "docs"));
    link("../readme.md", "docs/up");
    commit(source, {});
    const { prepare } = workspaces();
    const { path } = await prepare(request("s"));
    const theirs = join(folder, "theirs");
    mkdirSync(theirs);
    symlinkSync("/etc", join(theirs, "up"));
    rmSync(join(path, "docs"), { recursive: true });
    symlinkSync(theirs, join(path, "docs"));
    expect((await prepare(request("s"))).notices).toEqual([]);
    expect(readlinkSync(join(theirs, "up"))).toBe("/etc");
  });

  it("stay as they are in the repository that they come from, also when the work is merged", async () => {
    const { commit, git, source, folder, workspaces, request } = place;
    link(join(folder, "secret.txt"), "secret");
    commit(source, {});
    const tools = workspaces();
    git(source, "checkout", "--quiet", "--detach");
    const workspace = await tools.prepare(request());
    commit(workspace.path, { "b.txt": "b" });
    expect((await tools.settle(workspace, { merge: true })).work).toMatchObject({ mergedInto: "main" });
    expect(readlinkSync(join(source, "secret"))).toBe(join(folder, "secret.txt"));
    expect(git(source, "ls-tree", "main", "secret")).toContain("120000");
  });
});

it("instructions that have become links out of the folder since are found as well", async () => {
  const folder = mkdtempSync(join(place.folder, "work-"));
  mkdirSync(join(folder, ".claude", "rules"), { recursive: true });
  for (const name of ["CLAUDE.md", join(".claude", "rules", "more.md")])
    symlinkSync(join(place.folder, "secret.txt"), join(folder, name));
  expect(await findOutsideMemory(folder)).toEqual(["CLAUDE.md", join(".claude", "rules", "more.md")]);
});
