import type { Whose } from "../../shared/whose.js";
import type { Work } from "../workspaces/types.js";
import type {
  AgentProcessId,
  AskedPullRequest,
  FailureCode,
  FinalStatus,
  QueuedMessage,
  RunPullRequest,
  RunQuestion,
  RunRequest,
} from "./run.js";

/**
 * Everything that can happen to a run. `apply` says what each does to it, and in which state it can happen at all.
 * Names of events and of their fields are stored: change none without a migration.
 */
export type RunChange =
  /**
   * Its place is free: the workspace is prepared. Only a pending run can be started, and only once. `expectedTurns`:
   * what runs of the workflow have taken before; `costLimitUsd`: what it may cost, where there is a limit; `worker`: the
   * id of the engine that carries it out, where several share a database: of those that begin it at once one does.
   */
  | { type: "started"; expectedTurns?: number; costLimitUsd?: number; worker?: string }
  /** The workspace is there; the branch as the repository spells it. */
  | { type: "workspace-ready"; path: string; branch?: string; own?: boolean }
  /** An agent's process has begun. A second one follows where the first found no conversation, or found one. */
  | { type: "agent-started"; process: AgentProcessId }
  /**
   * The agent has reported that it is there, and which model it uses; `conversationId`: its own id of the conversation,
   * where that is not the session's.
   */
  | { type: "conversation-begun"; model?: string; conversationId?: string }
  | { type: "turn"; turn: number }
  /** What the run does now, on one line; `detail`: the tool call, where the agent has said what it is for. */
  | { type: "action"; text: string; turn: number; detail?: string }
  /** What a command has printed, its middle left out where it is long. */
  | { type: "output"; text: string; failed?: true }
  | { type: "tool"; name: string }
  | { type: "phase"; name: string }
  /** Totals so far. */
  | { type: "usage"; input: number; output: number }
  /** What the run has cost so far. The agent is asked at each turn; exact is only what comes with a result. */
  | { type: "cost"; usd: number }
  /** The agent has worked off what it was asked. More may follow: messages and background work open further turns. */
  | {
      type: "result";
      ok: boolean;
      text?: string;
      costUsd?: number;
      tokens?: { input: number; output: number };
      /** What it still waits for. */
      action?: string;
    }
  | { type: "message-added"; message: QueuedMessage }
  /** The agent has taken a message up: the one named, or else the oldest. */
  | { type: "message-taken"; messageId?: string }
  /** The agent has ended before it could get the message, and whoever wrote it is told so. */
  | { type: "message-withdrawn"; messageId: string }
  /** No message is taken any more. Unless `anyway`, it can only happen while none waits. */
  | { type: "input-closed"; anyway?: true }
  | { type: "question-asked"; question: RunQuestion }
  | {
      type: "question-closed";
      questionId: string;
      by: "person" | "timeout" | "ended";
      answer?: string;
      /** Which person, and where, as far as that was told. */
      whose?: Whose;
    }
  /** It waits for a person, and others may work meanwhile. */
  | { type: "slot-given-up" }
  /** It has a slot again. */
  | { type: "slot-taken" }
  /** A person wants the run ended. A pending one has ended with that. */
  | { type: "kill-asked"; force: boolean }
  | {
      type: "ended";
      /** Where a kill was asked for, the run is `killed` all the same. */
      status: FinalStatus;
      error?: string;
      errorCode?: FailureCode;
      neverStarted?: true;
      /** Another worker has ended it: whatever there is of it is where it was carried out. */
      leftBehind?: true;
      /** Nobody wanted this end: as an interrupted run it is to be resumed once, by whichever engine is there. */
      toResume?: true;
      /** What the engine says behind the agent's result. */
      notes?: readonly string[];
      filesChanged?: readonly string[];
      commits?: readonly string[];
      work?: Work;
      workspaceRemoved?: boolean;
    }
  /** Another run, which is written down in the same moment, goes on with what it was interrupted in. Happens once. */
  | { type: "resumed"; by: string }
  /** It could not be resumed, and will not be. */
  | { type: "not-resumed"; why: string }
  /** Its worker, which others had taken for gone, tells now that it had come to another end by itself. */
  | { type: "had-ended"; status: FinalStatus; told: string }
  /** A person has taken the session's commits, or thrown them away: then there is no work any more. */
  | { type: "work-changed"; work?: Work }
  /** A pull request for what it has left is to be there, or to say something else. */
  | { type: "pull-request-asked"; asked: AskedPullRequest }
  /** What has become of it; `where`: the branch is there now, and its commits are nowhere but in the engine's clone no more. */
  | { type: "pull-request"; pullRequest: RunPullRequest; where?: string }
  /** What the run has left behind was removed. */
  | { type: "cleaned-up"; removed: { workspace: boolean; worktree: boolean; tempFiles: boolean } };

/** A change with its time, epoch ms. */
export type RunEvent = RunChange & { at: number };

/** The first event of a run: it was taken on. */
export interface RunAccepted {
  type: "accepted";
  at: number;
  runId: string;
  sessionId: string;
  sessionName: string;
  request: RunRequest;
  /** The interrupted run with whose task it goes on by itself. */
  resumes?: string;
}
