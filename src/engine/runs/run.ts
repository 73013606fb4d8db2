/**
 * A run as the engine sees it. Times are epoch milliseconds, durations seconds, money US dollars. Wire names appear
 * only in `src/engine/http/`. A run is never changed: `apply` (apply.ts) makes the next one from an event.
 */

import type { LinkedIssue } from "../../shared/linked-issue.js";
import type { Whose } from "../../shared/whose.js";
import type { AgentName } from "../agent/agent-name.js";
import type { Consent } from "../workspaces/consent.js";
import type { Work } from "../workspaces/types.js";

/** Reasons of failed runs about which a person can do something. */
export type FailureCode =
  | "context_full"
  | "transcript_gone"
  | "no_credit"
  | "not_logged_in"
  | "usage_limit"
  | "overloaded"
  | "model_missing"
  | "cost_limit"
  | "turn_limit"
  /** The model has refused to answer. */
  | "model_refused"
  /** The agent has ended its turn, and what its workflow names for success is not there. */
  | "not_shown"
  | "day_cost_limit"
  /** The interrupted run with which it was to go on had come to its end. */
  | "already_ended";

/**
 * `waiting`: the agent waits for a person's answer. `interrupted`: the engine or the machine went away while the run
 * was going on; its session can be continued.
 */
export type RunStatus = "pending" | "running" | "waiting" | "completed" | "failed" | "killed" | "interrupted";

/** How a run can end. */
export type FinalStatus = Exclude<RunStatus, "pending" | "running" | "waiting">;

/** What a run was asked for. */
export interface RunRequest {
  readonly workflowName: string;
  readonly message: string;
  /** The conversation to continue. */
  readonly sessionId?: string;
  readonly sessionName?: string;
  readonly repositoryUrl?: string;
  readonly gitBranch?: string;
  /** The branch at which the own branch of a new session begins. */
  readonly startFrom?: string;
  /** A local repository that the person has allowed for this session. */
  readonly consent?: Consent;
  /** A new session begins with what is not committed in the person's checkout. */
  readonly uncommitted?: boolean;
  /** On whose behalf it is started: runs with the same id are one caller's. */
  readonly userId?: string;
  /** What people call them. */
  readonly userName?: string;
  /** The issue that it is about, which is kept up to date. */
  readonly issue?: LinkedIssue;
  readonly maxTurns?: number;
  /** What it may cost, where that is less than the engine's own limit. */
  readonly costLimitUsd?: number;
  /** What the agent has to give at its end: a JSON Schema of an object. */
  readonly outputSchema?: Readonly<Record<string, unknown>>;
  /** The kind of agent: as it was asked for, or as its workflow has it; the usual one when left out. */
  readonly agent?: AgentName;
  /** The model to use in place of the workflow's. */
  readonly model?: string;
  readonly timeoutS: number;
  /** Keep the workspace when the run has ended. */
  readonly persistent: boolean;
  /** Merge the work back into the branch it came from when the run succeeded and the merge is clean. */
  readonly autoMerge: boolean;
  /** An empty folder that is removed when the run has ended. */
  readonly tempWorkspace: boolean;
  /** When the run succeeded, its session's branch is pushed and a pull request opened for it; the person has agreed. */
  readonly pullRequest?: true;
  /** It was started to do something about what was found at the pull request of its session, at this commit. */
  readonly pullRequestRound?: string;
}

/** What a pull request is to say, in place of what the run tells by itself. */
export interface AskedPullRequest {
  readonly title?: string;
  readonly body?: string;
  /** Of the comment that is kept up to date. */
  readonly comment?: string;
  /** A branch of the repository in place of the session's own. */
  readonly branch?: string;
}

/** The pull request of a session's branch, as far as it is known. */
export interface RunPullRequest {
  /**
   * `pending`: it is being opened; `pushed`: the branch is there, and whether a request was opened is not known; `failed`:
   * it will not be opened by itself.
   */
  readonly state: "pending" | "open" | "pushed" | "failed";
  readonly url?: string;
  readonly number?: number;
  /** `owner/name` at GitHub. */
  readonly repository?: string;
  /** The branch as it is called at the remote, and into which it is to be merged. */
  readonly branch?: string;
  readonly base?: string;
  /** It is of another branch than the session's own: what the session commits does not get there. */
  readonly ofOtherBranch?: true;
  /** What was pushed. */
  readonly commit?: string;
  readonly isDraft?: boolean;
  /** The comment that is kept up to date. */
  readonly commentId?: number;
  /** Why it is not open (yet), or what is otherwise than asked for; sentences. */
  readonly problem?: string;
}

/** A message for the agent of a run that is going on. */
export interface QueuedMessage {
  readonly id: string;
  readonly type: "user" | "system";
  readonly content: string;
  readonly addedAt: number;
}

/** Something that the agent wants to know before it goes on. */
export interface RunQuestion {
  readonly questionId: string;
  /** `permission`: may it use a tool in this way? `question`: the agent's own question to the person. */
  readonly kind: "permission" | "question";
  readonly askedAt: number;
  /** One line for the person: "implement wants to run `npm publish`", "Which database should I use?". */
  readonly text: string;
  /** For permissions: the tool and what it would do. */
  readonly toolName?: string;
  readonly detail?: string;
  /** The detail is too long to be shown in full: nothing is offered that would allow it. */
  readonly cut?: true;
  /**
   * For questions: the choices; an own text is always allowed. For permissions what may be answered: deny, allow_once,
   * allow_run, and allow_repository where it can be remembered for the repository.
   */
  readonly choices: readonly {
    readonly value: string;
    readonly title: string;
    readonly description?: string;
  }[];
  readonly multiSelect: boolean;
  readonly answeredAt?: number;
  readonly answer?: string;
  /** `person`, or `timeout` when nobody answered in time, or `ended` when the run ended before. */
  readonly answeredBy?: "person" | "timeout" | "ended";
  /** Which person, and where they were asked, as far as whoever has passed the answer on has told it. */
  readonly whose?: Whose;
}

