import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { until } from "./support/harness.js";

// What a person has not committed, as the first commit of a session, and back into their checkout: real git.

vi.setConfig({ testTimeout: 60_000 });

let place: GitPlace;
let source: string;
beforeEach(() => {
  place = makeGitPlace();
  ({ source } = place);
});
afterEach(() => place.remove());

const git = (at: string, ...args: string[]) => place.git(at, ...args);
const text = (...path: string[]) => readFileSync(join(...path), "utf8");
const status = (at = source) => git(at, "status", "--porcelain", "--untracked-files=all");
const write = (path: string, content: string) => place.write(source, path, content);

/** All files of a folder with content and mode, to see that nothing of it was written. */
function everything(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map((path) => {
      const found = lstatSync(join(folder, path));
      const content = found.isFile() ? readFileSync(join(folder, path), "base64") : "";
      return `${path} ${found.mode} ${found.isDirectory() ? "" : found.mtimeMs} ${content}`;
    });
}

/** The same of what a refused merge leaves alone: git notes where HEAD was, and objects. */
const untouched = () =>
  everything(source).filter((line) => !/^\.git\/(objects|ORIG_HEAD|refs\/automagik)/.test(line));

/** A session that begins with the changes; its agent then commits some files. */
async function session(files?: Record<string, string>, at: { repositoryUrl?: string } = {}) {
  const workspaces = place.workspaces();
  const asked = { ...place.request("key"), sessionName: "login", uncommitted: true, ...at };
  const workspace = await workspaces.prepare(asked);
  if (files) place.commit(workspace.path, files);
  const { work } = await workspaces.settle(workspace, { merge: false });
  const which = { runId: workspace.runId, sessionKey: workspace.sessionKey };
  return { ...workspaces, workspace, path: workspace.path, which, work };
}

/** Changes of every kind. */
function change() {
  for (const name of ["staged", "unstaged", "both", "gone", "gone-staged", "old name", "script.sh", "kept"])
    write(name, `${name}\n`.repeat(8));
  git(source, "add", "--all");
  git(source, "commit", "--quiet", "--message", "Begin");
  write("staged", "staged, new\n");
  git(source, "add", "staged");
  write("unstaged", "unstaged, new\n");
  rmSync(join(source, "gone"));
  git(source, "rm", "--quiet", "gone-staged");
  git(source, "mv", "old name", "new name");
  chmodSync(join(source, "script.sh"), 0o755);
  write("fresh", "untracked\n");
  write("sub/fresh", "untracked\n");
  write('odd "näme"\n\there', "odd\n");
  write("-dash", "dash\n");
  write(":(glob)*", "magic\n");
  symlinkSync("../outside", join(source, "link"));
  write(".gitignore", "ignored\n");
  write("ignored", "secret\n");
}

