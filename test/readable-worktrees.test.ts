import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { worktreeName } from "../src/engine/workspaces/names.js";
import { copyRepository, type GitPlace, makeGitPlace } from "./support/git-place.js";

// What the worktrees of sessions are called, over the engine's workspaces and real git.
vi.setConfig({ testTimeout: 120_000 });

let place: GitPlace;
beforeEach(() => {
  place = makeGitPlace();
});
afterEach(() => place.remove());

const named = (sessionName: string, sessionKey = sessionName) => ({
  ...place.request(sessionKey),
  sessionName,
});
const clones = () => join(place.folder, "workspaces", "repositories");
const cloneOf = () => join(clones(), readdirSync(clones())[0] ?? "", ".git");
const listed = () => place.git(cloneOf(), "worktree", "list");

it("is the repository and the session, and git lists it under that name", async () => {
  const { prepare } = place.workspaces();
  const { path } = await prepare(named("jwt-login"));
  expect(basename(path)).toBe("source-jwt-login");
  expect(listed()).toContain(`/worktrees/source-jwt-login `);
  expect(readdirSync(join(cloneOf(), "worktrees"))).toEqual(["source-jwt-login"]);
});

it("gets digits where another session has it, at once and in another repository, too", async () => {
  const other = join(place.folder, "elsewhere", "source");
  mkdirSync(join(place.folder, "elsewhere"));
  copyRepository(other);
  const { prepare } = place.workspaces();
  const asked = [
    named("login", "a"),
    named("Login", "b"),
    { ...named("login", "c"), repositoryUrl: other },
    named("login!", "d"),
  ];
  const paths = await Promise.all(asked.map((one) => prepare(one).then(({ path }) => basename(path))));
  expect([...paths].sort()).toEqual(["source-login", "source-login-2", "source-login-3", "source-login-4"]);
  // Another engine, which has to look it up, goes on in the same folders.
  const again = place.workspaces();
  for (const [index, one] of asked.entries())
    expect(basename((await again.prepare({ ...one, runId: `again-${index}` })).path)).toBe(paths[index]);
});

it("is not given to another session when its own was removed, which gets it back", async () => {
  const { prepare, cleanup, discardBranches } = place.workspaces();
  const first = await prepare(named("login", "a"));
  place.commit(first.path, { "a.md": "a" });
  await cleanup(first, { force: true });
  await discardBranches(first);
  expect(existsSync(first.path)).toBe(false);
  // What Claude Code has noted of a folder, it has noted under the folder's path.
  const next = place.workspaces();
  expect(basename((await next.prepare(named("login", "b"))).path)).toBe("source-login-2");
  expect((await next.prepare(named("login", "a"))).path).toBe(first.path);
});

it("does not take over a folder that no session has", async () => {
  mkdirSync(join(place.folder, "workspaces", "worktrees", "source-login"), { recursive: true });
  const { path } = await place.workspaces().prepare(named("login"));
  expect(basename(path)).toBe("source-login-2");
});

it("stays what an earlier version has called it", async () => {
  const { path } = await place.workspaces().prepare(named("login"));
  const former = join(path, "..", `source-${"0123456789abcdef".repeat(2)}`);
  place.git(cloneOf(), "worktree", "move", path, former);
  const records = join(place.folder, "workspaces", "sessions");
  const file = join(records, readdirSync(records)[0] ?? "");
  writeFileSync(
    file,
    JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), folder: basename(former) }),
  );
  place.write(realpathSync(former), "half.md", "half");

  const { prepare, cleanup } = place.workspaces();
  const next = await prepare(named("login"));
  expect([basename(next.path), existsSync(join(next.path, "half.md"))]).toEqual([basename(former), true]);
  // A branch that it holds is found by the folder's name.
  const other = await prepare(place.request("other", "automagik/login")).catch((error: Error) => error);
  expect(String(other)).toMatch(/belongs to the worktree of another session .*half\.md/);
  await cleanup(next, { force: true });
  expect(basename((await prepare(named("login"))).path)).toBe(basename(former));
});

it.each([
  ["../../etc", "a/b\\c", "etc-a-b-c"],
  ["CON", "nul", "con-nul"],
  ["", "", "repository-session"],
  ["\u65e5\u672c", "\u00dcber Gr\u00f6\u00dfe.", "repository-u-ber-gro-e"],
  ["aux", "", "aux-session"],
  ["r".repeat(300), "s".repeat(300), `${"r".repeat(24)}-${"s".repeat(32)}`],
])("is safe in any file system, whatever the two are called: %#", (repository, session, name) => {
  expect(worktreeName(repository, session)).toBe(name);
  expect(name).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)+$/);
});
