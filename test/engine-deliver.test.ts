import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Work } from "../src/engine/workspaces/types.js";
import { createWorkspaces, type Workspace } from "../src/engine/workspaces/workspaces.js";
import { systemClock } from "../src/shared/clock.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";

vi.setConfig({ testTimeout: 60_000 });

let place: GitPlace;
let source: string;
beforeEach(() => {
  place = makeGitPlace();
  ({ source } = place);
});
afterEach(() => place.remove());

const git = (at: string, ...args: string[]) => place.git(at, ...args);
const ssh = (folder: string) => `ssh://localhost${folder}`;
const idOf = (branch: string, at = source) => git(at, "rev-parse", branch);
const branchesOf = (at = source) => git(at, "branch", "--format=%(refname:short)").split("\n");

/** Everything of the person's own that an engine has no business with. */
function whatIsThePersons(at = source) {
  const status = git(at, "status", "--porcelain"); // First: it refreshes the index.
  const files = ["index", "HEAD", "config", "FETCH_HEAD", "ORIG_HEAD"].map((name) => join(at, ".git", name));
  const bytes = files.map((file) => existsSync(file) && readFileSync(file, "base64"));
  return { bytes, status, stash: git(at, "stash", "list") };
}

/** A session's run that has committed, and whose end has come. */
function session(options: Parameters<GitPlace["workspaces"]>[0] = {}) {
  const workspaces = place.workspaces(options);
  return {
    ...workspaces,
    begin: (name: string, fields: { gitBranch?: string; repositoryUrl?: string } = {}) =>
      workspaces.prepare({ ...place.request(name), sessionName: name, ...fields }),
    async end(workspace: Workspace): Promise<Work> {
      const { work } = await workspaces.settle(workspace, { merge: false });
      if (!work) throw new Error("There is no work");
      return work;
    },
  };
}

