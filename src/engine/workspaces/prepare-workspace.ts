import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { checkBranchName } from "../../shared/git/repository-address.js";
import type { KeyedMutex } from "../../shared/keyed-mutex.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { cleanLine } from "../../shared/text.js";
import type { Branches } from "./branches.js";
import { bringWork } from "./bring-work.js";
import type { MergeChecks } from "./check-merge.js";
import type { Clone, Clones } from "./clones.js";
import type { Consent } from "./consent.js";
import type { Bin } from "./disk.js";
import { type GitRunner, stoppable, type WorktreeLocation } from "./git-runner.js";
import { readAgentSettings } from "./git-settings.js";
import { describeFiles } from "./ignored-work.js";
import { looseInFolder, stampLoose } from "./inspect.js";
import { uncommittedFiles } from "./loose-files.js";
import { describeOutsideLinks, removeOutsideLinks } from "./outside-links.js";
import { findCheckout } from "./person-checkout.js";
import { newRecord, type RunRecord, type SessionRecord, type SessionRecords } from "./records.js";
import { createRefs } from "./refs.js";
import type { Repository } from "./repository.js";
import { runUnlessStopped, throwIfStopped } from "./run-unless-stopped.js";
import { setAside } from "./set-aside.js";
import { readSpecialEntries } from "./special-entries.js";
import { type Workspace, WorkspaceError, type WorkspaceRequest } from "./types.js";
import { commitChanges, countChanges, isStillAt, listChanges, type OwnChanges } from "./uncommitted.js";
import type { WorktreeSessions } from "./worktree-sessions.js";
import { emptySubmodules } from "./worktrees.js";

export interface PreparationOptions {
  git: GitRunner;
  clones: Clones;
  checks: MergeChecks;
  branches: Branches;
  worktreeSessions: WorktreeSessions;
  records: SessionRecords;
  bin: Bin;
  mutex: KeyedMutex;
  env: NodeJS.ProcessEnv;
  /** Where files that are taken along are copied to, and bundles are unpacked. */
  copiesFolder: string;
  pathOf: (record: SessionRecord) => string;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
  /** @throws WorkspaceError for an address that is not taken */
  repositoryAt: (address: string, signal?: AbortSignal, own?: Consent) => Promise<Repository>;
}

