import { readdir, rm } from "node:fs/promises";
import type { KeyedMutex } from "../../shared/keyed-mutex.js";
import type { Clone, Clones } from "./clones.js";
import { type Bin, filesIn, folderExists } from "./disk.js";
import type { GitRunner, WorktreeLocation } from "./git-runner.js";
import { describeFiles, MAX_FILES } from "./ignored-work.js";
import { findLosses } from "./losses.js";
import { asideKey, isOwnBranch, type SessionRecord, type SessionRecords } from "./records.js";
import { createRefs } from "./refs.js";
import { runUnlessStopped } from "./run-unless-stopped.js";
import { WorkspaceError, type WorkspaceReference, type Workspaces } from "./types.js";
import { holderOf, worktreeExists } from "./worktrees.js";

export type CleanupResult = Awaited<ReturnType<Workspaces["cleanup"]>>;

export interface CleanupOptions {
  git: GitRunner;
  clones: Clones;
  records: SessionRecords;
  bin: Bin;
  mutex: KeyedMutex;
  pathOf: (record: SessionRecord) => string;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
  now: () => number;
  /** Ends the wait for the repository, and with `git` everything that could hang. */
  signal?: AbortSignal | undefined;
}

/** Behind "it has". */
const UNCONNECTED = "lost its connection to the repository, so its content is unknown";
const UNKNOWN = "files that could not be read";

/** How a workspace is removed. */
export interface CleanupHow {
  /** What would be lost goes, too. */
  force: boolean;
  /** With `force`: commits that are nowhere else go with the branch that the session was given. */
  dropsCommits?: boolean;
  /** Looks at it once more when nobody else can change it; says why it is not removed. */
  check?: (record: SessionRecord) => Promise<string | undefined>;
}

