import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  createWorkspaces,
  type Workspace,
  WorkspaceError,
  type WorkspacesOptions,
} from "../src/engine/workspaces/workspaces.js";
import { systemClock } from "../src/shared/clock.js";
import { commitAll, copyRepository, runGit } from "./support/git-place.js";
import { createHandClock } from "./support/hand-clock.js";

vi.setConfig({ testTimeout: 120_000 });

const root = realpathSync(mkdtempSync(join(tmpdir(), "workspaces-")));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let counter = 0;
const fresh = (name: string) => join(root, `${counter++}-${name}`);

function script(body: string): string {
  const file = fresh("script");
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return file;
}

/** What ssh would do on the other machine, done here: the last argument is the command to run. */
const localSsh = script('for last; do :; done\neval "exec $last"');
const env = {
  PATH: process.env.PATH,
  HOME: root,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_SSH_COMMAND: localSsh,
  GIT_SSH_VARIANT: "ssh",
};

const git = (folder: string, ...args: string[]) => runGit(env, folder, ...args);

function write(folder: string, path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

function commit(folder: string, path: string, text: string, message = `Write ${path}`): string {
  write(folder, path, text);
  return commitAll(env, folder, message);
}

/** A git that stops for good at a command, after doing what `first` says. */
function stuckGit(command: string, first = "") {
  const mark = fresh("stuck");
  const path = script(
    `for word; do if [ "$word" = ${command} ]; then ${first}\ntouch ${mark}; exec sleep 600; fi; done\nexec git "$@"`,
  );
  return {
    path,
    reached: async () => {
      await vi.waitFor(() => expect(existsSync(mark)).toBe(true), { timeout: 30_000 });
      rmSync(mark);
    },
  };
}

/** The folder for local repositories; what lies beside it is out of bounds. */
const allowed = fresh("allowed");
mkdirSync(allowed);

function repository(options: { in?: string; empty?: boolean } = {}): string {
  const folder = join(options.in ?? allowed, `project-${counter++}`);
  if (!options.empty) copyRepository(folder);
  else {
    mkdirSync(folder, { recursive: true });
    git(folder, "init", "--quiet", "--initial-branch", "main");
  }
  return folder;
}

const ssh = (folder: string) => `ssh://localhost${folder}`;

/** Workspaces, and the end of a run that is to be merged. */
function engine(options: Partial<WorkspacesOptions> = {}) {
  const folder = options.folder ?? fresh("state");
  const made = createWorkspaces({
    folder,
    allowedFolders: [allowed],
    pushAllowed: false,
    sessionInUse: () => false,
    env,
    clock: systemClock,
    ...options,
  });
  const merge = (workspace: Workspace, signal?: AbortSignal) =>
    made.settle(workspace, { merge: true, ...(signal && { signal }) });
  return { ...made, merge, folder };
}

/** A repository whose branches are free: none is checked out. */
function free(source: string): string {
  git(source, "checkout", "-q", "--detach");
  return source;
}

let runs = 0;
const run = (sessionKey: string, repositoryUrl?: string, gitBranch?: string) => ({
  sessionKey,
  runId: `run-${runs++}`,
  tempWorkspace: false,
  ...(repositoryUrl && { repositoryUrl }),
  ...(gitBranch && { gitBranch }),
});

const branchOf = (folder: string) => git(folder, "symbolic-ref", "--short", "HEAD");
const clonesOf = (folder: string) => readdirSync(join(folder, "repositories"));
function cloneOf(folder: string): string {
  const [name = "", ...more] = clonesOf(folder);
  expect(more).toEqual([]);
  return join(folder, "repositories", name, ".git");
}
const nothing = { workspace: false, worktree: false, tempFiles: false };
const worktreeGone = { workspace: true, worktree: true, tempFiles: false };

describe("a session with a repository", () => {
  it.each([
    ["ssh", ssh],
    ["a local path", (folder: string) => folder],
    ["a file address", (folder: string) => pathToFileURL(folder).href],
  ])("gets a worktree on a branch of its own from the default branch, reached by %s", async (_, address) => {
    const source = repository();
    git(source, "branch", "-m", "trunk");
    const { prepare, folder } = engine();
    const workspace = await prepare({ ...run("session-1", address(source)), sessionName: "Login & JWT" });
    expect(workspace).toMatchObject({
      kind: "repository",
      sessionKey: "session-1",
      branch: "automagik/login-jwt",
      baseBranch: "trunk",
      startCommit: git(source, "rev-parse", "HEAD"),
      notices: [],
    });
    expect(branchOf(workspace.path)).toBe(workspace.branch);
    expect(readFileSync(join(workspace.path, "readme.md"), "utf8")).toBe("hello\n");
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(dirname(workspace.path)).mode & 0o777).toBe(0o700);
  });

  it("works on git_branch where the remote has it, and tracks it", async () => {
    const source = repository();
    git(source, "checkout", "-q", "-b", "feature/login");
    const tip = commit(source, "login.ts", "1");
    git(source, "checkout", "-q", "main");
    const workspace = await engine().prepare(run("s", source, "feature/login"));
    expect(workspace).toMatchObject({
      branch: "feature/login",
      baseBranch: "feature/login",
      startCommit: tip,
    });
    expect(git(workspace.path, "rev-parse", "--abbrev-ref", "@{upstream}")).toBe("origin/feature/login");
  });

  it("has git_branch made from the default branch where it is new", async () => {
    const source = repository();
    const workspace = await engine().prepare(run("s", source, "feature/new"));
    expect(workspace).toMatchObject({
      branch: "feature/new",
      baseBranch: "main",
      startCommit: git(source, "rev-parse", "main"),
    });
    expect(branchOf(workspace.path)).toBe("feature/new");
  });

  it("can begin an empty repository, whose first commit comes on the session's branch", async () => {
    const source = repository({ empty: true });
    const { prepare, inspect, merge } = engine();
    const workspace = await prepare(run("s", source));
    expect(workspace.startCommit).toBeUndefined();
    const first = commit(workspace.path, "a.txt", "a", "Begin");
    expect(await inspect(workspace)).toEqual({
      filesChanged: ["a.txt"],
      commits: [expect.stringMatching(/^[0-9a-f]+ Begin$/)],
      uncommitted: false,
    });
    const { work } = await merge(workspace);
    expect(work).toMatchObject({ branch: "automagik/session", deliveredTo: "repository", commitCount: 1 });
    expect(work?.problem).toMatch(/main is checked out in .*`git merge automagik\/session` there takes it/);
    expect(git(source, "rev-parse", "automagik/session")).toBe(first);
    git(source, "merge", "--quiet", "automagik/session");
    expect(git(source, "rev-parse", "main")).toBe(first);
  });

  it("goes on in its worktree as it was left, also after a restart of the engine", async () => {
    const source = repository();
    const { prepare, folder } = engine();
    const first = await prepare(run("s", source));
    const own = commit(first.path, "done.txt", "done");
    write(first.path, "readme.md", "half done\n");
    write(first.path, "new.txt", "new");
    commit(source, "later.txt", "later");

    const again = engine({ folder });
    const second = await again.prepare(run("s"));
    expect(second).toMatchObject({ path: first.path, branch: first.branch, startCommit: own, notices: [] });
    expect(git(second.path, "status", "--porcelain")).toBe("M readme.md\n?? new.txt");
    expect(git(second.path, "log", "-1", "--format=%s", "origin/main"), "fetched again").toBe(
      "Write later.txt",
    );
    expect(await again.find(second.runId)).toMatchObject({ path: second.path, startCommit: own });
    expect(await again.find("never")).toBeUndefined();
  });

  it("has its locks taken away and its .git file put right when it goes on", async () => {
    const { prepare, folder } = engine();
    const workspace = await prepare(run("s", repository()));
    const [admin = ""] = readdirSync(join(cloneOf(folder), "worktrees"));
    writeFileSync(join(cloneOf(folder), "worktrees", admin, "index.lock"), "");
    writeFileSync(join(workspace.path, ".git"), "gitdir: /elsewhere\n");
    await prepare(run("s"));
    commit(workspace.path, "a.txt", "a");
    expect(branchOf(workspace.path)).toBe(workspace.branch);
  });

  it("survives that the state folder is moved", async () => {
    const { prepare, folder } = engine();
    const before = await prepare(run("s", repository()));
    write(before.path, "new.txt", "new");
    const moved = fresh("moved");
    renameSync(folder, moved);
    const other = engine({ folder: moved });
    const workspace = await other.prepare(run("s"));
    expect(workspace.path.startsWith(moved)).toBe(true);
    expect(git(workspace.path, "status", "--porcelain")).toBe("?? new.txt");
    expect(git(cloneOf(moved), "worktree", "list")).toContain(workspace.path);
  });

  it("has a clone with object ids as long as the remote's", async () => {
    const source = join(allowed, `sha256-${counter++}`);
    git(root, "init", "-q", "-b", "main", "--object-format=sha256", source);
    const tip = commit(source, "a.txt", "a");
    expect(tip).toHaveLength(64);
    expect((await engine().prepare(run("s", source))).startCommit).toBe(tip);
  });

  it("can be put on another branch when nothing is uncommitted", async () => {
    const { prepare } = engine();
    const source = repository();
    const workspace = await prepare(run("s", source, "one"));
    write(workspace.path, "new.txt", "new");
    await expect(prepare(run("s", source, "two"))).rejects.toThrow(
      /can't be put on the branch two.*new\.txt/,
    );
    expect(branchOf(workspace.path)).toBe("one");
    rmSync(join(workspace.path, "new.txt"));
    expect(await prepare(run("s", source, "two"))).toMatchObject({ path: workspace.path, branch: "two" });
    expect(branchOf(workspace.path)).toBe("two");
  });

  it("is not put back when its agent has moved on to a branch of its own", async () => {
    const { prepare } = engine();
    const source = repository();
    const workspace = await prepare(run("s", source, "one"));
    git(workspace.path, "checkout", "-q", "-b", "agents-own");
    await prepare(run("s", source, "one"));
    expect(branchOf(workspace.path)).toBe("agents-own");
  });

  it("is refused another repository, and told which one it works on", async () => {
    const { prepare } = engine();
    const source = repository();
    await prepare(run("s", source));
    await expect(prepare(run("s", repository()))).rejects.toThrow(`This session works on ${source}`);
  });

  it("gets names for its commits only where the user's git has none", async () => {
    const source = repository();
    const neutral = await engine().prepare(run("s", source));
    expect(neutral.env).toMatchObject({
      GIT_AUTHOR_NAME: expect.any(String),
      GIT_COMMITTER_EMAIL: expect.any(String),
    });
    write(neutral.path, "a.txt", "a");
    execFileSync("git", ["-C", neutral.path, "add", "."], { env });
    execFileSync("git", ["-C", neutral.path, "commit", "-qm", "as the agent does"], {
      env: { ...env, ...neutral.env },
    });
    const config = fresh("gitconfig");
    writeFileSync(config, "[user]\n\tname = Me\n\temail = me@example.com\n");
    const mine = engine({ env: { ...env, GIT_CONFIG_GLOBAL: config } });
    expect((await mine.prepare(run("s", source))).env).toEqual({});
  });

  it("costs few starts of git, most of all when it goes on", async () => {
    const note = fresh("note");
    const counting = script(`echo "$$" >> ${note}; exec git "$@"`);
    const { prepare } = engine({ gitPath: counting });
    const source = repository();
    const startsOf = async (work: Promise<unknown>) => {
      await work;
      const started = readFileSync(note, "utf8").trim().split("\n").length;
      rmSync(note);
      return started;
    };
    expect(await startsOf(prepare(run("first", source)))).toBeLessThanOrEqual(13);
    expect(await startsOf(prepare(run("second", source)))).toBeLessThanOrEqual(12);
    expect(await startsOf(prepare(run("first")))).toBeLessThanOrEqual(9);
  });

  it("goes on with what is here when the remote can't be reached, and says so", async () => {
    const source = repository();
    const { prepare } = engine();
    await prepare(run("s", source, "b"));
    renameSync(join(source, ".git", "refs"), join(source, ".git", "refs-gone"));
    const remote = ssh(repository());
    await prepare(run("t", remote, "b"));
    rmSync(remote.slice("ssh://localhost".length), { recursive: true });
    const { notices } = await prepare(run("t"));
    expect(notices).toEqual([expect.stringMatching(/could not be fetched, so the work goes on.*fatal/)]);
    expect((await prepare(run("u", remote))).notices, "a new session too").toHaveLength(1);
  });
});

