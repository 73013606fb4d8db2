import { lstat, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { GitOutput } from "../../shared/git/git-process.js";
import { cleanLine } from "../../shared/text.js";
import { isEmptyFolder } from "./disk.js";
import { askGit, explain, type GitRunner, mustGit, type WorktreeLocation } from "./git-runner.js";
import { describeFiles } from "./ignored-work.js";
import { uncommittedFiles } from "./loose-files.js";
import { createRefs } from "./refs.js";
import { readSpecialEntries } from "./special-entries.js";
import { WorkspaceError } from "./types.js";

/** What git keeps in a worktree's git folder while something that takes several steps is not finished. */
const UNFINISHED = [
  ...[
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "BISECT_LOG",
    "rebase-merge",
    "rebase-apply",
    "sequencer",
  ],
];

/** The location of the worktree at `path`, whose git folder in the clone is called `admin`. */
export function worktreeLocation(
  clone: string,
  path: string,
  admin: string,
  asCheckedOut: readonly string[] = [],
): WorktreeLocation {
  return { clone, worktree: { path, gitDir: join(clone, "worktrees", admin) }, asCheckedOut };
}

/** Makes a worktree on a branch that exists. Answers the name of its git folder. */
export async function addWorktree(
  git: GitRunner,
  clone: string,
  path: string,
  branch: string,
): Promise<string> {
  const args = ["worktree", "add", "--quiet", "--", path, branch];
  await mustGit(git, `The branch ${branch} could not be checked out`, args, { at: { clone } });
  return adminOf(path);
}

/** Makes a worktree on a commit alone. Answers the name of its git folder. */
export async function addDetachedWorktree(
  git: GitRunner,
  clone: string,
  path: string,
  commit: string,
): Promise<string> {
  const args = ["worktree", "add", "--quiet", "--detach", "--", path, commit];
  await mustGit(git, "A copy of the commit could not be checked out", args, { at: { clone } });
  return adminOf(path);
}

/** Makes a worktree in a repository without commits: its first commit will make the branch. */
export async function addEmptyWorktree(
  git: GitRunner,
  clone: string,
  path: string,
  branch: string,
  identity: NodeJS.ProcessEnv,
): Promise<string> {
  const at = { clone };
  const what = "A worktree for the empty repository could not be made";
  // `worktree add --orphan` came only with git 2.42, so it begins on a commit that nothing will refer to.
  const tree = (await mustGit(git, what, ["mktree"], { at })).trim();
  const made = ["commit-tree", tree, "-m", "nothing yet"];
  const commit = (await mustGit(git, what, made, { at, env: identity })).trim();
  const add = ["worktree", "add", "--quiet", "--detach", "--no-checkout", "--", path, commit];
  await mustGit(git, what, add, { at });
  const admin = await adminOf(path);
  const head = ["symbolic-ref", "HEAD", `refs/heads/${branch}`];
  await mustGit(git, what, head, { at: worktreeLocation(clone, path, admin) });
  return admin;
}

/** Git names the folder after the path, with a number where that is taken; right after its making it can be believed. */
async function adminOf(path: string): Promise<string> {
  return basename((await readFile(join(path, ".git"), "utf8")).trim());
}

/** Where branches are checked out, as git knows it: the path of the worktree by branch. */
export async function checkedOut(git: GitRunner, clone: string): Promise<Map<string, string>> {
  const list = ["worktree", "list", "--porcelain", "-z"];
  const call = { at: { clone }, separator: "\0" as const };
  const text = await mustGit(git, "The worktrees of the repository could not be listed", list, call);
  const found = new Map<string, string>();
  for (const entry of text.split("\0\0")) {
    const lines = entry.split("\0");
    const read = (field: string) =>
      lines.find((line) => line.startsWith(`${field} `))?.slice(field.length + 1);
    const branch = read("branch")?.replace(/^refs\/heads\//, "");
    if (branch !== undefined) found.set(branch, read("worktree") ?? "");
  }
  return found;
}

/** The path of the worktree of a bare clone, if any, that a branch is checked out in, as git knows it. */
export async function holderOf(git: GitRunner, clone: string, branch: string): Promise<string | undefined> {
  // Where git keeps its worktrees; without one there is nobody to ask about.
  const some = await readdir(join(clone, "worktrees")).catch((error: NodeJS.ErrnoException) => error);
  if (some instanceof Error && some.code === "ENOENT") return undefined;
  return (await checkedOut(git, clone)).get(branch);
}

/** Leaves the worktree's files as they are and its branch free for another worktree. */
export async function detach(git: GitRunner, at: WorktreeLocation): Promise<void> {
  const what = "The branch could not be freed";
  await mustGit(git, what, ["update-ref", "--no-deref", "-m", "automagik", "HEAD", "HEAD"], { at });
}

/**
 * Puts a worktree without uncommitted changes on a branch that exists and that no other worktree holds. Git-ignored
 * files are not overwritten; tracked ones are where nobody has touched them and git still calls them changed.
 */
export async function switchTo(git: GitRunner, at: WorktreeLocation, branch: string): Promise<void> {
  const what = `The branch ${branch} could not be checked out`;
  const told = await checkOut(git, at, ["--no-guess"], branch);
  if (told.code === 0) return;
  // The files that stand in the way are listed below the complaint, behind tabs.
  const inTheWay = told.problem.split("\n").flatMap((line) => /^\t(.+)$/.exec(line)?.[1] ?? []);
  const files = inTheWay.length > 0 ? ` ${cleanLine(describeFiles(inTheWay))}` : "";
  throw new WorkspaceError(`${what}: ${explain(told)}${files}`);
}

/**
 * Brings a worktree to a branch or commit, and overwrites nothing that is in no commit, git-ignored files neither.
 * @returns what git said; with another code than 0 nothing was changed
 */
export async function checkOut(
  git: GitRunner,
  at: WorktreeLocation,
  options: readonly string[],
  target: string,
): Promise<GitOutput> {
  const args = ["checkout", "--quiet", "--no-overwrite-ignore", ...options];
  const told = await git([...args, target, "--"], { at });
  if (told.code === 0 || !at.asCheckedOut?.length) return told;
  // Files that have differed since they were checked out need force, which takes others away without a word.
  const list = [
    "diff-tree",
    "-r",
    "-z",
    "--name-only",
    "--no-renames",
    "--diff-filter=A",
    "HEAD",
    target,
    "--",
  ];
  const added = await git(list, { at, separator: "\0", maxBytes: MAX_LISTING_BYTES });
  if (added.code !== 0 || added.cut) return told;
  for (const path of added.text.split("\0").filter(Boolean))
    if (await isTaken(at.worktree.path, path)) return told;
  return git([...args, "--force", target, "--"], { at });
}

/** A hundred thousand files. */
const MAX_LISTING_BYTES = 16 * 1024 * 1024;

/** Whether there is something where a new file has to be, or something else than a folder above it. */
async function isTaken(root: string, path: string): Promise<boolean> {
  if (await lstat(join(root, path)).catch(() => undefined)) return true;
  for (let way = dirname(path); way !== "."; way = dirname(way)) {
    const found = await lstat(join(root, way)).catch(() => undefined);
    if (found) return !found.isDirectory();
  }
  return false;
}

/**
 * What of the worktree is on no branch, in words that go behind "it has"; undefined when everything is. Submodules
 * are not looked into, and git-ignored files are `ignoredWork`'s.
 */
export async function unsavedWork(git: GitRunner, at: WorktreeLocation): Promise<string | undefined> {
  const { paths, all } = await uncommittedFiles(git, at);
  return describeUncommitted(paths, all) ?? unfinishedWork(git, at);
}

/** In words that go behind "it has"; undefined for none. */
export function describeUncommitted(paths: readonly string[], all: boolean): string | undefined {
  return paths.length > 0 || !all ? `uncommitted changes in ${describeFiles(paths, "file", all)}` : undefined;
}

/** What is on no branch beside uncommitted files: a merge that is not finished, commits. In the same words. */
export async function unfinishedWork(git: GitRunner, at: WorktreeLocation): Promise<string | undefined> {
  const step = await unfinishedStep(at);
  if (step) return `a merge, rebase or the like that is not finished (${step})`;
  const refs = createRefs(git, at);
  const onBranches = ["--branches", "--remotes", "--tags"];
  if ((await refs.commit("HEAD")) && (await refs.current()) === undefined) {
    const count = await refs.count("HEAD", onBranches);
    if (count > 0) return `${count} ${count === 1 ? "commit" : "commits"} on no branch`;
  }
  return undefined;
}

/** What git keeps of a merge, rebase or the like that is not finished in the worktree; undefined for none. */
export async function unfinishedStep({ worktree }: WorktreeLocation): Promise<string | undefined> {
  const entries = await readdir(worktree.gitDir);
  return UNFINISHED.find((name) => entries.includes(name));
}

/** A submodule that has content, which may be work of its own, in words that go behind "it has"; undefined for none. */
export async function filledSubmodule(git: GitRunner, at: WorktreeLocation): Promise<string | undefined> {
  const special = await readSpecialEntries(git, at);
  if ("problem" in special) return "too many files to look for submodules among them";
  for (const path of special.submodules)
    if (!(await isEmptyFolder(join(at.worktree.path, path))))
      return `a submodule with content, which was not looked into (${path})`;
  return undefined;
}

/** Those of a worktree's submodules whose folders are empty: none is checked out with it. Never throws. */
export async function emptySubmodules(
  at: WorktreeLocation,
  submodules: readonly string[],
): Promise<string[]> {
  // Only where the repository declares some: the commit alone is of no use to anybody.
  if (!(await lstat(join(at.worktree.path, ".gitmodules")).catch(() => undefined))) return [];
  const empty = await Promise.all(
    submodules.map((path) => isEmptyFolder(join(at.worktree.path, path)).catch(() => false)),
  );
  return submodules.filter((_, index) => empty[index]);
}

/**
 * Makes a worktree usable again after whatever happened in it: takes away the locks of a git that was killed (no run
 * is at work in it), and puts right how it and the clone refer to each other, which an agent could have led elsewhere
 * and which a moved state folder breaks.
 */
export async function mend(at: WorktreeLocation): Promise<void> {
  const { path, gitDir } = at.worktree;
  for (const lock of ["index.lock", "HEAD.lock"]) await rm(join(gitDir, lock), { force: true });
  const link = join(path, ".git");
  const found = await lstat(link).catch(() => undefined);
  if (found?.isDirectory())
    throw new WorkspaceError(
      `In the session's worktree ${path} somebody has made another repository (a folder ".git"). Nothing was changed. Move that folder away, then continue.`,
    );
  await refer(link, `gitdir: ${gitDir}\n`);
  await refer(join(gitDir, "gitdir"), `${link}\n`);
  await refer(join(gitDir, "commondir"), "../..\n");
}

async function refer(file: string, right: string): Promise<void> {
  const found = await lstat(file).catch(() => undefined);
  if (found?.isFile() && (await readFile(file, "utf8")) === right) return;
  await rm(file, { force: true });
  await writeFile(file, right);
}

/** Whether the worktree's folder and its git folder are both there. */
export async function worktreeExists(at: WorktreeLocation): Promise<boolean> {
  const parts = [at.worktree.path, join(at.worktree.gitDir, "HEAD")];
  const found = await Promise.all(parts.map((part) => lstat(part).catch(() => undefined)));
  return found[0]?.isDirectory() === true && found[1] !== undefined;
}

/** The subject lines of what the run has committed, oldest first. */
export async function commitsSince(
  git: GitRunner,
  at: WorktreeLocation,
  not: string[],
  limit: number,
): Promise<string[]> {
  // First parents only: of a branch that was merged in, the merge is the run's work.
  const args = ["rev-list", "--first-parent", `--max-count=${limit}`, "--no-commit-header", "--format=%h %s"];
  const text = await askGit(git, [...args, "HEAD", ...(not.length > 0 ? ["--not", ...not] : []), "--"], {
    at,
  });
  return (text ?? "").split("\n").filter(Boolean).reverse();
}