/** Creates the removal of workspaces, as `Workspaces.cleanup` describes it. */
export function createCleanup(
  options: CleanupOptions,
): (which: WorkspaceReference, how: CleanupHow) => Promise<CleanupResult> {
  const { git, clones, records, bin, mutex, pathOf, worktreeOf, now, signal } = options;

  async function locate(which: WorkspaceReference): Promise<SessionRecord | undefined> {
    const known = typeof which === "string" ? { runId: which } : which;
    if (known.aside !== undefined) return records.read(asideKey(known.aside));
    const temporary = await records.read(`run ${known.runId}`);
    if (temporary || known.temporary) return temporary;
    const key = await records.keyOfRun(known.runId);
    if (key !== undefined) return records.read(key);
    return known.sessionKey === undefined ? undefined : records.read(`session ${known.sessionKey}`);
  }

  async function take(record: SessionRecord, result: CleanupResult): Promise<void> {
    const { existed, problem } = await bin.take(pathOf(record));
    if (problem) result.errors.push(problem);
    result.removed.workspace = existed;
    result.removed.tempFiles = existed && record.kind === "temporary";
    result.removed.worktree = existed && record.kind === "repository";
  }

  async function removeFolder(
    record: SessionRecord,
    { force }: CleanupHow,
    result: CleanupResult,
  ): Promise<void> {
    const path = pathOf(record);
    const files = record.kind === "temporary" ? [] : await filesIn(path, MAX_FILES);
    const [first] =
      files.length > 0 || record.kind === "temporary" ? files : await readdir(path).catch(() => []);
    if (first !== undefined && !force) {
      result.kept = `The folder ${path} was kept: its files (${first}, …) exist nowhere else. Force removes them.`;
      return;
    }
    await take(record, result);
    if (files.length > 0)
      result.lost = `Removed by force: ${describeFiles(files, "file", files.length < MAX_FILES)}.`;
    await records.remove(record);
  }

  async function removeWorktree(
    record: SessionRecord,
    how: CleanupHow,
    result: CleanupResult,
  ): Promise<void> {
    const { force } = how;
    const path = pathOf(record);
    const clone = record.repository && (await clones.open(record.repository, signal));
    const at = clone && worktreeOf(clone, record);
    const whole = at !== undefined && (await worktreeExists(at));
    let losses: string[] = [];
    // Whoever forces it wants it gone also where nobody can say any more what is in it.
    if (whole)
      losses = await findLosses(git, at).then(
        ({ words }) => words,
        (error) => (force ? [UNKNOWN] : Promise.reject(error)),
      );
    else if (await folderExists(path)) losses = [force ? UNKNOWN : UNCONNECTED];
    if (!force && losses.length > 0) {
      result.kept = `The worktree ${path} was kept: it has ${losses.join(", and ")}. Force removes it.`;
      return;
    }
    const branches = whole && record.branch ? await branchesOf(record.branch, at) : [];
    await take(record, result);
    if (losses.length > 0) result.lost = `Removed by force: ${losses.join(", and ")}.`;
    if (at) await rm(at.worktree.gitDir, { recursive: true, force: true });
    record.removedAt = now();
    delete record.admin;
    delete record.asCheckedOut;
    delete record.handedOver;
    await records.write(record);
    if (!clone) return;
    const kept: string[] = [];
    for (const branch of branches)
      kept.push(...(await tidy(record, clone, branch, force && how.dropsCommits === true)));
    if (kept.length > 0) result.kept = `${kept.join(", ")} in ${clone.at.clone}.`;
  }

  /** The session's branch, and the one that its agent has moved on to. */
  async function branchesOf(branch: string, at: WorktreeLocation): Promise<string[]> {
    const current = await createRefs(git, at).current();
    return [...new Set([branch, ...(current ? [current] : [])])];
  }

  /**
   * Says of a branch where its commits are that the remote does not have; a branch of our own naming is removed when
   * it has nothing that is not on its base as well, or its commits are to go.
   */
  async function tidy(
    record: SessionRecord,
    { at }: Clone,
    branch: string,
    drops: boolean,
  ): Promise<string[]> {
    const refs = createRefs(git, at);
    const commit = await refs.local(branch);
    if (!commit) return [];
    const { baseBranch } = record;
    const base = baseBranch && baseBranch !== branch ? await refs.local(baseBranch) : undefined;
    const far = baseBranch && baseBranch !== branch ? await refs.remote(baseBranch) : undefined;
    const bases = [base, far].filter((one) => one !== undefined);
    const unpushed = await refs.count(commit, ["--remotes"]);
    const own = base === undefined ? unpushed : await refs.count(commit, [base, "--remotes"]);
    const unmerged = await refs.count(commit, bases.length > 0 ? bases : ["--remotes"]);
    const mayGo = (unmerged === 0 || drops) && isOwnBranch(record, branch);
    // Another session may have been given it.
    const goes = mayGo && (await holderOf(git, at.clone, branch)) === undefined;
    if (goes) await refs.move(branch, undefined, commit);
    if (goes && drops) return [];
    if (own > 0) return [`${own} ${own === 1 ? "commit was" : "commits were"} kept on the branch ${branch}`];
    if (unpushed === 0) return [];
    return [`${unpushed} merged ${unpushed === 1 ? "commit is" : "commits are"} on the branch ${baseBranch}`];
  }

  return async (which, how) => {
    const result: CleanupResult = {
      removed: { workspace: false, worktree: false, tempFiles: false },
      errors: [],
    };
    try {
      const found = await locate(which);
      if (!found) return result;
      const { repository, recordKey } = found;
      const remove = async () => {
        const record = await records.read(recordKey);
        if (!record || record.removedAt !== undefined) return;
        const why = await how.check?.(record);
        if (why !== undefined) throw new WorkspaceError(why);
        if (record.kind === "repository") await removeWorktree(record, how, result);
        else await removeFolder(record, how, result);
      };
      // A folder without repository is nobody else's, and nothing of its removal hangs.
      if (repository) await runUnlessStopped(mutex, `repository ${repository.name}`, remove, signal);
      else await mutex.run(recordKey, remove);
    } catch (error) {
      result.errors.push(
        error instanceof WorkspaceError
          ? error.message
          : `It could not be removed: ${(error as Error).message}`,
      );
    }
    return result;
  };
}
