/**
 * The simulated world's own vocabulary. Request fields keep their wire names, because a start is handed through
 * as the caller wrote it; the state of a run is plain data in our own names. Times are epoch milliseconds.
 */

/**
 * Which server is played: `contract` keeps every promise the product is built for, `automagik-0.6` behaves like
 * the public server 0.6.19, defects included.
 */
export type Profile = "contract" | "automagik-0.6";

export interface Clock {
  now(): number;
}

/** How a run goes. Every field has a sensible default. */
export interface Script {
  /** One per turn: what the agent is doing, for example "Designing database schema". */
  actions?: string[];
  /** Milliseconds per turn; 0 means that the run is over when it is first looked at. */
  paceMs?: number;
  /** The run moves only through its handle. */
  manual?: boolean;
  outcome?: "completed" | "failed";
  result?: string;
  error?: string;
  /** Cost of the whole run in US dollars. */
  costUsd?: number;
  toolsUsed?: string[];
  filesChanged?: string[];
  /** Ids. Where sessions have branches, a run that is completed makes one commit unless told. */
  commits?: string[];
  /**
   * What it gives where its message asks for fields as a fenced JSON block; what is not told here is made up so that it
   * fits. `false`: it gives no block. Where `result` is told, that is all that it says, unless this is told as well.
   */
  output?: Record<string, unknown> | false;
  /** Why it has failed, in one word: `interrupted`, `context_full` … */
  errorCode?: string;
  /** Where sessions have branches: false when it gets none of its own, and works on the one it would begin at. */
  ownWorkspace?: boolean;
  /** How taking its work goes, where that is not well: files in conflict, what a check writes that does not pass. */
  take?: { conflicts?: string[]; checkFails?: string };
  /** The id of the agent's own conversation; random otherwise. A resumed run keeps the resumed id. */
  sessionId?: string;
}

/** What a script function is told about the run it is to describe. */
export interface StartInfo {
  runId: string;
  workflowName: string;
  body: StartBody;
  /** 1 for the world's first run. */
  ordinal: number;
}

export type ScriptSource = Script | ((start: StartInfo) => Script | undefined);

export interface WorkflowSeed {
  name: string;
  description: string;
  displayName?: string;
  category?: string;
  emoji?: string;
  icon?: string;
  mainColour?: string;
  capabilities?: string[];
  maxTurns?: number;
  suggestedTurns?: number;
}

export interface WorldOptions {
  /** Default `contract`. */
  profile?: Profile;
  /** The one key the API accepts, default `test-key`. */
  apiKey?: string;
  /** Default: the profile's own workflows. */
  workflows?: WorkflowSeed[];
  /** Default: the real clock. */
  clock?: Clock;
  /** Milliseconds per turn where the script does not say, default 1000; `manual` leaves runs to their handles. */
  paceMs?: number | "manual";
  /** Default: six ordinary actions, cut to the run's turn limit, ending well. */
  script?: ScriptSource;
  /**
   * Sessions have branches with commits, which begin at others (`start_from`) and are looked at and merged (`/diff`,
   * `/take`), and a run can get a limit of its cost (`cost_limit_usd`): what plans need beyond the public server. For
   * the contract only. Default false.
   */
  branches?: boolean;
}

/** The body of a start request, in the API's own field names. */
export interface StartBody {
  message: string;
  max_turns?: number | null;
  session_id?: string | null;
  session_name?: string | null;
  user_id?: string | null;
  git_branch?: string | null;
  repository_url?: string | null;
  /** Seconds. */
  timeout?: number;
  input_format?: string | null;
  /** Where sessions have branches: the branch at which that of a new session begins. */
  start_from?: string | null;
  /** Likewise: what the run may cost. */
  cost_limit_usd?: number | null;
}

export interface Commit {
  id: string;
  title: string;
}

/** What a session's branch has beyond its base. */
export interface WorkState {
  branch: string;
  baseBranch: string;
  headCommit: string;
  /** Newest first. */
  commits: Commit[];
  mergedInto: string | null;
}

/** The body of a take, in the API's own field names. */
export interface TakeRequest {
  into?: string;
  new_branch?: boolean;
  squash?: boolean;
  check?: string;
}

export interface TakeReport {
  taken: boolean;
  into: string;
  /** Where the branch stands; null when nothing was merged. */
  commit: string | null;
  message: string;
  conflicts: string[];
  hadAll: boolean;
  check: { command: string; passed: boolean; output: string } | null;
}

export interface StartQuery {
  persistent?: boolean;
  auto_merge?: boolean;
  temp_workspace?: boolean;
}

