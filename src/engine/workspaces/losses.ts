import type { GitRunner, WorktreeLocation } from "./git-runner.js";
import { describeFiles, ignoredWork, MAX_FILES } from "./ignored-work.js";
import { uncommittedFiles } from "./loose-files.js";
import { describeUncommitted, filledSubmodule, unfinishedWork } from "./worktrees.js";

/** What would be gone with a worktree. */
export interface Losses {
  /** Each goes behind "it has". */
  words: string[];
  /** Uncommitted files, and git-ignored ones that nobody can make anew. */
  paths: string[];
}

/** @throws WorkspaceError when git can't tell */
export async function findLosses(git: GitRunner, at: WorktreeLocation): Promise<Losses> {
  const { paths, all } = await uncommittedFiles(git, at);
  const unsaved = describeUncommitted(paths, all) ?? (await unfinishedWork(git, at));
  const submodule = await filledSubmodule(git, at);
  const ignored = await ignoredWork(git, at);
  return {
    words: [
      ...(unsaved ? [unsaved] : []),
      ...(submodule ? [submodule] : []),
      ...(ignored.length > 0 ? [describeFiles(ignored, "git-ignored file", ignored.length < MAX_FILES)] : []),
    ],
    paths: [...paths, ...ignored],
  };
}