describe("a session's commits, at the end of a run", () => {
  it("are in the person's repository on a readable branch, with nothing else of it touched", async () => {
    writeFileSync(join(source, "readme.md"), "not committed\n");
    writeFileSync(join(source, "own.txt"), "untracked\n");
    git(source, "config", "user.email", "me@example.com");
    const before = whatIsThePersons();
    const { begin, end } = session();
    const workspace = await begin("Login & JWT");
    expect(workspace.branch).toBe("automagik/login-jwt");
    place.commit(workspace.path, { "a.txt": "1\n2\n" });
    const head = place.commit(workspace.path, { "readme.md": "hello you\n" });
    expect(await end(workspace)).toEqual({
      branch: "automagik/login-jwt",
      baseBranch: "main",
      baseCommit: idOf("main"),
      headCommit: head,
      commits: [
        { id: head.slice(0, 7), title: "Write readme.md" },
        { id: expect.stringMatching(/^[0-9a-f]{7}$/), title: "Write a.txt" },
      ],
      ...{ commitCount: 2, files: 2, insertions: 3, deletions: 1 },
      deliveredTo: "repository",
      where: source,
    });
    expect(idOf("automagik/login-jwt")).toBe(head);
    expect(whatIsThePersons()).toEqual(before);
    expect(git(source, "fsck", "--no-dangling")).toBe("");
  });

  it("move the same branch forward at each further run, and are not delivered when there are none", async () => {
    const { begin, end, settle } = session();
    const first = await begin("login");
    expect(await settle(first, { merge: false })).toEqual({});
    expect(branchesOf()).toEqual(["main"]);
    place.commit(first.path, { "a.txt": "a" });
    await end(first);
    const second = await begin("login");
    expect(second.branch).toBe("automagik/login");
    const head = place.commit(second.path, { "b.txt": "b" });
    expect(await end(second)).toMatchObject({ branch: "automagik/login", commitCount: 2 });
    expect(idOf("automagik/login")).toBe(head);
  });

  it("of two sessions of one name have a branch each", async () => {
    const { begin, end, prepare } = session();
    const one = await begin("login");
    const two = await prepare({ ...place.request("other"), sessionName: "login" });
    expect(one.branch).toBe("automagik/login");
    expect(two.branch).toMatch(/^automagik\/login-[0-9a-f]{10}$/);
    for (const each of [one, two]) {
      const head = place.commit(each.path, { "a.txt": each.runId });
      expect((await end(each)).branch).toBe(each.branch);
      expect(idOf(each.branch ?? "")).toBe(head);
    }
  });

  it("go beside a branch of that name with other commits, which stays as it is", async () => {
    const { begin, end } = session();
    const workspace = await begin("login");
    place.commit(workspace.path, { "a.txt": "a" });
    await end(workspace);
    git(source, "checkout", "--quiet", "automagik/login");
    const own = place.commit(source, { "mine.txt": "mine" });
    git(source, "checkout", "--quiet", "main");
    const head = place.commit(workspace.path, { "b.txt": "b" });
    expect(await end(workspace)).toMatchObject({
      branch: "automagik/login-2",
      problem: "automagik/login has other commits, so the commits are on automagik/login-2.",
    });
    expect([idOf("automagik/login"), idOf("automagik/login-2")]).toEqual([own, head]);
  });

  it.each([
    ["in the main worktree", () => git(source, "checkout", "--quiet", "automagik/login")],
    [
      "in a linked worktree",
      () => git(source, "worktree", "add", "--quiet", join(place.folder, "beside"), "automagik/login"),
    ],
  ])("go beside a branch that the person has checked out %s", async (_, checkOut) => {
    const { begin, end } = session();
    const workspace = await begin("login");
    const first = place.commit(workspace.path, { "a.txt": "a" });
    await end(workspace);
    checkOut();
    const before = whatIsThePersons();
    const head = place.commit(workspace.path, { "b.txt": "b" });
    expect(await end(workspace)).toMatchObject({
      branch: "automagik/login-2",
      problem: expect.stringMatching(/^automagik\/login is checked out in \S+, so the commits are on/),
    });
    expect([idOf("automagik/login"), idOf("automagik/login-2")]).toEqual([first, head]);
    expect(whatIsThePersons()).toEqual(before);
  });

  it("are on the branch that the person has named, where it is free", async () => {
    git(source, "branch", "feature/login");
    const { begin, end } = session();
    const workspace = await begin("login", { gitBranch: "feature/login" });
    const head = place.commit(workspace.path, { "a.txt": "a" });
    const work = await end(workspace);
    expect(work).toMatchObject({ branch: "feature/login", deliveredTo: "repository", commitCount: 1 });
    expect(work.problem).toBeUndefined();
    expect(idOf("feature/login")).toBe(head);
    const fresh = await begin("fresh", { gitBranch: "feature/new" });
    place.commit(fresh.path, { "b.txt": "b" });
    expect((await end(fresh)).branch).toBe("feature/new");
  });

  it("are on the session's own branch where the named one is checked out or has moved on", async () => {
    git(source, "branch", "feature");
    const { begin, end } = session();
    const [main, moved] = [
      await begin("one", { gitBranch: "main" }),
      await begin("two", { gitBranch: "feature" }),
    ];
    place.commit(main.path, { "a.txt": "a" });
    place.commit(moved.path, { "b.txt": "b" });
    git(source, "checkout", "--quiet", "feature");
    const own = place.commit(source, { "own.txt": "own" });
    git(source, "checkout", "--quiet", "main");
    expect(await end(main)).toMatchObject({
      branch: "automagik/one",
      problem: `main is checked out in ${source}, so the commits are on automagik/one.`,
    });
    expect(await end(moved)).toMatchObject({
      branch: "automagik/two",
      problem: "feature has other commits, so the commits are on automagik/two.",
    });
    expect(idOf("feature")).toBe(own);
  });

  it("come also on another branch that the agent has gone on to", async () => {
    const { begin, end } = session();
    const workspace = await begin("login");
    git(workspace.path, "checkout", "--quiet", "-b", "agents;idea");
    const head = place.commit(workspace.path, { "a.txt": "a" });
    expect(await end(workspace)).toMatchObject({ branch: "automagik/login", headCommit: head });
    expect(branchesOf()).toEqual(["automagik/login", "main"]);
  });

  it("are delivered to a linked worktree's, a bare, an empty and a sha256 repository", async () => {
    const linked = join(place.folder, "linked");
    git(source, "worktree", "add", "--quiet", "-b", "beside", linked);
    const bare = join(place.folder, "bare.git");
    git(place.folder, "clone", "--quiet", "--bare", source, bare);
    const empty = join(place.folder, "empty");
    git(place.folder, "init", "--quiet", "-b", "main", empty);
    const sha256 = join(place.folder, "sha256");
    git(place.folder, "init", "--quiet", "-b", "main", "--object-format=sha256", sha256);
    place.commit(sha256, { "a.txt": "a" });
    const { begin, end } = session();
    for (const [name, at] of Object.entries({ linked, bare, empty, sha256 })) {
      const workspace = await begin(name, { repositoryUrl: at });
      const head = place.commit(workspace.path, { "work.txt": "work" });
      expect(await end(workspace)).toMatchObject({ branch: `automagik/${name}`, deliveredTo: "repository" });
      expect(idOf(`automagik/${name}`, at)).toBe(head);
    }
    expect(branchesOf()).toContain("automagik/linked");
  });

  it("are told as not committed where the agent has left it at that", async () => {
    const { begin, end } = session();
    const workspace = await begin("login");
    place.write(workspace.path, "a.txt", "a");
    expect(await end(workspace)).toMatchObject({
      ...{ commitCount: 0, deliveredTo: "engine", where: workspace.path, uncommitted: true },
      problem: expect.stringContaining("Nothing was committed"),
    });
    expect(branchesOf()).toEqual(["main"]);
  });

  it("survive that the worktree is removed, and the session goes on with them", async () => {
    const { begin, end, cleanup } = session();
    const workspace = await begin("login");
    const head = place.commit(workspace.path, { "a.txt": "a" });
    await end(workspace);
    expect(await cleanup(workspace, { force: false })).toMatchObject({ removed: { worktree: true } });
    expect(await begin("login")).toMatchObject({ branch: "automagik/login", startCommit: head });
  });
});

