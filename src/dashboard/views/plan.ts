import type { RunCount } from "../../plans/machine/count-runs.js";
import type { StepView } from "../../plans/machine/describe-plan.js";
import type { PlanStatus } from "../../plans/machine/plan-status.js";
import type { Decision } from "../../plans/machine/state.js";
import type { PlanStep } from "../../plans/plan.js";
import type { Whose } from "../../shared/whose.js";
import type { NeedView, StepChange } from "./needs.js";

/** One step of a plan in its graph. */
export interface PlanNode extends Omit<StepView, "sessionName" | "runs"> {
  /** 0 for a step that needs none, else one more than the deepest that it needs. */
  depth: number;
  /** The workflow of a run, the question of a gate, the step that a merge merges. */
  about: string;
  session?: string;
  /** What its run does at the moment. */
  action?: string;
  /** What the person may do with it now. */
  may: StepChange[];
}

export interface PlanEdge {
  from: string;
  to: string;
  /** `back`: where a gate sends back to. */
  kind: "needs" | "back";
}

/** One bar of the plan's timeline. */
export interface TimelineEntry {
  key: string;
  step: string;
  /** Which item of a fan-out, from 1, and how it reads. */
  item?: number;
  itemText?: string;
  kind: PlanStep["kind"];
  /** Of a run: starting, running, waiting, unknown, refused, completed, failed, killed; of others the step's. */
  status: string;
  /** 1 for the first run of a step or item, the first opening of a gate. */
  attempt: number;
  /** Why there is more than one: retry, rework, again, redo, question, resume. */
  why?: string;
  from: number;
  /** Missing while it goes on. */
  to?: number;
  runId?: string;
  turns?: number;
  costUsd?: number;
}

/** An opening of a gate, and what was decided. */
/** A gate, with whose its decision was, as far as that was noted. */
export interface GateView extends Whose {
  step: string;
  /** Which opening, from 1. */
  attempt: number;
  question: string;
  openedAt?: number;
  /** The first characters of the commits that it was decided on. */
  commits: string[];
  /** Missing while it is open. */
  decision?: Decision["decision"];
  words?: string;
  decidedAt?: number;
  /** "Ann in Slack", as much of it as is known; missing where nothing is. */
  decider?: string;
}

export interface PlanVersion {
  version: number;
  /** When it began to count. */
  from: number;
  until?: number;
  added: string[];
  removed: string[];
  changed: string[];
}

/** `GET /dashboard/api/plans/{id or name}` */
export interface PlanDetail {
  planId: string;
  name: string;
  status: PlanStatus;
  line: string;
  version: number;
  now: number;
  startedAt: number;
  changedAt: number;
  repository?: string;
  branch?: string;
  inputs: { name: string; value: string }[];
  nodes: PlanNode[];
  edges: PlanEdge[];
  timeline: TimelineEntry[];
  gates: GateView[];
  versions: PlanVersion[];
  needs: NeedView[];
  runs: RunCount;
  /** Missing where a cost is unknown; then `knownCostUsd` has the rest. */
  costUsd?: number;
  knownCostUsd: number;
  /** Reserved for runs that go on. */
  heldUsd: number;
  costLimitUsd?: number;
  workMs: number;
  limitMinutes: number;
  /** Sentences on limits that are nearly used. */
  nearLimits: string[];
  /** What the person may do with it now; `kill` is the action `kill`, the others `change` of the action `plan`. */
  may: ("pause" | "resume" | "kill")[];
}
