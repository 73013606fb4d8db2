import type { Checks } from "../integrations/github/read-checks.js";
import type { Reviews } from "../integrations/github/read-reviews.js";
import type { Whose } from "../shared/whose.js";
import type { AgentName } from "./agent/agent-name.js";
import type { AskedPullRequest, EngineRun, RunQuestion, RunRequest, RunStatus } from "./runs/run.js";
import type { SlotWait } from "./work/slot-wait.js";
import type { LeftoverStore } from "./workspaces/workspaces.js";

/** An MCP server that a workflow gives to its agents, in the agent's own notation. */
export type McpServer =
  | { command: string; args?: string[] | undefined; env?: Record<string, string> | undefined }
  | { type: "http" | "sse"; url: string; headers?: Record<string, string> | undefined };

/** A workflow as its folder describes it. */
export interface EngineWorkflow {
  name: string;
  displayName: string;
  description: string;
  category: string;
  emoji: string;
  suggestedTurns: number;
  maxTurns?: number;
  /** What goes before the agent beside its own instructions: the text of prompt.md. */
  prompt: string;
  /** Tools it may use without asking, in the agent's own notation: "Read", "Bash(npm test:*)". */
  allowedTools: string[];
  disallowedTools: string[];
  permissionMode: "default" | "acceptEdits" | "plan" | "bypassPermissions";
  /** The kind of agent that carries it out, unless a start names another one; the usual one when left out. */
  agent?: AgentName;
  /** What its runs use unless they say otherwise. Default: that of the person's own settings of the agent. */
  model?: string;
  /** What a run may be told to use; the agent's own short names when left out. */
  models?: string[];
  /**
   * What has to be there for a run to count as completed, where its agent does not tell that itself: a final message, or
   * a commit as well (or the words that there was nothing to do). A final message when left out.
   */
  success?: "report" | "commit";
  /** The only MCP servers that its agents get, by name; none when left out. */
  mcpServers?: Record<string, McpServer>;
  capabilities: string[];
  /** Came with the engine: not to be overwritten or deleted. */
  shipped: boolean;
}

/** Which runs to list; newest first unless told otherwise. */
export interface RunQuery {
  statuses?: readonly RunStatus[];
  workflowName?: string;
  userId?: string;
}

/** The counters of a run's queue. */
export interface QueueStats {
  waiting: number;
  added: number;
  consumed: number;
  oldestAgeS?: number;
}

export interface CleanupResult {
  workspaceRemoved: boolean;
  worktreeRemoved: boolean;
  tempFilesRemoved: boolean;
  processEnded: boolean;
  workspacePath?: string;
  /** What was kept, and why or where. */
  kept?: string;
  /** What force has removed that is nowhere else. */
  lost?: string;
  errors: string[];
}

/** What a session's commits change. */
export interface RunDiff {
  text: string;
  /** There is more. */
  cut: boolean;
  branch: string;
  baseBranch: string;
}

/** What came of taking a session's commits. */
export interface TakeResult {
  taken: boolean;
  into: string;
  commit?: string;
  /** What happened, or why nothing was done; a sentence or two. */
  message: string;
  /** Files that both have changed. */
  conflicts: string[];
  /** Nothing was to be done: the branch has all of it, and stands at this commit. */
  hadAll?: string;
  /** The check that was asked for, where it came to that. */
  check?: {
    command: string;
    passed: boolean;
    /** Missing when it did not end by itself. */
    exitCode?: number;
    timedOut: boolean;
    ms: number;
    /** The last lines of its output; text of strangers. */
    output: string;
    cut: boolean;
  };
}

/** How the pull request of a session stands at GitHub. */
export interface PullRequestSight {
  url: string;
  number: number;
  state: "open" | "merged" | "closed";
  isDraft: boolean;
  /** Where its branch stands there. */
  headCommit: string;
  /** Whether that is the session's own: what it commits gets there. */
  isOwnBranch: boolean;
  checks: Checks;
  reviews: Reviews;
}

/** What is gone with a session's work. */
export interface DiscardResult {
  /** Worktree and branches, in words. */
  removed: string[];
  /** Commits that were on no other branch. */
  lost: string[];
  /** What was kept, and why; sentences. */
  kept: string[];
  errors: string[];
}

/** A request that the engine will not carry out; nothing was done. The text is fit to be shown. */
export class EngineRefusal extends Error {
  override name = "EngineRefusal";
  /** The HTTP status that fits it. */
  readonly status: 400 | 404 | 409 | 422 | 503;
  /** For programs, where they can do something about it. */
  readonly errorCode: "key_of_another_database" | "day_cost_limit" | undefined;
  /** Whether it was carried out all the same is not known, and the text says so. */
  readonly isUncertain: boolean;

  constructor(
    status: EngineRefusal["status"],
    message: string,
    errorCode?: EngineRefusal["errorCode"],
    isUncertain = false,
  ) {
    super(message);
    this.status = status;
    this.errorCode = errorCode;
    this.isUncertain = isUncertain;
  }
}

/** The engine's slots, each for a run that is at work. */
export interface EngineSlots {
  slots: number;
  busy: EngineRun[];
  /** They wait for a person, without a slot. */
  asking: EngineRun[];
  /** They wait for a slot, the next one first. */
  waiting: EngineRun[];
}

