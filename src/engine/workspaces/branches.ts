import { basename } from "node:path";
import { besideWhich, cannotStandBeside, findBranch } from "../../shared/git/branch-name.js";
import { shellWord } from "../../shared/shell-word.js";
import type { Clone, Clones, FetchedClone } from "./clones.js";
import { folderExists } from "./disk.js";
import type { GitRunner, WorktreeLocation } from "./git-runner.js";
import { certainBranch, OWN_BRANCHES, readableBranch } from "./names.js";
import type { SessionRecord, SessionRecords } from "./records.js";
import { defaultBranch, isEmpty, type RefList } from "./ref-list.js";
import { createRefs } from "./refs.js";
import type { Repository } from "./repository.js";
import { WorkspaceError } from "./types.js";
import type { OwnChanges } from "./uncommitted.js";
import { detach, holderOf, unsavedWork } from "./worktrees.js";

export interface BranchesOptions {
  git: GitRunner;
  clones: Clones;
  records: SessionRecords;
  /** Whether a run of that session is going on or waiting. */
  sessionInUse: (sessionKey: string) => boolean;
  /** Whether a session's worktree comes back to the branch after a check, and so needs it. */
  isChecked: (clone: Clone, branch: string) => boolean;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
}

/** Branches of a bare clone as sessions need them. Whoever calls has the repository to itself. */
export interface Branches {
  /**
   * What a name that a run came with means in this repository: one of its branches, or a new one.
   * @returns undefined for a word that names nothing, and what the person should be told
   * @throws WorkspaceError when it is a tag, a commit, or too much like another branch
   */
  find(
    repository: Repository,
    clone: FetchedClone,
    asked: string,
    signal?: AbortSignal,
  ): Promise<{ branch: string | undefined; notices: string[] }>;
  /**
   * Sees to it that the branch exists and that no other session has it checked out. One that exists here or at the
   * remote is taken as it is; another is made from the default branch, which is said of one that was asked for.
   * @param clone as it has just been fetched
   * @param begin.own the first commit of a new branch
   * @param begin.from the branch at which a new one begins
   * @returns its base, whether it has commits yet, and what the person should be told
   * @throws WorkspaceError when another session works on it
   */
  obtain(
    repository: Repository,
    clone: FetchedClone,
    branch: string,
    self: string,
    begin?: { own?: OwnChanges | undefined; from?: string | undefined },
  ): Promise<{ baseBranch: string; empty: boolean; notices: string[] }>;
  /**
   * Frees a branch that another session's worktree is on, so that architect → fix works with two sessions on one
   * branch. Only when that session has no run and nothing uncommitted; its worktree then stands on the commit alone,
   * and gets the branch back when the session is continued.
   * @param self the record key of the session that wants it
   * @throws WorkspaceError when it can't be freed
   */
  free(clone: Clone, branch: string, self: string): Promise<void>;
  /** A name for the branch of a session that asked for none: a readable one, and where that is taken a certain one. */
  freeName(clone: FetchedClone, sessionKey: string, sessionName: string | undefined): string;
}