export interface QueuedMessage {
  type: "user" | "system";
  content: string;
  at: number;
}

export interface QueueState {
  waiting: QueuedMessage[];
  added: number;
  consumed: number;
}

export interface RunState {
  runId: string;
  /** The database's own id of the row, shown only in debug answers. */
  rowId: string;
  workflowName: string;
  message: string;
  body: StartBody;
  /** As the API shows it. */
  status: string;
  /**
   * What the agent really does, whatever the status says: `hung` never moves, `gone` was lost in a restart.
   */
  agent: "working" | "hung" | "gone" | "ended";
  /** The agent came to its own end without an error; results count only from then on. */
  finished: boolean;
  /** The agent's real conversation. */
  sessionId: string;
  sessionName: string;
  userId: string;
  repositoryUrl: string | null;
  gitBranch: string | null;
  maxTurns: number | null;
  turn: number;
  action: string | null;
  actionsDone: string[];
  startedAt: number;
  lastActivityAt: number | null;
  completedAt: number | null;
  /** When the agent ended by itself, which a kill on the public server does not prevent. */
  finishedAt: number | null;
  costUsd: number;
  tokens: { input: number; output: number };
  toolsUsed: string[];
  result: string | null;
  error: string | null;
  filesChanged: string[];
  commits: string[];
  errorCode: string | null;
  /** What its session's branch has by now; undefined where sessions have no branches. */
  work: WorkState | null | undefined;
  /** It works on a branch of its session's own; undefined likewise. */
  ownWorkspace: boolean | undefined;
  /** Texts of the messages the agent has taken up. */
  takenUp: string[];
  queue: QueueState | null;
  workspacePath: string | null;
  workspacePersistent: boolean;
  workspaceExists: boolean;
  cleanedUp: boolean;
  /** Counts what the agent has written, so that a kill's or cleanup's note is known to be overwritten. */
  writes: number;
  kill: { at: number; force: boolean; afterWrite: number } | null;
  cleanup: { at: number; removed: boolean; afterWrite: number } | null;
}

/** How a test ends a run by hand; what is absent comes from the run's script. */
export type Ending = Pick<Script, "result" | "output" | "costUsd" | "toolsUsed" | "filesChanged" | "commits">;

/** A test's hand on one run. Moving a run whose agent no longer works throws: that is a mistake in the test. */
export interface RunHandle {
  readonly state: RunState;
  /** One more turn; beyond the run's turn limit it ends the run as the limit would. */
  turn(action?: string): RunState;
  complete(ending?: Ending): RunState;
  fail(error?: string, errorCode?: string): RunState;
  /** Makes the API show this status, known or not, until the run ends or is killed. */
  setStatus(status: string): RunState;
}

export interface ListQuery {
  page: number;
  page_size: number;
  status?: string;
  workflow_name?: string;
  user_id?: string;
  sort_by: string;
  sort_order: string;
}

export interface RunPage {
  runs: RunState[];
  total: number;
  page: number;
  pageSize: number;
  hasNext: boolean;
}

export interface World {
  readonly profile: Profile;
  readonly apiKey: string;
  readonly clock: Clock;
  /** Whether sessions have branches. */
  readonly hasBranches: boolean;
  readonly workflows: {
    list(): WorkflowSeed[];
    add(seed: WorkflowSeed): void;
    /** True when there was one. */
    remove(name: string): boolean;
    set(seeds: WorkflowSeed[]): void;
  };
  /**
   * Starts a run, as POST /run/{workflow} does. On the public server a refusal can come back as a state with the
   * status `failed` that is not kept anywhere.
   */
  start(workflow: string, body: StartBody, query?: StartQuery): RunState;
  get(runId: string): RunState;
  list(query?: Partial<ListQuery>): RunPage;
  addMessage(runId: string, type: string, content: string): QueueState;
  queue(runId: string): QueueState;
  kill(runId: string, force?: boolean): RunState;
  cleanup(runId: string, force?: boolean): RunState;
  /** Merges what the run's session has committed. */
  take(runId: string, request: TakeRequest): TakeReport;
  /** Puts a commit on the branch of the run's session, as a person may. */
  commit(runId: string, title: string): WorkState;
  /** How coming runs go. */
  script(next: ScriptSource): void;
  /** Refuses every start for this reason from now on, stating that nothing was started; undefined ends that. */
  refuseStarts(reason: string | undefined): void;
  run(runId: string): RunHandle;
  /** Every run kept, oldest first. */
  runs(): RunState[];
  /**
   * The server restarts: message queues are forgotten. Runs in flight stay `running` for ever on the public
   * server and fail under the contract.
   */
  restart(): void;
}
