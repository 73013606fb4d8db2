import type { Clock } from "../../shared/clock.js";
import type { KeyedMutex } from "../../shared/keyed-mutex.js";
import type { CleanupHow, CleanupResult } from "./cleanup.js";
import type { Clone, Clones } from "./clones.js";
import type { Consent } from "./consent.js";
import type { Bin } from "./disk.js";
import type { FolderSize } from "./folder-size.js";
import type { GitRunner, WorktreeLocation } from "./git-runner.js";
import type { Holding } from "./holdings.js";
import type { SessionRecord, SessionRecords } from "./records.js";
import type { Repository } from "./repository.js";
import type { WorkspaceReference } from "./types.js";

/** Something on the disk that sessions have left, which can be removed by itself. */
export interface Leftover extends Holding {
  /** Names it for its removal. */
  id: string;
  /**
   * `session`: what a session works in. `folder`: one in the place for these that no session has. `clone`: a clone that
   * no session uses. `branches`: branches of a clone that sessions were given, that no session has any more, and whose
   * commits the repository has. `branch`: one with commits that it has not.
   */
  kind: "session" | "folder" | "clone" | "branches" | "branch";
  name: string;
  /** Of a session. */
  sessionKey?: string;
  /** That goes on with another engine by now; what it has committed here is on the branch, where it is on one. */
  isAside?: true;
  branch?: string;
  /** Its folder; of branches the clone's. */
  path: string;
  /** The repository's address. */
  repository?: string;
  size: FolderSize;
  /** When it was last used, as far as the disk tells, epoch ms; 0 where that says nothing. */
  usedAt: number;
  /** A run of the session is going on or waiting: it was not looked at, and is not removed. */
  inUse: boolean;
}

/** A branch of a local repository that a session has left there, all of whose commits another branch has. */
export interface MergedBranch {
  /** The clone's name, for the removal. */
  clone: string;
  repository: string;
  branch: string;
  commit: string;
  into: string;
}

/** All that sessions have left. */
export interface Leftovers {
  items: Leftover[];
  mergedBranches: MergedBranch[];
  /** Of all workspaces and clones, those of sessions at work included. */
  size: FolderSize;
}

/** What came of a removal. */
export interface RemovedLeftover {
  /** What was kept of it, and where. */
  kept?: string;
  /** What is gone that was nowhere else. */
  lost?: string;
  errors: string[];
}

/** Looks at what sessions have left, and removes it piece by piece. */
export interface LeftoverStore {
  /**
   * What there is. Repositories are fetched first, so that "merged" is said of what they have by now; where that cannot
   * be done in time, what belongs to the repository has a `problem`.
   * @param isInUse whether a run of the session is going on or waiting
   */
  leftovers(isInUse: (sessionKey: string) => boolean): Promise<Leftovers>;
  /**
   * Removes one. It is looked at once more: what is nowhere else goes only with `force`, and only as it was seen.
   * @param how.mark of the look that the person has agreed to
   * @throws WorkspaceError when nothing was removed, with the reason
   */
  removeLeftover(id: string, how: { force: boolean; mark: string }): Promise<RemovedLeftover>;
  /**
   * Takes a branch out of the person's repository as `git branch -d` does: only where it is merged there, stands where
   * it was seen, and is not checked out.
   * @throws WorkspaceError with the reason why it was kept
   */
  removeMergedBranch(which: Pick<MergedBranch, "clone" | "branch" | "commit">): Promise<void>;
}

/** What the looks and the removal work with. */
export interface LeftoverOptions {
  /** The folder of all workspaces. */
  folder: string;
  git: GitRunner;
  clones: Clones;
  records: SessionRecords;
  bin: Bin;
  mutex: KeyedMutex;
  clock: Clock;
  pathOf: (record: Pick<SessionRecord, "kind" | "folder">) => string;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
  /** @throws WorkspaceError for an address that is not taken */
  repositoryAt: (address: string, signal?: AbortSignal, own?: Consent) => Promise<Repository>;
  cleanup: (which: WorkspaceReference, how: CleanupHow) => Promise<CleanupResult>;
}