describe("what the person's repository could have run or written", () => {
  it("is none of its hooks and none of the programs that its settings name", async () => {
    const mark = join(place.folder, "sprung");
    const program = join(place.folder, "program");
    writeFileSync(program, `#!/bin/sh\necho "$0 $*" >> ${mark}\n`, { mode: 0o755 });
    mkdirSync(join(source, ".git", "hooks"), { recursive: true });
    const hooks = [
      ...[
        "pre-receive",
        "update",
        "post-receive",
        "post-update",
        "reference-transaction",
        "push-to-checkout",
      ],
      ...["proc-receive", "pre-auto-gc", "post-checkout", "post-index-change"],
    ];
    for (const hook of hooks)
      writeFileSync(join(source, ".git", "hooks", hook), `#!/bin/sh\n${program}\n`, { mode: 0o755 });
    const { begin, end } = session();
    const workspace = await begin("login");
    place.commit(workspace.path, { "a.txt": "a" });
    const settings = {
      "core.fsmonitor": program,
      "core.alternateRefsCommand": program,
      "core.sshCommand": program,
      "receive.autogc": "true",
      "gc.auto": "1",
      "receive.denyCurrentBranch": "updateInstead",
      "uploadpack.packObjectsHook": program,
    };
    for (const [name, value] of Object.entries(settings)) git(source, "config", name, value);
    rmSync(mark, { force: true });
    expect(await end(workspace)).toMatchObject({ deliveredTo: "repository" });
    expect(existsSync(mark)).toBe(false);
    git(source, "branch", "control");
    expect(readFileSync(mark, "utf8"), "the trap itself works").toContain("program");
  });

  it.each([
    ["the branches", "refs/heads/automagik", true],
    ["the log of the branch", "logs/refs/heads/automagik/login", false],
    ["the objects", "objects/pack", true],
  ])("is nothing through a link in the place of %s", async (_, path, isFolder) => {
    const { begin, end } = session();
    const workspace = await begin("login");
    place.commit(workspace.path, { "a.txt": "a" });
    const outside = join(place.folder, "outside");
    if (isFolder) mkdirSync(outside);
    else writeFileSync(outside, "mine\n");
    const link = join(source, ".git", path);
    mkdirSync(join(link, ".."), { recursive: true });
    rmSync(link, { recursive: true, force: true });
    symlinkSync(outside, link);
    expect(await end(workspace)).toMatchObject({
      deliveredTo: "engine",
      problem: expect.stringMatching(
        /^It was not delivered: \S+ in its git folder is a link.*`git fetch \S+ automagik\/login:automagik\/login`/,
      ),
    });
    if (!isFolder) expect(readFileSync(outside, "utf8")).toBe("mine\n");
  });
});

