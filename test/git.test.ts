import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { devNull, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createGit } from "../src/shared/git/git.js";
import {
  checkBranchName,
  checkRepositoryUrl,
  publicRepositoryUrl,
} from "../src/shared/git/repository-address.js";
import { asLongAs } from "./support/patient.js";

// The time limit under test is 3 s, and a busy machine starts programs slowly.
vi.setConfig({ testTimeout: 30_000 });

const root = mkdtempSync(join(tmpdir(), "git-service-"));
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
/** Far above what local git needs on a busy machine: only tests of the time limit should meet it. */
const patient = { env, timeoutMs: 60_000 };

function git(folder: string, ...args: string[]): string {
  const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
  return execFileSync("git", ["-C", folder, ...identity, ...args], { env, encoding: "utf8" }).trim();
}

function emptyRepository(branch = "main"): string {
  const folder = fresh("repository");
  mkdirSync(folder);
  git(folder, "init", "-q", "-b", branch);
  return folder;
}

function repository(branches: string[] = [], branch = "main"): string {
  const folder = emptyRepository(branch);
  git(folder, "commit", "-q", "--allow-empty", "-m", "first");
  const commit = git(folder, "rev-parse", "HEAD");
  const input = branches.map((name) => `create refs/heads/${name} ${commit}\n`).join("");
  execFileSync("git", ["-C", folder, "update-ref", "--stdin"], { env, input });
  return folder;
}

/** A stand-in for git that notes its process id, which is also its process group, then goes on with `body`. */
function notedGit(body = 'exec git "$@"') {
  const note = fresh("pid");
  const path = script(`echo $$ > ${note}.new && mv ${note}.new ${note}\n${body}`);
  return { path, started: () => existsSync(note), group: () => Number(readFileSync(note, "utf8")) };
}

/** Names of the programs alive in a process group, read from the Linux process table. */
function alive(group: number): string[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const [, name = "", state, , pgrp] =
        /\((.*)\) (\S) (\d+) (\d+)/s.exec(readFileSync(`/proc/${entry}/stat`, "utf8")) ?? [];
      return Number(pgrp) === group && state !== "Z" ? [name] : [];
    } catch {
      return []; // Ended while the table was read.
    }
  });
}

const gone = (group: number) => vi.waitFor(() => expect(alive(group)).toEqual([]), { timeout: 10_000 });

