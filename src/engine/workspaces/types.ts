import type { Consent } from "./consent.js";
import type { MovedWork, PackedWork, SetAside } from "./moving-types.js";

/** What a run asks for. */
export interface WorkspaceRequest {
  /** The session's id: the same session works in the same folder. */
  sessionKey: string;
  /** For the name of the session's own branch, when it gets one. */
  sessionName?: string;
  runId: string;
  /** https or ssh, or a local path (absolute or `file://`) inside an allowed folder. */
  repositoryUrl?: string;
  gitBranch?: string;
  /** The branch at which a new session's own branch begins, in place of the default one. */
  startFrom?: string;
  /** A local repository that the person has allowed for this session. */
  consent?: Consent;
  /** A new session takes what is not committed in the person's checkout along, as its first commit. */
  uncommitted?: boolean;
  /** The session has worked on another machine so far: it goes on with what it has committed there. */
  moved?: MovedWork;
  /** An empty folder of this run alone, removed when the run has ended. */
  tempWorkspace: boolean;
}

/** Where a run's agent works. */
export interface Workspace {
  path: string;
  kind: "repository" | "folder" | "temporary";
  sessionKey: string;
  runId: string;
  repositoryUrl?: string;
  /** The branch that was prepared; the agent may have moved on to another one. */
  branch?: string;
  /** Where `merge` brings the work: the branch that the session's branch was made from, or the branch itself. */
  baseBranch?: string;
  /** The commit the run began at; missing in a repository without commits. */
  startCommit?: string;
  /** Submodules of the repository that are not checked out: their folders are empty. */
  emptySubmodules?: string[];
  /** The session's first commit, where that is what the person had not committed. */
  ownCommit?: string;
  /** Git runs hooks in it that are files of the repository. */
  ownHooks?: boolean;
  /** What the person should be told: the remote could not be reached, a branch has diverged. */
  notices: string[];
  /** For the agent's environment: a neutral name for its commits when the user's git has none. */
  env: Record<string, string>;
}

/** What a session's branch has beyond its base, and where a person finds it. */
export interface Work {
  /** The branch that has the commits, as it is called where they are. */
  readonly branch: string;
  readonly baseBranch?: string;
  /** Where the two parted; missing when the base has no commits. */
  readonly baseCommit?: string;
  /** Missing when there are no commits. */
  readonly headCommit?: string;
  /** Newest first, at most 50. */
  readonly commits: readonly { readonly id: string; readonly title: string }[];
  readonly commitCount: number;
  readonly files: number;
  readonly insertions: number;
  readonly deletions: number;
  /** `repository`: the person's own on this machine; `engine`: nowhere but in the engine's clone. */
  readonly deliveredTo: "repository" | "remote" | "engine";
  /** The folder or address of that. */
  readonly where: string;
  /** The branch of the same place that has all of it, where it was merged. */
  readonly mergedInto?: string;
  /** Why it is not where it was meant to be, and the one command that helps; sentences. */
  readonly problem?: string;
  /** The worktree has changes that are in no commit. */
  readonly uncommitted?: boolean;
  /** The commit with what the person had not committed when the session began; its counts are part of the whole. */
  readonly own?: {
    readonly commit: string;
    readonly files: number;
    readonly insertions: number;
    readonly deletions: number;
  };
}

/** What a run's end has brought to the person. */
export interface Settled {
  /** Missing when the session has nothing that its base has not. */
  work?: Work;
  /** What has come of a merge, where one was asked for; a sentence or two. */
  note?: string;
}

/** Names a run and its session. */
export interface SessionReference {
  runId: string;
  sessionKey: string;
}

/** Names a run's workspace: the workspace, the run's id, or what is known of it. */
export type WorkspaceReference =
  | string
  | {
      runId: string;
      sessionKey?: string;
      temporary?: boolean /** The folder that a moved session has left. */;
      aside?: string;
    };

/** What is not committed where the person has a repository checked out. */
export interface ChangesThere {
  /** What is checked out; missing where that is no branch. */
  branch?: string;
  /** A session on the branch that was asked about would begin at what is checked out. */
  isBase: boolean;
  /** Files that can be taken along; relative. */
  files: readonly string[];
  /** What is never taken along: submodules, files that pass a filter … */
  leftOut: readonly string[];
  /** Why they cannot be taken along, and what helps; a clause. */
  problem?: string;
}

