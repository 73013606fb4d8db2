import type { Whose } from "../../shared/whose.js";
import type { FieldValue, Plan } from "../plan.js";
import type { Threshold } from "./state.js";

/** A plan begins. It was checked, its inputs are complete, and the person has agreed where they had to. */
export interface PlanStarted {
  type: "plan-started";
  at: number;
  planId: string;
  plan: Plan;
  inputs: Readonly<Record<string, FieldValue>>;
  agreeAbove?: Threshold;
  /** The template that it was begun from. */
  template?: string;
  /** US dollars a run, by workflow, from history. */
  expectedUsd?: Readonly<Record<string, number>>;
}

/**
 * Everything that can happen to a plan afterwards. `apply` says what each does, and in which state it can happen at all.
 * Names and fields are stored: change none without a migration.
 */
export type PlanChange =
  /** A start was confirmed, or found by its key. `ownWorkspace: false`: it works in another one's place. */
  | {
      type: "run-started";
      key: string;
      runId: string;
      sessionId?: string;
      sessionName?: string;
      branch?: string;
      ownWorkspace?: boolean;
    }
  /** Nothing was started, and nothing has cost anything. */
  | { type: "run-not-started"; key: string; reason: string; deterministic?: true }
  /** The answer of a start was lost, and no look has shown whether there is a run. */
  | { type: "start-unknown"; key: string; reason: string }
  /** A run that goes on has no workspace of its own. */
  | { type: "workspace-shared"; key: string }
  /** The agent waits for a person. */
  | { type: "run-asks"; key: string; text: string }
  | { type: "run-goes-on"; key: string }
  | {
      type: "run-ended";
      key: string;
      status: "completed" | "failed" | "killed";
      result?: string;
      error?: string;
      /** Started again it would fail again. */
      deterministic?: true;
      /** The engine or the machine went away while it went on; its session can be continued. */
      interrupted?: true;
      /** Missing where the API does not tell it. */
      costUsd?: number;
      turns?: number;
      sessionId?: string;
      sessionName?: string;
      /** Null where it has left none; missing where that is not known. */
      branch?: string | null;
      commit?: string;
      /** It has worked in another one's place. */
      ownWorkspace?: false;
    }
  /** A session's branch has another commit than at the end of its run. */
  | { type: "work-moved"; key: string; commit: string }
  | ({
      type: "gate-decided";
      step: string;
      /** Which opening, and the commits that were shown: another one is not decided by it. */
      attempt: number;
      commits: readonly string[];
      decision: "approve" | "send-back" | "stop";
      words?: string;
    } & Whose)
  | ({
      type: "fan-out-answered";
      step: string;
      attempt: number;
      runs: number;
      agreed: boolean;
    } & Whose)
  | { type: "merged"; step: string; attempt: number; item: number; branch: string; commit: string }
  /** It was taken back. */
  | {
      type: "merge-failed";
      step: string;
      attempt: number;
      item: number;
      because: "conflict" | "check" | "error";
      files?: readonly string[];
      reason: string;
    }
  /** A pull request for a branch was asked for. */
  | {
      type: "pull-request";
      branch: string;
      state: "pending" | "open" | "pushed" | "failed";
      url?: string;
      problem?: string;
    }
  | { type: "paused" }
  | { type: "resumed" }
  | { type: "kill-asked" }
  | { type: "step-skipped"; step: string }
  /**
   * Of a fan-out those runs are done again that have not succeeded, or all when all have. `seen`: how far the step was when
   * that was agreed to, where that counts.
   */
  | { type: "step-redone"; step: string; words?: string; seen?: { round: number; attempts: number } }
  /** The plan is another one from now on; it was checked. `version`: which it was made of, where that counts. */
  | { type: "plan-edited"; plan: Plan; version?: number }
  /** The machine has slept for so long since the event before, in ms: that was no time of work. */
  | { type: "slept"; ms: number }
  /** Time has gone by. */
  | { type: "tick" };

/** A change with its time, epoch ms. */
export type PlanEvent = PlanChange & { at: number };