describe("a repository that takes nothing", () => {
  /** What brings it there by hand, as it is told. */
  const commandIn = ({ problem = "" }: Work) => /`(git [^`]+)`/.exec(problem)?.[1]?.split(" ").slice(1) ?? [];

  it("because it was moved away is told, and the command brings the commits to where it is now", async () => {
    const { begin, end } = session();
    const workspace = await begin("login");
    const head = place.commit(workspace.path, { "a.txt": "a" });
    const moved = join(place.folder, "moved");
    renameSync(source, moved);
    const work = await end(workspace);
    expect(work).toMatchObject({
      deliveredTo: "engine",
      problem: expect.stringContaining("no git repository"),
    });
    git(moved, ...commandIn(work));
    expect(idOf("automagik/login", moved)).toBe(head);
  });

  it("because its folder is not allowed any more is left alone", async () => {
    const { begin } = session();
    const workspace = await begin("login");
    place.commit(workspace.path, { "a.txt": "a" });
    const elsewhere = join(place.folder, "elsewhere");
    mkdirSync(elsewhere);
    const later = createWorkspaces({
      folder: join(place.folder, "workspaces"),
      allowedFolders: [elsewhere],
      pushAllowed: true,
      env: place.env,
      clock: systemClock,
    });
    const { work } = await later.settle(workspace, { merge: true });
    expect(work).toMatchObject({ deliveredTo: "engine", problem: expect.stringMatching(/settings allow/) });
    expect(branchesOf()).toEqual(["main"]);
  });

  it("because git refuses is told with git's reason", async () => {
    const { begin, end } = session();
    const workspace = await begin("login");
    place.commit(workspace.path, { "a.txt": "a" });
    mkdirSync(join(source, ".git", "refs", "heads", "automagik"));
    const lock = join(source, ".git", "refs", "heads", "automagik", "login.lock");
    writeFileSync(lock, "");
    const work = await end(workspace);
    expect(work).toMatchObject({
      deliveredTo: "engine",
      problem: expect.stringContaining("failed to update ref"),
    });
    rmSync(lock);
    git(source, ...commandIn(work));
    expect(branchesOf()).toContain("automagik/login");
  });

  it("because a branch stands in the way of the name is told", async () => {
    git(source, "branch", "automagik");
    await expect(session().begin("login")).resolves.toMatchObject({ branch: expect.any(String) });
  });
});

describe("commands that are told", () => {
  it("hold nothing that a shell reads, whatever an agent has called its branch", async () => {
    const { begin, end } = session();
    const workspace = await begin("login");
    // biome-ignore lint/suspicious/noTemplateCurlyInString: for the shell.
    git(workspace.path, "checkout", "--quiet", "-b", "x;touch${IFS}sprung");
    const head = place.commit(workspace.path, { "a.txt": "a" });
    const moved = join(place.folder, "moved");
    renameSync(source, moved);
    const [, command = ""] = /`(git [^`]+)`/.exec((await end(workspace)).problem ?? "") ?? [];
    execFileSync("/bin/sh", ["-c", command], { cwd: moved, env: place.env, stdio: "ignore" });
    expect(idOf("automagik/login", moved)).toBe(head);
    expect(existsSync(join(moved, "sprung"))).toBe(false);
  });
});

