import { lstat, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import type { Branches } from "./branches.js";
import type { BroughtWork } from "./bring-work.js";
import type { Clone, FetchedClone } from "./clones.js";
import { type Bin, folderExists, isEmptyFolder } from "./disk.js";
import { type GitRunner, mustGit, type WorktreeLocation } from "./git-runner.js";
import { identityEnv } from "./git-settings.js";
import { lookAtCheckout } from "./loose-files.js";
import { worktreeName } from "./names.js";
import { isOwnBranch, newRecord, type SessionRecord, type SessionRecords } from "./records.js";
import { createRefs } from "./refs.js";
import { lastPart, type Repository } from "./repository.js";
import { WorkspaceError, type WorkspaceRequest } from "./types.js";
import type { OwnChanges } from "./uncommitted.js";
import { addEmptyWorktree, addWorktree, mend, switchTo, unsavedWork, worktreeExists } from "./worktrees.js";

/** A run's request for a place in a repository whose clone is there; the branch name, if any, is a checked one. */
export interface WorktreeRequest extends WorkspaceRequest {
  recordKey: string;
  repository: Repository;
  clone: FetchedClone;
  /** What a new session begins with. */
  own?: OwnChanges | undefined;
  /** Where a session that has moved here goes on. */
  brought?: BroughtWork | undefined;
}

export interface SettledSession {
  record: SessionRecord;
  notices: string[];
  /** Paths that are in no commit, of files that have just been checked out. */
  loose?: string[];
}

export interface WorktreeSessions {
  /**
   * The session's worktree, found as it was left or made. Whoever calls has the repository to itself.
   * @throws WorkspaceError when the session can't have what it asks for; its work is untouched then
   */
  settle(request: WorktreeRequest, known: SessionRecord | undefined): Promise<SettledSession>;
}

/** Creates it on its collaborators. */
export function createWorktreeSessions(options: {
  git: GitRunner;
  branches: Branches;
  records: SessionRecords;
  bin: Bin;
  env: NodeJS.ProcessEnv;
  pathOf: (record: Pick<SessionRecord, "kind" | "folder">) => string;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
}): WorktreeSessions {
  const { git, branches, records, bin, pathOf, worktreeOf } = options;

  /** Goes on in a worktree that is there: as it is, unless another branch is asked for or its own was lent. */
  async function carryOn(
    request: WorktreeRequest,
    record: SessionRecord,
    asked: string | undefined,
  ): Promise<SettledSession> {
    const { repository, clone, recordKey } = request;
    const at = worktreeOf(clone, record);
    if (!at || !(await worktreeExists(at)))
      throw new WorkspaceError(
        `The session's worktree ${pathOf(record)} has lost its connection to the repository. Nothing was changed. Move the folder away to have the branch ${record.branch} checked out anew.`,
      );
    await mend(at);
    const target =
      asked !== undefined && asked !== record.branch ? asked : record.handedOver ? record.branch : undefined;
    if (target === undefined) return { record, notices: [] };
    const notices: string[] = [];
    let loose: string[] | undefined;
    if ((await createRefs(git, at).current()) !== target) {
      const unsaved = await unsavedWork(git, at);
      if (unsaved)
        throw new WorkspaceError(
          `The session's worktree can't be put on the branch ${target}: it has ${unsaved}. Commit or discard that in ${at.worktree.path}, or start a new session for the branch.`,
        );
      const got = await branches.obtain(repository, clone, target, recordKey);
      notices.push(...got.notices);
      if (got.empty)
        await mustGit(
          git,
          `The branch ${target} could not be made`,
          ["symbolic-ref", "HEAD", `refs/heads/${target}`],
          {
            at,
          },
        );
      else {
        await switchTo(git, at, target);
        loose = await rememberCheckout(record, at);
      }
      record.baseBranch = got.baseBranch;
    }
    record.branch = target;
    delete record.handedOver;
    await records.write(record);
    return { record, notices, ...(loose && { loose }) };
  }

  /**
   * What git calls changed in a fresh checkout is nobody's work, and must not be taken for it later.
   * @returns the paths that are loose besides
   */
  async function rememberCheckout(record: SessionRecord, at: WorktreeLocation): Promise<string[]> {
    const { marks, loose } = await lookAtCheckout(git, at);
    if (marks) record.asCheckedOut = marks;
    else delete record.asCheckedOut;
    return loose;
  }

  /** A readable name for the session's worktree: free among the worktrees, and among what the clone knows of them. */
  function nameWorktree({ repository, clone, recordKey, sessionName }: WorktreeRequest): Promise<string> {
    const wanted = worktreeName(lastPart(repository.address), sessionName);
    return records.nameFolder(recordKey, wanted, async (folder) => {
      const places = [pathOf({ kind: "repository", folder }), join(clone.at.clone, "worktrees", folder)];
      const found = await Promise.all(places.map((place) => lstat(place).catch(() => undefined)));
      return found.every((one) => one === undefined);
    });
  }

  /** Makes the worktree; what an attempt that was killed has left is removed first. */
  async function make(
    request: WorktreeRequest,
    known: SessionRecord | undefined,
    asked: string | undefined,
  ): Promise<SettledSession> {
    const { repository, clone, recordKey, sessionKey, sessionName, own: changes, brought } = request;
    const former = request.moved?.work;
    const notices: string[] = [];
    if (known) {
      if (known.ready && known.removedAt === undefined)
        notices.push("The session's worktree was gone, so it was made anew. What was not committed is lost.");
      else await bin.take(pathOf(known));
      // By its own name too: an attempt that was killed has not noted what git calls it.
      for (const admin of [known.folder, known.admin])
        if (admin) await rm(join(clone.at.clone, "worktrees", admin), { recursive: true, force: true });
    }
    const kept = known?.branch && isOwnBranch(known, known.branch) ? known.branch : undefined;
    const own = kept ?? (brought?.isOwn ? (brought.branch ?? asked) : undefined);
    const isNamed = (asked ?? known?.branch) !== undefined;
    const given = isNamed ? own : branches.freeName(clone, sessionKey, sessionName);
    const branch = asked ?? known?.branch ?? given ?? "";
    const got = await branches.obtain(repository, clone, branch, recordKey, {
      own: changes,
      from: isNamed ? brought?.from : request.startFrom,
    });
    // A clone that was made anew does not know what its branches were made from.
    const isOwnBase = got.baseBranch === branch && known?.branch === branch;
    const ownCommit = changes?.commit ?? known?.ownCommit ?? former?.ownCommit;
    const deliveredAs = known?.deliveredAs ?? former?.deliveredAs;
    const record: SessionRecord = {
      ...newRecord(request, recordKey, "repository", known?.folder ?? (await nameWorktree(request))),
      repository: { name: repository.name, address: repository.address },
      branch,
      baseBranch: (isOwnBase && known.baseBranch) || got.baseBranch,
      ...(given && { ownBranch: given }),
      ...(ownCommit && { ownCommit }),
      ...(deliveredAs && { deliveredAs }),
      runs: known?.runs ?? [],
    };
    await records.write(record);
    const path = pathOf(record);
    await ensurePrivateFolder(dirname(path));
    record.admin = got.empty
      ? await addEmptyWorktree(
          git,
          clone.at.clone,
          path,
          branch,
          await identityEnv(git, clone.at, options.env),
        )
      : await addWorktree(git, clone.at.clone, path, branch);
    const at = worktreeOf(clone, record);
    const loose = at && !got.empty ? await rememberCheckout(record, at) : undefined;
    record.ready = true;
    await records.write(record);
    return { record, notices: [...notices, ...got.notices], ...(loose && { loose }) };
  }

  return {
    async settle(request, known) {
      const asked = request.gitBranch;
      let record = known;
      if (record?.kind === "folder") {
        if (!(await isEmptyFolder(pathOf(record))))
          throw new WorkspaceError(
            `This session has worked without a repository so far, and its files are in ${pathOf(record)}. Continue it without repository_url, or start a new session for the repository.`,
          );
        await bin.take(pathOf(record));
        record = undefined;
      }
      if (record?.repository && record.repository.name !== request.repository.name) {
        if (record.removedAt === undefined)
          throw new WorkspaceError(
            `This session works on ${record.repository.address}. Continue it without another repository_url, or start a new session.`,
          );
        record = undefined;
      }
      const there = record?.ready && record.removedAt === undefined && (await folderExists(pathOf(record)));
      return record && there ? carryOn(request, record, asked) : make(request, record, asked);
    },
  };
}
