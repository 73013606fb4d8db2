import { mkdir } from "node:fs/promises";
import { join, resolve as resolvePath } from "node:path";
import type { Clock } from "../../shared/clock.js";
import { checkBranchName } from "../../shared/git/repository-address.js";
import { createKeyedMutex } from "../../shared/keyed-mutex.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { cleanLine } from "../../shared/text.js";
import { createBranches } from "./branches.js";
import { createCleanup } from "./cleanup.js";
import { type Clone, createClones } from "./clones.js";
import { createBin, folderExists } from "./disk.js";
import { createGitRunner, stoppable, type WorktreePlace } from "./git-runner.js";
import { inspectFolder, inspectWorktree, looseFiles } from "./inspect.js";
import { mergeWork } from "./merge.js";
import { describeOutsideLinks, removeOutsideLinks } from "./outside-links.js";
import { createSessionRecords, newRecord, type RunRecord, type SessionRecord } from "./records.js";
import { createRefs, hasOwnHooks, identityEnv } from "./refs.js";
import { type Repository, resolveRepository } from "./repository.js";
import { runUnlessStopped, throwIfStopped } from "./run-unless-stopped.js";
import { type Workspace, WorkspaceError, type WorkspaceRequest, type Workspaces } from "./types.js";
import { createWorktreeSessions } from "./worktree-sessions.js";
import { emptySubmodules, worktreePlace } from "./worktrees.js";

export { type Workspace, WorkspaceError, type Workspaces } from "./types.js";

export interface WorkspacesOptions {
  /** All that is made is made in here; 0700. */
  folder: string;
  /** Local repositories are only taken from inside these. */
  allowedFolders: readonly string[];
  /** Whether `merge` pushes the base branch. */
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
  /** How long a first clone may take, in ms; 10 minutes unless told. */
  cloneTimeoutMs?: number;
  /** How long fetching again may take, in ms, before the work goes on without; 2 minutes unless told. */
  fetchTimeoutMs?: number;
}

/**
 * Creates the workspaces of one engine; another process must not use the folder at the same time. In it:
 * `repositories/<name>-<digest>/` a bare clone and its record, `worktrees/`, `folders/` and `temporary/` what agents
 * work in, `sessions/` what is known of them, `removed/` what is being deleted.
 */
