import type { PlanEvent } from "../../src/plans/machine/events.js";
import type { PlanStatus } from "../../src/plans/machine/plan-status.js";
import type { PlanState } from "../../src/plans/machine/state.js";
import type { SessionRecord } from "../../src/sessions/store/session-record.js";
import type { ArrivedPost, FaultyApi } from "./faulty-api.js";
import type { FormAnswer, Sequence } from "./sequence.js";

/** A form that a call has shown, other than one that carries an agent's question. */
export interface SeenForm {
  message: string;
  answer: FormAnswer;
  /** It is about a plan that goes on, and not about the call's own deed. */
  isWithin?: boolean;
  /** By the steady time. */
  shownAt: number;
}

/** One call of a tool, as the client lived it. Times are by the steady time. */
export interface SeenCall {
  /** From 1, in the order of the calls. */
  number: number;
  action: string;
  /** Stands in the message of the call, and so in every POST that it sends. */
  mark: string;
  args: Record<string, unknown>;
  beganAt: number;
  endedAt?: number;
  cancelledAt?: number;
  forms: SeenForm[];
  /** Within this time it has to end, in real ms. */
  boundMs: number;
  answer?: {
    text: string;
    // biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
    data: any;
    isError: boolean;
  };
  /** What it became, on protocol 2026-07-28. */
  task?: SeenTask;
  /** What the client threw instead. */
  error?: string;
  /** The server was closed before it had ended. */
  outlived?: true;
}

/** A task, as its client has followed it. */
export interface SeenTask {
  taskId: string;
  /** How often its end was asked for. */
  cancelsSent: number;
  /** Undefined where the client has left it before. */
  end?: {
    status: string;
    outcome: string | undefined;
    isError: boolean;
    run: { run_id?: string } | undefined;
    plan: { status?: string } | undefined;
  };
}

/** A plan as its journal has it when the sequence is over. */
export interface SeenPlan {
  state: PlanState;
  events: readonly PlanEvent[];
  /** Every status that it has had. */
  reached: ReadonlySet<PlanStatus>;
}

/** What the person has said about a plan that goes on. */
export interface Word {
  /** The plan's name. */
  plan: string;
  word: "approve" | "send-back" | "stop" | "agree" | "kill";
}

/** What is known of a sequence when it is over. */
export interface Observed {
  seed: number;
  sequence: Sequence;
  calls: SeenCall[];
  posts: readonly ArrivedPost[];
  api: FaultyApi;
  plans: readonly SeenPlan[];
  words: readonly Word[];
  /** What the session index held when the server closed. */
  index: readonly SessionRecord[];
  /** When the server's process ended and another one took its place. */
  restartedAt: readonly number[];
  /** When closing began and how long it took, in real ms; not over when left out. */
  closedAt: number;
  closeMs?: number;
}
