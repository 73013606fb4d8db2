import type { GitOutput } from "../../shared/git/git-process.js";
import { cleanLine } from "../../shared/text.js";
import type { Branches } from "./branches.js";
import type { Clone } from "./clones.js";
import { explain, type GitRunner, type WorktreeLocation } from "./git-runner.js";
import { identityEnv } from "./git-settings.js";
import { createRefs } from "./refs.js";
import type { Repository } from "./repository.js";
import type { Workspaces } from "./types.js";
import { unsavedWork } from "./worktrees.js";

export type MergeResult = Awaited<ReturnType<Workspaces["merge"]>>;

/**
 * Brings the commits of a worktree into `baseBranch` of the bare clone. Whoever calls has the repository to itself.
 * @param work.pushAllowed whether the base branch is then pushed
 * @throws WorkspaceError when git fails unexpectedly
 */
export async function mergeWork(
  tools: { git: GitRunner; branches: Branches; env: NodeJS.ProcessEnv },
  work: {
    repository: Repository;
    clone: Clone;
    at: WorktreeLocation;
    baseBranch: string;
    /** The session's record key. */
    self: string;
    pushAllowed: boolean;
  },
): Promise<MergeResult> {
  const { git, branches } = tools;
  const { repository, clone, at, baseBranch } = work;
  const not = (reason: string): MergeResult => ({ merged: false, reason, pushed: false });
  const refs = createRefs(git, at);

  const lost = await unsavedWork(git, at);
  if (lost) return not(`Nothing was merged: the worktree has ${lost}.`);
  const head = await refs.commit("HEAD");
  if (!head) return not("Nothing was merged: there are no commits.");
  const current = await refs.current();

  let commit = head;
  if (current !== baseBranch) {
    try {
      await branches.free(clone, baseBranch, work.self);
    } catch (error) {
      return not(`Nothing was merged, and the work is on ${current ?? head}. ${(error as Error).message}`);
    }
    const { commit: base } = await branches.upToDate(clone, baseBranch);
    const local = await refs.local(baseBranch);
    if (base && (await refs.contains(base, head)))
      return not(`Nothing was merged: ${baseBranch} has all of this work already.`);
    if (base !== undefined && local !== undefined && base !== local)
      return not(
        `Nothing was merged: the local and the remote ${baseBranch} have diverged. The work is on ${current ?? head}.`,
      );
    const message = `Merge ${current ? `branch '${current}'` : head.slice(0, 10)} into ${baseBranch}`;
    const joined =
      base === undefined
        ? { commit: head }
        : await refs.join(base, head, message, await identityEnv(git, at, tools.env));
    if ("conflicts" in joined)
      return not(
        `Nothing was merged: it conflicts with ${baseBranch} in ${joined.conflicts.slice(0, 5).join(", ")}${joined.conflicts.length > 5 ? ", …" : ""}. The work is on ${current ?? head}.`,
      );
    commit = joined.commit;
    await refs.move(baseBranch, commit, local);
  }
  const direct = current === baseBranch ? `The work was done on ${baseBranch} itself.` : undefined;
  const done = { merged: true, commit, ...(direct && { reason: direct }) };
  if (!work.pushAllowed) return { ...done, pushed: false };

  const problem = await push(git, repository, clone, baseBranch).catch((error: Error) => error);
  if (problem === undefined) return { ...done, pushed: true };
  if (problem instanceof Error) {
    const unknown = "the push was interrupted, so it is unknown whether the remote has the commits";
    const where = `They are on ${baseBranch} in ${clone.at.clone}.`;
    return { ...done, pushed: false, pushProblem: `${unknown}. ${problem.message} ${where}` };
  }
  return { ...done, pushed: false, pushProblem: describeRefusal(problem, repository, clone, baseBranch) };
}

/** What became of a refused push: git's reason, where the commits are, and what the person can do. */
function describeRefusal(problem: string, { local }: Repository, { at }: Clone, branch: string): string {
  const self = /checked out branch/i.test(problem);
  const next =
    local && self
      ? `In the repository run \`git pull ${at.clone} ${branch}\`, or check another branch out there.`
      : `When the reason is gone, the next run that merges into ${branch} pushes them too, or push them with \`git -C ${at.clone} push origin ${branch}\`.`;
  return `the push was refused: ${problem.replace(/[.\s]+$/, "")}; the commits are on ${branch} in ${at.clone}. ${next}`;
}

/** Pushes one branch, never with force. Answers why it was refused. @throws WorkspaceError when it was cut short */
async function push(
  git: GitRunner,
  remote: Repository,
  { at }: Clone,
  branch: string,
): Promise<string | undefined> {
  // At a local repository the receiving side runs here too, and its hooks are not ours to run.
  const quiet = remote.local ? ["--receive-pack=git -c core.hooksPath=/dev/null receive-pack"] : [];
  const ref = `refs/heads/${branch}`;
  const opened = await remote.open?.();
  try {
    const args = ["push", "--porcelain", "--no-verify", "--no-follow-tags", ...quiet, "--", remote.address];
    const told = await git([...args, `${ref}:${ref}`], { at, remote, opened });
    return told.code === 0 ? undefined : explainPush(told);
  } finally {
    await opened?.close();
  }
}

/**
 * Why a push failed. What a host says of a single branch stands in the list on stdout (`! ref:ref [rejected] (…)`) and
 * in its own lines; the last line of git says only that something failed.
 */
function explainPush(told: GitOutput): string {
  const refused = /^!\t[^\t]*\t(.+)$/m.exec(told.text)?.[1];
  if (refused === undefined) return explain(told);
  const host = told.problem
    .split(/[\r\n]+/)
    .flatMap((line) => /^remote:\s*(\S.*)$/.exec(line)?.[1] ?? [])
    .slice(0, 4);
  return cleanLine([refused, ...host].join(" "), 600);
}