/** Creates the preparation of workspaces, as `Workspaces.prepare` describes it; what the file system throws passes. */
export function createPreparation(
  options: PreparationOptions,
): (request: WorkspaceRequest, signal?: AbortSignal) => Promise<Workspace> {
  const { git, clones, checks, branches, worktreeSessions, records, bin, mutex, pathOf, worktreeOf } =
    options;

  /** In a repository whose turn it is. */
  async function prepareWorktree(
    request: WorkspaceRequest,
    { recordKey, repository }: { recordKey: string; repository: Repository },
    signal: AbortSignal | undefined,
  ): Promise<Workspace> {
    await checks.mend(recordKey);
    const { notices, own, ...clone } = request.uncommitted
      ? await begunWithChanges(repository, signal)
      : { ...(await clones.ensure(repository, signal)), own: undefined };
    const moved = request.moved && {
      former: await makeRoom(recordKey),
      ...(await bringWork(
        { git: stoppable(git, signal), clones, folder: options.copiesFolder },
        repository,
        clone,
        request.moved,
        request.gitBranch,
      )),
    };
    const { gitBranch, ...unnamed } = request;
    // Of a moved session the branch that it was on; another one where that is asked for.
    const isOther = gitBranch !== undefined && gitBranch !== (request.moved?.work?.branch ?? gitBranch);
    const asked = isOther ? gitBranch : (moved?.branch ?? gitBranch);
    const found = asked === undefined ? undefined : await branches.find(repository, clone, asked, signal);
    throwIfStopped(signal);
    // Read again: a session before in this turn may have been given this one's branch.
    const { record, ...session } = await worktreeSessions.settle(
      {
        ...unnamed,
        ...(found?.branch && { gitBranch: found.branch }),
        recordKey,
        repository,
        clone,
        own,
        brought: moved,
      },
      await records.read(recordKey),
    );
    const at = worktreeOf(clone, record);
    if (!at) throw new WorkspaceError("The session's worktree disappeared right after it was made.");
    const startCommit = await createRefs(git, at).commit("HEAD");
    const upstreamCommit = clone.refs.remote.get(record.baseBranch ?? "");
    const special = await readSpecialEntries(git, at);
    if ("problem" in special)
      throw new WorkspaceError(`The links of the worktree could not be looked at: ${special.problem}`);
    const empty = await emptySubmodules(at, special.submodules);
    const outside = await removeOutsideLinks(git, at, special.links);
    const known = outside.length === 0 ? session.loose : undefined;
    if (request.consent) record.consent = request.consent;
    const run: RunRecord = { runId: request.runId, startCommit, upstreamCommit };
    await begin(record, run, known ?? (await uncommittedFiles(git, at)).paths);
    const { env, ownHooks } = await readAgentSettings(git, at, options.env);
    return {
      ...describeWorkspace({ record, run }, pathOf(record), env),
      notices: [
        ...(own ? [describeOwn(own)] : request.uncommitted ? [NO_CHANGES] : []),
        ...[...notices, ...(moved?.former ?? []), ...(moved?.notices ?? [])],
        ...[...(found?.notices ?? []), ...session.notices],
        ...(empty.length > 0 ? [describeEmpty(empty)] : []),
        ...(outside.length > 0 ? [describeOutsideLinks(outside)] : []),
      ],
      ownHooks,
      ...(empty.length > 0 && { emptySubmodules: empty }),
    };
  }

  /** What the session has left here before it moved away is not to be gone on with. @returns what the person is told */
  async function makeRoom(recordKey: string): Promise<string[]> {
    const former = await records.read(recordKey);
    if (!former) return [];
    const { path, branch } = await setAside(options, former);
    const on = branch === undefined ? "" : `, on the branch ${branch}`;
    return [`What the session has left on this machine before is kept in ${path}${on}.`];
  }

  /**
   * The clone as it is fetched, and what is not committed in the person's checkout as a commit on what was fetched.
   * @throws WorkspaceError when that cannot be had
   */
  async function begunWithChanges(repository: Repository, signal: AbortSignal | undefined) {
    const what = "Your uncommitted changes could not be taken along";
    const tools = { git: stoppable(git, signal), env: options.env, folder: options.copiesFolder };
    let why = "commits were made in the repository all the while. Start again";
    for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
      const fetched = await clones.ensure(repository, signal);
      const opened = await repository.open?.();
      try {
        const at = opened && (await findCheckout(repository, opened, repository.address));
        if (!at) throw new WorkspaceError(`${what}: no files are checked out at ${repository.address}.`);
        const changes = await listChanges(tools.git, at);
        if (changes.problem) throw new WorkspaceError(`${what}: ${changes.problem}.`);
        // A commit that has come since is fetched first.
        const isFetched = fetched.refs.remote.get(changes.branch ?? "") === changes.head;
        if (changes.files.length > 0 && !isFetched) {
          why = fetched.notices[0] ?? why;
          continue;
        }
        const own = await commitChanges(tools, { clone: fetched, at, changes });
        if (!own || (await isStillAt(git, at, own))) return { ...fetched, own };
      } finally {
        await opened?.close();
      }
    }
    throw new WorkspaceError(`${what}: ${why.replace(/\.$/, "")}.`);
  }

  async function prepareFolder(request: WorkspaceRequest, recordKey: string): Promise<Workspace> {
    return mutex.run(recordKey, async () => {
      const former = request.moved ? await makeRoom(recordKey) : [];
      const record = (await records.read(recordKey)) ?? newRecord(request, recordKey, "folder");
      await ensurePrivateFolder(pathOf(record));
      const workspace = await beginInFolder(record, request);
      return { ...workspace, notices: [...former, ...workspace.notices] };
    });
  }

  async function prepareTemporary(request: WorkspaceRequest): Promise<Workspace> {
    if (request.repositoryUrl || request.gitBranch)
      throw new WorkspaceError(
        "A temporary workspace is an empty folder: it can't have a repository or a branch.",
      );
    const record = newRecord(request, `run ${request.runId}`, "temporary");
    const path = pathOf(record);
    await records.write(record);
    await ensurePrivateFolder(dirname(path));
    await bin.take(path);
    await mkdir(path, { mode: 0o700 });
    return beginInFolder(record, request);
  }

  async function beginInFolder(record: SessionRecord, { runId }: WorkspaceRequest): Promise<Workspace> {
    const path = pathOf(record);
    await begin(record, { runId }, await looseInFolder(path));
    return describeWorkspace({ record, run: { runId } }, path, {});
  }

  /** Notes what the run begins with. */
  async function begin(record: SessionRecord, run: RunRecord, loose: string[]): Promise<void> {
    const startedWith = await stampLoose(pathOf(record), loose);
    record.runs = record.runs.filter((one) => one.runId !== run.runId);
    record.runs.push({ ...run, ...(startedWith && { startedWith }) });
    await records.write(record);
  }

  return async ({ gitBranch, ...rest }, signal) => {
    const request: WorkspaceRequest = gitBranch?.trim()
      ? { ...rest, gitBranch: goodBranch(gitBranch) }
      : { ...rest };
    if (request.tempWorkspace) return prepareTemporary(request);
    const recordKey = `session ${request.sessionKey}`;
    const known = await records.read(recordKey);
    const address = request.repositoryUrl?.trim() || known?.repository?.address;
    // It has them already where the run that was to begin with them was cut off right after.
    if (known?.ready) delete request.uncommitted;
    if (request.uncommitted && !address)
      throw new WorkspaceError("Only a new session on a local repository takes uncommitted changes along.");
    if (!address) {
      if (request.gitBranch)
        throw new WorkspaceError("A git_branch needs a repository_url: there is nothing to make it in.");
      return prepareFolder(request, recordKey);
    }
    const consent = request.consent ?? known?.consent;
    const repository = await options.repositoryAt(address, signal, consent);
    const work = () =>
      prepareWorktree({ ...request, ...(consent && { consent }) }, { recordKey, repository }, signal);
    return runUnlessStopped(mutex, `repository ${repository.name}`, work, signal);
  };
}