describe("checking a repository address", () => {
  it.each([
    ["https://github.com/owner/name", "https"],
    ["https://github.com/owner/name.git", "https"],
    ["https://git.example.com:8443/a/b/c/", "https"],
    ["https://[::1]:8443/name", "https"],
    ["https://tangled.example/@user/name", "https"],
    ["https://git_server/name", "https"],
    ["http://git.local/owner/name", "http"],
    ["ssh://git@github.com/owner/name.git", "ssh"],
    ["ssh://github.com:2222/owner/name", "ssh"],
    ["git@github.com:owner/name.git", "ssh"],
    ["deploy-user@git.example.com:~team/name", "ssh"],
    ["git@[::1]:name", "ssh"],
  ])("accepts %s as %s", (value, kind) => {
    expect(checkRepositoryUrl(value)).toEqual({ ok: true, value, kind });
  });

  it("trims, and writes the scheme as git wants it", () => {
    expect(checkRepositoryUrl("  HTTPS://GitHub.com/Owner/Name\n")).toMatchObject({
      value: "https://GitHub.com/Owner/Name",
    });
  });

  it.each([
    ["", /empty/],
    ["   ", /empty/],
    [`https://github.com/${"x".repeat(2048)}`, /longer than 2048/],
    ["https://github.com/owner/na me", /space/],
    ["https://github.com/owner/name\u0000", /invisible/],
    ["https://github.com/owner\n/name", /space/],
    ["https://github.com/owner%0a/name", /invisible/],
    ["https://github.com/owner/\u202ename", /invisible/],
    ["https://git\u200bhub.com/owner/name", /invisible/],
    ["-oProxyCommand=x", /begin with a dash/],
    ["--upload-pack=x", /begin with a dash/],
    ["ssh://-oProxyCommand=x/name", /host .* not begin with a dash/],
    ["ssh://git@-oProxyCommand=x/name", /host .* not begin with a dash/],
    ["ssh://-oProxyCommand=x@host/name", /user .* not begin with a dash/],
    ["https://-host/name", /host .* not begin with a dash/],
    ["git@-oProxyCommand=x:name", /host .* not begin with a dash/],
    ["git@host:-name", /path .* not begin with a dash/],
    ["-git@host:name", /begin with a dash/],
    ["ext::sh -c x", /space|helper/],
    ["ext::x", /helper::/],
    ["fd::17", /helper::/],
    ["https::https://github.com/owner/name", /helper::/],
    ["file:///etc", /local path/],
    ["FILE:///etc", /local path/],
    ["/srv/name", /local path/],
    ["./name", /local path/],
    ["../name", /local path/],
    ["~/name", /local path/],
    ["C:\\name", /local path/],
    ["c:/name", /local path/],
    ["\\\\server\\share", /local path/],
    ["https:\\\\github.com\\x", /local path/],
    ["git://github.com/owner/name", /https or ssh/],
    ["ftp://github.com/owner/name", /https or ssh/],
    ["git+ssh://git@github.com/owner/name", /https or ssh/],
    ["github.com/owner/name", /not complete/],
    ["owner/name", /not complete/],
    ["localhost:3000/name", /not complete/],
    ["git@https://github.com/owner/name", /not complete/],
    ["https://", /host/],
    ["https:///name", /host/],
    ["https://github.com", /no repository/],
    ["https://github.com/", /no repository/],
    ["git@github.com:", /no repository/],
    ["ssh://git@github.com", /no repository/],
    ["https://github.com:0/name", /port/],
    ["https://github.com:65536/name", /port/],
    ["https://github.com:abc/name", /not complete/],
    ["https://exa$mple.com/name", /host/],
    ["https://github.com/owner/name?token=x", /question mark/],
    ["https://github.com/owner/name#readme", /hash sign/],
    ["ssh://@host/name", /user/],
  ])("refuses %j", (text, problem) => {
    expect(checkRepositoryUrl(text)).toEqual({ ok: false, problem: expect.stringMatching(problem) });
  });

  it.each([
    ["https://github.com/o/r/tree/main", "https://github.com/o/r", "main"],
    ["https://github.com/o/r/tree/feature/login/", "https://github.com/o/r", "feature/login"],
    ["https://github.com/o/r/tree/caf%C3%A9?tab=readme#top", "https://github.com/o/r", "café"],
    ["https://www.github.com/o/r/blob/main/src/index.ts#L10", "https://www.github.com/o/r", "main"],
    ["https://github.com/o/r/pull/12", "https://github.com/o/r", undefined],
    ["https://github.com/o/r/pull/12/files", "https://github.com/o/r", undefined],
    ["https://github.com/o/r/issues/3", "https://github.com/o/r", undefined],
    ["https://github.com/o/r/anything", "https://github.com/o/r", undefined],
    ["https://gitlab.com/g/sub/r/-/tree/main", "https://gitlab.com/g/sub/r", "main"],
    ["https://gitlab.com/g/r/-/merge_requests/4", "https://gitlab.com/g/r", undefined],
    ["https://git.example.com:8443/o/r/src/branch/dev", "https://git.example.com:8443/o/r", "dev"],
    ["https://git.example.com/o/r/tree/main", "https://git.example.com/o/r", "main"],
    ["https://git.example.com/o/r/issues/3", "https://git.example.com/o/r", undefined],
    ["https://bitbucket.org/o/r/src/main/lib", "https://bitbucket.org/o/r", "main/lib"],
  ])("says of the page %j which repository it is about", (text, repository, branch) => {
    const checked = checkRepositoryUrl(text);
    const problem = checked.ok ? "" : checked.problem;
    expect(problem).toContain("is a page that shows");
    expect(problem).toMatch(new RegExp(`The repository is ${repository.replaceAll(".", "\\.")}[.,] ?`));
    if (branch === undefined) expect(problem).not.toContain("with git_branch");
    else expect(problem).toContain(`with git_branch "${branch}"`);
  });

  it.each([
    "https://github.com/o/r/",
    "https://github.com/o/tree",
    "https://gitlab.com/group/sub/name",
    "https://gitlab.com/group/issues/name",
    "https://dev.azure.com/org/project/_git/name",
    "https://git.example.com/scm/project/name.git",
  ])("takes %j for a repository", (text) => {
    expect(checkRepositoryUrl(text)).toMatchObject({ ok: true });
  });

  it("repeats nothing of a page's address that has a password", () => {
    const checked = checkRepositoryUrl("https://me:hunter2@github.com/o/r/tree/main");
    expect(checked).toEqual({ ok: false, problem: expect.not.stringMatching(/hunter2|page/) });
  });

  it.each([
    "https://owner:s3cret@github.com/owner/name",
    "https://s3cret@github.com/owner/name",
    "http://owner:s3cret@github.com/owner/name",
    "https://a@s3cret@github.com/owner/name",
    "ssh://git:s3cret@github.com/owner/name",
    "git:s3cret@github.com:owner/name",
  ])("refuses the credentials in %s without repeating them", (text) => {
    const checked = checkRepositoryUrl(text);
    expect(checked).toMatchObject({ ok: false, problem: expect.stringContaining("user name or password") });
    expect(JSON.stringify(checked)).not.toContain("s3cret");
  });
});