export function createWorkspaces(options: WorkspacesOptions): Workspaces {
  const { clock, env, pushAllowed } = options;
  const folder = resolvePath(options.folder);
  const git = createGitRunner({ env, clock, ...(options.gitPath && { gitPath: options.gitPath }) });
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
  const pathOf = (record: SessionRecord) => join(folder, homes[record.kind], record.folder);
  const branchTools = {
    clones,
    records,
    env,
    sessionInUse: options.sessionInUse ?? (() => true),
    placeOf,
  };
  const branches = createBranches({ ...branchTools, git });
  const worktreeSessions = createWorktreeSessions({ git, branches, records, bin, env, pathOf, placeOf });
  let opened: Promise<void> | undefined;

  function placeOf(clone: Clone, record: SessionRecord): WorktreePlace | undefined {
    return record.admin === undefined
      ? undefined
      : worktreePlace(clone.at.clone, pathOf(record), record.admin, record.asCheckedOut);
  }

  /** The clone and worktree of a session whose workspace is there. */
  async function opening(record: SessionRecord, signal?: AbortSignal) {
    const clone = record.repository && (await clones.open(record.repository, signal));
    const at = clone && placeOf(clone, record);
    return clone && at && { clone, at };
  }

  async function ready(): Promise<void> {
    opened ??= ensurePrivateFolder(folder).then(() => bin.empty());
    await opened.catch((error) => {
      opened = undefined; // A full disk or a missing mount may be mended by the next time.
      throw error;
    });
  }

  function repositoryAt(address: string, signal?: AbortSignal): Promise<Repository> {
    return resolveRepository(address, {
      allowedFolders: options.allowedFolders,
      git,
      ...(signal && { signal }),
    });
  }

  async function prepare(asked: WorkspaceRequest, signal?: AbortSignal): Promise<Workspace> {
    const { gitBranch, ...rest } = asked;
    const request: WorkspaceRequest = gitBranch?.trim()
      ? { ...rest, gitBranch: goodBranch(gitBranch) }
      : rest;
    await ready();
    if (request.tempWorkspace) return prepareTemporary(request);
    const recordKey = `session ${request.sessionKey}`;
    const known = await records.read(recordKey);
    const address = request.repositoryUrl?.trim() || known?.repository?.address;
    if (!address) {
      if (request.gitBranch)
        throw new WorkspaceError("A git_branch needs a repository_url: there is nothing to make it in.");
      return prepareFolder(request, recordKey);
    }
    const repository = await repositoryAt(address, signal);
    const work = async () => {
      const { notices, ...clone } = await clones.ensure(repository, signal);
      const asked = request.gitBranch;
      const found = asked === undefined ? undefined : await branches.find(repository, clone, asked, signal);
      throwIfStopped(signal);
      const { gitBranch: _asked, ...unnamed } = request;
      // Read again: a session before in this turn may have been given this one's branch.
      const session = await worktreeSessions.settle(
        { ...unnamed, ...(found?.branch && { gitBranch: found.branch }), recordKey, repository, clone },
        await records.read(recordKey),
      );
      const at = placeOf(clone, session.record);
      if (!at) throw new WorkspaceError("The session's worktree disappeared right after it was made.");
      const refs = createRefs(git, at);
      const startCommit = await refs.commit("HEAD");
      const upstreamCommit = await refs.remote(session.record.baseBranch ?? "");
      const run: RunRecord = { runId: request.runId, startCommit, upstreamCommit };
      const empty = await emptySubmodules(git, at);
      const outside = await removeOutsideLinks(git, at);
      const told = [
        ...[...notices, ...(found?.notices ?? []), ...session.notices],
        ...(empty.length > 0 ? [describeEmpty(empty)] : []),
        ...(outside.length > 0 ? [describeOutsideLinks(outside)] : []),
      ];
      const begun = await begin(session.record, run, at, told);
      const ownHooks = await hasOwnHooks(git, at);
      return { ...begun, ownHooks, ...(empty.length > 0 && { emptySubmodules: empty }) };
    };
    return runUnlessStopped(mutex, `repository ${repository.name}`, work, signal);
  }

  async function prepareFolder(request: WorkspaceRequest, recordKey: string): Promise<Workspace> {
    return mutex.run(recordKey, async () => {
      const record = (await records.read(recordKey)) ?? newRecord(request, recordKey, "folder");
      await ensurePrivateFolder(pathOf(record));
      return begin(record, { runId: request.runId }, undefined, []);
    });
  }

  async function prepareTemporary(request: WorkspaceRequest): Promise<Workspace> {
    if (request.repositoryUrl || request.gitBranch)
      throw new WorkspaceError(
        "A temporary workspace is an empty folder: it can't have a repository or a branch.",
      );
    const record = newRecord(request, `run ${request.runId}`, "temporary");
    await records.write(record);
    await ensurePrivateFolder(join(folder, homes.temporary));
    await bin.take(pathOf(record));
    await mkdir(pathOf(record), { mode: 0o700 });
    return begin(record, { runId: request.runId }, undefined, []);
  }

  /** Notes what the run begins with. */
  async function begin(
    record: SessionRecord,
    run: RunRecord,
    at: WorktreePlace | undefined,
    notices: string[],
  ): Promise<Workspace> {
    const startedWith = await looseFiles(pathOf(record), git, at);
    record.runs = record.runs.filter((one) => one.runId !== run.runId);
    record.runs.push({ ...run, ...(startedWith && { startedWith }) });
    await records.write(record);
    return { ...(await describe(record, run, at)), notices };
  }

  async function describe(
    record: SessionRecord,
    run: RunRecord,
    at: WorktreePlace | undefined,
  ): Promise<Workspace> {
    return {
      path: pathOf(record),
      kind: record.kind,
      sessionKey: record.sessionKey,
      runId: run.runId,
      ...(record.repository && { repositoryUrl: record.repository.address }),
      ...(record.branch && { branch: record.branch }),
      ...(record.baseBranch && { baseBranch: record.baseBranch }),
      ...(run.startCommit && { startCommit: run.startCommit }),
      notices: [],
      env: at ? await identityEnv(git, at, env) : {},
    };
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
    async prepare(request, signal) {
      try {
        return await prepare(request, signal);
      } catch (error) {
        if (error instanceof WorkspaceError) throw error;
        throw new WorkspaceError(`The workspace could not be prepared: ${(error as Error).message}`);
      }
    },

    async find(runId) {
      const found = await recordOf(runId);
      return found && describe(found.record, found.run, (await opening(found.record))?.at);
    },

    async inspect({ runId }, signal) {
      const found = await recordOf(runId);
      if (!found) return { filesChanged: [], commits: [], uncommitted: false };
      if (found.record.kind !== "repository") return inspectFolder(pathOf(found.record), found.run);
      const open = await opening(found.record, signal);
      if (!open) throw new WorkspaceError("The clone that the session's worktree belongs to is gone.");
      return inspectWorktree(stoppable(git, signal), open.at, found.run);
    },

    async merge({ runId }, signal) {
      const not = (reason: string) => ({ merged: false, reason, pushed: false });
      try {
        const found = await recordOf(runId);
        if (!found) return not("Nothing was merged: the workspace is not there any more.");
        const { repository: where, baseBranch, recordKey } = found.record;
        if (!where || !baseBranch) return not("Nothing was merged: the session has no repository.");
        const repository = await repositoryAt(where.address, signal);
        const work = async () => {
          // What is pushed must stand on what the remote has by now.
          // Nor can histories be joined where an agent has cut them off.
          if (pushAllowed || (await clones.isShallow(repository))) await clones.ensure(repository, signal);
          const open = await opening(found.record, signal);
          if (!open) return not("Nothing was merged: the repository's clone is gone.");
          const stopping = stoppable(git, signal);
          return mergeWork(
            { git: stopping, branches: createBranches({ ...branchTools, git: stopping }), env },
            { ...open, repository, baseBranch, self: recordKey, pushAllowed },
          );
        };
        return await runUnlessStopped(mutex, `repository ${repository.name}`, work, signal);
      } catch (error) {
        return not(`Nothing was merged: ${(error as Error).message}`);
      }
    },

    async cleanup(which, { force, signal }) {
      await ready();
      const now = () => clock.now();
      const tools = { git: stoppable(git, signal), clones, records, bin, mutex, pathOf, placeOf };
      return createCleanup({ ...tools, now, signal })(which, force);
    },
  };
}

function describeEmpty(submodules: string[]): string {
  const what = submodules.length === 1 ? "1 submodule is" : `${submodules.length} submodules are`;
  const names = submodules.slice(0, 5).map((path) => cleanLine(path));
  return `${what} not checked out, and the agent was told so: ${names.join(", ")}${submodules.length > 5 ? ", …" : ""}. Tests that need what is in there fail.`;
}

function goodBranch(text: string): string {
  const checked = checkBranchName(text);
  if (checked.ok) return checked.value;
  throw new WorkspaceError(checked.problem);
}