/** The agent's process, to find it again after a restart: pid, and the start time that tells it from a later one. */
export interface AgentProcessId {
  readonly pid: number;
  readonly startedAt: string;
}

/** Money that was spent by a moment: epoch ms and USD. */
export interface Spent {
  readonly at: number;
  readonly usd: number;
}

/** One run as it stands: a frozen snapshot, so a reader that keeps it sees what it read. */
export interface EngineRun {
  readonly runId: string;
  readonly request: RunRequest;
  readonly status: RunStatus;
  /** Chosen before the agent starts, so it is real and resumable from the first moment. */
  readonly sessionId: string;
  readonly sessionName: string;
  readonly createdAt: number;
  readonly startedAt?: number;
  /** The engine that carries it out, and has its workspace; only where several share a database. */
  readonly worker?: string;
  readonly endedAt?: number;
  readonly turn: number;
  /** How many turns successful runs of the workflow took until this one began: the median. */
  readonly expectedTurns?: number;
  readonly currentAction?: string;
  /** The model, as the agent calls it. */
  readonly model?: string;
  /** An agent has reported that it is there, so the conversation may exist although no turn was taken. */
  readonly conversationBegun?: true;
  /** The agent's own id of the conversation, where that is not the session's. */
  readonly conversationId?: string;
  /** When the agent was last heard of. */
  readonly lastActivityAt?: number;
  /** By name, in the order of their first use; a bounded number. */
  readonly toolsUsed: readonly string[];
  readonly tokens: { readonly input: number; readonly output: number };
  /** As far as the agent has told it. */
  readonly costUsd: number;
  /** By when that was told, oldest first; absent in runs of earlier versions. */
  readonly costs?: readonly Spent[];
  /** The agent has worked since it last told what it has cost. */
  readonly costOpen?: true;
  /** What it may cost, as it was decided when it began; absent where there is no limit. */
  readonly costLimitUsd?: number;
  /** What the agent has ticked off its own list; a bounded number. */
  readonly phasesCompleted: readonly string[];
  readonly result?: string;
  readonly error?: string;
  /** Why it has failed, where something can be done about it. */
  readonly errorCode?: FailureCode;
  readonly workspacePath?: string;
  /** No other session works there; absent before it is known, and in runs of earlier versions. */
  readonly ownWorkspace?: boolean;
  readonly workspaceRemoved: boolean;
  readonly filesChanged: readonly string[];
  readonly commits: readonly string[];
  /** What the session's branch has beyond its base, and where it is; from the run's end on. */
  readonly work?: Work;
  /** The pull request for its session's branch. */
  readonly pullRequest?: RunPullRequest;
  /** Its work was thrown away. */
  readonly workGone?: true;
  readonly queue: {
    readonly added: number;
    readonly consumed: number;
    /** Oldest first. */
    readonly waiting: readonly QueuedMessage[];
  };
  /** Messages are refused: the agent reads no more, or the run is being ended. */
  readonly inputClosed?: true;
  readonly questions: readonly RunQuestion[];
  readonly agentProcess?: AgentProcessId;
  /** It has waited for a person and given up its slot; its agent gets an answer when it has one again. */
  readonly slotGivenUp?: true;
  /** A person wants it ended; it ends as `killed`, however it comes to its end. */
  readonly killAskedAt?: number;
  readonly killedAt?: number;
  /** Its worker was taken for gone: what there is of it, its agent perhaps, is there. */
  readonly leftBehind?: true;
  /** To which end it had come by itself before; of a plan's run, with which none is to go on then. */
  readonly hadEnded?: FinalStatus;
  /** It was interrupted, and is to be resumed once by itself. */
  readonly toResume?: true;
  /** The run that goes on with what this one was interrupted in. */
  readonly resumedBy?: string;
  /** The interrupted run with whose task this one goes on, without anybody having asked. */
  readonly resumes?: string;
  /** It has failed before there was an agent: nothing has run, and nothing has cost anything. */
  readonly neverStarted?: true;
}

/** True when the run does no more work. */
export function hasEnded({ status }: Pick<EngineRun, "status">): boolean {
  return status !== "pending" && status !== "running" && status !== "waiting";
}

/** True when it has begun and not ended, here or at another worker. */
export function goesOn(run: Pick<EngineRun, "status">): boolean {
  return run.status !== "pending" && !hasEnded(run);
}

/** True when all that the run waits for is a slot: it has not begun, or it was answered after it gave its slot up. */
export function waitsForSlot(run: Pick<EngineRun, "status" | "slotGivenUp">): boolean {
  return run.status === "pending" || (run.status === "running" && run.slotGivenUp === true);
}

/** True for a run that holds a slot. */
export function isAtWork(run: Pick<EngineRun, "status" | "slotGivenUp">): boolean {
  return (run.status === "running" || run.status === "waiting") && run.slotGivenUp !== true;
}

/** Questions that nobody has answered yet: what a `waiting` run waits for. One that has ended waits for nothing. */
export function openQuestions(run: Pick<EngineRun, "status" | "questions">): RunQuestion[] {
  return hasEnded(run) ? [] : run.questions.filter((question) => question.answeredAt === undefined);
}