describe("the public form of a repository address", () => {
  it.each([
    ["https://owner:tok@github.com/owner/name\n", "https://github.com/owner/name"],
    ["https://tok@github.com/owner/name", "https://github.com/owner/name"],
    ["https://a:b@c@github.com/owner/name", "https://github.com/owner/name"],
    ["https://github.com/owner/name?token=x#y", "https://github.com/owner/name"],
    ["https://github.com/@owner/name", "https://github.com/@owner/name"],
    ["ssh://git:tok@github.com/name", "ssh://git@github.com/name"],
    ["ssh://git@github.com:22/name", "ssh://git@github.com:22/name"],
    ["git@github.com:owner/name.git", "git@github.com:owner/name.git"],
    ["https://owner:1?tok@github.com/name", undefined],
    ["https://owner:to/k@github.com/name", undefined],
    ["http://owner:tok@git.local/name", undefined],
    ["file:///srv/name", undefined],
    ["../name", undefined],
    ["ext::x", undefined],
    ["ssh://git@-oProxyCommand=x/name", undefined],
    ["", undefined],
  ])("of %j is %j", (text, expected) => {
    expect(publicRepositoryUrl(text)).toBe(expected);
  });
});

describe("checking a branch name", () => {
  // biome-ignore format: a list reads better than a column
  const names = [
    "main", "feature/login", "a/b/c/d", "v1.2.3", "x.y", "a-b_c", "a@b", "a@", "@a", "@/a", "a/@", "@@", "a{b}",
    "{", "a]", "a;b", "a|b", "a&b", "a$b", "a`b", "a'b", 'a"b', "a(b)", "a<b>", "a%b", "a+b", "a,b", "a=b", "a!b",
    "é", "分支", "🚀", "refs/heads/x", "heads", "HEAD", "head", "a/HEAD", "HEAD/a", "a/-b", "a-", "a.lock", "a.lock/b",
    "a/b.lock", "a.LOCK", "a.lockx", ".lock", "a.", "a./b", "a/b.", ".a", "a/.b", "..", "a..b", "a/../b", ".", "/",
    "/a", "a/", "a//b", "-a", "-", "--", "a b", "a\tb", "a\nb", "a\x01b", "a\x7fb", "a~b", "a^b", "a:b", "a?b", "a*b",
    "a[b", "a\\b", "a@{b", "@{-1}", "@{u}", "a@{0}", "a@}b", "x".repeat(200),
  ];

  it.each(names)("agrees with git about %j", (name) => {
    const asked = spawnSync("git", ["check-ref-format", "--branch", name], { env, cwd: root });
    expect(checkBranchName(name).ok).toBe(asked.status === 0);
  });

  it.each([
    ["", "empty"],
    ["@", "reserved by git"],
    ["x".repeat(245), "longer than 244 bytes"],
    ["é".repeat(123), "longer than 244 bytes"],
    ["a\u0085b", "invisible"],
    ["a\u00a0b", "space"],
    ["a\u202eb", "invisible"],
    ["a\ud800b", "invisible"],
    ["a~b", "~ ^ : ? * [ \\"],
    ["-a", "begins with a dash"],
    ["a.lock", '".lock"'],
  ])("refuses %j and says why", (name, reason) => {
    expect(checkBranchName(name)).toEqual({ ok: false, problem: expect.stringContaining(reason) });
  });

  it("trims, and allows exactly 244 bytes", () => {
    expect(checkBranchName(" main\n")).toEqual({ ok: true, value: "main" });
    expect(checkBranchName("é".repeat(122)).ok).toBe(true);
  });
});