/**
 * What is told of a prepared workspace, without notices.
 * @param path its folder
 * @param env as of `readAgentSettings`
 */
export function describeWorkspace(
  { record, run }: { record: SessionRecord; run: RunRecord },
  path: string,
  env: Record<string, string>,
): Workspace {
  return {
    path,
    kind: record.kind,
    sessionKey: record.sessionKey,
    runId: run.runId,
    ...(record.repository && { repositoryUrl: record.repository.address }),
    ...(record.branch && { branch: record.branch }),
    ...(record.baseBranch && { baseBranch: record.baseBranch }),
    ...(record.ownCommit && { ownCommit: record.ownCommit }),
    ...(run.startCommit && { startCommit: run.startCommit }),
    notices: [],
    env,
  };
}

/** So often a repository in which commits are made meanwhile is looked at. */
const MAX_TRIES = 3;

const NO_CHANGES =
  "There were no uncommitted changes any more when the session began, so none were taken along.";

function describeOwn({ commit, files, leftOut }: OwnChanges): string {
  const others =
    leftOut.length > 0
      ? ` Left out (submodules, files that pass a filter, and what cannot be read): ${describeFiles(leftOut.map((path) => cleanLine(path, 200)))}.`
      : "";
  return `Your ${countChanges(files)} ${files.length === 1 ? "was" : "were"} taken along as the session's first commit, ${commit.slice(0, 10)}.${others}`;
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
