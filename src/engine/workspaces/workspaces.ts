import { rm } from "node:fs/promises";
import { join, resolve as resolvePath } from "node:path";
import type { Clock } from "../../shared/clock.js";
import { createKeyedMutex } from "../../shared/keyed-mutex.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { type Commands, createCommands } from "../agent/run-command.js";
import type { AllowedRepositories } from "./allowed-repositories.js";
import { createBranches } from "./branches.js";
import { createMergeChecks } from "./check-merge.js";
import { createCleanup } from "./cleanup.js";
import { type Clone, createClones } from "./clones.js";
import type { Consent } from "./consent.js";
import { createBin, folderExists } from "./disk.js";
import { createGitRunner, type GitRunner, stoppable, type WorktreeLocation } from "./git-runner.js";
import { identityEnv } from "./git-settings.js";
import { inspectFolder, inspectWorktree } from "./inspect.js";
import type { LeftoverStore } from "./leftover-types.js";
import { createLeftoverStore } from "./leftovers.js";
import { finishMoves } from "./move-notes.js";
import { createMoving } from "./moving.js";
import { findCheckout } from "./person-checkout.js";
import { createPersonRepository } from "./person-repository.js";
import { createPreparation, describeWorkspace } from "./prepare-workspace.js";
import { createSessionRecords, type RunRecord, type SessionRecord } from "./records.js";
import { describeConsent, type Repository, resolveRepository } from "./repository.js";
import { createReview, type Review } from "./review.js";
import { runUnlessStopped, throwIfStopped } from "./run-unless-stopped.js";
import { settleWork } from "./settle.js";
import { type MovableWorkspaces, WorkspaceError, type Workspaces } from "./types.js";
import { listChanges } from "./uncommitted.js";
import { createWorktreeSessions } from "./worktree-sessions.js";
import { worktreeLocation } from "./worktrees.js";

export type { LeftoverStore } from "./leftover-types.js";
export { type MovableWorkspaces, type Workspace, WorkspaceError, type Workspaces } from "./types.js";

/** Workspaces, what a person does with what is in them, and what is left of them. */
export type ReviewableWorkspaces = Workspaces & Review & LeftoverStore;

/** The same of one engine. */
export interface OwnWorkspaces extends ReviewableWorkspaces, MovableWorkspaces {
  /** Puts in order what an engine that has gone has left; everything else does so before it begins, too. */
  open(): Promise<void>;
}

export interface WorkspacesOptions {
  /** All that is made is made in here; 0700. */
  folder: string;
  /** Local repositories are only taken from inside these. Read at each look: settings change while the engine runs. */
  allowedFolders: readonly string[];
  /** Local repositories that a person has allowed one by one; looked at each time. */
  allowedRepositories?: Pick<AllowedRepositories, "list">;
  /** Whether branches are pushed to remotes. Read before each push. */
  pushAllowed: boolean;
  /**
   * Whether a run of the session is going on or waiting: its branch is then not given to another session. Without
   * it, every session is taken to be at work.
   */
  sessionInUse?: (sessionKey: string) => boolean;
  /** The environment git starts from: it holds PATH, HOME and the user's ssh choices. */
  env: NodeJS.ProcessEnv;
  clock: Clock;
  /** The git program, 2.38 or later; `git` unless told. */
  gitPath?: string;
  /** Stands around what runs git, for tests. */
  aroundGit?: (git: GitRunner) => GitRunner;
  /** How long a first clone may take, in ms; 10 minutes unless told. */
  cloneTimeoutMs?: number;
  /** How long fetching again may take, in ms, before the work goes on without; 2 minutes unless told. */
  fetchTimeoutMs?: number;
  /** How long the check of a merge may take, in ms; 10 minutes unless told. */
  checkTimeoutMs?: number;
  /** Runs checks; in the environment of agents unless told. */
  commands?: Commands;
}

/** How long a look at what is not committed may take, in ms: a start goes on without. */
const LOOK_MS = 5_000;

/**
 * Creates the workspaces of one engine; another process must not use the folder at the same time. In it:
 * `repositories/<name>-<digest>/` a bare clone and its record, `worktrees/`, `folders/` and `temporary/` what agents
 * work in, `sessions/` what is known of them, `checks/` what checks of merges use, `copies/` files and bundles on their way, `moves/`
 * notes on checkouts that are moved,
 * `removed/` what is being deleted.
 */