describe("a remote repository", () => {
  const localSsh = () => {
    const file = join(place.folder, "ssh");
    writeFileSync(file, '#!/bin/sh\nfor last; do :; done\neval "exec $last"\n', { mode: 0o755 });
    return { ...place.env, GIT_SSH_COMMAND: file, GIT_SSH_VARIANT: "ssh" };
  };

  it("gets the session's branch where pushing is allowed, and else keeps it and says how", async () => {
    const env = localSsh();
    const kept = session({ env });
    const workspace = await kept.begin("login", { repositoryUrl: ssh(source) });
    const head = place.commit(workspace.path, { "a.txt": "a" });
    expect(await kept.end(workspace)).toMatchObject({
      deliveredTo: "engine",
      problem: expect.stringMatching(
        /ENGINE_PUSH is off\. `git -C \S+ push origin automagik\/login:refs\/heads\/automagik\/login` pushes it\.$/,
      ),
    });
    expect(branchesOf()).toEqual(["main"]);
    const pushed = session({ env, pushAllowed: true });
    expect(await pushed.end(workspace)).toMatchObject({
      deliveredTo: "remote",
      where: ssh(source),
      branch: "automagik/login",
    });
    expect(idOf("automagik/login")).toBe(head);
  });

  it("is never pushed to with force, nor to its default branch without a merge", async () => {
    const { begin, end } = session({ env: localSsh(), pushAllowed: true });
    const workspace = await begin("login", { repositoryUrl: ssh(source) });
    place.commit(workspace.path, { "a.txt": "a" });
    git(source, "checkout", "--quiet", "-b", "automagik/login");
    const own = place.commit(source, { "own.txt": "own" });
    git(source, "checkout", "--quiet", "--detach");
    expect(await end(workspace)).toMatchObject({ branch: "automagik/login-2", deliveredTo: "remote" });
    expect(idOf("automagik/login")).toBe(own);
    const main = await begin("main", { repositoryUrl: ssh(source), gitBranch: "main" });
    place.commit(main.path, { "b.txt": "b" });
    const before = idOf("main");
    expect(await end(main)).toMatchObject({
      branch: "automagik/main",
      problem: "main is the repository's default branch, so the commits are on automagik/main.",
    });
    expect(idOf("main")).toBe(before);
  });

  it("that refuses the push is told with its reason and the command that does it later", async () => {
    writeFileSync(
      join(source, ".git", "hooks", "pre-receive"),
      "#!/bin/sh\necho 'No pushes on Sundays' >&2\nexit 1\n",
      { mode: 0o755 },
    );
    const { begin, end } = session({ env: localSsh(), pushAllowed: true });
    const workspace = await begin("login", { repositoryUrl: ssh(source) });
    place.commit(workspace.path, { "a.txt": "a" });
    expect(await end(workspace)).toMatchObject({
      deliveredTo: "engine",
      problem: expect.stringMatching(
        /^The push was refused: .*hook declined.*No pushes on Sundays\. `git -C \S+ push origin /,
      ),
    });
    const main = await begin("fix", { repositoryUrl: ssh(source), gitBranch: "main" });
    place.commit(main.path, { "b.txt": "b" });
    expect((await end(main)).problem, "the default branch stays as it is, by hand too").toMatch(
      /`git -C \S+ push origin main:refs\/heads\/automagik\/fix` pushes it\.$/,
    );
  });
});