describe("what is not committed, taken along", () => {
  it("is the session's first commit, on the commit that is checked out, of the person; nothing is written in the repository", async () => {
    change();
    git(source, "config", "user.name", "The Person");
    git(source, "config", "user.email", "person@example.com");
    place.write(place.folder, "outside", "not to be read\n");
    const before = everything(source);
    const head = git(source, "rev-parse", "HEAD");
    const { prepare } = place.workspaces();
    const workspace = await prepare({ ...place.request("key"), sessionName: "login", uncommitted: true });
    const { path } = workspace;
    expect(everything(source)).toEqual(before);

    const [title, author, parent] = git(path, "log", "-1", "--format=%s%n%an <%ae>%n%P").split("\n");
    expect(title).toBe("Uncommitted changes when the session began");
    expect([author, parent]).toEqual(["The Person <person@example.com>", head]);
    expect(workspace.startCommit).toBe(git(path, "rev-parse", "HEAD"));
    expect(status(path)).toBe("");
    expect(text(path, "staged")).toBe("staged, new\n");
    expect(text(path, "unstaged")).toBe("unstaged, new\n");
    expect(text(path, "sub/fresh")).toBe("untracked\n");
    expect(text(path, 'odd "näme"\n\there')).toBe("odd\n");
    expect(text(path, "-dash")).toBe("dash\n");
    expect(text(path, ":(glob)*")).toBe("magic\n");
    expect(existsSync(join(path, "new name"))).toBe(true);
    expect(statSync(join(path, "script.sh")).mode & 0o111).not.toBe(0);
    for (const name of ["gone", "gone-staged", "old name", "ignored"])
      expect(existsSync(join(path, name)), name).toBe(false);
    // A link is taken as a link; one that leads out of the repository is not checked out.
    expect(git(path, "cat-file", "-p", "HEAD:link")).toBe("../outside");
    expect(workspace.notices[0]).toMatch(
      /^Your 14 uncommitted changes \(.*, …\) were taken along as the session's first commit, [0-9a-f]{10}\.$/,
    );
  });

  it("is told apart from the agent's work, and comes back over the very same changes: nothing is lost, nothing is left", async () => {
    change();
    const { which, take, work } = await session({
      "agent.txt": "a\n",
      unstaged: "unstaged, new\nand more\n",
    });
    expect(work).toMatchObject({
      commitCount: 2,
      own: { commit: git(source, "rev-parse", "automagik/login~1"), files: 14 },
    });
    expect(work?.commits[1]?.title).toBe("Uncommitted changes when the session began");
    expect(await take(which, {})).toMatchObject({ taken: true, into: "main" });
    expect(status()).toBe("");
    expect(git(source, "rev-parse", "main")).toBe(git(source, "rev-parse", "automagik/login"));
    expect(text(source, "agent.txt")).toBe("a\n");
    expect(text(source, "unstaged")).toBe("unstaged, new\nand more\n");
    expect(text(source, "staged")).toBe("staged, new\n");
    expect(readlinkSync(join(source, "link"))).toBe("../outside");
    expect(text(source, "ignored")).toBe("secret\n");
    for (const name of ["gone", "gone-staged", "old name"])
      expect(existsSync(join(source, name))).toBe(false);
    expect(readdirSync(join(source, ".git")).filter((name) => name.includes("lock"))).toEqual([]);
    expect(git(source, "for-each-ref", "refs/automagik")).toBe("");
    expect(git(source, "fsck", "--no-dangling")).toBe("");
  });

  it("comes back as one commit, too, and onto commits that the person has made meanwhile", async () => {
    change();
    const { which, take } = await session({ "agent.txt": "a\n" });
    git(source, "commit", "--quiet", "--message", "Mine", "--only", "kept", "--allow-empty");
    write("kept", "other\n");
    const taken = await take(which, { squash: "All of it" });
    expect(taken).toMatchObject({ taken: true });
    expect(status()).toBe("M kept");
    expect(git(source, "log", "--format=%s", "-2")).toBe("All of it\nMine");
    expect(text(source, "kept")).toBe("other\n");
  });

  it("comes back where the person has committed the very same changes meanwhile, and more on them", async () => {
    write("readme.md", "mine\n");
    const { which, take } = await session({ "readme.md": "mine, of the agent\n" });
    git(source, "commit", "--quiet", "--all", "--message", "Mine");
    place.commit(source, { "later.txt": "later\n" });
    expect(await take(which, {})).toMatchObject({ taken: true });
    expect(text(source, "readme.md")).toBe("mine, of the agent\n");
    expect(text(source, "later.txt")).toBe("later\n");
    expect(status()).toBe("");
    expect(git(source, "log", "-1", "--format=%P").split(" ")).toHaveLength(2);
  });

  it("leaves everything as it is where a file was changed further since, staged or not, and names it", async () => {
    change();
    const { which, take } = await session({ "agent.txt": "a\n" });
    const head = git(source, "rev-parse", "HEAD");
    for (const spoil of [
      () => write("unstaged", "changed further\n"),
      () => {
        write("unstaged", "staged further\n");
        git(source, "add", "unstaged");
        write("unstaged", "unstaged, new\n");
      },
    ]) {
      spoil();
      const before = untouched();
      expect(await take(which, {})).toMatchObject({
        taken: false,
        reason: expect.stringMatching(
          /^1 file \(unstaged\) in .* is not as when the session began\. Commit or stash/,
        ),
      });
      expect(untouched()).toEqual(before);
      git(source, "restore", "--staged", "unstaged");
    }
    write("unstaged", "unstaged, new\n");
    expect(git(source, "rev-parse", "HEAD")).toBe(head);
    expect(await take(which, {})).toMatchObject({ taken: true });
    expect(status()).toBe("");
  });

  it("waits for nobody who has the index locked, and puts the files back where the branch cannot be moved", async () => {
    change();
    const { which, take } = await session({ "agent.txt": "a\n", unstaged: "unstaged, new\nand more\n" });
    const before = untouched();
    const locked = (name: string) => join(source, ".git", name);
    writeFileSync(locked("index.lock"), "");
    expect(await take(which, {})).toMatchObject({
      taken: false,
      reason: expect.stringContaining("another git is at work"),
    });
    rmSync(locked("index.lock"));
    expect(untouched()).toEqual(before);
    writeFileSync(locked("refs/heads/main.lock"), "");
    expect(await take(which, {})).toMatchObject({
      taken: false,
      reason: expect.stringContaining("main.lock"),
    });
    rmSync(locked("refs/heads/main.lock"));
    expect(text(source, "unstaged")).toBe("unstaged, new\n");
    expect(existsSync(join(source, "agent.txt"))).toBe(false);
    expect(status()).toContain("M  staged");
    expect(await take(which, {})).toMatchObject({ taken: true });
    expect(status()).toBe("");
  });

  it("moves the branch forward only: a commit that has just come there stays", async () => {
    write("own.txt", "own\n");
    const other = place.workspaces();
    const beside = await other.prepare({ ...place.request("other"), sessionName: "other" });
    const commit = place.commit(beside.path, { "x.txt": "x\n" });
    await other.settle(beside, { merge: false });
    const { which } = await session({ "own.txt": "theirs\n" });
    // Between the fetch and the move the person takes the other session's commit.
    const program = join(place.folder, "git");
    const once = join(place.folder, "once");
    const moved = `env -u GIT_DIR -u GIT_WORK_TREE -u GIT_COMMON_DIR git -C ${source} merge -q --ff-only ${commit}`;
    writeFileSync(
      program,
      `#!/bin/sh\ncase "$GIT_WORK_TREE $*" in "${source} "*symbolic-ref*) [ -e ${once} ] || { touch ${once}; ${moved}; };; esac\nexec git "$@"\n`,
      { mode: 0o755 },
    );
    const taken = await place.workspaces({ gitPath: program }).take(which, {});
    expect(taken).toMatchObject({ taken: false, reason: "main has moved on meanwhile" });
    expect(git(source, "rev-parse", "main")).toBe(commit);
    expect(status()).toBe("?? own.txt");
    expect(text(source, "own.txt")).toBe("own\n");
    expect(await other.take(which, {})).toMatchObject({ taken: true });
    expect(existsSync(join(source, "x.txt"))).toBe(true);
  });

  it.each([
    ["nothing is moved yet", "hash-object", "own\n"],
    ["the files are moved and the branch is not", "read-tree -m -u", "theirs\n"],
    ["the branch is moved and the index is not", "update-ref -m merge: Fast-forward", "theirs\n"],
  ])(
    "an engine that goes away when %s leaves nothing that its next one does not put right",
    async (_, step, own) => {
      write("own.txt", "own\n");
      const { which } = await session({ "own.txt": "theirs\n", "new.txt": "new\n" });
      // It hears nothing any more of the git that it has started.
      const [program, done] = [join(place.folder, "git"), join(place.folder, "done")];
      const script = `git "$@"; touch ${done}; while [ -e ${done} ]; do sleep 0.1; done; exit 1`;
      const content = `#!/bin/sh\ncase " $* " in *" ${step} "*) ${script};; esac\nexec git "$@"\n`;
      writeFileSync(program, content, { mode: 0o755 });
      const gone = place.workspaces({ gitPath: program }).take(which, {});
      gone.catch(() => undefined);
      await until(() => existsSync(done), "the step");
      expect(text(source, "own.txt")).toBe(own);
      expect(existsSync(join(source, ".git", "index.lock"))).toBe(true);
      const next = place.workspaces();
      await next.open();
      expect(existsSync(join(source, ".git", "index.lock"))).toBe(false);
      expect(git(source, "for-each-ref", "refs/automagik")).toBe("");
      await next.take(which, {});
      expect(status()).toBe("");
      expect(git(source, "rev-parse", "main")).toBe(git(source, "rev-parse", "automagik/login"));
      expect([text(source, "own.txt"), text(source, "new.txt")]).toEqual(["theirs\n", "new\n"]);
    },
  );

  it("an engine leaves a lock alone that another git holds by then", async () => {
    write("own.txt", "own\n");
    const { which } = await session({ "own.txt": "theirs\n" });
    const [program, done] = [join(place.folder, "git"), join(place.folder, "done")];
    const script = `touch ${done}; while [ -e ${done} ]; do sleep 0.1; done; exit 1`;
    writeFileSync(program, `#!/bin/sh\ncase " $* " in *" hash-object "*) ${script};; esac\nexec git "$@"\n`, {
      mode: 0o755,
    });
    const gone = place.workspaces({ gitPath: program }).take(which, {});
    gone.catch(() => undefined);
    await until(() => existsSync(done), "the step");
    const lock = join(source, ".git", "index.lock");
    rmSync(lock);
    writeFileSync(lock, "another's");
    const next = place.workspaces();
    const taken = await next.take(which, {});
    expect(taken).toMatchObject({
      taken: false,
      reason: expect.stringMatching(/index\.lock is there\. If none is, remove/),
    });
    expect(text(lock)).toBe("another's");
  });

  it("overwrites no ignored file, and what is staged besides stays staged", async () => {
    write("readme.md", "mine\n");
    const { which, take, path } = await session();
    place.write(path, "data", "of the agent\n");
    place.commit(path, { "kept.txt": "k\n" });
    write(".git/info/exclude", "data\n");
    write("data", "precious\n");
    expect(await take(which, {})).toMatchObject({ taken: false, reason: expect.stringContaining("(data)") });
    expect(text(source, "data")).toBe("precious\n");
    rmSync(join(source, "data"));
    write("staged besides", "s\n");
    git(source, "add", "staged besides");
    expect(await take(which, {})).toMatchObject({ taken: true });
    expect(status()).toBe('A  "staged besides"');
  });

  it("runs no hook, filter or fsmonitor, and leaves out files that pass a filter", async () => {
    const mark = join(place.folder, "sprung");
    const program = join(place.folder, "program");
    writeFileSync(program, `#!/bin/sh\ntouch ${mark}\ncat\n`, { mode: 0o755 });
    write(".gitattributes", "*.bin filter=evil\n*.txt eol=lf diff=evil\n");
    git(source, "add", "--all");
    git(source, "commit", "--quiet", "--message", "Attributes");
    mkdirSync(join(source, ".git", "hooks"), { recursive: true });
    for (const hook of [
      "post-index-change",
      "pre-commit",
      "post-commit",
      "reference-transaction",
      "post-checkout",
    ])
      writeFileSync(join(source, ".git", "hooks", hook), `#!/bin/sh\ntouch ${mark}\n`, { mode: 0o755 });
    for (const name of [
      "core.fsmonitor",
      "filter.evil.clean",
      "filter.evil.smudge",
      "filter.evil.process",
      "diff.evil.textconv",
      "gpg.program",
    ])
      git(source, "config", name, program);
    for (const name of ["filter.evil.required", "commit.gpgSign"]) git(source, "config", name, "true");
    write("a.txt", "one\r\ntwo\r\n");
    write("x.bin", "large\n");
    rmSync(mark, { force: true });
    const { workspace, path, take, which } = await session();
    expect(existsSync(mark)).toBe(false);
    expect(text(path, "a.txt"), "as git would have committed it").toBe("one\ntwo\n");
    expect(existsSync(join(path, "x.bin"))).toBe(false);
    expect(workspace.notices[0]).toMatch(
      /^Your 1 uncommitted change \(a\.txt\) was taken along.* Left out.*1 file \(x\.bin\)/,
    );
    expect(await take(which, {})).toMatchObject({ taken: true });
    expect(existsSync(mark)).toBe(false);
    rmSync(join(source, ".git", "hooks"), { recursive: true });
    git(source, "config", "--remove-section", "filter.evil");
    git(source, "config", "--unset", "core.fsmonitor");
    expect(status()).toBe("?? x.bin");
  });

  it("leaves submodules and other repositories in it alone", async () => {
    git(place.folder, "clone", "--quiet", source, "inner");
    const add = ["submodule", "--quiet", "add", join(place.folder, "inner"), "lib"];
    git(source, "-c", "protocol.file.allow=always", ...add);
    git(source, "commit", "--quiet", "--message", "Add a submodule");
    place.commit(join(source, "lib"), { "new.txt": "n\n" });
    git(place.folder, "clone", "--quiet", source, join(source, "nested"));
    write("own.txt", "own\n");
    const { workspace, path } = await session();
    expect(git(path, "show", "--format=", "--name-only", "HEAD")).toBe("own.txt");
    expect(workspace.notices[0]).toContain("2 files (lib, nested/)");
  });

  it("is taken from a linked worktree, from a sparse checkout, and with its intent-to-add", async () => {
    place.commit(source, { "in/a.txt": "a\n", "out/b.txt": "b\n" });
    const linked = join(place.folder, "linked");
    git(source, "worktree", "add", "--quiet", "-b", "side", linked);
    git(linked, "sparse-checkout", "set", "--cone", "in");
    expect(existsSync(join(linked, "out"))).toBe(false);
    place.write(linked, "in/a.txt", "changed\n");
    place.write(linked, "in/new.txt", "new\n");
    git(linked, "add", "--intent-to-add", "in/new.txt");
    const { which, take, path } = await session({ "in/a.txt": "changed\nmore\n" }, { repositoryUrl: linked });
    expect(text(path, "out/b.txt"), "what is not checked out is not gone").toBe("b\n");
    expect(git(path, "log", "--format=%s", "-3").split("\n")[2]).toBe("Write in/a.txt and out/b.txt");
    expect(await take(which, {})).toMatchObject({ taken: true, into: "side" });
    expect(status(linked)).toBe("");
    expect(text(linked, "in/a.txt")).toBe("changed\nmore\n");
    expect(existsSync(join(linked, "out"))).toBe(false);
  });

  it("is refused with the reason and nothing made: no branch, an unfinished merge, too much, another branch", async () => {
    const workspaces = place.workspaces();
    const refused = (request: object = {}) =>
      workspaces.prepare({ ...place.request(`key-${Math.random()}`), uncommitted: true, ...request }).then(
        () => "prepared",
        (error: Error) => error.message,
      );
    write("a.txt", "a\n");
    git(source, "branch", "other");
    expect(await refused({ gitBranch: "other" })).toContain("other is there already");
    git(source, "checkout", "--quiet", "--detach");
    expect(await refused()).toContain("no branch is checked out there");
    git(source, "checkout", "--quiet", "main");
    writeFileSync(join(source, ".git", "MERGE_HEAD"), `${git(source, "rev-parse", "HEAD")}\n`);
    expect(await refused()).toContain("is not finished there (MERGE_HEAD)");
    rmSync(join(source, ".git", "MERGE_HEAD"));
    truncateSync(join(source, "a.txt"), 51 * 1024 * 1024);
    expect(await refused()).toContain("more than 50 MB");
    rmSync(join(source, "a.txt"));
    for (let index = 0; index <= 1_000; index += 1) write(`many/${index}`, "");
    expect(await refused()).toContain("in more than 1000 files");
    rmSync(join(source, "many"), { recursive: true });
    expect(git(source, "branch", "--format=%(refname:short)")).toBe("main\nother");
  });

  it("is the very first commit of a repository that has none, and comes back as that", async () => {
    const empty = join(place.folder, "empty");
    git(place.folder, "init", "--quiet", "--initial-branch", "main", empty);
    place.write(empty, "a.txt", "a\n");
    place.write(empty, "staged.txt", "s\n");
    place.write(empty, ".gitignore", "ignored\n");
    place.write(empty, "ignored", "precious\n");
    git(empty, "add", "staged.txt");
    const { which, take, work, path } = await session({ "a.txt": "a\nb\n" }, { repositoryUrl: empty });
    expect(work).toMatchObject({ baseBranch: "main", commitCount: 2, own: { files: 3, insertions: 3 } });
    expect(git(path, "log", "--format=%s", "--reverse").split("\n")[0]).toContain("Uncommitted changes");
    place.commit(path, { "c.txt": "c\n" });
    git(path, "add", "--force", "--all");
    place.write(empty, "a.txt", "changed further\n");
    expect(await take(which, {})).toMatchObject({
      taken: false,
      reason: expect.stringContaining("1 file (a.txt)"),
    });
    expect(status(empty)).toContain("A  staged.txt");
    place.write(empty, "a.txt", "a\n");
    expect(await take(which, {})).toMatchObject({ taken: true, into: "main" });
    expect(status(empty)).toBe("");
    expect(git(empty, "log", "--format=%s", "main").split("\n")).toHaveLength(3);
    expect(text(empty, "a.txt")).toBe("a\nb\n");
    expect(text(empty, "ignored")).toBe("precious\n");
  });

  it("stands on a commit that is made while it is looked at", async () => {
    write("readme.md", "mine\n");
    // A git that makes a commit in the repository right before the changes are listed, once.
    const gitPath = join(place.folder, "git");
    const commit = `git -C "${source}" -c user.name=T -c user.email=t@example.com commit -q --allow-empty -m Between`;
    writeFileSync(
      gitPath,
      `#!/bin/sh\ncase " $* " in *" status "*) [ -e "${gitPath}.done" ] || { touch "${gitPath}.done"; (unset GIT_DIR GIT_COMMON_DIR GIT_WORK_TREE GIT_CONFIG_COUNT; ${commit}); };; esac\nexec git "$@"\n`,
      { mode: 0o755 },
    );
    const { prepare } = place.workspaces({ gitPath });
    const { path, notices } = await prepare({ ...place.request("key"), uncommitted: true });
    expect(git(path, "log", "--format=%s").split("\n")).toEqual([
      "Uncommitted changes when the session began",
      "Between",
      "Write readme.md",
    ]);
    expect(notices[0]).toContain("Your 1 uncommitted change (readme.md) was taken along");
  });

  it("is nothing where nothing is left of it, which is said", async () => {
    const { workspace, work } = await session();
    expect(workspace.notices).toEqual([expect.stringContaining("no uncommitted changes any more")]);
    expect(work).toBeUndefined();
  });

  it("is read file by file while files change, come and go", async () => {
    for (let index = 0; index < 40; index += 1) write(`f${index}`, "old\n");
    const stop = setInterval(() => {
      for (let index = 0; index < 40; index += 3) writeFileSync(join(source, `f${index}`), "new\n");
      rmSync(join(source, "f1"), { force: true });
      renameSync(join(source, "f2"), join(source, "f2-moved"));
      writeFileSync(join(source, "f2"), "again\n");
    }, 5);
    try {
      const { path } = await session();
      for (let index = 3; index < 40; index += 1)
        expect(["old\n", "new\n"], `f${index}`).toContain(text(path, `f${index}`));
    } finally {
      clearInterval(stop);
    }
  });
});
