import type { KeyedMutex } from "../../shared/keyed-mutex.js";
import type { Clone, Clones } from "./clones.js";
import type { Consent } from "./consent.js";
import { type Diff, readDiff } from "./diff.js";
import { type DiscardedBranches, discardBranches } from "./discard.js";
import { folderExists } from "./disk.js";
import { findWork } from "./find-work.js";
import { type GitRunner, stoppable, type WorktreeLocation } from "./git-runner.js";
import type { SessionRecord, SessionRecords } from "./records.js";
import type { Repository } from "./repository.js";
import { runUnlessStopped } from "./run-unless-stopped.js";
import { type Taken, takeWork } from "./take.js";
import { type SessionReference, WorkspaceError } from "./types.js";

/** What a person does with a session's commits. */
export interface Review {
  /**
   * What the session's commits change.
   * @param range of a run that has ended: from where to where; what the session has by now without it
   * @throws WorkspaceError worded for a person
   */
  diff(
    which: SessionReference,
    options: { range?: { base: string | undefined; head: string } | undefined; maxBytes: number },
  ): Promise<Diff & { branch: string; baseBranch: string }>;
  /**
   * Merges them into a branch of the repository, also one that the person has checked out.
   * @param options.into the base branch unless told
   * @param options.squash the message of the one commit to make of them
   * @throws WorkspaceError worded for a person; nothing was changed then
   */
  take(
    which: SessionReference,
    options: { into?: string | undefined; squash?: string | undefined; signal?: AbortSignal },
  ): Promise<Taken & { into: string; from: string; where: string }>;
  /**
   * Takes away the branches that the session was given. Its worktree must be gone.
   * @param head the newest of its commits
   * @throws WorkspaceError worded for a person
   */
  discardBranches(which: SessionReference): Promise<DiscardedBranches>;
}

/** Creates it on its collaborators. */
export function createReview(options: {
  git: GitRunner;
  clones: Clones;
  records: SessionRecords;
  mutex: KeyedMutex;
  env: NodeJS.ProcessEnv;
  /** Whether branches are pushed to remotes, by now. */
  mayPush: () => boolean;
  pathOf: (record: SessionRecord) => string;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
  /** @throws WorkspaceError for an address that is not taken */
  repositoryAt: (address: string, signal?: AbortSignal, own?: Consent) => Promise<Repository>;
}): Review {
  const { git, clones, records, mutex, env, mayPush, pathOf, worktreeOf } = options;

  async function sessionOf({ runId, sessionKey }: SessionReference) {
    const key = (await records.keyOfRun(runId)) ?? `session ${sessionKey}`;
    const record = await records.read(key);
    if (!record?.repository)
      throw new WorkspaceError("The session has no repository, so there are no commits of it.");
    return { record, where: record.repository };
  }

  async function open(record: SessionRecord, signal?: AbortSignal) {
    const clone = record.repository && (await clones.open(record.repository, signal));
    if (!clone) throw new WorkspaceError("The engine's clone of the repository is gone.");
    const isThere = record.removedAt === undefined && (await folderExists(pathOf(record)));
    const at = isThere ? worktreeOf(clone, record) : undefined;
    const work = await findWork(git, { clone, at, record });
    if (!work) throw new WorkspaceError("The session has no commits.");
    return { clone, work };
  }

  return {
    async diff(which, { range, maxBytes }) {
      const { record } = await sessionOf(which);
      const { clone, work } = await open(record);
      const { from: branch, baseBranch } = work;
      const { base, head } = range ?? { base: work.base, head: work.commit };
      return { ...(await readDiff(git, clone.at, { base, head, maxBytes })), branch, baseBranch };
    },

    async take(which, { into: asked, squash, signal }) {
      const { record, where } = await sessionOf(which);
      const repository = await options.repositoryAt(where.address, signal, record.consent);
      const work = async () => {
        const { refs } = await clones.ensure(repository, signal);
        const { clone, work: found } = await open(record, signal);
        const { commit, baseBranch } = found;
        const into = asked ?? baseBranch;
        const from = record.deliveredAs ?? found.from;
        const names = [...refs.remote.keys()];
        if (names.length > 0 && !names.includes(into))
          throw new WorkspaceError(`The repository has no branch ${into}. Nothing was merged.`);
        const stopping = stoppable(git, signal);
        const pushAllowed = mayPush();
        const request = { repository, clone, commit, from, into, pushAllowed, squash, movesCheckout: true };
        const taken = await takeWork({ git: stopping, env }, request);
        return { ...taken, into, from, where: repository.address };
      };
      return runUnlessStopped(mutex, `repository ${where.name}`, work, signal);
    },

    async discardBranches(which) {
      const { record, where } = await sessionOf(which);
      const repository = await options.repositoryAt(where.address, undefined, record.consent);
      const work = async () => {
        await clones.ensure(repository);
        const { clone, work: found } = await open(record);
        const pushAllowed = mayPush();
        const discarded = await discardBranches(git, { repository, clone, record, work: found, pushAllowed });
        delete record.deliveredAs;
        await records.write(record);
        return discarded;
      };
      return runUnlessStopped(mutex, `repository ${where.name}`, work, undefined);
    },
  };
}