/** Creates it on its collaborators. */
export function createBranches(options: BranchesOptions): Branches {
  const { git, clones, records } = options;

  async function free(clone: Clone, branch: string, self: string): Promise<void> {
    if (options.isChecked(clone, branch))
      throw new WorkspaceError(
        `The work on the branch ${branch} is being checked before it is taken. Wait for the end of that, or choose another git_branch.`,
      );
    const path = await holderOf(git, clone.at.clone, branch);
    if (path === undefined) return;
    const other = await records.readByFolder(basename(path)).catch(() => undefined);
    if (other?.recordKey === self) return;
    const at = other && options.worktreeOf(clone, other);
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

  async function startOf(clone: FetchedClone, branch: string) {
    const refs = createRefs(git, clone.at);
    const [local, remote] = [clone.refs.local.get(branch), clone.refs.remote.get(branch)];
    if (!local || !remote || local === remote || (await refs.contains(remote, local)))
      return { commit: remote ?? local, notices: [] };
    const hidden = await refs.count(local, ["--remotes"]);
    if (hidden === 0) return { commit: remote, notices: [] };
    const commits = hidden === 1 ? "1 commit" : `${hidden} commits`;
    return {
      commit: remote,
      notices: [
        `${commits} on ${branch} in the engine's clone, merged there and never pushed, are not in the repository, so this run begins without them. \`git fetch ${shellWord(clone.at.clone)} ${shellWord(branch)}\` in your repository brings them there.`,
      ],
    };
  }

  /** @throws WorkspaceError when a branch that is there stands in the way of this name */
  function throwIfBeside(branch: string, { local }: RefList): void {
    const other = besideWhich(branch, [...local.keys()]);
    if (other !== undefined) throw new WorkspaceError(cannotStandBeside(branch, other));
  }

  return {
    free,

    freeName({ refs }, sessionKey, sessionName) {
      const readable = readableBranch(sessionName);
      const taken = [...refs.local.keys(), ...refs.remote.keys()];
      const isFree = !taken.includes(readable) && besideWhich(readable, taken) === undefined;
      return isFree ? readable : certainBranch(sessionKey, sessionName);
    },

    async find(repository, { at, refs }, asked, signal) {
      const id = /[0-9a-f]{7,64}$/i.exec(asked)?.[0];
      const isCommit = id !== undefined && (await createRefs(git, at).commit(id)) !== undefined;
      const branches = [...refs.local.keys(), ...refs.remote.keys()];
      const look = (more: string[]) =>
        findBranch(asked, { branches, tags: [...refs.tags, ...more], isCommit: () => isCommit });
      let found = look([]);
      // The remote has tags that no branch leads to.
      if (found.kind === "new" && (await clones.hasTag(repository, found.name, signal)))
        found = look([found.name]);
      if (found.kind === "refused") throw new WorkspaceError(found.problem);
      if (found.kind === "none")
        return {
          branch: undefined,
          notices: [`The repository has no branch "${asked}", so git_branch was ignored.`],
        };
      const meant = found.name === asked ? [] : [`${asked} was read as the branch ${found.name}.`];
      return { branch: found.name, notices: found.name.normalize() === asked.normalize() ? [] : meant };
    },

    async obtain(repository, clone, branch, self, { own, from } = {}) {
      const { record, at, refs: known } = clone;
      await free(clone, branch, self);
      const refs = createRefs(git, at);
      const [local, remote] = [known.local.get(branch), known.remote.get(branch)];
      if ((local ?? remote) && own)
        throw new WorkspaceError(
          `The branch ${branch} is there already, and your uncommitted changes are on ${own.branch}. Start without them, or name another branch.`,
        );
      if (local ?? remote) {
        const notices: string[] = [];
        if (!local) {
          throwIfBeside(branch, known);
          await refs.move(branch, remote, undefined);
          const tracking = [
            "branch",
            "--quiet",
            `--set-upstream-to=refs/remotes/origin/${branch}`,
            "--",
            branch,
          ];
          await git(["-c", "branch.autoSetupRebase=never", ...tracking], { at });
        } else if (remote && remote !== local) {
          if (await refs.contains(remote, local)) await refs.move(branch, remote, local);
          else if (!(await refs.contains(local, remote)))
            notices.push(
              `The branch ${branch} has diverged: the remote has commits that are missing here. The run uses the branch as it is here.`,
            );
        }
        return { baseBranch: record.bases[branch] ?? branch, empty: false, notices };
      }
      const isOurs = branch.startsWith(`${OWN_BRANCHES}/`);
      if (from !== undefined && !known.local.has(from) && !known.remote.has(from))
        throw new WorkspaceError(
          `The repository has no branch ${from}, at which the session's branch was to begin.`,
        );
      const base = from ?? defaultBranch(known);
      if (own && own.parent === undefined && isEmpty(known)) {
        record.bases[branch] = own.branch;
        clones.save(repository, record);
        await refs.move(branch, own.commit, undefined);
        return { baseBranch: own.branch, empty: false, notices: [] };
      }
      if (base === undefined && isEmpty(known))
        return { baseBranch: isOurs ? "main" : branch, empty: true, notices: [] };
      const start = base === undefined ? undefined : await startOf(clone, base);
      if (base === undefined || !start?.commit)
        throw new WorkspaceError(
          `The repository has no default branch to make ${branch} from. Name one of its branches in git_branch.`,
        );
      if (own && (own.branch !== base || own.parent !== start.commit))
        throw new WorkspaceError(
          `The work would begin at ${base}, and your uncommitted changes are on ${own.branch}. Start without them, or check ${base} out.`,
        );
      throwIfBeside(branch, known);
      // Written first: a base without its branch does no harm, a branch without its base is never merged.
      record.bases[branch] = base;
      clones.save(repository, record);
      await refs.move(branch, own?.commit ?? start.commit, undefined);
      const made = isOurs
        ? []
        : [`The branch ${branch} was not there: it was made from ${base} at ${start.commit.slice(0, 10)}.`];
      return { baseBranch: base, empty: false, notices: [...start.notices, ...made] };
    },
  };
}