describe("several sessions of one repository", () => {
  it("share one bare clone and have a worktree each, at once", async () => {
    const source = repository();
    const { prepare, folder } = engine();
    const keys = ["a", "b", "c", "d", "e"];
    const all = await Promise.all(keys.map((key) => prepare(run(key, key < "c" ? source : `${source}/`))));
    expect(new Set(all.map(({ path }) => path)).size).toBe(5);
    expect(new Set(all.map(({ branch }) => branch)).size).toBe(5);
    expect(clonesOf(folder)).toHaveLength(1);
    expect(git(cloneOf(folder), "rev-parse", "--is-bare-repository")).toBe("true");
  });

  it("hand a branch on when the other has no run and nothing uncommitted, and get it back", async () => {
    const source = repository();
    const { prepare } = engine();
    const architect = await prepare(run("architect", source, "feature"));
    commit(architect.path, "plan.md", "plan");
    const fix = await prepare(run("fix", source, "feature"));
    expect(readFileSync(join(fix.path, "plan.md"), "utf8")).toBe("plan");
    const fixed = commit(fix.path, "fixed.md", "fixed");
    expect(existsSync(join(architect.path, "plan.md")), "its files stay").toBe(true);

    const back = await prepare(run("architect"));
    expect(branchOf(back.path)).toBe("feature");
    expect(back).toMatchObject({ path: architect.path, startCommit: fixed, baseBranch: "main" });
    expect(existsSync(join(back.path, "fixed.md"))).toBe(true);
    git(back.path, "checkout", "-q", "-b", "agents-own");
    await prepare(run("architect"));
    expect(branchOf(back.path), "given back once, not again").toBe("agents-own");
  });

  it("are refused a branch that another is at work on, with that session's name", async () => {
    const source = repository();
    const busy = new Set(["first"]);
    const { prepare } = engine({ sessionInUse: (key) => busy.has(key) });
    const first = await prepare(run("first", source, "feature"));
    const second = prepare(run("second", source, "feature"));
    await expect(second).rejects.toThrow(/feature is being worked on by another session.*session_id first/);
    busy.clear();
    write(first.path, "loose.txt", "x");
    const third = prepare(run("second", source, "feature"));
    await expect(third).rejects.toThrow(/uncommitted changes in 1 file \(loose\.txt\).*session_id first/);
    expect(branchOf(first.path)).toBe("feature");
    rmSync(join(first.path, "loose.txt"));
    expect(await prepare(run("second", source, "feature"))).toMatchObject({ branch: "feature" });
  });

  it("are refused a branch that somebody has checked out elsewhere", async () => {
    const source = repository();
    const { prepare, folder } = engine();
    await prepare(run("first", source, "feature"));
    git(cloneOf(folder), "worktree", "add", "-q", "-b", "mine", fresh("mine"), "origin/main");
    await expect(prepare(run("second", source, "mine"))).rejects.toThrow(/not a session's worktree/);
  });
});

describe("the person's own way to connect", () => {
  /** An engine whose person has these settings of git, and what their ssh was called with. */
  function connecting(more = "") {
    const folder = fresh("own");
    mkdirSync(folder);
    const note = join(folder, "note");
    const path = join(folder, "ssh");
    const body = `printf '%s\\n' "$*" >> ${note}\nfor last; do :; done\neval "exec $last"`;
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    const config = join(folder, "gitconfig");
    writeFileSync(config, `[core]\n\tsshCommand = ${path} -i mykey\n${more}`);
    writeFileSync(join(folder, "for-clones"), `[core]\n\tsshCommand = ${path} -i clonekey\n`);
    const { GIT_SSH_COMMAND: _none, GIT_SSH_VARIANT: _neither, ...plain } = env;
    const made = engine({ env: { ...plain, GIT_CONFIG_GLOBAL: config }, pushAllowed: true });
    return { ...made, asked: () => readFileSync(note, "utf8").trim().split("\n") };
  }

  it("is taken from core.sshCommand to clone, to fetch and to push, and an agent's is not", async () => {
    const source = repository();
    git(source, "checkout", "-q", "--detach");
    const { prepare, merge, folder, asked } = connecting();
    const workspace = await prepare(run("s", ssh(source)));
    const trap = fresh("trap");
    git(cloneOf(folder), "config", "core.sshCommand", script(`touch ${trap}; exit 1`));
    commit(workspace.path, "a.txt", "a");
    expect((await merge(workspace)).work).toMatchObject({ mergedInto: "main", deliveredTo: "remote" });
    expect(asked().join("\n")).toMatch(/git-receive-pack/);
    for (const line of asked()) expect(line).toMatch(/^-i mykey -o BatchMode=yes .* localhost git-/);
    expect(existsSync(trap)).toBe(false);
  });

  it("may be for the engine's clones only, by includeIf, which every call of git looks at", async () => {
    const source = repository();
    const { prepare, asked } = connecting('[includeIf "gitdir:**/repositories/**"]\n\tpath = for-clones\n');
    const keys = () => asked().map((line) => /-i (\w+)/.exec(line)?.[1]);
    await prepare(run("one", ssh(source)));
    expect(keys()).toEqual(["mykey", "clonekey"]);
    await prepare(run("two", ssh(source)));
    expect(keys().slice(2).sort()).toEqual(["clonekey", "mykey"]);
  });

  it("may be ssh for an https address, by url.insteadOf, but no program", async () => {
    const source = repository();
    const instead = (base: string) => `[url "${base}"]\n\tinsteadOf = https://code.example/\n`;
    const { prepare, asked } = connecting(instead("ssh://localhost/"));
    expect(await prepare(run("s", `https://code.example${source}`))).toMatchObject({ baseBranch: "main" });
    expect(asked()[0]).toContain("-i mykey");
    const trap = fresh("trap");
    const hostile = connecting(instead(`ext::${script(`touch ${trap}`)} `));
    await expect(hostile.prepare(run("s", `https://code.example${source}`))).rejects.toThrow(
      /could not be cloned/,
    );
    expect(existsSync(trap)).toBe(false);
  });
});

describe("the branch that a run names", () => {
  let folder: string;
  let tip: string;
  let base: string;
  /** Branches, a tag on one of them and one on none. */
  beforeAll(() => {
    folder = repository();
    git(folder, "checkout", "-q", "-b", "feature/login");
    tip = commit(folder, "login.ts", "1");
    git(folder, "tag", "v1");
    git(folder, "checkout", "-q", "--detach");
    commit(folder, "released.ts", "1");
    git(folder, "tag", "-a", "-m", "2", "v2");
    git(folder, "checkout", "-q", "main");
    for (const name of ["caf\u00e9", "origin/odd", "deadbeef"]) git(folder, "branch", name);
    base = git(folder, "rev-parse", "main");
  });

  it.each([
    ...["origin/feature/login", "refs/heads/feature/login", "refs/remotes/origin/feature/login"].map(
      (asked) => [asked, "feature/login"],
    ),
    ["heads/feature/login", "feature/login"],
    [" remotes/origin/feature/login ", "feature/login"],
    ["cafe\u0301", "caf\u00e9"],
    ["origin/odd", "origin/odd"],
    ["deadbeef", "deadbeef"],
  ])("is, for %j, the repository's %j", async (asked, branch) => {
    const { prepare } = engine();
    const workspace = await prepare(run("s", folder, asked));
    expect(workspace).toMatchObject({
      branch,
      baseBranch: branch,
      startCommit: git(folder, "rev-parse", branch),
    });
    const told =
      asked.trim().normalize() === branch ? [] : [`${asked.trim()} was read as the branch ${branch}.`];
    expect(workspace.notices).toEqual(told);
    expect(await prepare(run("s", undefined, asked)), "and so when it goes on").toMatchObject({ branch });
  });

  const refusing = engine();
  it.each([
    ["v1", /v1 is a tag, and work is done on a branch/],
    ["v2", /v2 is a tag/],
    ["refs/tags/v1", /v1 is a tag/],
    ["tip", /is the id of a commit/],
    ["short", /is the id of a commit/],
    ["0123456789012345678901234567890123456789", /is the id of a commit/],
    ["Feature/Login", /no branch Feature\/Login, but it has feature\/login, which differs in case only/],
    ["origin/FEATURE/login", /it has feature\/login/],
    ["origin/other", /no branch other, which origin\/other means.*name just other/],
    ["refs/pull/1/head", /is not a branch/],
    ["feature", /feature can't be made, because there is a branch feature\/login/],
    ["main/next", /main\/next can't be made, because there is a branch main/],
  ])("is refused as %j, and nothing is made", async (name, reason) => {
    const asked = name === "tip" ? tip : name === "short" ? tip.slice(0, 9) : name;
    const { prepare, folder: state } = refusing;
    await expect(prepare(run("s", folder, asked))).rejects.toThrow(reason);
    expect(git(cloneOf(state), "for-each-ref", "refs/heads")).toBe("");
    expect(git(cloneOf(state), "worktree", "list").split("\n")).toHaveLength(1);
  });

  it.each(["null", "None", "undefined", "default"])("is none for the word %j", async (word) => {
    const workspace = await engine().prepare(run("s", folder, word));
    expect(workspace).toMatchObject({
      branch: expect.stringMatching(/^automagik\//),
      startCommit: base,
      notices: [`The repository has no branch "${word}", so git_branch was ignored.`],
    });
  });

  it("is announced with its base when it is made", async () => {
    const { prepare } = engine();
    expect(await prepare(run("s", folder, "feature/new"))).toMatchObject({
      baseBranch: "main",
      notices: [`The branch feature/new was not there: it was made from main at ${base.slice(0, 10)}.`],
    });
    expect((await prepare(run("t", folder, "feature/new"))).notices, "once").toEqual([]);
  });

  it("is refused in plain words beside one that an earlier session has made", async () => {
    const { prepare } = engine();
    const source = repository();
    await prepare(run("s", source, "topic"));
    git(source, "branch", "topic/part");
    await expect(prepare(run("t", source, "topic/part"))).rejects.toThrow(
      /topic\/part can't be made, because there is a branch topic:/,
    );
  });
});

describe("a repository whose history is cut off", () => {
  const long = () => {
    const source = repository();
    for (const name of ["two", "three"]) commit(source, `${name}.txt`, name);
    return source;
  };
  /** A copy in the allowed folder that is made with these options of `git clone`. */
  function copyOf(source: string, ...options: string[]): string {
    const folder = join(allowed, `copy-${counter++}`);
    git(source, "config", "uploadpack.allowFilter", "true");
    git(root, "clone", "--quiet", "--no-checkout", ...options, pathToFileURL(source).href, folder);
    return folder;
  }
  const historyOf = (folder: string, what = "HEAD") => git(folder, "log", "--format=%s", what).split("\n");
  const WHOLE = ["Write three.txt", "Write two.txt", "Write readme.md"];

  it.each([
    ["ssh", ssh],
    ["a local path", (folder: string) => folder],
    ["a file address", (folder: string) => pathToFileURL(folder).href],
  ])("is worked on as it is, and further when it has been made whole, reached by %s", async (_, address) => {
    const shallow = copyOf(long(), "--depth=1");
    const { prepare, merge, folder } = engine();
    const workspace = await prepare(run("s", address(shallow)));
    expect(workspace).toMatchObject({ baseBranch: "main", notices: [] });
    expect(historyOf(workspace.path)).toEqual(["Write three.txt"]);
    expect(existsSync(join(workspace.path, "three.txt"))).toBe(true);
    const done = commit(workspace.path, "a.txt", "a");
    const { work } = await merge(workspace);
    const isLocal = address(shallow) !== ssh(shallow);
    expect(work).toMatchObject({ deliveredTo: isLocal ? "repository" : "engine", commitCount: 1 });
    if (isLocal) expect(git(shallow, "rev-parse", "automagik/session")).toBe(done);
    expect((await prepare(run("t", address(shallow)))).notices, "fetched again").toEqual([]);
    git(shallow, "fetch", "--quiet", "--unshallow");
    await prepare(run("s"));
    expect(historyOf(cloneOf(folder), "origin/main")).toEqual(WHOLE);
  });

  it("is refused with the reason where files of it are only elsewhere", async () => {
    const origin = long();
    const source = copyOf(origin, "--filter=blob:none");
    git(source, "config", "remote.origin.url", "https://host.example/x");
    const { prepare, folder } = engine();
    await expect(prepare(run("s", source))).rejects.toThrow(/could not be cloned.*is a partial clone/);
    expect(clonesOf(folder)).toEqual([]);
    git(source, "config", "remote.origin.url", pathToFileURL(origin).href);
    git(source, "fetch", "--quiet", "--refetch", "--no-filter");
    expect(historyOf((await prepare(run("s", source))).path), "made whole as the reason says").toEqual(WHOLE);
  });

  it("is not taken for an empty one when its branches do not come over", async () => {
    const source = repository();
    // As a git that leaves out what it does not like and ends well.
    const deaf = script('for word; do [ "$word" = fetch ] && exit 0; done\nexec git "$@"');
    const refused = engine({ gitPath: deaf });
    await expect(refused.prepare(run("s", source))).rejects.toThrow(/has commits, but no branch/);
    expect(clonesOf(refused.folder)).toEqual([]);
    const empty = repository({ empty: true });
    const { prepare, folder } = engine();
    await prepare(run("before", empty));
    commit(empty, "a.txt", "a");
    await expect(engine({ folder, gitPath: deaf }).prepare(run("s", empty))).rejects.toThrow(
      /has commits, but no branch/,
    );
  });

  it("by an agent's fetch is made whole again before the next run and before a merge", async () => {
    const source = long();
    git(source, "branch", "side", "HEAD~1");
    const { prepare, merge, folder } = engine();
    const first = await prepare(run("first", source));
    const other = await prepare(run("other", source, "side"));
    commit(other.path, "side.txt", "side");
    const cut = () => {
      git(first.path, "fetch", "--quiet", "--depth=1", pathToFileURL(source).href, "main", "side");
      expect(git(first.path, "rev-parse", "--is-shallow-repository")).toBe("true");
      expect(historyOf(cloneOf(folder), "origin/main"), "for all").toHaveLength(1);
    };
    cut();
    expect((await prepare(run("other"))).notices).toEqual([]);
    expect(historyOf(cloneOf(folder), "origin/main")).toEqual(WHOLE);
    expect(git(first.path, "rev-parse", "--is-shallow-repository")).toBe("false");

    const main = await prepare(run("work", source, "work"));
    commit(main.path, "work.txt", "work");
    commit(source, "four.txt", "four");
    free(source);
    await prepare(run("fetches", source));
    cut();
    expect((await merge(main)).work).toMatchObject({ mergedInto: "main" });
    expect(historyOf(source, "main")).toEqual(
      expect.arrayContaining(["Write work.txt", "Write four.txt", "Write readme.md"]),
    );
  });
});

describe("a clone that has its former name, git", () => {
  /** What an engine of an earlier version has left. */
  async function former() {
    const source = repository();
    const inner = repository();
    git(source, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "inner");
    git(source, "commit", "--quiet", "-m", "Add a submodule");
    const { prepare, folder } = engine();
    const lent = await prepare(run("lent", source, "feature"));
    const plan = commit(lent.path, "plan.md", "plan");
    const going = await prepare(run("going", source, "feature"));
    git(going.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init");
    write(going.path, "readme.md", "half done\n");
    write(going.path, "new.txt", "new");
    const clone = cloneOf(folder);
    const place = join(dirname(clone), "git");
    renameSync(clone, place);
    git(place, "worktree", "repair");
    for (const { path } of [lent, going])
      expect(readFileSync(join(path, ".git"), "utf8")).toContain(`gitdir: ${place}/`);
    // The way from a submodule's folder to its git folder leads through the clone.
    const link = join(going.path, "inner", ".git");
    writeFileSync(link, readFileSync(link, "utf8").replace("/.git/worktrees/", "/git/worktrees/"));
    expect(git(join(going.path, "inner"), "status", "--porcelain")).toBe("");
    return { folder, clone, place, source, lent, going, plan };
  }

  async function isWhole({ folder, clone, lent, going, plan }: Awaited<ReturnType<typeof former>>) {
    const { prepare, inspect, cleanup } = engine({ folder });
    expect((await inspect(going)).filesChanged).toEqual(["new.txt", "readme.md"]);
    const again = await prepare(run("going"));
    expect(again).toMatchObject({ path: going.path, branch: "feature", startCommit: plan, notices: [] });
    expect(cloneOf(folder)).toBe(clone);
    expect(existsSync(join(clone, "HEAD"))).toBe(true);
    expect(readFileSync(join(going.path, ".git"), "utf8")).toContain(`gitdir: ${clone}/`);
    expect(git(going.path, "status", "--porcelain")).toBe("M readme.md\n?? new.txt");
    expect(git(join(going.path, "inner"), "status", "--porcelain"), "the submodule's too").toBe("");
    expect(git(lent.path, "rev-parse", "HEAD"), "one that was not called").toBe(plan);
    await cleanup(again, { force: true });
    expect(await prepare(run("lent"))).toMatchObject({ path: lent.path, startCommit: plan });
    expect(branchOf(lent.path)).toBe("feature");
  }

  it("is moved to .git, and its worktrees go on as they were left", async () => {
    await isWhole(await former());
  });

  it.each([
    ["before the move", (home: string) => symlinkSync(".git", join(home, "git.moved"))],
    [
      "after the move",
      (home: string) => {
        symlinkSync(".git", join(home, "git.moved"));
        renameSync(join(home, "git"), join(home, ".git"));
      },
    ],
  ])("is moved by the next engine when one was killed %s", async (_, interrupted) => {
    const state = await former();
    interrupted(dirname(state.clone));
    await isWhole(state);
  });

  it("is opened by an engine of the version before, too, once it has been moved", async () => {
    const state = await former();
    await engine({ folder: state.folder }).prepare(run("going"));
    expect(git(state.place, "rev-parse", "feature")).toBe(state.plan);
  });
});

describe("what a run has changed", () => {
  it("is its commits and files, with what is uncommitted, and not what was there before", async () => {
    const source = repository();
    const { prepare, inspect } = engine();
    const first = await prepare(run("s", source));
    commit(first.path, "earlier.txt", "x", "Earlier run");
    write(first.path, "left.txt", "left over");
    write(first.path, "grows.txt", "1");
    const second = await prepare(run("s"));
    expect(await inspect(second)).toEqual({ filesChanged: [], commits: [], uncommitted: true });
    git(second.path, "add", "earlier.txt");
    write(second.path, "src/ünï code.ts", "1");
    git(second.path, "add", "src");
    git(second.path, "commit", "-qm", "Add src");
    git(second.path, "rm", "-q", "readme.md");
    git(second.path, "commit", "-qm", "Remove readme");
    write(second.path, "grows.txt", "12");
    const seen = await inspect(second);
    expect(seen.filesChanged).toEqual(["grows.txt", "readme.md", "src/ünï code.ts"]);
    expect(seen.commits).toEqual([
      expect.stringMatching(/^[0-9a-f]{7,} Add src$/),
      expect.stringMatching(/^[0-9a-f]{7,} Remove readme$/),
    ]);
    expect(seen.uncommitted).toBe(true);
  });

  it("does not include what came from the default branch", async () => {
    const source = repository();
    const { prepare, inspect } = engine();
    const workspace = await prepare(run("s", source));
    commit(source, "theirs.txt", "x", "Theirs");
    const later = await prepare(run("s"));
    commit(later.path, "ours.txt", "x", "Ours");
    commit(source, "theirs-too.txt", "x", "Theirs too");
    git(later.path, "fetch", "-q");
    git(later.path, "merge", "-q", "--no-edit", "origin/main");
    expect((await inspect(later)).commits.map((line) => line.replace(/^\S+ /, ""))).toEqual([
      "Ours",
      expect.stringContaining("Merge remote-tracking branch"),
    ]);
    expect(workspace.path).toBe(later.path);
  });

  it("is found again after a restart, and is nothing when the workspace has gone", async () => {
    const { prepare, cleanup, folder } = engine();
    const workspace = await prepare(run("s", repository()));
    commit(workspace.path, "a.txt", "a", "Add a");
    expect((await engine({ folder }).inspect(workspace)).filesChanged).toEqual(["a.txt"]);
    await cleanup(workspace, { force: true });
    expect(await engine({ folder }).inspect(workspace)).toEqual({
      filesChanged: [],
      commits: [],
      uncommitted: false,
    });
  });
});

describe("merging back", () => {
  it("moves the person's own base branch on, and the next session begins there", async () => {
    const source = free(repository());
    const { prepare, merge, folder } = engine();
    const workspace = await prepare(run("s", source));
    const done = commit(workspace.path, "a.txt", "a");
    const { work, note } = await merge(workspace);
    expect(note).toBe(`Merged into main as ${done.slice(0, 10)}.`);
    expect(work).toMatchObject({
      ...{ branch: "main", mergedInto: "main", deliveredTo: "repository", where: source },
      ...{ commitCount: 1, files: 1, insertions: 1, deletions: 0, headCommit: done },
    });
    expect(work?.problem).toBeUndefined();
    expect(git(source, "rev-parse", "main")).toBe(done);
    expect(git(source, "branch", "--list", "automagik/*"), "main tells it all").toBe("");
    expect((await prepare(run("t", source))).startCommit).toBe(done);
    expect(await merge(workspace)).toEqual({
      note: "Nothing was merged: main has all of this work already.",
    });
    expect(git(cloneOf(folder), "branch", "--list", "main"), "no main of the engine's own").toBe("");
  });

  it("makes a merge commit when the base has moved on", async () => {
    const source = free(repository());
    const { prepare, merge } = engine();
    const [one, two] = [await prepare(run("1", source)), await prepare(run("2", source))];
    commit(one.path, "one.txt", "1");
    commit(two.path, "two.txt", "2");
    git(source, "checkout", "-q", "main");
    commit(source, "remote.txt", "3");
    free(source);
    await merge(one);
    expect((await merge(two)).work).toMatchObject({ mergedInto: "main" });
    const files = git(source, "ls-tree", "--name-only", "main").split("\n");
    expect(files).toEqual(["one.txt", "readme.md", "remote.txt", "two.txt"]);
    expect(git(source, "log", "-1", "--format=%P", "main").split(" ")).toHaveLength(2);
    expect(existsSync(join(two.path, "one.txt")), "the worktree is untouched").toBe(false);
  });

  it("changes no branch on a conflict, names the files, and delivers the session's branch", async () => {
    const source = free(repository());
    const { prepare, merge } = engine();
    const [one, two] = [await prepare(run("1", source)), await prepare(run("2", source))];
    commit(one.path, "readme.md", "one\n");
    const ours = commit(two.path, "readme.md", "two\n");
    await merge(one);
    const main = git(source, "rev-parse", "main");
    const { work, note } = await merge(two);
    expect(note).toBe(
      `Nothing was merged: it conflicts with main in readme.md. The work is on ${work?.branch}.`,
    );
    expect(work).toMatchObject({ problem: note, branch: two.branch, deliveredTo: "repository" });
    expect(git(source, "rev-parse", "main")).toBe(main);
    expect(git(source, "rev-parse", work?.branch ?? "")).toBe(ours);
    expect(git(two.path, "status", "--porcelain")).toBe("");
  });

  it("that an earlier version has kept in its clone is told to the next session, which begins without it", async () => {
    const source = repository();
    const { prepare, folder } = engine();
    const workspace = await prepare(run("1", source));
    const hidden = commit(workspace.path, "a.txt", "a");
    git(cloneOf(folder), "update-ref", "refs/heads/main", hidden);
    const next = await prepare(run("2", source));
    expect(next.startCommit).toBe(git(source, "rev-parse", "main"));
    expect(next.notices).toEqual([
      expect.stringMatching(/^1 commit on main in the engine's clone.*`git fetch \S+ main`/),
    ]);
    expect(git(cloneOf(folder), "rev-parse", "main")).toBe(hidden);
  });

  it("says so when a branch that was named has gone two ways", async () => {
    const source = repository();
    const { prepare } = engine();
    const workspace = await prepare(run("1", source, "feature"));
    const ours = commit(workspace.path, "readme.md", "ours\n");
    git(source, "checkout", "-q", "-b", "feature");
    commit(source, "other.txt", "x");
    const { notices, startCommit } = await prepare(run("3", source, "feature"));
    expect(notices).toEqual([expect.stringMatching(/feature has diverged.*uses the branch as it is here/)]);
    expect(startCommit).toBe(ours);
  });

  it("waits for nobody's uncommitted work, and has nothing to do where nothing was done", async () => {
    const source = free(repository());
    const { prepare, merge } = engine();
    const workspace = await prepare(run("s", source));
    expect(await merge(workspace)).toEqual({ note: expect.stringContaining("already") });
    commit(workspace.path, "a.txt", "a");
    write(workspace.path, "b.txt", "b");
    const { work, note } = await merge(workspace);
    expect(note).toContain("b.txt");
    expect(work).toMatchObject({ uncommitted: true, branch: "automagik/session" });
    const folder = await prepare(run("plain"));
    expect(await merge(folder)).toEqual({ note: expect.stringContaining("no repository") });
  });

  it("is not held up by a session that is at work on the base branch", async () => {
    const source = free(repository());
    const { prepare, merge } = engine({ sessionInUse: (key) => key === "on-main" });
    const main = await prepare(run("on-main", source, "main"));
    const workspace = await prepare(run("s", source));
    const theirs = commit(workspace.path, "a.txt", "a");
    expect((await merge(workspace)).work).toMatchObject({ mergedInto: "main" });
    expect(git(main.path, "rev-parse", "HEAD"), "its own is as it was").not.toBe(theirs);
  });

  it("of work done on the base branch itself is its delivery", async () => {
    const source = repository();
    git(source, "branch", "feature");
    const { prepare, merge } = engine({ pushAllowed: true });
    const workspace = await prepare(run("s", ssh(source), "feature"));
    const done = commit(workspace.path, "a.txt", "a");
    expect((await merge(workspace)).work).toMatchObject({ mergedInto: "feature", deliveredTo: "remote" });
    expect(git(source, "rev-parse", "feature")).toBe(done);
  });

  it("is a push at a remote, which has to be allowed and may be refused", async () => {
    const source = repository();
    const first = engine();
    const workspace = await first.prepare(run("s", ssh(source)));
    commit(workspace.path, "a.txt", "a");
    const { work } = await first.merge(workspace);
    expect(work).toMatchObject({ deliveredTo: "engine", branch: "automagik/session" });
    expect(work?.problem).toMatch(
      /^Nothing was merged: .*ENGINE_PUSH.*Nothing was pushed, because ENGINE_PUSH is off\./,
    );
    const pushing = engine({ folder: first.folder, pushAllowed: true });
    const refused = await pushing.merge(workspace);
    expect(refused.note).toMatch(/^Nothing was merged: the push was refused: .*checked out branch/);
    expect(refused.work).toMatchObject({ deliveredTo: "remote", branch: "automagik/session" });
    free(source);
    const done = commit(workspace.path, "b.txt", "b");
    expect((await pushing.merge(workspace)).work).toMatchObject({
      mergedInto: "main",
      deliveredTo: "remote",
    });
    expect(git(source, "rev-parse", "main")).toBe(done);
  });
});

describe("cleaning up", () => {
  it("keeps uncommitted work and says so; force removes it", async () => {
    const { prepare, cleanup } = engine();
    const workspace = await prepare(run("s", repository()));
    write(workspace.path, "new.txt", "x");
    expect(await cleanup(workspace.runId, { force: false })).toEqual({
      removed: nothing,
      kept: `The worktree ${workspace.path} was kept: it has uncommitted changes in 1 file (new.txt). Force removes it.`,
      errors: [],
    });
    expect(existsSync(join(workspace.path, "new.txt"))).toBe(true);
    expect(await cleanup(workspace.runId, { force: true })).toEqual({
      removed: worktreeGone,
      lost: "Removed by force: uncommitted changes in 1 file (new.txt).",
      errors: [],
    });
    expect(existsSync(workspace.path)).toBe(false);
    expect(await cleanup(workspace.runId, { force: true })).toEqual({ removed: nothing, errors: [] });
  });

  it("keeps commits on their branch in the clone, and the session can be continued there", async () => {
    const { prepare, cleanup, folder } = engine();
    const workspace = await prepare(run("s", repository()));
    const done = commit(workspace.path, "a.txt", "a");
    const { removed, kept } = await cleanup(workspace, { force: false });
    expect(removed).toEqual(worktreeGone);
    expect(kept).toBe(`1 commit was kept on the branch ${workspace.branch} in ${cloneOf(folder)}.`);
    expect(git(cloneOf(folder), "rev-parse", workspace.branch ?? "")).toBe(done);
    const again = await engine({ folder }).prepare(run("s"));
    expect(again).toMatchObject({ branch: workspace.branch, startCommit: done, notices: [] });
  });

  it("takes a branch of our own away with nothing on it, and leaves others", async () => {
    const source = repository();
    const { prepare, cleanup, folder } = engine();
    for (const workspace of [await prepare(run("s", source)), await prepare(run("t", source, "asked"))])
      expect(await cleanup(workspace, { force: false })).toEqual({ removed: worktreeGone, errors: [] });
    expect(git(cloneOf(folder), "for-each-ref", "--format=%(refname:short)", "refs/heads")).toBe("asked");
    expect(git(cloneOf(folder), "worktree", "list").split("\n")).toHaveLength(1);
  });

  it.each([
    [
      "commits on no branch",
      (path: string) => {
        git(path, "checkout", "-q", "--detach");
        commit(path, "a.txt", "a");
      },
      /1 commit on no branch/,
    ],
    [
      "an unfinished rebase",
      (path: string) => {
        commit(path, "a.txt", "a");
        spawnSync(
          "git",
          ["-C", path, "-c", "user.name=T", "-c", "user.email=t@t", "rebase", "-q", "-x", "false", "HEAD~1"],
          {
            env,
          },
        );
      },
      /rebase/,
    ],
    [
      "a submodule with content",
      (path: string) => {
        const inner = repository({ in: join(path, "nested") });
        git(path, "add", "nested");
        git(path, "commit", "-qm", "Add submodule");
        write(inner, "work.txt", "x");
      },
      /submodule with content, which was not looked into \(nested\/project-\d+\)/,
    ],
    [
      "a .git file that was led elsewhere",
      (path: string) => writeFileSync(join(path, ".git"), "gitdir: ./x\n"),
      undefined,
    ],
    ["new files in a folder", (path: string) => write(path, "x/y/z.txt", "z"), /x\/y\/z\.txt/],
  ])("with %s", async (_, act, reason) => {
    const { prepare, cleanup } = engine();
    const workspace = await prepare(run("s", repository()));
    act(workspace.path);
    const told = await cleanup(workspace, { force: false });
    if (reason) expect(told).toEqual({ removed: nothing, kept: expect.stringMatching(reason), errors: [] });
    else expect(told.removed).toEqual(worktreeGone);
    expect((await cleanup(workspace, { force: true })).errors).toEqual([]);
    expect(existsSync(workspace.path)).toBe(false);
  });

  it("makes a worktree anew, and says so, when its folder was removed by hand", async () => {
    const { prepare } = engine();
    const workspace = await prepare(run("s", repository()));
    rmSync(workspace.path, { recursive: true });
    const again = await prepare(run("s"));
    expect(again.notices).toEqual([expect.stringContaining("made anew")]);
    expect(branchOf(again.path)).toBe(workspace.branch);
  });

  it("does not follow links out of the worktree", async () => {
    const { prepare, cleanup } = engine();
    const workspace = await prepare(run("s", repository()));
    const outside = fresh("outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "precious.txt"), "x");
    symlinkSync(outside, join(workspace.path, "link"));
    await cleanup(workspace, { force: true });
    expect(existsSync(workspace.path)).toBe(false);
    expect(existsSync(join(outside, "precious.txt"))).toBe(true);
  });

  it("knows nothing of a run that it never prepared", async () => {
    const { cleanup } = engine();
    expect(await cleanup("../../etc", { force: true })).toEqual({ removed: nothing, errors: [] });
  });
});

describe("a session without a repository", () => {
  it("has a folder of its own that stays, and is only removed by force when something is in it", async () => {
    const { prepare, cleanup, inspect, folder } = engine();
    const first = await prepare(run("../../escape"));
    expect(first).toMatchObject({ kind: "folder", env: {}, notices: [] });
    expect(dirname(first.path)).toBe(join(folder, "folders"));
    write(first.path, "sub/a.txt", "a");
    expect(await inspect(first)).toEqual({ filesChanged: ["sub/a.txt"], commits: [], uncommitted: true });
    const second = await engine({ folder }).prepare(run("../../escape"));
    expect(second.path).toBe(first.path);
    expect((await inspect(second)).filesChanged).toEqual([]);
    expect(await cleanup(second, { force: false })).toMatchObject({
      removed: nothing,
      kept: expect.stringContaining("nowhere else"),
    });
    expect(await cleanup(second, { force: true })).toMatchObject({
      removed: { workspace: true, worktree: false },
    });
    expect(existsSync(first.path)).toBe(false);
  });

  it("can take up a repository as long as its folder is empty", async () => {
    const { prepare } = engine();
    const source = repository();
    await prepare(run("early"));
    expect(await prepare(run("early", source))).toMatchObject({ kind: "repository" });
    write((await prepare(run("late"))).path, "a.txt", "a");
    await expect(prepare(run("late", source))).rejects.toThrow(/has worked without a repository/);
    await expect(prepare(run("none", undefined, "branch"))).rejects.toThrow(/needs a repository_url/);
  });

  it("has an empty folder for each run when it is temporary, which is removed with all that is in it", async () => {
    const { prepare, cleanup, folder } = engine();
    const keeps = await prepare(run("s"));
    const one = await prepare({ ...run("s"), tempWorkspace: true });
    const two = await prepare({ ...run("s"), tempWorkspace: true });
    expect(new Set([keeps.path, one.path, two.path]).size).toBe(3);
    write(one.path, "a.txt", "a");
    const known = { sessionKey: "s", runId: one.runId, temporary: true };
    expect(await engine({ folder }).cleanup(known, { force: false })).toEqual({
      removed: { workspace: true, worktree: false, tempFiles: true },
      errors: [],
    });
    expect([keeps.path, one.path, two.path].map((path) => existsSync(path))).toEqual([true, false, true]);
    expect((await cleanup(known, { force: true })).removed, "never the session's own folder").toEqual(
      nothing,
    );
    const both = { ...run("s", repository()), tempWorkspace: true };
    await expect(prepare(both)).rejects.toThrow(/can't have a repository/);
  });
});

describe("an address that is not taken", () => {
  const outside = fresh("outside");
  mkdirSync(outside);
  const secret = repository({ in: outside });

  it.each([
    ["http://git.local/name", /Use https/],
    ["https://me:s3cret@github.com/owner/name", /user name or password/],
    ["git://host/name", /https or ssh/],
    ["ext::sh -c x", /space|helper/],
    ["ssh://-oProxyCommand=x/name", /host/],
    ["--upload-pack=x", /dash/],
    ["./name", /must be absolute/],
    ["~/name", /must be absolute/],
    ["file:name", /complete file address/],
    ["file://elsewhere/name", /complete file address/],
    [`file://${allowed}/x%00y`, /complete file address|absolute/],
    [`${allowed}/a\u0000b`, /invisible/],
    [secret, /no git repository at this local path/],
    [`file://${secret}`, /no git repository/],
    [`${allowed}/../${secret.slice(root.length + 1)}`, /no git repository/],
    [join(allowed, "missing"), /no git repository/],
    [allowed, /no git repository/],
    ["/", /no git repository/],
  ])("%j", async (address, problem) => {
    const { prepare, folder } = engine();
    const asked = prepare(run("s", address));
    await expect(asked).rejects.toThrow(problem);
    await expect(asked).rejects.toBeInstanceOf(WorkspaceError);
    await expect(asked).rejects.not.toThrow(/s3cret/);
    expect(existsSync(join(folder, "repositories"))).toBe(false);
  });

  it("is any local one where no folder is allowed", async () => {
    await expect(engine({ allowedFolders: [] }).prepare(run("s", repository()))).rejects.toThrow(
      /no folder is allowed/,
    );
  });

  it.each([
    ["the path is a link", (folder: string) => symlinkSync(secret, folder)],
    [
      "its git folder is a link",
      (folder: string) => {
        mkdirSync(folder);
        symlinkSync(join(secret, ".git"), join(folder, ".git"));
      },
    ],
    [
      "its .git file names a folder",
      (folder: string) => {
        mkdirSync(folder);
        writeFileSync(join(folder, ".git"), `gitdir: ${join(secret, ".git")}\n`);
      },
    ],
    [
      "its objects are a link",
      (folder: string) => {
        execFileSync("git", ["init", "-q", folder], { env });
        rmSync(join(folder, ".git", "objects"), { recursive: true });
        symlinkSync(join(secret, ".git", "objects"), join(folder, ".git", "objects"));
      },
    ],
    [
      "its objects are borrowed from there",
      (folder: string) => {
        execFileSync("git", ["clone", "-q", "--shared", secret, folder], { env });
      },
    ],
    [
      "it is inside another one's folder",
      (folder: string) => mkdirSync(join(folder, "inner"), { recursive: true }),
    ],
  ])("is a local one that leads out of the allowed folder: %s", async (_, make) => {
    const folder = join(allowed, `hostile-${counter++}`);
    make(folder);
    await expect(engine().prepare(run("s", folder))).rejects.toThrow(/no git repository/);
  });

  it("is a local one outside, even when what it consists of is inside", async () => {
    const worktree = fresh("worktree-outside");
    git(repository(), "worktree", "add", "-q", worktree);
    await expect(engine().prepare(run("s", worktree))).rejects.toThrow(/no git repository/);
  });

  it("may come into the allowed folder by a link, and borrow inside it", async () => {
    const source = repository();
    const link = fresh("link");
    symlinkSync(source, link);
    expect(await engine().prepare(run("s", link))).toMatchObject({ repositoryUrl: source });
    const borrowing = join(allowed, `borrowing-${counter++}`);
    execFileSync("git", ["clone", "-q", "--shared", source, borrowing], { env });
    expect(await engine().prepare(run("s", borrowing))).toMatchObject({ repositoryUrl: borrowing });
  });

  it("is not the only thing: nothing is cloned for a branch name that git would not take", async () => {
    const source = repository();
    const { prepare, folder } = engine();
    for (const branch of ["-x", "a..b", "a b", "@{-1}", "HEAD", "refs/../x"])
      await expect(prepare(run("s", source, branch)), branch).rejects.toThrow(/The branch name/);
    expect(existsSync(join(folder, "repositories"))).toBe(false);
  });
});

describe("references of the clone that an agent has changed", () => {
  it("are put right where the remote says what they are", async () => {
    const source = repository();
    git(source, "branch", "feature");
    const { prepare, folder } = engine();
    const { path, startCommit } = await prepare(run("first", source));
    const clone = cloneOf(folder);
    const theirs = commit(path, "theirs.txt", "1");
    for (const [session, ...change] of [
      ["second", "symbolic-ref", "HEAD", "refs/remotes/origin/feature"],
      ["third", "update-ref", "--no-deref", "HEAD", theirs],
    ] as const) {
      git(clone, ...change);
      git(clone, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/feature");
      expect(await prepare(run(session, source))).toMatchObject({ baseBranch: "main", startCommit });
      expect(git(clone, "symbolic-ref", "HEAD")).toBe("refs/heads/main");
      expect(git(clone, "symbolic-ref", "refs/remotes/origin/HEAD")).toBe("refs/remotes/origin/main");
    }
    git(clone, "symbolic-ref", "HEAD", "refs/remotes/origin/feature");
    const onFeature = await prepare(run("fourth", source, "feature"));
    expect(git(onFeature.path, "rev-parse", "--abbrev-ref", "@{upstream}")).toBe("origin/feature");
  });

  it("and lead to nothing now keep no session from a branch that is whole, and stay as they are", async () => {
    const source = repository();
    const { prepare, folder } = engine();
    const { startCommit } = await prepare(run("first", source));
    const broken = join(cloneOf(folder), "refs", "heads", "broken");
    const nothing = `${"1".repeat(40)}\n`;
    writeFileSync(broken, nothing);
    expect(await prepare(run("second", source))).toMatchObject({ baseBranch: "main", startCommit });
    await expect(prepare(run("third", source, "broken"))).rejects.toThrow(/broken could not be checked out/);
    expect(readFileSync(broken, "utf8")).toBe(nothing);
    expect(await prepare(run("third", source, "anew"))).toMatchObject({ branch: "anew", startCommit });
  });
});

describe("what a repository or an agent would have our git run", () => {
  /** A program that leaves a mark when it runs. */
  function trap() {
    const mark = fresh("trap");
    return { command: script(`touch ${mark}; cat`), mark, sprung: () => existsSync(mark) };
  }

  it("does not run from the repository that is cloned", async () => {
    const source = repository();
    const { command, sprung } = trap();
    commit(source, ".gitattributes", "* filter=evil merge=evil diff=evil\n");
    commit(source, ".gitmodules", `[submodule "x"]\n\tpath = x\n\turl = ext::${command}\n`);
    for (const hook of ["post-checkout", "reference-transaction", "post-upload-pack", "pre-receive"])
      writeFileSync(join(source, ".git", "hooks", hook), `#!/bin/sh\n${command} </dev/null\n`, {
        mode: 0o755,
      });
    for (const name of [
      "uploadpack.packObjectsHook",
      "core.fsmonitor",
      "core.sshCommand",
      "filter.evil.smudge",
    ])
      git(source, "config", name, command);
    await engine().prepare(run("s", source));
    expect(sprung()).toBe(false);
    git(source, "branch", "control");
    expect(sprung(), "the trap itself works").toBe(true);
  });

  it("does not run from the clone's settings or hooks, which an agent can write", async () => {
    const source = repository();
    const { command, mark, sprung } = trap();
    const { prepare, inspect, merge, cleanup, folder } = engine({ pushAllowed: true });
    const workspace = await prepare(run("s", source));
    const control = await prepare(run("control", source));
    const clone = cloneOf(folder);
    const included = fresh("included");
    writeFileSync(included, `[filter "more"]\n\tclean = ${command}\n\tsmudge = ${command}\n`);
    mkdirSync(join(clone, "hooks"), { recursive: true });
    for (const hook of ["post-checkout", "reference-transaction", "pre-push", "post-index-change"])
      writeFileSync(join(clone, "hooks", hook), `#!/bin/sh\n${command} </dev/null\n`, { mode: 0o755 });
    const programs = [
      ...[
        "core.fsmonitor",
        "core.sshCommand",
        "core.alternateRefsCommand",
        "credential.helper",
        "gpg.program",
      ],
      ...["filter.evil.clean", "filter.evil.smudge", "merge.evil.driver", "remote.origin.uploadpack"],
    ];
    /** Sets everything again, since our git takes it away, and forgets what setting it has sprung. */
    const poison = () => {
      for (const name of programs) git(clone, "config", name, command);
      const others = {
        "core.hooksPath": join(clone, "hooks"),
        "include.path": included,
        "log.showSignature": "true",
        "remote.origin.url": join(root, "somewhere-else"),
        "user.name": "Agent",
      };
      for (const [name, value] of Object.entries(others)) git(clone, "config", name, value);
      rmSync(mark, { force: true });
    };
    const attributes = "*.txt filter=more merge=evil\n*.md filter=evil merge=evil\n";
    commit(workspace.path, ".gitattributes", attributes);
    commit(workspace.path, "readme.md", "ours\nhello\n");
    commit(source, "readme.md", "hello\ntheirs\n");
    poison();
    write(control.path, ".gitattributes", attributes);
    write(control.path, "readme.md", "control\n");
    spawnSync("git", ["-C", control.path, "status"], { env });
    expect(sprung(), "the trap itself works").toBe(true);

    for (const act of [
      () => inspect(control),
      () => cleanup(control, { force: false }),
      () => prepare(run("s")),
      () => merge(workspace),
      () => prepare(run("new", source)),
      () => prepare(run("newer", source, workspace.branch)),
      () => cleanup(control, { force: true }),
    ]) {
      poison();
      await act();
      expect(sprung(), String(act)).toBe(false);
    }
    expect(git(clone, "config", "--local", "remote.origin.url")).toBe(source);
    expect(git(clone, "config", "--local", "user.name"), "what is harmless stays").toBe("Agent");
  });

  it("does not run through a .git that an agent has put in the worktree's place", async () => {
    const { command, sprung } = trap();
    const { prepare, inspect, merge, cleanup } = engine();
    const workspace = await prepare(run("s", repository()));
    const evil = join(workspace.path, "evil");
    mkdirSync(evil);
    git(evil, "init", "-q");
    git(evil, "config", "core.fsmonitor", command);
    git(evil, "config", "core.worktree", workspace.path);
    writeFileSync(join(workspace.path, ".git"), "gitdir: evil/.git\n");
    write(workspace.path, "a.txt", "a");
    expect((await inspect(workspace)).filesChanged).toContain("a.txt");
    await merge(workspace);
    await cleanup(workspace, { force: false });
    expect(sprung()).toBe(false);
    spawnSync("git", ["-C", workspace.path, "status"], { env });
    expect(sprung(), "the trap itself works").toBe(true);
  });

  it("has its clone put in order when the settings can't be read any more", async () => {
    const { prepare, folder } = engine();
    const source = repository();
    await prepare(run("s", source));
    writeFileSync(join(cloneOf(folder), "config"), "[core\nnonsense");
    expect((await prepare(run("s"))).notices).toEqual([]);
    expect(git(cloneOf(folder), "config", "remote.origin.url")).toBe(source);
  });
});

describe("what comes after a run", () => {
  it.each([
    { step: "inspect", command: "status" },
    { step: "inspect", command: "rev-list" },
    { step: "merge", command: "fetch" },
    { step: "merge", command: "config" },
    { step: "merge", command: "merge-base" },
    { step: "merge", command: "push" },
    { step: "cleanup", command: "status" },
    { step: "cleanup", command: "config" },
  ] as const)(
    "$step ends when it is told so while git $command hangs",
    async ({ step, command }) => {
      const first = engine();
      const source = free(repository());
      const workspace = await first.prepare(run("s", source));
      const done = commit(workspace.path, "a.txt", "a");
      const stuck = stuckGit(command);
      const { folder } = first;
      const hanging = engine({ folder, gitPath: stuck.path });
      const controller = new AbortController();
      const { signal } = controller;
      const ended =
        step === "cleanup"
          ? hanging.cleanup(workspace.runId, { force: false, signal })
          : hanging[step](workspace, signal).catch((error: Error) => ({ reason: error.message }));
      await stuck.reached();
      controller.abort("the run was killed");
      // What was done before it is told as done.
      expect(JSON.stringify(await ended)).toContain("It was stopped before it finished: the run was killed.");
      expect(existsSync(join(workspace.path, "a.txt"))).toBe(true);
      expect((await engine({ folder }).merge(workspace)).work).toMatchObject({ mergedInto: "main" });
      expect(git(source, "rev-parse", "main")).toBe(done);
    },
    60_000,
  );

  it("does not wait for its turn any more when it is told to end", async () => {
    const source = repository();
    const { folder, prepare } = engine();
    const workspace = await prepare(run("s", source));
    commit(workspace.path, "a.txt", "a");
    const stuck = stuckGit("fetch");
    const busy = engine({ folder, gitPath: stuck.path });
    const other = new AbortController();
    const preparing = busy.prepare(run("t", source), other.signal).catch(() => "stopped");
    await stuck.reached();
    const controller = new AbortController();
    const merging = busy.merge(workspace, controller.signal);
    const removing = busy.cleanup(workspace.runId, { force: true, signal: controller.signal });
    controller.abort("the run was killed");
    expect(await merging).toEqual({ note: expect.stringMatching(/the run was killed/) });
    expect(await removing).toMatchObject({ removed: { worktree: false }, errors: [expect.any(String)] });
    other.abort();
    expect(await preparing).toBe("stopped");
  });
});

describe("a preparation that does not come to its end", () => {
  it("leaves nothing of a clone that was stopped, or took too long", async () => {
    const source = repository();
    const clock = createHandClock();
    const stuck = stuckGit("fetch");
    const slow = engine({ gitPath: stuck.path, clock, cloneTimeoutMs: 90_000 });
    const controller = new AbortController();
    const stopped = slow.prepare(run("s", source), controller.signal);
    await stuck.reached();
    expect(clonesOf(slow.folder)).toHaveLength(1);
    const inLine = slow.prepare(run("t", source), controller.signal);
    controller.abort();
    await expect(inLine).rejects.toThrow(/was stopped/);
    await expect(stopped).rejects.toThrow(/was stopped/);
    expect(clonesOf(slow.folder)).toEqual([]);

    const late = slow.prepare(run("s", source));
    const failed = expect(late).rejects.toThrow("git fetch did not finish within 90 s and was stopped.");
    await stuck.reached();
    clock.advance(90_000);
    await failed;
    expect(clonesOf(slow.folder)).toEqual([]);
    expect((await engine({ folder: slow.folder }).prepare(run("s", source))).branch).toBeDefined();
  });

  it("is not begun when it was stopped before", async () => {
    const { prepare, folder } = engine();
    await expect(prepare(run("s", repository()), AbortSignal.abort())).rejects.toThrow(/was stopped/);
    expect(existsSync(join(folder, "repositories"))).toBe(false);
  });

  it("leaves a half clone when the engine is killed, which the next one removes and makes anew", async () => {
    const source = repository();
    const stuck = stuckGit("fetch");
    const killed = engine({ gitPath: stuck.path });
    const controller = new AbortController();
    const never = killed.prepare(run("s", source), controller.signal).catch((error: Error) => error);
    await stuck.reached();
    const workspace = await engine({ folder: killed.folder }).prepare(run("s", source));
    expect(branchOf(workspace.path)).toBe(workspace.branch);
    expect(clonesOf(killed.folder)).toEqual([expect.not.stringContaining(".new-")]);
    controller.abort();
    expect(await never).toBeInstanceOf(WorkspaceError);
  });

  it("leaves a half worktree when the engine is killed, which the next one makes anew", async () => {
    const source = repository();
    const stuck = stuckGit(
      "worktree",
      `case "$*" in *" add "*) ;; *) exec git "$@" ;; esac
       git "$@"; for word; do path=$last; last=$word; done; rm "$path/readme.md"`,
    );
    const clock = createHandClock();
    const killed = engine({ gitPath: stuck.path, clock });
    const never = killed.prepare(run("s", source, "feature")).catch((error: Error) => error);
    await stuck.reached();
    const workspace = await engine({ folder: killed.folder }).prepare(run("s", source, "feature"));
    expect(workspace).toMatchObject({ branch: "feature", baseBranch: "main", notices: [] });
    expect(git(workspace.path, "status", "--porcelain")).toBe("");
    clock.advance(3_600_000);
    expect(await never).toBeInstanceOf(WorkspaceError);
  });

  it("says what is missing when there is no git, and what git said when it fails", async () => {
    const none = engine({ gitPath: join(root, "no-git") });
    await expect(none.prepare(run("s", "ssh://localhost/x/y"))).rejects.toThrow(
      /git was not found. Install git/,
    );
    const denied = script("echo 'me@host: Permission denied (publickey).' >&2; exit 255");
    const refused = engine({ env: { ...env, GIT_SSH_COMMAND: denied } });
    await expect(refused.prepare(run("s", "ssh://localhost/x/y"))).rejects.toThrow(
      /could not be cloned.*Permission denied.*ssh-add/,
    );
    expect(clonesOf(refused.folder)).toEqual([]);
  });

  it("is not held up by a lock that a killed git left long ago", async () => {
    const source = repository();
    const { prepare, folder } = engine();
    await prepare(run("s", source));
    const lock = join(cloneOf(folder), "refs", "remotes", "origin", "later.lock");
    writeFileSync(lock, "");
    git(source, "branch", "later");
    expect((await prepare(run("s"))).notices, "a young one is respected").toHaveLength(1);
    utimesSync(lock, new Date(0), new Date(0));
    expect((await prepare(run("s"))).notices).toEqual([]);
    expect(git(cloneOf(folder), "rev-parse", "origin/later")).toBe(git(source, "rev-parse", "later"));
  });

  it("does not touch a session whose record is damaged", async () => {
    const { prepare, folder } = engine();
    const workspace = await prepare(run("s", repository()));
    write(workspace.path, "new.txt", "x");
    for (const name of readdirSync(join(folder, "sessions")))
      writeFileSync(join(folder, "sessions", name), "{");
    const again = engine({ folder });
    await expect(again.prepare(run("s"))).rejects.toThrow(/damaged. Nothing was changed/);
    expect(existsSync(join(workspace.path, "new.txt"))).toBe(true);
  });

  it("says so when there is no room for a workspace", async () => {
    const folder = fresh("a-file");
    writeFileSync(folder, "");
    const asked = engine({ folder }).prepare(run("s"));
    await expect(asked).rejects.toBeInstanceOf(WorkspaceError);
    await expect(asked).rejects.toThrow(/The workspace could not be prepared: /);
  });

  // Nothing is denied to root.
  it.skipIf(process.getuid?.() === 0)("tells of what could not be deleted", async () => {
    const { prepare, cleanup, folder } = engine();
    const workspace = await prepare(run("s"));
    write(workspace.path, "locked/a.txt", "a");
    chmodSync(join(workspace.path, "locked"), 0o500);
    const told = await cleanup(workspace, { force: true });
    for (const left of readdirSync(join(folder, "removed")))
      chmodSync(join(folder, "removed", left, "locked"), 0o700);
    expect(told).toMatchObject({
      removed: { workspace: true },
      errors: [expect.stringContaining("could not be deleted")],
    });
  });
});
