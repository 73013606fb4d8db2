/**
 * The engine's own picture of what it runs. Times are epoch milliseconds, durations seconds, money US dollars. Wire
 * names appear only in `src/engine/http/`.
 */

/** Reasons of failed runs about which a person can do something. */
export type FailureCode =
  | "context_full"
  | "transcript_gone"
  | "no_credit"
  | "not_logged_in"
  | "usage_limit"
  | "overloaded"
  | "model_missing"
  | "cost_limit";

export type RunStatus = "pending" | "running" | "completed" | "failed" | "killed";

/** What a run was asked for. */
export interface RunRequest {
  workflowName: string;
  message: string;
  /** The conversation to continue. */
  sessionId?: string;
  sessionName?: string;
  repositoryUrl?: string;
  gitBranch?: string;
  userId?: string;
  maxTurns?: number;
  timeoutS: number;
  /** Keep the workspace when the run has ended. */
  persistent: boolean;
  /** Merge the work back into the branch it came from when the run succeeded and the merge is clean. */
  autoMerge: boolean;
  /** An empty folder that is removed when the run has ended. */
  tempWorkspace: boolean;
}

/** A message for the agent of a run that is going on. */
export interface QueuedMessage {
  id: string;
  type: "user" | "system";
  content: string;
  addedAt: number;
  /** When it was written to the agent. */
  writtenAt?: number;
  /** When the agent has taken it up. */
  consumedAt?: number;
}

/** Something that the agent wants to know before it goes on. */
export interface RunQuestion {
  questionId: string;
  /** `permission`: may it use a tool in this way? `question`: the agent's own question to the person. */
  kind: "permission" | "question";
  askedAt: number;
  /** One line for the person: "implement wants to run `npm publish`", "Which database should I use?". */
  text: string;
  /** For permissions: the tool and what it would do. */
  toolName?: string;
  detail?: string;
  /** The detail is too long to be shown in full: nothing is offered that would allow it. */
  cut?: true;
  /**
   * For questions: the choices; an own text is always allowed. For permissions what may be answered: deny, allow_once,
   * allow_run, and allow_repository where it can be remembered for the repository.
   */
  choices: { value: string; title: string; description?: string }[];
  multiSelect: boolean;
  answeredAt?: number;
  answer?: string;
  /** `person`, or `timeout` when nobody answered in time, or `ended` when the run ended before. */
  answeredBy?: "person" | "timeout" | "ended";
}

/** One run as it stands; what a restart of the engine must know is in here. */
export interface EngineRun {
  runId: string;
  request: RunRequest;
  status: RunStatus;
  /** Chosen before the agent starts, so it is real and resumable from the first moment. */
  sessionId: string;
  sessionName: string;
  createdAt: number;
  startedAt?: number;
  endedAt?: number;
  turn: number;
  currentAction?: string;
  /** An agent has reported that it is there, so the conversation may exist although no turn was taken. */
  conversationBegun?: boolean;
  /** When the agent was last heard of. */
  lastActivityAt?: number;
  toolsUsed: string[];
  tokens: { input: number; output: number };
  costUsd: number;
  phasesCompleted: string[];
  result?: string;
  error?: string;
  /** Why it has failed, where something can be done about it. */
  errorCode?: FailureCode;
  workspacePath?: string;
  workspaceRemoved: boolean;
  filesChanged: string[];
  commits: string[];
  queue: { added: number; consumed: number; waiting: QueuedMessage[] };
  questions: RunQuestion[];
  /** The agent's process, to find it again after a restart: pid, and the start time that tells it from a later one. */
  agentProcess?: { pid: number; startedAt: string };
  killedAt?: number;
  /** It has failed before there was an agent: nothing has run, and nothing has cost anything. */
  neverStarted?: true;
}

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
  model?: string;
  /** The only MCP servers that its agents get, by name; none when left out. */
  mcpServers?: Record<string, McpServer>;
  capabilities: string[];
  /** Came with the engine: not to be overwritten or deleted. */
  shipped: boolean;
}

/** Which runs to list; newest first unless told otherwise. */
export interface RunQuery {
  status?: RunStatus;
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

/** A request that the engine will not carry out; nothing was done. The text is fit to be shown. */
export class EngineRefusal extends Error {
  override name = "EngineRefusal";
  /** The HTTP status that fits it. */
  readonly status: 400 | 404 | 409 | 422 | 503;

  constructor(status: EngineRefusal["status"], message: string) {
    super(message);
    this.status = status;
  }
}

/** The engine behind the API, without HTTP. Methods throw {@link EngineRefusal} for what is not to be done. */
export interface Engine {
  /** Finds out what became of the runs that were going on when the engine last stopped, and goes on with the rest. */
  open(): Promise<void>;
  start(request: RunRequest): Promise<EngineRun>;
  get(runId: string): EngineRun;
  list(query: RunQuery): EngineRun[];
  addMessage(runId: string, type: "user" | "system", content: string): Promise<QueueStats>;
  queue(runId: string): QueueStats;
  kill(runId: string, force: boolean): Promise<EngineRun>;
  cleanup(runId: string, force: boolean): Promise<CleanupResult>;
  /** Answers an open question: a decision for permissions, a choice or an own text for questions. */
  answer(runId: string, questionId: string, answer: string): Promise<RunQuestion>;
  /** Runs that are waiting or going on. */
  activeRuns(): number;
  /** Ends the agents in an orderly way: their runs are `failed` with the reason, and can be continued. */
  close(): Promise<void>;
}
