import { explain, type GitRunner, type WorktreeLocation } from "./git-runner.js";

/** Paths of what is tracked in a worktree and is no file. */
export interface SpecialEntries {
  links: string[];
  /** Commits of other repositories. */
  submodules: string[];
}

/** A hundred bytes for each tracked file: half a million of them. */
const MAX_LISTING_BYTES = 50 * 1024 * 1024;

/**
 * Looks for them in git's index.
 * @returns `problem`, in git's words, where it can't tell or has more than can be read
 * @throws WorkspaceError when git is missing or was stopped
 */
export async function readSpecialEntries(
  git: GitRunner,
  at: WorktreeLocation,
): Promise<SpecialEntries | { problem: string }> {
  const call = { at, separator: "\0" as const, maxBytes: MAX_LISTING_BYTES };
  const told = await git(["ls-files", "--stage", "-z"], call);
  if (told.code !== 0) return { problem: explain(told) };
  const entries = told.text.split("\0");
  // One in conflict is there up to three times.
  const pathsOf = (mode: string) => {
    const paths = entries.flatMap((entry) =>
      entry.startsWith(`${mode} `) ? [entry.slice(entry.indexOf("\t") + 1)] : [],
    );
    return [...new Set(paths)];
  };
  return { links: pathsOf("120000"), submodules: pathsOf("160000") };
}
