import type { Clone } from "./clones.js";
import type { GitRunner, WorktreeLocation } from "./git-runner.js";
import type { SessionRecord } from "./records.js";
import { createRefs } from "./refs.js";

/** A session's commits, and what they are compared with. */
export interface FoundWork {
  /** The newest one. */
  commit: string;
  /** The branch that it is on in the clone, or the commit. */
  from: string;
  baseBranch: string;
  /** Where that stands, as last fetched; undefined in a repository that had no commits. */
  base: string | undefined;
}

/**
 * Finds a session's commits: in its worktree, and where that was removed, on its branch in the clone or as delivered.
 * @param where.belongs where the worktree will stand again, while it is elsewhere for a check
 * @returns undefined when there are none
 */
export async function findWork(
  git: GitRunner,
  where: {
    clone: Clone;
    at: WorktreeLocation | undefined;
    record: SessionRecord;
    belongs?: { head: string; branch?: string | undefined } | undefined;
  },
): Promise<FoundWork | undefined> {
  const { clone, at, record, belongs } = where;
  const refs = createRefs(git, at ?? clone.at);
  const { branch = "HEAD", deliveredAs = branch } = record;
  const findCommit = async () =>
    at ? refs.commit("HEAD") : ((await refs.local(branch)) ?? (await refs.remote(deliveredAs)));
  const commit = belongs?.head ?? (await findCommit());
  if (!commit) return undefined;
  const from = belongs ? (belongs.branch ?? commit) : at ? ((await refs.current()) ?? commit) : branch;
  const { baseBranch = from } = record;
  const base =
    (await refs.remote(baseBranch)) ?? (from === baseBranch ? undefined : await refs.local(baseBranch));
  return { commit, from, baseBranch, base };
}
