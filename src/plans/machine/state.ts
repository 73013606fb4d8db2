import type { Whose } from "../../shared/whose.js";
import type { Fields, FieldValue, Plan } from "../plan.js";

/**
 * A plan that has begun, as it stands. It changes by events only (apply.ts), and what has been done stays in it. Times
 * are epoch ms, money is US dollars. Names and fields are stored with the journal: change none without a migration.
 */
export interface PlanState {
  readonly planId: string;
  readonly plan: Plan;
  /** 1 for the plan as it began, one more for each change of it. */
  readonly version: number;
  /** How it was before each change, oldest first. */
  readonly earlier: readonly { readonly version: number; readonly until: number; readonly plan: Plan }[];
  readonly inputs: Readonly<Record<string, FieldValue>>;
  /** Above this a fan-out is agreed to by a person first. */
  readonly agreeAbove: Threshold;
  /** What a run of a workflow has cost so far, by its name; for shares of the cost limit. */
  readonly expectedUsd: Readonly<Record<string, number>>;
  readonly startedAt: number;
  /** Of the newest event. */
  readonly at: number;
  /** How long runs were at work, in ms; while everything waits for a person this stands still. */
  readonly workMs: number;
  /** Runs that were, or may have been, started. */
  readonly runsStarted: number;
  /** What ended runs have cost, as far as it is known. */
  readonly spentUsd: number;
  /** Ended runs of which nobody told the cost. */
  readonly unknownCosts: number;
  /** Reserved for runs that go on, and for those whose cost is not known. */
  readonly heldUsd: number;
  readonly pausedAt?: number;
  /** A person wants it ended: nothing is started any more. */
  readonly killAskedAt?: number;
  /** What has become of pull requests, by branch. */
  readonly pullRequests?: Readonly<Record<string, PullRequestOfPlan>>;
  readonly steps: Readonly<Record<string, StepState>>;
}

/** `pending`: the engine opens it in the background; `pushed`: whether it was opened is not known. */
export interface PullRequestOfPlan {
  readonly state: "pending" | "open" | "pushed" | "failed";
  readonly url?: string;
  readonly problem?: string;
}

/** A fan-out of more runs, or of a higher expected cost, needs a person's agreement. */
export interface Threshold {
  readonly runs?: number;
  readonly costUsd?: number;
}

/**
 * `waiting`: for a person. `blocked`: it will not get further by itself. `skipped`: by its condition or by a person.
 */
export type StepStatus =
  | "pending"
  | "running"
  | "waiting"
  | "blocked"
  | "succeeded"
  | "failed"
  | "skipped"
  | "killed";

export interface StepState {
  readonly status: StepStatus;
  /** When it got this status. */
  readonly since: number;
  /** Why; a sentence. */
  readonly reason?: string;
  /** Of a blocked step: a step that it needs is the reason, so that it counts as ended for others. */
  readonly byNeed?: true;
  /** 1 when it begins, one more each time it is done anew: the number of a gate's opening, of a series of merges. */
  readonly round: number;
  /** It has begun in this round. */
  readonly begun?: true;
  /** It does nothing more in this round, though it may be blocked and not ended. */
  readonly concluded?: true;
  /** All runs, in the order in which they were decided on. */
  readonly attempts: readonly Attempt[];
  /** Runs that go on, the ones without a sure answer of their start not counted. */
  readonly going: number;
  /** Runs to be started as soon as the limits allow it. */
  readonly queue: readonly QueuedRun[];
  /** How it begins when its turn comes, where a person has said so. */
  readonly next?: QueuedRun;
  /** Of a fan-out that has begun: its items. */
  readonly items?: readonly string[];
  /** The fan-out that a person has agreed to, or has to agree to. */
  readonly agreement?: Agreement;
  /** A person has skipped it: it stays so when others are done again. */
  readonly skippedByPerson?: true;
  /** How often it has sent back. */
  readonly sentBack: number;
  readonly output?: Readonly<Record<string, FieldValue>>;
  /** Of a gate that is open. */
  readonly open?: GateOpening;
  readonly decisions: readonly Decision[];
  readonly merges: readonly Merge[];
  /** Of a merge step: the branch that has what was merged. */
  readonly branch?: string;
  readonly commit?: string;
}

export interface QueuedRun {
  /** Which item, counted from 0. */
  readonly item?: number;
  readonly why: AttemptReason;
  /** What is said in place of the task, or besides it. */
  readonly words?: string;
  /** It goes on with the step's own conversation, with the words in place of the task. */
  readonly isRework?: true;
}