describe("describing a folder", () => {
  const describeFolder = createGit(patient).describeFolder;

  it("gives origin without its password, and the branch, from a subfolder", async () => {
    const folder = repository([], "feature/login");
    git(folder, "remote", "add", "another", "https://example.com/another");
    git(folder, "remote", "add", "origin", "https://owner:tok@github.com/owner/name.git");
    git(folder, "tag", "feature/login");
    mkdirSync(join(folder, "src"));
    const expected = {
      top: folder,
      repositoryUrl: "https://github.com/owner/name.git",
      branch: "feature/login",
    };
    expect(await describeFolder(join(folder, "src"))).toEqual(expected);
    expect(await describeFolder(relative(process.cwd(), folder))).toEqual(expected);
  });

  it("tells where it pushes to, which may be elsewhere than where it fetches from", async () => {
    const { findPushAddress } = createGit(patient);
    const folder = repository([], "main");
    expect(await findPushAddress(folder)).toBeUndefined();
    git(folder, "remote", "add", "origin", "https://github.com/owner/name.git");
    expect(await findPushAddress(folder)).toBe("https://github.com/owner/name.git");
    git(folder, "remote", "set-url", "--push", "origin", "https://me:tok@github.com/me/name.git");
    expect(await findPushAddress(folder)).toBe("https://github.com/me/name.git");
  });

  it("takes the only remote when none is called origin, even one named like an option", async () => {
    const folder = emptyRepository();
    git(folder, "config", "remote.--all.url", "git@github.com:owner/name");
    expect(await describeFolder(folder)).toEqual({
      top: folder,
      repositoryUrl: "git@github.com:owner/name",
      branch: "main",
    });
  });

  it.each(["/srv/name", "http://git.local/name", "ext::sh -c x"])(
    "leaves a remote at %s out",
    async (address) => {
      const folder = repository();
      git(folder, "config", "remote.origin.url", address);
      expect(await describeFolder(folder)).toEqual({ top: folder, branch: "main" });
    },
  );

  it("gives no branch for a detached head or a name that git would not take", async () => {
    const folder = repository();
    git(folder, "checkout", "-q", "--detach");
    expect(await describeFolder(folder)).toEqual({ top: folder });
    writeFileSync(join(folder, ".git", "HEAD"), "ref: refs/heads/a\u202eb\n");
    expect(await describeFolder(folder)).toEqual({ top: folder });
  });

  it("is undefined for a folder that is no repository, does not exist or can't be one", async () => {
    for (const folder of [root, join(root, "missing"), "nul\0byte"]) {
      expect(await describeFolder(folder)).toBeUndefined();
    }
  });

  it("finds the repository around a folder, a bare one too, and tells none from what git does not use", async () => {
    const { findRepository } = createGit(patient);
    const folder = repository();
    mkdirSync(join(folder, "src"));
    expect(await findRepository(join(folder, "src"))).toMatchObject({ kind: "found", top: folder });
    const bare = fresh("bare");
    git(root, "clone", "-q", "--bare", folder, bare);
    expect(await findRepository(bare)).toMatchObject({ kind: "found", top: bare });
    expect(await describeFolder(bare)).toMatchObject({ top: bare });
    expect(await describeFolder(bare)).not.toHaveProperty("branch");
    expect(await findRepository(root)).toEqual({ kind: "none" });
    const missing = createGit({ ...patient, gitPath: join(root, "no-git") });
    expect(await missing.findRepository(folder)).toEqual({ kind: "unknown" });
  });

  it("is undefined when git is missing, and when it takes too long", async () => {
    const folder = repository();
    const missing = createGit({ ...patient, gitPath: join(root, "no-git") });
    expect(await missing.describeFolder(folder)).toBeUndefined();
    const slow = createGit({ env, timeoutMs: 50, gitPath: script("exec sleep 600") });
    expect(await slow.describeFolder(folder)).toBeUndefined();
  });

  it("runs nothing that the repository's own configuration names", async () => {
    const folder = repository();
    const trap = fresh("trap");
    const command = script(`touch ${trap}; exit 1`);
    for (const name of ["core.fsmonitor", "core.sshCommand", "core.pager", "pager.remote", "core.askPass"])
      git(folder, "config", name, command);
    git(folder, "config", "alias.remote", `!${command}`);
    git(folder, "config", "remote.origin.url", "https://github.com/owner/name");
    expect(await describeFolder(folder)).toMatchObject({ branch: "main" });
    expect(existsSync(trap)).toBe(false);
    spawnSync("git", ["-C", folder, "status"], { env });
    expect(existsSync(trap), "the trap itself works").toBe(true);
  });

  it("looks at the folder that was asked about, whatever GIT_DIR the server was started with", async () => {
    const elsewhere = repository([], "elsewhere");
    const service = createGit({ ...patient, env: { ...env, GIT_DIR: join(elsewhere, ".git") } });
    const folder = repository();
    expect(await service.describeFolder(folder)).toEqual({ top: folder, branch: "main" });
  });
});

