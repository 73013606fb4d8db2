import type { KeyedMutex } from "../../shared/keyed-mutex.js";
import type { CheckResult, MergeChecks } from "./check-merge.js";
import type { Clone, Clones } from "./clones.js";
import type { Consent } from "./consent.js";
import { type Diff, readDiff } from "./diff.js";
import { type DiscardedBranches, discardBranches } from "./discard.js";
import { folderExists } from "./disk.js";
import { findWork } from "./find-work.js";
import { type GitRunner, stoppable, type WorktreeLocation } from "./git-runner.js";
import { type Published, type PublishRequest, publishBranch } from "./publish.js";
import type { SessionRecord, SessionRecords } from "./records.js";
import { createRefs } from "./refs.js";
import type { Repository } from "./repository.js";
import { runUnlessStopped } from "./run-unless-stopped.js";
import { bringMerge, prepareMerge, type Taken, type TakeRequest, takeWork } from "./take.js";
import { type SessionReference, WorkspaceError } from "./types.js";

/** What has come of taking a session's commits, and of the check, where one was made. */
export type TakenWork = (Taken | { taken: false; failedCheck: true }) & {
  into: string;
  from: string;
  where: string;
  check?: CheckResult;
};

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
   * Where the session's branch stands in its repository by now, whoever has committed to it. What the session has beyond
   * that counts as on it.
   * @throws WorkspaceError worded for a person
   */
  headOf(which: SessionReference): Promise<{ branch: string; commit: string }>;
  /**
   * Merges them into a branch of the repository, also one that the person has checked out.
   * @param options.into the base branch unless told
   * @param options.newBranch the branch is made when the repository has none of that name
   * @param options.squash the message of the one commit to make of them
   * @param options.check a command that has to pass on the merge before anything is merged
   * @param options.checkLimitMs a shorter time for it than the engine's own
   * @param options.signal ends the check as well
   * @throws WorkspaceError worded for a person; nothing was changed then
   */
  take(
    which: SessionReference,
    options: {
      into?: string | undefined;
      newBranch?: boolean | undefined;
      squash?: string | undefined;
      check?: string | undefined;
      checkLimitMs?: number | undefined;
      signal?: AbortSignal | undefined;
    },
  ): Promise<TakenWork>;
  /**
   * Pushes the session's branch, or another one of its repository, to where others see it, whether or not branches are
   * pushed by themselves: whoever asks for a pull request wants just that.
   * @throws WorkspaceError worded for a person, a clause
   */
  publish(
    which: SessionReference,
    options: Pick<PublishRequest, "branch" | "manner"> & { signal?: AbortSignal | undefined },
  ): Promise<Published>;
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
  checks: MergeChecks;
  /** For files that are needed while a checkout is moved. */
  copiesFolder: string;
  /** Where moves of checkouts are noted while they go on. */
  notesFolder: string;
  pathOf: (record: SessionRecord) => string;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
  /** @throws WorkspaceError for an address that is not taken */
  repositoryAt: (address: string, signal?: AbortSignal, own?: Consent) => Promise<Repository>;
}): Review {
  const { git, clones, records, mutex, env, mayPush, checks, pathOf, worktreeOf } = options;

  async function sessionOf({ runId, sessionKey }: SessionReference) {
    const key = (await records.keyOfRun(runId)) ?? `session ${sessionKey}`;
    const record = await records.read(key);
    if (!record)
      throw new WorkspaceError("No run of the session has had files yet, so there are no commits of it.");
    if (!record.repository)
      throw new WorkspaceError("The session has no repository, so there are no commits of it.");
    return { record, where: record.repository };
  }

  async function open(record: SessionRecord, signal?: AbortSignal) {
    const clone = record.repository && (await clones.open(record.repository, signal));
    if (!clone) throw new WorkspaceError("The engine's clone of the repository is gone.");
    const isThere = record.removedAt === undefined && (await folderExists(pathOf(record)));
    const at = isThere ? worktreeOf(clone, record) : undefined;
    const belongs = checks.whereBelongs(record.recordKey);
    const work = await findWork(git, { clone, at, record, belongs });
    if (!work) throw new WorkspaceError("The session has no commits.");
    return { clone, work };
  }

  async function beginsWithOwn({ at }: Clone, { ownCommit }: SessionRecord): Promise<boolean> {
    return ownCommit !== undefined && (await createRefs(git, at).commit(`${ownCommit}^`)) === undefined;
  }

  return {
    async diff(which, { range, maxBytes }) {
      const { record } = await sessionOf(which);
      const { clone, work } = await open(record);
      const { from: branch, baseBranch } = work;
      const { base, head } = range ?? { base: work.base, head: work.commit };
      return { ...(await readDiff(git, clone.at, { base, head, maxBytes })), branch, baseBranch };
    },

    async headOf(which) {
      const { record, where } = await sessionOf(which);
      const repository = await options.repositoryAt(where.address, undefined, record.consent);
      const look = async () => {
        await clones.ensure(repository);
        const { clone, work } = await open(record);
        const branch = record.deliveredAs ?? work.from;
        const refs = createRefs(git, clone.at);
        const there = await refs.remote(branch);
        const isBehind = there === undefined || (await refs.contains(work.commit, there));
        return { branch, commit: isBehind ? work.commit : there };
      };
      return runUnlessStopped(mutex, `repository ${where.name}`, look, undefined);
    },

    async take(which, { into: asked, newBranch, squash, check: command, checkLimitMs: limitMs, signal }) {
      const { record, where } = await sessionOf(which);
      const { recordKey } = record;
      const repository = await options.repositoryAt(where.address, signal, record.consent);
      const key = `repository ${where.name}`;
      const tools = { git: stoppable(git, signal), env };
      async function find(): Promise<TakeRequest> {
        await checks.mend(recordKey);
        const { refs } = await clones.ensure(repository, signal);
        const { clone, work } = await open(record, signal);
        const into = asked ?? work.baseBranch;
        const from = record.deliveredAs ?? work.from;
        const names = [...refs.remote.keys()];
        // In a repository that had no commits the base branch comes with them.
        const isFirst = into === work.baseBranch && (await beginsWithOwn(clone, record));
        if (names.length > 0 && !names.includes(into) && !isFirst && !newBranch)
          throw new WorkspaceError(`The repository has no branch ${into}. Nothing was merged.`);
        return {
          repository,
          clone,
          commit: work.commit,
          from,
          into,
          pushAllowed: mayPush(),
          squash,
          movesCheckout: { notes: options.notesFolder },
          ...(record.ownCommit && { own: { commit: record.ownCommit, folder: options.copiesFolder } }),
        };
      }
      const told = ({ into, from }: TakeRequest) => ({ into, from, where: repository.address });

      if (command === undefined) {
        const work = async () => {
          const request = await find();
          return { ...(await takeWork(tools, request)), ...told(request) };
        };
        return runUnlessStopped(mutex, key, work, signal);
      }
      const first = await runUnlessStopped(
        mutex,
        key,
        async () => {
          const request = await find();
          return { request, prepared: await prepareMerge(tools, request) };
        },
        signal,
      );
      const { request, prepared } = first;
      if ("taken" in prepared) return { ...prepared, ...told(request) };
      const inTurn = <T>(work: () => Promise<T>) => mutex.run(key, work);
      const checked = {
        repository: where,
        commit: prepared.commit,
        command,
        recordKey,
        inTurn,
        limitMs,
        signal,
      };
      const check = await checks.check(checked);
      if (!check.passed) return { taken: false, failedCheck: true, ...told(request), check };
      const bring = async () => {
        // The branch may have moved on while the check went on: then this merge is not what was checked.
        await clones.ensure(repository, signal);
        // A git that is stopped amid the person's files leaves them half moved.
        const moving = repository.local ? { git, env } : tools;
        return { ...(await bringMerge(moving, request, prepared)), ...told(request), check };
      };
      return runUnlessStopped(mutex, key, bring, signal);
    },

    async publish(which, { branch, manner, signal }) {
      const { record, where } = await sessionOf(which);
      const repository = await options.repositoryAt(where.address, signal, record.consent);
      const work = async () => {
        const { refs } = await clones.ensure(repository, signal);
        const { clone, work } = await open(record, signal);
        const request = { repository, clone, refs, record, work, branch, manner };
        const published = await publishBranch(stoppable(git, signal), request);
        if (branch === undefined && record.publishedAs !== published.branch) {
          record.publishedAs = published.branch;
          await records.write(record);
        }
        return published;
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