/** An engine that shares the runs with others, or the only one. */
export interface WorkerSight {
  /** "" of an only one. */
  id: string;
  /** Its machine, as a person calls it. */
  name: string;
  version: string;
  /** `draining`: it begins nothing more; `ended`: in an orderly way; `gone`: nothing was heard of it for too long. */
  state: "ready" | "draining" | "ended" | "gone";
  /** How many agents work there at once, and how many do. */
  places: number;
  busy: number;
  /** For so long nothing was heard of it, in ms. */
  silentMs: number;
  /** It is the one that was asked. */
  isOwn: boolean;
  /** What has begun there and not ended. */
  runs: readonly EngineRun[];
}

/** The engine behind the API, without HTTP. Methods throw {@link EngineRefusal} for what is not to be done. */
export interface Engine {
  /** Finds out what became of the runs that were going on when the engine last stopped, and goes on with the rest. */
  open(): Promise<void>;
  /**
   * Takes a run on, which begins when its place is free. Two requests with the same `key` (Idempotency-Key) are one:
   * the second is answered with the first one's run, also when both come at once or the engine was started anew
   * between them. The same key with another request is refused (422), and so is one that was made for another database
   * (409): that one may know a run with it.
   * @param within the only caller whose sessions are there to be continued
   */
  start(request: RunRequest, key?: string, within?: string): Promise<EngineRun>;
  /**
   * That little is left of what a day, or the day of the caller, may cost, as a sentence for the person; undefined while
   * there is enough.
   */
  costWarning(caller: Pick<RunRequest, "userId" | "userName">): string | undefined;
  /** That a run goes on with another agent than its session had so far, as a sentence; undefined where it does not. */
  agentNote(run: EngineRun): string | undefined;
  /**
   * Takes in what other engines have written where the run is not known here; only where several share a database.
   * @throws EngineRefusal (503) where that cannot be read
   */
  lookFor?(runId: string): Promise<void>;
  /** The newest snapshot of the run. */
  get(runId: string): EngineRun;
  list(query: RunQuery): EngineRun[];
  addMessage(runId: string, type: "user" | "system", content: string): Promise<QueueStats>;
  queue(runId: string): QueueStats;
  /** Begins what limits that were raised leave room for. */
  limitsChanged(): void;
  kill(runId: string, force: boolean): Promise<EngineRun>;
  cleanup(runId: string, force: boolean): Promise<CleanupResult>;
  /** What the session's commits change, at most so many bytes of it. */
  diff(runId: string, maxBytes: number): Promise<RunDiff>;
  /** Where the session's branch stands by now, whoever has committed to it. */
  head(runId: string): Promise<{ branch: string; commit: string }>;
  /**
   * Merges the session's commits into a branch of the repository. Not while a run of the session goes on.
   * @param asked.newBranch the branch is made when it is not there
   * @param asked.check a command that has to pass on the merge before anything is merged
   * @param asked.checkLimitMs a shorter time for it than the engine's own
   * @param asked.signal ends the check; nothing is merged then
   */
  take(
    runId: string,
    asked: {
      into?: string;
      newBranch?: boolean;
      squash?: boolean;
      check?: string;
      checkLimitMs?: number;
      signal?: AbortSignal;
    },
  ): Promise<TakeResult>;
  /**
   * Has a pull request opened for what the run's session has left, or another branch of its repository, or has it say
   * something else. It is opened in the background; the run tells what has become of it.
   * @throws EngineRefusal
   */
  openPullRequest(runId: string, asked: AskedPullRequest): Promise<EngineRun>;
  /**
   * Looks at GitHub how the pull request of the run's session stands: checks and what reviewers want.
   * @throws EngineRefusal
   */
  lookAtPullRequest(runId: string, signal?: AbortSignal): Promise<PullRequestSight>;
  /** Removes the session's worktree and the branches that it was given. Not while a run of the session goes on. */
  discard(runId: string): Promise<DiscardResult>;
  /** What sessions have left on the disk, and what would be lost with it. */
  leftovers(): ReturnType<LeftoverStore["leftovers"]>;
  /** Removes one of them. Not while a run of its session goes on. */
  removeLeftover: LeftoverStore["removeLeftover"];
  /** Takes a merged branch of a session out of the person's repository. */
  removeMergedBranch: LeftoverStore["removeMergedBranch"];
  /**
   * Answers an open question: a decision for permissions, a choice or an own text for questions.
   * @param whose who has answered, and where, as far as that is known
   */
  answer(runId: string, questionId: string, answer: string, whose?: Whose): Promise<RunQuestion>;
  /** Runs that are waiting or going on; of one of several, those that go on there: others may begin what waits. */
  activeRuns(): number;
  /** Who is at work and who waits. */
  slots(): EngineSlots;
  /** How a run waits for a slot; undefined for one that does not. */
  waitOf(run: EngineRun): SlotWait | undefined;
  /** Calls the listener with a run when it has changed how that waits for a slot. Gives back what ends it. */
  onWaitChange(listener: (run: EngineRun) => void): () => void;
  /**
   * From now on nothing more begins; starts are refused unless another worker would begin them. Resolves when nothing goes
   * on here any more.
   */
  drain(): Promise<void>;
  isDraining(): boolean;
  /**
   * The same as `close` for the runs that are at work, and the engine goes on.
   * @param why it was done, for the person
   * @param isAccident nobody wanted it: they may be resumed by themselves
   */
  interruptAll(why: string, isAccident?: boolean): Promise<void>;
  /** Ends the agents in an orderly way: their runs are `interrupted`, and can be continued. */
  close(): Promise<void>;
}
