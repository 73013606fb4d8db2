import type { Clone } from "./clones.js";
import type { FoundWork } from "./find-work.js";
import { type GitRunner, mustGit } from "./git-runner.js";
import { OWN_BRANCHES } from "./names.js";
import { createPersonRepository } from "./person-repository.js";
import { deleteBranch } from "./push.js";
import { isOwnBranch, type SessionRecord } from "./records.js";
import { createRefs } from "./refs.js";
import type { Repository } from "./repository.js";
import { WorkspaceError } from "./types.js";
import { holderOf } from "./worktrees.js";

/** What has become of a session's branches. */
export interface DiscardedBranches {
  /** Those that are gone, as they were called. */
  removed: string[];
  /** Commits that were on no other branch: short id and title, newest first. */
  lost: string[];
  /** What was kept, and why; sentences. */
  kept: string[];
}

/**
 * Takes away the branches that a session was given: in the clone, and where they were delivered, as long as nobody has
 * put anything else on them or has them checked out. A branch that somebody named stays.
 * Whoever calls has the repository to itself, the clone fetched, and no worktree on the branch.
 */
export async function discardBranches(
  git: GitRunner,
  request: {
    repository: Repository;
    clone: Clone;
    record: SessionRecord;
    work: FoundWork;
    pushAllowed: boolean;
  },
): Promise<DiscardedBranches> {
  const { repository, clone, record, work } = request;
  const { branch = work.from, deliveredAs = branch } = record;
  const refs = createRefs(git, clone.at);
  const result: DiscardedBranches = { removed: [], lost: [], kept: [] };
  const isOwn = isOwnBranch(record, branch);
  const delivered = deliveredAs.startsWith(`${OWN_BRANCHES}/`) ? await refs.remote(deliveredAs) : undefined;
  if (!isOwn) result.kept.push(`The branch ${branch} was named for the session, so it was kept.`);
  else result.lost = await onlyThere(git, clone, work.commit, [branch, deliveredAs]);
  if (delivered !== undefined && deliveredAs !== work.baseBranch) {
    const why = await whyKept(delivered);
    if (why) result.kept.push(`${deliveredAs} was kept in ${repository.address}: ${why}.`);
    else result.removed.push(`${deliveredAs} in ${repository.address}`);
  }
  const local = isOwn ? await refs.local(branch) : undefined;
  const holder = local === undefined ? undefined : await holderOf(git, clone.at.clone, branch);
  if (holder !== undefined) result.kept.push(`The branch ${branch} was kept: another session works on it.`);
  else if (local !== undefined) {
    await refs.move(branch, undefined, local);
    if (!result.removed.some((one) => one.startsWith(`${branch} `))) result.removed.push(branch);
  }
  if (result.kept.length > 0 && (delivered ?? holder) !== undefined) result.lost = [];
  return result;

  async function whyKept(expected: string): Promise<string | undefined> {
    if (!(await refs.contains(work.commit, expected))) return "it has other commits";
    if (!repository.local && !request.pushAllowed) return "nothing is pushed, because ENGINE_PUSH is off";
    return removeDelivered(git, { repository, clone, branch: deliveredAs, expected });
  }
}

/**
 * Takes a branch of the repository away, only from where it is expected to be, and not while it is checked out.
 * @returns why it was kept, behind "because"; undefined when it was not
 */
export async function removeDelivered(
  git: GitRunner,
  request: { repository: Repository; clone: Clone; branch: string; expected: string },
): Promise<string | undefined> {
  const { repository, clone, branch, expected } = request;
  const opened = await repository.open?.();
  try {
    const person = opened && createPersonRepository(git, opened);
    const holder = (await person?.checkedOut())?.get(branch);
    if (holder !== undefined) return `it is checked out in ${holder}`;
    const link = await person?.linkInTheWay(branch);
    if (link !== undefined) return `${link} in its git folder is a link`;
    return await deleteBranch(git, clone, { repository, opened, branch, expected });
  } catch (error) {
    if (error instanceof WorkspaceError) return error.message.replace(/[.\s]+$/, "");
    throw error;
  } finally {
    await opened?.close();
  }
}

/** Commits that no branch but those has, as text. */
async function onlyThere(
  git: GitRunner,
  { at }: Clone,
  commit: string,
  branches: readonly string[],
): Promise<string[]> {
  const left = branches.flatMap((name) => [
    `--exclude=refs/heads/${name}`,
    `--exclude=refs/remotes/origin/${name}`,
  ]);
  const what = "The commits that are nowhere else could not be listed";
  const args = [
    "rev-list",
    "--max-count=50",
    "--no-commit-header",
    "--format=%h %s",
    commit,
    "--not",
    ...left,
    "--all",
  ];
  const text = await mustGit(git, what, args, { at });
  return text.split("\n").filter(Boolean);
}
