import { cleanLine } from "../../shared/text.js";
import { filesIn, stampsOf } from "./disk.js";
import { askGit, type GitRunner, type WorktreeLocation } from "./git-runner.js";
import { uncommittedFiles } from "./loose-files.js";
import type { FileStamp, RunRecord } from "./records.js";
import { commitsSince } from "./worktrees.js";

/** More names than this nobody reads. */
const MAX_FILES = 1000;
const MAX_COMMITS = 200;
/** Loose files remembered at a run's beginning. */
const MAX_STAMPS = 2000;

export interface Seen {
  filesChanged: string[];
  commits: string[];
  uncommitted: boolean;
}

/** How a run's loose files look as it begins; undefined when there are too many to remember. */
export async function stampLoose(path: string, loose: string[]): Promise<FileStamp[] | undefined> {
  return loose.length > MAX_STAMPS ? undefined : stampsOf(path, loose);
}

/** The loose files of a folder without repository, as far as `stampLoose` remembers them. */
export function looseInFolder(path: string): Promise<string[]> {
  return filesIn(path, MAX_STAMPS + 1);
}

/** What a run has changed in a folder without repository. */
export async function inspectFolder(path: string, run: RunRecord): Promise<Seen> {
  const now = await filesIn(path, 10 * MAX_FILES);
  return {
    filesChanged: listed(await touched(path, now, run.startedWith ?? [])),
    commits: [],
    uncommitted: now.length > 0,
  };
}

/** What a run has changed in its worktree. @throws WorkspaceError when git can't tell. */
export async function inspectWorktree(git: GitRunner, at: WorktreeLocation, run: RunRecord): Promise<Seen> {
  const loose = await uncommittedFiles(git, at);
  const { startCommit, upstreamCommit } = run;
  const not = [startCommit, upstreamCommit].filter((commit) => commit !== undefined);
  const [commits, committed] = await Promise.all([
    commitsSince(git, at, not, MAX_COMMITS),
    committedFiles(git, at, startCommit),
  ]);
  const changed = new Set(committed);
  const since = await touched(at.worktree.path, loose.paths, run.startedWith ?? []);
  for (const path of since) changed.add(path);
  return {
    filesChanged: listed([...changed]),
    commits: commits.map((line) => cleanLine(line)),
    uncommitted: loose.paths.length > 0 || !loose.all,
  };
}

async function committedFiles(
  git: GitRunner,
  at: WorktreeLocation,
  start: string | undefined,
): Promise<string[]> {
  const args = ["--name-only", "-z", "-r", "--no-renames", "--no-commit-id"];
  const call = { at, separator: "\0" as const };
  const text = start
    ? await askGit(git, ["diff-tree", ...args, start, "HEAD", "--"], call)
    : await askGit(git, ["ls-tree", "--name-only", "-z", "-r", "HEAD"], call);
  return (text ?? "").split("\0").filter((path) => path !== "");
}

/** Of the files loose now and at the beginning: those that look different, have come or have gone. */
async function touched(folder: string, now: string[], before: FileStamp[]): Promise<string[]> {
  const former = new Map(before.map(([path, ...look]) => [path, look.join()]));
  const present = await stampsOf(folder, now);
  const changed = present.filter(([path, ...look]) => former.get(path) !== look.join());
  const still = new Set(now);
  const gone = before.filter(([path]) => !still.has(path));
  return [...changed, ...gone].map(([path]) => path);
}

function listed(paths: string[]): string[] {
  return paths.sort().slice(0, MAX_FILES);
}
