import { cleanLine } from "../../shared/text.js";
import { askGit, type GitLocation, type GitRunner, mustGit } from "./git-runner.js";
import { createRefs } from "./refs.js";
import type { Work } from "./types.js";

/** Commits that are listed; of more the number is told. */
const MAX_COMMITS = 50;
const MAX_TITLE = 200;

/** What git tells of a session's work. */
export type WorkContent = Pick<
  Work,
  "baseCommit" | "headCommit" | "commits" | "commitCount" | "files" | "insertions" | "deletions" | "own"
>;

/**
 * What `head` has that `base` does not. @param base undefined in a repository that had no commits
 * @param own the commit with what the person had not committed, if there is one
 * @returns undefined when that is nothing
 * @throws WorkspaceError when git can't tell
 */
export async function describeWork(
  git: GitRunner,
  at: GitLocation,
  head: string,
  base: string | undefined,
  own?: string,
): Promise<WorkContent | undefined> {
  const what = "The commits of the session could not be read";
  const range = base === undefined ? [head] : [head, "--not", base];
  const commitCount = Number((await mustGit(git, what, ["rev-list", "--count", ...range], { at })).trim());
  if (commitCount === 0) return undefined;
  const list = ["rev-list", `--max-count=${MAX_COMMITS}`, "--no-commit-header", "--format=%h %s", ...range];
  const lines = (await mustGit(git, what, list, { at })).split("\n").filter(Boolean);
  const refs = createRefs(git, at);
  const hasOwn = own !== undefined && (await refs.contains(head, own));
  const isNew = hasOwn && !(base !== undefined && (await refs.contains(base, own)));
  const parted = base === undefined ? undefined : await askGit(git, ["merge-base", base, head], { at });
  return {
    ...(parted && { baseCommit: parted }),
    headCommit: head,
    commits: lines.map((line) => {
      const space = line.indexOf(" ");
      return { id: line.slice(0, space), title: cleanLine(line.slice(space + 1), MAX_TITLE) };
    }),
    commitCount,
    ...(await countLines(git, at, parted ?? (await emptyTree(git, at)), head)),
    ...(isNew && { own: { commit: own, ...(await countOwn(git, at, own)) } }),
  };
}

async function countOwn(git: GitRunner, at: GitLocation, own: string) {
  const parent = await createRefs(git, at).commit(`${own}^`);
  return countLines(git, at, parent ?? (await emptyTree(git, at)), own);
}

async function countLines(git: GitRunner, at: GitLocation, from: string, to: string) {
  const args = ["diff-tree", "--shortstat", "-r", "--no-ext-diff", "--no-textconv", from, to, "--"];
  const text = (await askGit(git, args, { at })) ?? "";
  const count = (word: RegExp) => Number(word.exec(text)?.[1] ?? 0);
  return {
    files: count(/(\d+) files? changed/),
    insertions: count(/(\d+) insertions?/),
    deletions: count(/(\d+) deletions?/),
  };
}

/** What a first commit is compared with. */
export async function emptyTree(git: GitRunner, at: GitLocation): Promise<string> {
  return (await mustGit(git, "The first commit could not be compared", ["mktree"], { at })).trim();
}
