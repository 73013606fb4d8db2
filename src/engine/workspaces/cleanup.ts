import { readdir, rm } from "node:fs/promises";
import type { InTurn } from "../../state/in-turn.js";
import type { Clone, Clones } from "./clones.js";
import { type Bin, folderExists } from "./disk.js";
import type { GitRunner } from "./git-runner.js";
import { sessionBranchOf } from "./names.js";
import type { SessionRecord, SessionRecords } from "./records.js";
import { createRefs } from "./refs.js";
import { WorkspaceError, type WorkspaceReference, type Workspaces } from "./types.js";
import { filledSubmodule, unsavedWork, type WorktreePlace, worktreeExists } from "./worktrees.js";

export type CleanupResult = Awaited<ReturnType<Workspaces["cleanup"]>>;

export interface CleanupOptions {
  git: GitRunner;
  clones: Clones;
  records: SessionRecords;
  bin: Bin;
  inTurn: InTurn;
  pathOf: (record: SessionRecord) => string;
  placeOf: (clone: Clone, record: SessionRecord) => WorktreePlace | undefined;
  now: () => number;
}

/** Creates the removal of workspaces, as `Workspaces.cleanup` describes it. */
export function createCleanup(
  options: CleanupOptions,
): (which: WorkspaceReference, force: boolean) => Promise<CleanupResult> {
  const { git, clones, records, bin, inTurn, pathOf, placeOf, now } = options;

  async function locate(which: WorkspaceReference): Promise<SessionRecord | undefined> {
    const known = typeof which === "string" ? { runId: which } : which;
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

  async function removeFolder(record: SessionRecord, force: boolean, result: CleanupResult): Promise<void> {
    const path = pathOf(record);
    const [file] = force || record.kind === "temporary" ? [] : await readdir(path).catch(() => []);
    if (file !== undefined) {
      result.kept = `The folder ${path} was kept: its files (${file}, …) are nowhere else. Force removes them.`;
      return;
    }
    await take(record, result);
    await records.remove(record);
  }

  async function removeWorktree(record: SessionRecord, force: boolean, result: CleanupResult): Promise<void> {
    const path = pathOf(record);
    const clone = record.repository && (await clones.open(record.repository));
    const at = clone && placeOf(clone, record);
    const whole = at !== undefined && (await worktreeExists(at));
    if (!force && (await folderExists(path))) {
      const lost = whole
        ? ((await unsavedWork(git, at)) ?? (await filledSubmodule(git, at)))
        : "it has lost its connection to the repository, so nobody can say what is in it";
      if (lost) {
        result.kept = `The worktree ${path} was kept: ${lost}. Force removes it.`;
        return;
      }
    }
    const branches = whole && record.branch ? await branchesOf(record.branch, at) : [];
    await take(record, result);
    if (at) await rm(at.worktree.gitDir, { recursive: true, force: true });
    record.removedAt = now();
    delete record.admin;
    delete record.handedOver;
    await records.write(record);
    if (!clone) return;
    const kept: string[] = [];
    for (const branch of branches) kept.push(...(await tidy(record, clone, branch)));
    if (kept.length > 0) result.kept = `${kept.join(", ")} in ${clone.at.clone}.`;
  }

  /** The session's branch, and the one that its agent has moved on to. */
  async function branchesOf(branch: string, at: WorktreePlace): Promise<string[]> {
    const current = await createRefs(git, at).current();
    return [...new Set([branch, ...(current ? [current] : [])])];
  }

  /** Removes a branch of our own naming that has nothing; says of another what only it has. */
  async function tidy(record: SessionRecord, { at }: Clone, branch: string): Promise<string[]> {
    const refs = createRefs(git, at);
    const commit = await refs.local(branch);
    if (!commit) return [];
    const base =
      record.baseBranch && record.baseBranch !== branch ? await refs.local(record.baseBranch) : undefined;
    const count = await refs.count(commit, [...(base ? [base] : []), "--remotes"]);
    if (count > 0)
      return [`${count} ${count === 1 ? "commit was" : "commits were"} kept on the branch ${branch}`];
    if (sessionBranchOf(record.sessionKey, branch)) await refs.move(branch, undefined, commit);
    return [];
  }

  return async (which, force) => {
    const result: CleanupResult = {
      removed: { workspace: false, worktree: false, tempFiles: false },
      errors: [],
    };
    try {
      const found = await locate(which);
      if (!found) return result;
      const { repository, recordKey } = found;
      await inTurn.run(repository ? `repository ${repository.name}` : recordKey, async () => {
        const record = await records.read(recordKey);
        if (!record || record.removedAt !== undefined) return;
        if (record.kind === "repository") await removeWorktree(record, force, result);
        else await removeFolder(record, force, result);
      });
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
