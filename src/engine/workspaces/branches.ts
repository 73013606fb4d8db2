import { basename } from "node:path";
import type { Clone, Clones } from "./clones.js";
import { folderExists } from "./disk.js";
import type { GitRunner } from "./git-runner.js";
import type { SessionRecord, SessionRecords } from "./records.js";
import { createRefs, identityEnv } from "./refs.js";
import type { Repository } from "./repository.js";
import { WorkspaceError } from "./types.js";
import { detach, holderOf, unsavedWork, type WorktreePlace } from "./worktrees.js";

export interface BranchesOptions {
  git: GitRunner;
  clones: Clones;
  records: SessionRecords;
  /** Whether a run of that session is going on or waiting. */
  sessionInUse: (sessionKey: string) => boolean;
  placeOf: (clone: Clone, record: SessionRecord) => WorktreePlace | undefined;
  env: NodeJS.ProcessEnv;
}

/** Branches of a bare clone as sessions need them. Whoever calls has the repository to itself. */
export interface Branches {
  /**
   * Sees to it that the branch exists and that no other session has it checked out. One that exists here or at the
   * remote is taken as it is; another is made from the default branch.
   * @returns its base, whether it has commits yet, and what the person should be told
   * @throws WorkspaceError when another session works on it
   */
  obtain(
    repository: Repository,
    clone: Clone,
    branch: string,
    self: string,
  ): Promise<{ baseBranch: string; empty: boolean; notices: string[] }>;
  /**
   * Frees a branch that another session's worktree is on, so that architect → fix works with two sessions on one
   * branch. Only when that session has no run and nothing uncommitted; its worktree then stands on the commit alone,
   * and gets the branch back when the session is continued.
   * @param self the record key of the session that wants it
   * @throws WorkspaceError when it can't be freed
   */
  free(clone: Clone, branch: string, self: string): Promise<void>;
  /**
   * The commit that has both what was merged into the branch here and what the remote has of it; the local branch
   * is moved there when nobody has it checked out. Undefined when there is no such branch.
   */
  upToDate(clone: Clone, branch: string): Promise<{ commit: string | undefined; notices: string[] }>;
}

/** Creates it on its collaborators. */
export function createBranches(options: BranchesOptions): Branches {
  const { git, clones, records } = options;

  async function free(clone: Clone, branch: string, self: string): Promise<void> {
    const path = await holderOf(git, clone.at.clone, branch);
    if (path === undefined) return;
    const other = await records.readByFolder(basename(path)).catch(() => undefined);
    if (other?.recordKey === self) return;
    const at = other && options.placeOf(clone, other);
    if (!other || !at)
      throw new WorkspaceError(
        `The branch ${branch} is checked out in ${path}, which is not a session's worktree. Choose another branch, or check another one out there.`,
      );
    const { sessionKey } = other;
    const instead = `Continue that session (session_id ${sessionKey}), or choose another git_branch.`;
    if (options.sessionInUse(sessionKey))
      throw new WorkspaceError(
        `The branch ${branch} is being worked on by another session, and two can't have it at once. Wait until its run has ended. ${instead}`,
      );
    const lost = (await folderExists(at.worktree.path)) ? await unsavedWork(git, at) : undefined;
    if (lost)
      throw new WorkspaceError(
        `The branch ${branch} belongs to the worktree of another session (${at.worktree.path}), which has ${lost}. ${instead}`,
      );
    // Written first: whoever is stopped in between finds a flag too many, never a worktree without its branch.
    await records.write({ ...other, handedOver: true });
    await detach(git, at);
  }

  async function upToDate(clone: Clone, branch: string) {
    const refs = createRefs(git, clone.at);
    const [local, remote] = await Promise.all([refs.local(branch), refs.remote(branch)]);
    if (!local || !remote || local === remote) return { commit: local ?? remote, notices: [] };
    if (await refs.contains(local, remote)) return { commit: local, notices: [] };
    const held = (await holderOf(git, clone.at.clone, branch)) !== undefined;
    const joined = await refs.join(
      local,
      remote,
      `Merge the remote's ${branch}`,
      await identityEnv(git, clone.at, options.env),
    );
    if ("commit" in joined && !held) {
      await refs.move(branch, joined.commit, local);
      return { commit: joined.commit, notices: [] };
    }
    if ("commit" in joined && joined.commit === remote) return { commit: remote, notices: [] };
    return {
      commit: remote,
      notices: [
        `The branch ${branch} has gone two ways: what was merged here and never pushed is not in the remote's. The remote's was taken; the other is still on ${branch} in ${clone.at.clone}.`,
      ],
    };
  }

  return {
    free,
    upToDate,

    async obtain(repository, clone, branch, self) {
      const { record, at } = clone;
      await free(clone, branch, self);
      const refs = createRefs(git, at);
      const [local, remote] = await Promise.all([refs.local(branch), refs.remote(branch)]);
      if (local ?? remote) {
        const notices: string[] = [];
        if (!local) await refs.move(branch, remote, undefined);
        else if (remote && (await refs.contains(remote, local))) await refs.move(branch, remote, local);
        else if (remote && !(await refs.contains(local, remote)))
          notices.push(
            `The branch ${branch} has gone two ways: the remote's has commits that this one lacks. The work goes on with what is here.`,
          );
        if (!local) {
          await git(["config", `branch.${branch}.remote`, "origin"], { at });
          await git(["config", `branch.${branch}.merge`, `refs/heads/${branch}`], { at });
        }
        return { baseBranch: record.bases[branch] ?? branch, empty: false, notices };
      }
      const base = await clones.defaultBranch(clone);
      const anything = await git(["for-each-ref", "--count=1"], { at });
      if (!base && anything.text.trim() === "")
        return { baseBranch: branch.startsWith("automagik/") ? "main" : branch, empty: true, notices: [] };
      const start = base === undefined ? undefined : await upToDate(clone, base);
      if (base === undefined || !start?.commit)
        throw new WorkspaceError(
          `The repository has no default branch to make ${branch} from. Name one of its branches in git_branch.`,
        );
      // Written first: a base without its branch does no harm, a branch without its base is never merged.
      record.bases[branch] = base;
      clones.save(repository, record);
      await refs.move(branch, start.commit, undefined);
      return { baseBranch: base, empty: false, notices: start.notices };
    },
  };
}