describe("listing branches", () => {
  const listBranches = createGit(patient).listBranches;
  const address = (folder: string) => `ssh://localhost${folder}`;

  it("puts the default branch first", async () => {
    const folder = repository(["alpha", "feature/login", "zeta", "odd/HEAD"], "trunk");
    git(folder, "tag", "v1");
    git(folder, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/alpha");
    const branches = ["trunk", "alpha", "feature/login", "odd/HEAD", "zeta"];
    const expected = { defaultBranch: "trunk", branches, truncated: false };
    expect(await listBranches(address(folder))).toEqual(expected);
    expect(await listBranches(`git@localhost:${folder}`)).toEqual(expected);
  });

  it("brings 50 of more, and says so", async () => {
    const names = Array.from({ length: 50 }, (_, index) => `b${String(index).padStart(2, "0")}`);
    const told = await listBranches(address(repository(names)));
    expect(told).toEqual({
      defaultBranch: "main",
      branches: ["main", ...names.slice(0, 49)],
      truncated: true,
    });
    const exactly = await listBranches(address(repository(names.slice(0, 49))));
    expect(exactly).toMatchObject({ truncated: false });
    expect(exactly?.branches).toHaveLength(50);
  });

  it("has no default when the remote is on no branch, and no branches when it is empty", async () => {
    const detached = repository(["other"]);
    git(detached, "checkout", "-q", "--detach");
    expect(await listBranches(address(detached))).toEqual({ branches: ["main", "other"], truncated: false });
    expect(await listBranches(address(emptyRepository()))).toEqual({ branches: [], truncated: false });
  });

  it("is undefined when the repository or git is not there", async () => {
    expect(await listBranches(address(join(root, "missing")))).toBeUndefined();
    const missing = createGit({ ...patient, gitPath: join(root, "no-git") });
    expect(await missing.listBranches(address(repository()))).toBeUndefined();
  });

  it("does not follow the configuration of a repository the server stands in", async () => {
    const [asked, other, standing] = [repository(["asked"]), repository(["other"]), repository()];
    git(standing, "config", `url.${address(other)}.insteadOf`, address(asked));
    expect(git(standing, "ls-remote", address(asked)), "the redirection itself works").toContain("other");
    const service = createGit({ ...patient, env: { ...env, GIT_DIR: join(standing, ".git") } });
    expect((await service.listBranches(address(asked)))?.branches).toEqual(["main", "asked"]);
  });

  it("starts nothing for an address it does not take", async () => {
    const noted = notedGit("exit 1");
    const service = createGit({ ...patient, gitPath: noted.path });
    for (const hostile of [
      ...["ext::sh%20-c%20x", "ext::sh -c x", "file:///srv/name", "/srv/name", "--upload-pack=x", "-x"],
      ...["ssh://-oProxyCommand=x/name", "git@-oProxyCommand=x:name", "http://git.local/name", ""],
      ...[
        "https://owner:tok@github.com/name",
        "git@host:-name",
        "https://github.com/a\nb",
        "git://host/name",
      ],
    ]) {
      expect(await service.listBranches(hostile), hostile).toBeUndefined();
    }
    expect(noted.started()).toBe(false);
    await service.listBranches("https://github.com/owner/name");
    expect(noted.started(), "a good address does start it").toBe(true);
  });

  it("starts git so that neither it nor ssh can ask anybody", async () => {
    const note = fresh("note");
    const gitPath = script(`{ env; printf 'arg %s\\n' "$@"; } > ${note}`);
    const told = async (own: NodeJS.ProcessEnv) => {
      await createGit({ timeoutMs: 60_000, gitPath, env: { PATH: env.PATH, ...own } }).listBranches(
        "git@localhost:name",
      );
      return readFileSync(note, "utf8").split("\n");
    };
    const first = await told({ GIT_ASKPASS: "own-askpass", SSH_ASKPASS: "own-askpass", LC_ALL: "de_DE" });
    expect(first).toEqual(
      expect.arrayContaining([
        ...["GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "SSH_ASKPASS_REQUIRE=never", "LC_ALL=C"],
        ...["GIT_ALLOW_PROTOCOL=https:ssh", "arg credential.interactive=false", "arg core.askPass="],
        ...["arg core.fsmonitor=false", "arg protocol.ext.allow=never", `GIT_DIR=${devNull}`],
        "GIT_SSH_COMMAND=ssh -o BatchMode=yes -o ControlMaster=no -o ConnectTimeout=60",
      ]),
    );
    expect(first.indexOf("arg git@localhost:name")).toBe(first.indexOf("arg --") + 1);
    const never = "-o BatchMode=yes -o ControlMaster=no -o ConnectTimeout=60";
    for (const [own, command] of [
      [{ GIT_SSH_COMMAND: "ssh -i key" }, `ssh -i key ${never}`],
      [{ GIT_SSH_COMMAND: "'/a b/ssh' -o BatchMode=no" }, `'/a b/ssh' -o BatchMode=no ${never}`],
      [{ GIT_SSH: "/opt/ssh" }, `'/opt/ssh' ${never}`],
      [{ GIT_SSH: "plink" }, "'plink'"],
      [{ GIT_SSH_COMMAND: "own-ssh -x" }, "own-ssh -x"],
      [{ GIT_SSH_COMMAND: "ssh -i key # as at work" }, "ssh -i key # as at work"],
      [{ GIT_SSH_COMMAND: "ssh", GIT_SSH_VARIANT: "plink" }, "ssh"],
    ] as const)
      expect(await told(own)).toContain(`GIT_SSH_COMMAND=${command}`);
  });
});

describe("the person's own way to connect", () => {
  /** A stand-in for ssh, by its name, that notes its arguments and does here what it would do there. */
  function ownSsh() {
    const folder = fresh("own");
    mkdirSync(folder);
    const note = join(folder, "note");
    const path = join(folder, "ssh");
    const body = `printf '%s\\n' "$*" >> ${note}\nfor last; do :; done\neval "exec $last"`;
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return { path, asked: () => (existsSync(note) ? readFileSync(note, "utf8") : "") };
  }
  function withConfig(text: string) {
    const config = fresh("gitconfig");
    writeFileSync(config, text);
    const { GIT_SSH_COMMAND: _none, GIT_SSH_VARIANT: _neither, ...plain } = env;
    return createGit({ ...patient, env: { ...plain, GIT_CONFIG_GLOBAL: config } });
  }

  it("is taken from core.sshCommand, also of a file that is included for this host, and never asks", async () => {
    const url = `ssh://localhost${repository(["feature"])}`;
    const ssh = ownSsh();
    const settings = `[core]\n\tsshCommand = ${ssh.path} -i mykey -o ConnectTimeout=7\n`;
    const included = fresh("included");
    writeFileSync(included, settings);
    for (const text of [
      settings,
      `[includeIf "hasconfig:remote.*.url:ssh://localhost/**"]\n\tpath = ${included}\n`,
    ]) {
      const before = ssh.asked();
      const service = withConfig(text);
      expect((await service.listBranches(url))?.branches).toEqual(["main", "feature"]);
      expect(await service.findBranch(url, "feature")).toMatchObject({ found: { kind: "there" } });
      const asked = ssh.asked().slice(before.length).trim().split("\n");
      expect(asked).toHaveLength(2);
      for (const line of asked)
        expect(line).toMatch(/^-i mykey -o ConnectTimeout=7 -o BatchMode=yes .* localhost git-upload-pack/);
    }
  });

  it("may be ssh for an https address, by url.insteadOf, but never a program or a folder", async () => {
    const folder = repository();
    const ssh = ownSsh();
    const instead = (base: string) =>
      withConfig(
        `[core]\n\tsshCommand = ${ssh.path}\n[url "${base}"]\n\tinsteadOf = https://code.example/\n`,
      ).listBranches(`https://code.example${folder}`);
    expect(await instead("ssh://localhost/")).toMatchObject({ branches: ["main"] });
    const trap = fresh("trap");
    for (const base of [`ext::${script(`touch ${trap}`)} `, "file:///", "/"])
      expect(await instead(base), base).toBeUndefined();
    expect(existsSync(trap)).toBe(false);
  });
});

describe("finding a branch", () => {
  const { findBranch } = createGit(patient);
  let url: string;
  let tip: string;
  beforeAll(() => {
    const folder = repository(["feature/login", "caf\u00e9", "null-object"], "trunk");
    git(folder, "tag", "v1");
    git(folder, "tag", "-a", "-m", "2", "v2");
    tip = git(folder, "rev-parse", "HEAD");
    url = `ssh://localhost${folder}`;
  });

  it.each([
    ["trunk", "trunk"],
    ["origin/feature/login", "feature/login"],
    ["refs/heads/feature/login", "feature/login"],
    ["cafe\u0301", "caf\u00e9"],
  ])("takes %j for %j", async (asked, name) => {
    expect(await findBranch(url, asked)).toEqual({ found: { kind: "there", name }, defaultBranch: "trunk" });
  });

  it("tells a new one, a word for nothing and what is no branch apart", async () => {
    const told = async (name: string) => (await findBranch(url, name))?.found;
    expect(await told("feature/ne\u0301w")).toEqual({ kind: "new", name: "feature/n\u00e9w" });
    expect(await told("null")).toEqual({ kind: "none" });
    for (const name of ["v1", "v2", "refs/tags/v2", tip, tip.slice(0, 8), "Trunk", "feature", "origin/x"])
      expect(await told(name), name).toMatchObject({ kind: "refused" });
  });

  it("does not know what can't be found out", async () => {
    for (const address of [`${url}-missing`, "/srv/name", "ext::sh -c x"])
      expect(await findBranch(address, "trunk")).toBeUndefined();
    expect(await findBranch(url, "a b")).toBeUndefined();
    const many = notedGit(`while :; do printf '${"0".repeat(40)}\\trefs/heads/same\\n'; done`);
    const { findBranch: findAmongMany } = createGit({ ...patient, gitPath: many.path });
    expect(await findAmongMany(url, "other"), "what is cut off could be it").toBeUndefined();
    expect(await findAmongMany(url, "same")).toEqual({ found: { kind: "there", name: "same" } });
  });
});

describe.skipIf(process.platform !== "linux")("a remote that does not answer", () => {
  const silent = createServer((socket) => socket.on("error", () => {}));
  let url: string;
  beforeAll(async () => {
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/name`;
  });
  afterAll(() => silent.close());

  it("is given up when the time is over, and no process is left", async () => {
    const noted = notedGit();
    const service = createGit({ env, timeoutMs: 3000, gitPath: noted.path });
    const start = performance.now();
    expect(await service.listBranches(url)).toBeUndefined();
    expect(performance.now() - start).toBeGreaterThan(2900);
    expect(performance.now() - start).toBeLessThan(await asLongAs(10_000));
    await gone(noted.group());
  });

  it("is given up at once on abort, with the connecting program too", async () => {
    const noted = notedGit();
    const controller = new AbortController();
    const connected = once(silent, "connection");
    const asked = createGit({ ...patient, gitPath: noted.path }).listBranches(url, controller.signal);
    await connected;
    expect(alive(noted.group()).join()).toContain("git-remote-http");
    controller.abort();
    expect(await asked).toBeUndefined();
    await gone(noted.group());
  });

  it("is given up on abort when it is reached by ssh", async () => {
    const note = fresh("ssh");
    const ssh = script(`sleep 600 & touch ${note}; wait`);
    const noted = notedGit();
    const controller = new AbortController();
    const service = createGit({ ...patient, gitPath: noted.path, env: { ...env, GIT_SSH_COMMAND: ssh } });
    const asked = service.listBranches("ssh://localhost/name", controller.signal);
    await vi.waitFor(() => expect(existsSync(note)).toBe(true), { timeout: 10_000 });
    await vi.waitFor(() => expect(alive(noted.group())).toContain("sleep"), { timeout: 10_000 });
    controller.abort();
    expect(await asked).toBeUndefined();
    await gone(noted.group());
  });

  it("is not even asked when the call was aborted before", async () => {
    const noted = notedGit("exit 1");
    const service = createGit({ ...patient, gitPath: noted.path });
    expect(await service.listBranches(url, AbortSignal.abort())).toBeUndefined();
    expect(await service.describeFolder(root, AbortSignal.abort())).toBeUndefined();
    expect(noted.started()).toBe(false);
  });

  it("is not listened to for longer than a megabyte", async () => {
    const noted = notedGit(`while :; do printf '${"0".repeat(40)}\\trefs/heads/same\\n'; done`);
    const told = await createGit({ ...patient, gitPath: noted.path }).listBranches(url);
    expect(told).toEqual({ branches: ["same"], truncated: true });
    await gone(noted.group());
  });
});
