import { askGit, explain, type GitLocation, type GitRunner } from "./git-runner.js";
import { WorkspaceError } from "./types.js";
import { emptyTree } from "./work.js";

/** A diff as git writes it. */
export interface Diff {
  text: string;
  /** There is more than was asked for: whole lines are left out at the end. */
  cut: boolean;
}

/**
 * What changed from where the base and the commit parted to the commit. No program that settings or attributes name
 * takes part in it.
 * @param base undefined in a repository that had no commits
 * @throws WorkspaceError when git can't tell
 */
export async function readDiff(
  git: GitRunner,
  at: GitLocation,
  { base, head, maxBytes }: { base: string | undefined; head: string; maxBytes: number },
): Promise<Diff> {
  const parted = base && (await askGit(git, ["merge-base", base, head], { at }));
  const args = ["diff-tree", "-p", "-r", "--stat", "-M", "--no-color", "--no-ext-diff", "--no-textconv"];
  const told = await git([...args, parted || (await emptyTree(git, at)), head, "--"], { at, maxBytes });
  if (told.code !== 0 && !told.cut) throw new WorkspaceError(`The diff could not be made: ${explain(told)}`);
  return { text: told.text, cut: told.cut };
}
