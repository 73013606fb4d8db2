/**
 * What becomes of the work of sessions: looked at, taken, thrown away, cleaned up, and what is left of it on a disk. Times
 * are epoch milliseconds, durations seconds.
 */

/** What a session's commits change. */
export interface WorkDiff {
  text: string;
  /** There is more than was asked for. */
  cut: boolean;
  branch?: string;
  baseBranch?: string;
}

/** Where a session's branch stands. */
export interface WorkHead {
  branch?: string;
  headCommit?: string;
}

export interface TakeReport {
  taken: boolean;
  into?: string;
  commit?: string;
  message?: string;
  /** Files that both have changed. */
  conflicts: string[];
  /** Nothing was to be done: the branch had all of it already, and stands at `commit`. */
  hadAll?: true;
  /** The check that was asked for, where it came to that. */
  check?: {
    command: string;
    passed: boolean;
    /** Absent when it did not end by itself. */
    exitCode?: number;
    timedOut: boolean;
    seconds?: number;
    /** The last lines that it wrote; text of strangers. */
    output: string;
    cut: boolean;
  };
}

/** How a session's commits are taken. */
export interface TakeRequest {
  /** A branch of the repository, the base branch unless told. */
  into?: string;
  /** The branch is made when it is not there; only for APIs that say that they take it. */
  newBranch?: true;
  squash?: boolean;
  /** A command that has to pass on the merge before anything is merged. */
  check?: string;
  /** A shorter time for it than the engine's own, in seconds, whole. */
  checkTimeoutS?: number;
}

export interface DiscardReport {
  removed: string[];
  /** Commits that were on no other branch. */
  lost: string[];
  /** What was kept, and why. */
  kept: string[];
  errors: string[];
}

export interface CleanupReport {
  runId: string;
  success: boolean;
  removed: string[];
  workspacePath?: string;
  errors: string[];
  /** What was kept and where, and what is gone for good. The public server says none of it. */
  note?: string;
  message?: string;
}

/** Something that sessions have left on the disk of the engine's machine, and what would be lost with it. */
export interface Leftover {
  id: string;
  /** `branches`: those of a clone with no commits of their own; `branch`: one with some. */
  kind: "session" | "folder" | "clone" | "branches" | "branch";
  name: string;
  path: string;
  repository?: string;
  bytes: number;
  /** False: it takes at least so much. */
  isWhole: boolean;
  /** Epoch ms. */
  usedAt?: number;
  /** A run of the session is going on or waiting. */
  inUse: boolean;
  /** The branch of the repository that has all of its commits. */
  heldBy?: string;
  /** That branch is the session's own, and is not merged. */
  isDelivered: boolean;
  /** The session has committed nothing. */
  isUntouched: boolean;
  commitsOnlyHere: number;
  /** Those, as text; of `branches` their names. */
  commits: string[];
  /** Files that are in no commit. */
  files: number;
  /** What is in no commit, in words behind "it has". */
  losses: string[];
  /** Why it is not known what it holds. */
  problem?: string;
  /** Nothing would be lost with it. */
  safe: boolean;
  /** Changes with what it holds: what has changed since the look is not removed. */
  mark: string;
}

export interface Leftovers {
  items: Leftover[];
  /** Branches that sessions have left in the person's repositories, and all of whose commits `into` has. */
  mergedBranches: { clone: string; repository: string; branch: string; commit: string; into: string }[];
  /** Of everything, what sessions at work have included. */
  bytes: number;
  isWhole: boolean;
}

export interface LeftoverRemoval {
  kept?: string;
  lost?: string;
  errors: string[];
}

/** How the pull request of a session stands. Texts are strangers'. */
export interface PullRequestSight {
  url?: string;
  number?: number;
  /** `open`, `merged` or `closed`. */
  state?: string;
  isDraft: boolean;
  headCommit?: string;
  /** Whether its branch is the session's own: what the session commits gets there. */
  isOwnBranch: boolean;
  /** `none`, `running`, `passed` or `failed`. */
  checks?: string;
  /** Checks that still go on. */
  running: number;
  failed: { name: string; conclusion: string; url?: string; output?: string }[];
  /** Unresolved threads, and reviews that ask for changes. */
  reviews: { path?: string; line?: number; comments: { author: string; at?: string; text: string }[] }[];
  /** What could not be read. */
  notes: string[];
}

/** What a pull request is to say. */
export interface AskedPullRequest {
  title?: string;
  body?: string;
  /** The one comment that is kept up to date. */
  comment?: string;
  /** A branch of the session's repository in place of the session's own. */
  branch?: string;
}