export function createWorkspaces(options: WorkspacesOptions): OwnWorkspaces {
  const { clock, env } = options;
  const mayPush = () => options.pushAllowed;
  const folder = resolvePath(options.folder);
  const { aroundGit = (git) => git } = options;
  const git = aroundGit(
    createGitRunner({ env, clock, ...(options.gitPath && { gitPath: options.gitPath }) }),
  );
  const mutex = createKeyedMutex();
  const bin = createBin(join(folder, "removed"));
  const records = createSessionRecords(join(folder, "sessions"), () => clock.now());
  const clones = createClones({
    folder: join(folder, "repositories"),
    git,
    now: () => clock.now(),
    cloneTimeoutMs: options.cloneTimeoutMs ?? 600_000,
    fetchTimeoutMs: options.fetchTimeoutMs ?? 120_000,
  });
  const homes = { repository: "worktrees", folder: "folders", temporary: "temporary" } as const;
  const pathOf = (record: Pick<SessionRecord, "kind" | "folder">) =>
    join(folder, homes[record.kind], record.folder);
  const branches = createBranches({
    git,
    clones,
    records,
    sessionInUse: options.sessionInUse ?? (() => true),
    isChecked: (clone, branch) => checks.needsBranch(clone, branch),
    worktreeOf,
  });
  const worktreeSessions = createWorktreeSessions({ git, branches, records, bin, env, pathOf, worktreeOf });
  const copiesFolder = join(folder, "copies");
  const notesFolder = join(folder, "moves");
  const common = { git, clones, records, bin, mutex, env, copiesFolder, pathOf, worktreeOf };
  const checks = createMergeChecks({
    ...common,
    folder: join(folder, "checks"),
    commands: options.commands ?? createCommands({ env, clock }),
    timeoutMs: () => options.checkTimeoutMs ?? 600_000,
  });
  const review = createReview({ ...common, notesFolder, mayPush, checks, repositoryAt });
  const prepare = createPreparation({ ...common, checks, branches, worktreeSessions, repositoryAt });
  const remove = createCleanup({ ...common, now: () => clock.now() });
  const leftovers = createLeftoverStore({ ...common, folder, clock, repositoryAt, cleanup: remove });
  const moving = createMoving({ ...common, recordOf });
  let opened: Promise<void> | undefined;

  function worktreeOf(clone: Clone, record: SessionRecord): WorktreeLocation | undefined {
    return record.admin === undefined
      ? undefined
      : worktreeLocation(clone.at.clone, pathOf(record), record.admin, record.asCheckedOut);
  }

  /** The clone and worktree of a session whose workspace is there. */
  async function opening(record: SessionRecord, signal?: AbortSignal) {
    const clone = record.repository && (await clones.open(record.repository, signal));
    const at = clone && worktreeOf(clone, record);
    return clone && at && { clone, at };
  }

  async function ready(): Promise<void> {
    opened ??= ensurePrivateFolder(folder)
      .then(() => rm(copiesFolder, { recursive: true, force: true }))
      .then(() => bin.empty())
      .then(() => finishMoves(git, notesFolder))
      .then(() => checks.sweep());
    await opened.catch((error) => {
      opened = undefined; // A full disk or a missing mount may be mended by the next time.
      throw error;
    });
  }

  async function repositoryAt(address: string, signal?: AbortSignal, own?: Consent): Promise<Repository> {
    const remembered = (await options.allowedRepositories?.list().catch(() => [])) ?? [];
    return resolveRepository(address, {
      allowedFolders: options.allowedFolders,
      consents: own ? [own, ...remembered] : remembered,
      git,
      ...(signal && { signal }),
    });
  }

  /** The record of a run whose workspace is there. */
  async function recordOf(runId: string): Promise<{ record: SessionRecord; run: RunRecord } | undefined> {
    await ready();
    const key = await records.keyOfRun(runId);
    const record = key === undefined ? undefined : await records.read(key);
    const run = record?.runs.find((one) => one.runId === runId);
    if (!record?.ready || !run || record.removedAt !== undefined) return undefined;
    return (await folderExists(pathOf(record))) ? { record, run } : undefined;
  }

  return {
    open: ready,
    diff: (which, asked) => ready().then(() => review.diff(which, asked)),
    headOf: (which) => ready().then(() => review.headOf(which)),
    take: (which, asked) => ready().then(() => review.take(which, asked)),
    publish: (which, asked) => ready().then(() => review.publish(which, asked)),
    discardBranches: (which) => ready().then(() => review.discardBranches(which)),
    leftovers: (isInUse) => ready().then(() => leftovers.leftovers(isInUse)),
    removeLeftover: (id, how) => ready().then(() => leftovers.removeLeftover(id, how)),
    pack: (runId, asked, use) => ready().then(() => moving.pack(runId, asked, use)),
    setAside: (sessionKey) => ready().then(() => moving.setAside(sessionKey)),
    removeMergedBranch: (which) => ready().then(() => leftovers.removeMergedBranch(which)),

    async prepare(request, signal) {
      try {
        await ready();
        return await prepare(request, signal);
      } catch (error) {
        if (error instanceof WorkspaceError) throw error;
        throw new WorkspaceError(`The workspace could not be prepared: ${(error as Error).message}`);
      }
    },

    async checkRepository(address, own) {
      const consent = await describeConsent(address, { git });
      const allowed = await repositoryAt(consent.path, undefined, own).then(
        () => true,
        () => false,
      );
      return { ...consent, allowed };
    },

    async findChanges(address, gitBranch) {
      const { path, folders } = await describeConsent(address, { git });
      // Only looked at: what is found is for the person, who has not been asked yet.
      const repository = await resolveRepository(path, {
        allowedFolders: [],
        consents: [{ path, folders }],
        git,
      });
      const opened = await repository.open?.();
      try {
        const at = opened && (await findCheckout(repository, opened, repository.address));
        if (!at) return undefined;
        // A start waits for it.
        const listed = await listChanges(git, at, LOOK_MS).catch(() => undefined);
        if (!listed) return undefined;
        const { head: _head, ...changes } = listed;
        const named = gitBranch?.trim();
        const meant = named
          ? [named, named.replace(/^(?:refs\/heads|(?:refs\/remotes\/)?origin)\//, "")]
          : [];
        const there = await createPersonRepository(git, opened).branches(meant);
        const others = meant.filter((one) => one !== changes.branch && there.has(one));
        return { ...changes, isBase: others.length === 0 };
      } finally {
        await opened?.close();
      }
    },

    async find(runId) {
      const found = await recordOf(runId);
      if (!found) return undefined;
      const at = (await opening(found.record))?.at;
      return describeWorkspace(found, pathOf(found.record), at ? await identityEnv(git, at, env) : {});
    },

    async inspect({ runId }, signal) {
      const found = await recordOf(runId);
      if (!found) return { filesChanged: [], commits: [], uncommitted: false };
      if (found.record.kind !== "repository") return inspectFolder(pathOf(found.record), found.run);
      const open = await opening(found.record, signal);
      if (!open) throw new WorkspaceError("The clone that the session's worktree belongs to is gone.");
      return inspectWorktree(stoppable(git, signal), open.at, found.run);
    },

    async settle({ runId }, { merge, publishes = false, signal }) {
      const nothing = (why: string) => (merge ? { note: `Nothing was merged: ${why}` } : {});
      try {
        await ready();
        const found = await recordOf(runId);
        if (!found) return nothing("the workspace is not there any more.");
        const { record } = found;
        const { repository: where } = record;
        if (!where) return nothing("the session has no repository.");
        const repository = await repositoryAt(where.address, signal, record.consent).catch((error: Error) => {
          throwIfStopped(signal);
          return { gone: error.message };
        });
        const work = async () => {
          // A merge begins at what the repository has by now, and no history goes out that an agent has cut off here.
          if (!("gone" in repository) && (merge || (await clones.isShallow(where))))
            await clones.ensure(repository, signal);
          const open = await opening(record, signal);
          if (!open) return nothing("the repository's clone is gone.");
          const tools = { git: stoppable(git, signal), records, env };
          return settleWork(tools, { ...open, repository, record, merge, publishes, pushAllowed: mayPush() });
        };
        return await runUnlessStopped(mutex, `repository ${where.name}`, work, signal);
      } catch (error) {
        const { message } = error as Error;
        return merge
          ? nothing(message)
          : { note: `The session's branch may not have been delivered: ${message}` };
      }
    },

    async cleanup(which, { force, signal }) {
      await ready();
      const tools = { ...common, git: stoppable(git, signal), now: () => clock.now(), signal };
      return createCleanup(tools)(which, { force });
    },
  };
}