export interface Workspaces {
  /**
   * The folder for a run. A continued session goes on in its folder as it was left, uncommitted work included.
   * @param signal ends a clone or fetch that is under way; nothing half-made stays
   * @throws WorkspaceError worded for a person
   */
  prepare(request: WorkspaceRequest, signal?: AbortSignal): Promise<Workspace>;
  /**
   * What a person has to agree to for a local repository, and whether it is allowed already.
   * @param own what they have agreed to for the session
   * @throws WorkspaceError when there is no repository, or git does not use it
   */
  checkRepository(address: string, own?: Consent): Promise<Consent & { allowed: boolean }>;
  /**
   * Looks at what is not committed in a local repository, allowed or not; nothing of it is changed.
   * @param gitBranch the branch that a session would be asked to work on, if any
   * @returns undefined where no files are checked out, and when git does not tell within 5 s
   * @throws WorkspaceError when there is no repository, or git can't tell
   */
  findChanges(address: string, gitBranch?: string): Promise<ChangesThere | undefined>;
  /** The workspace of a run that was prepared before, also by an engine that has ended since. */
  find(runId: string): Promise<Workspace | undefined>;
  /**
   * What has changed since the run began: files (relative, sorted, at most 1000) and commits ("short-sha subject",
   * oldest first, at most 200). What was uncommitted before and has not been touched is not counted. Empty when the
   * workspace is gone.
   * @param signal ends git; its reason, a text, is told
   * @throws WorkspaceError when git cannot tell, or was stopped
   */
  inspect(
    workspace: Workspace,
    signal?: AbortSignal,
  ): Promise<{ filesChanged: string[]; commits: string[]; uncommitted: boolean }>;
  /**
   * Brings the session's commits to where the person looks, on its branch, and with `merge` into its base branch.
   * Only forward; what is not brought there is told with the reason. Never throws.
   * @param options.publishes a pull request is opened for it afterwards: until then it is pushed nowhere
   * @param options.signal ends git; its reason, a text, is told
   */
  settle(
    workspace: Pick<Workspace, "runId">,
    options: { merge: boolean; publishes?: boolean; signal?: AbortSignal },
  ): Promise<Settled>;
  /**
   * Removes the session's folder. Committed work stays in the bare clone, on its branch. What would be lost
   * (uncommitted changes, git-ignored files that no tool makes anew, commits on no branch, submodules with content,
   * files in a folder without repository) is only removed with `force`; a temporary folder always goes. Never throws.
   * When the signal fires, git ends, and what could not be looked at is kept.
   */
  cleanup(
    which: WorkspaceReference,
    options: { force: boolean; signal?: AbortSignal },
  ): Promise<{
    removed: { workspace: boolean; worktree: boolean; tempFiles: boolean };
    /** What was kept, and why or where. */
    kept?: string;
    /** What force has removed that is nowhere else, counted and named. */
    lost?: string;
    errors: string[];
  }>;
}

/** What lets a session go on with another engine than its own. */
export interface MovableWorkspaces {
  /**
   * Packs what the session of a run has committed, and hands it over; the bundle's file is gone afterwards.
   * @param options.pushedAs the branch of a remote that has just been seen to have all of it
   * @param options.known of this commit there is a bundle already
   * @param use gets undefined for a session without a repository; `file` where a bundle was made
   * @throws WorkspaceError, and what `use` throws
   */
  pack<T>(
    runId: string,
    options: { limitBytes: number; pushedAs?: string; known?: string | undefined; signal?: AbortSignal },
    use: (packed: { work: PackedWork; file?: string } | undefined) => Promise<T>,
  ): Promise<T>;
  /**
   * Makes what a session that goes on elsewhere has left here nobody's; see `setAside`.
   * @returns undefined when there is nothing of it
   * @throws WorkspaceError
   */
  setAside(sessionKey: string): Promise<SetAside | undefined>;
}

/** Something about a workspace that a person can read and act on; the message is all there is to know. */
export class WorkspaceError extends Error {
  override name = "WorkspaceError";
}