/**
 * `again`: an earlier step was done again; `redo`: a person wants it; `question`: for an output that was missing or
 * wrong; `resume`: the run before was interrupted, and its conversation goes on.
 */
export type AttemptReason = "first" | "retry" | "rework" | "again" | "redo" | "question" | "resume";

/**
 * `starting`: decided, and not known yet to be there. `unknown`: nobody knows whether it was started. `refused`: it was
 * not started, and has cost nothing. `waiting`: its agent waits for a person.
 */
export type AttemptStatus =
  | "starting"
  | "running"
  | "waiting"
  | "unknown"
  | "refused"
  | "completed"
  | "failed"
  | "killed";

/** One run of a step: started once, under its key. */
export interface Attempt {
  /** plan/step/attempt, with the item behind it: under this it is started, and found again. */
  readonly key: string;
  /** 1 for the first of the step, or of the item. */
  readonly number: number;
  readonly item?: number;
  readonly round: number;
  readonly why: AttemptReason;
  /** As they were in the queue: whoever starts it again says the same. */
  readonly words?: string;
  readonly isRework?: true;
  readonly status: AttemptStatus;
  readonly since: number;
  readonly startedAt: number;
  readonly endedAt?: number;
  /** What is to be started, until it is known to be there. */
  readonly request?: StartOrder;
  /** The key of the attempt that began its conversation. */
  readonly conversation: string;
  /** It begins a session that is to work beside others: without a workspace of its own it does not count. */
  readonly needsOwnPlace?: true;
  readonly reservedUsd?: number;
  readonly runId?: string;
  readonly sessionId?: string;
  readonly sessionName?: string;
  /** Null where it is known that it has left none; missing where nobody knows. */
  readonly branch?: string | null;
  readonly commit?: string;
  readonly result?: string;
  readonly output?: Readonly<Record<string, FieldValue>>;
  readonly error?: string;
  /** The engine or the machine went away while it went on. */
  readonly interrupted?: true;
  /** What its agent asks. */
  readonly asks?: string;
  /** Of an unknown one: a person has begun anew, knowing that there may be a run. */
  readonly abandoned?: true;
  /** It is being ended for this reason. */
  readonly stop?: string;
  readonly costUsd?: number;
  readonly turns?: number;
}

/** Where a run works, and on what. */
export type StartSession =
  | { readonly kind: "new" }
  | {
      readonly kind: "continue";
      readonly step: string;
      readonly runId?: string;
      readonly sessionId?: string;
      readonly sessionName?: string;
    }
  /** A session of its own whose branch starts at that one. */
  | { readonly kind: "from"; readonly step: string; readonly branch: string; readonly commit?: string };

export interface StartOrder {
  /** The name of a workflow, or `auto`. */
  readonly workflow: string;
  /** The kind of agent in place of the workflow's. */
  readonly agent?: string;
  readonly message: string;
  readonly session: StartSession;
  /** For a session of its own. */
  readonly sessionName?: string;
  /** What the run may cost. */
  readonly costLimitUsd?: number;
  /** The fields that it has to give; the message asks for them, too. */
  readonly output?: Fields;
}

/** Of what was decided before this was written down it is missing who has decided and where. */
export interface Agreement extends Whose {
  /** The round that it is for. */
  readonly attempt: number;
  readonly runs: number;
  /** Missing where it is unknown. */
  readonly costUsd?: number;
  /** Missing while nobody has answered. */
  readonly agreed?: boolean;
}

/** What a decision at a gate is bound to. */
export interface GateOpening {
  readonly attempt: number;
  /** The commits that the person is shown, sorted. */
  readonly commits: readonly string[];
}

/** Of a former one it is missing who has decided and where. */
export interface Decision extends GateOpening, Whose {
  readonly at: number;
  readonly decision: "approve" | "send-back" | "stop";
  readonly words?: string;
}

export interface Merge {
  readonly round: number;
  readonly item: number;
  readonly branch: string;
  readonly commit?: string;
  readonly status: "waiting" | "merging" | "merged" | "failed";
  readonly because?: "conflict" | "check" | "error";
  readonly files?: readonly string[];
  readonly reason?: string;
}

/** True when the step does nothing more by itself, whatever has come of it. */
export function hasEnded({ status }: StepState): boolean {
  return status === "succeeded" || status === "failed" || status === "skipped" || status === "killed";
}

/** True while a run of it may be at work. */
export function isGoing({ status }: Pick<Attempt, "status">): boolean {
  return status === "starting" || status === "running" || status === "waiting";
}
