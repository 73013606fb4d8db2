import { describePlan, progressLine } from "../plans/machine/describe-plan.js";
import { type PlanStatus, planStatus, type WaitingFor, waitingFor } from "../plans/machine/plan-status.js";
import type { PlanState } from "../plans/machine/state.js";

/** What lists tell of a plan. Times are epoch ms, money is US dollars. */
export interface PlanSummary {
  planId: string;
  name: string;
  status: PlanStatus;
  createdAt: number;
  changedAt: number;
  /** Where it stands, on one line. */
  line: string;
  runs: { started: number; limit: number };
  /** Missing where a cost is unknown. */
  costUsd?: number;
  costLimitUsd?: number;
  waitingFor: WaitingFor[];
}

export const FINAL: readonly PlanStatus[] = ["completed", "failed", "killed"];

/** True when the plan does nothing more by itself, so that nobody has to carry it out. */
export function isOver(state: PlanState): boolean {
  return FINAL.includes(planStatus(state));
}

/** What a plan's row tells without its journal. */
export function columnsOf(state: PlanState) {
  const { name, status, runs, costUsd, costLimitUsd } = describePlan(state);
  const summary: PlanSummary = {
    planId: state.planId,
    name,
    status,
    createdAt: state.startedAt,
    changedAt: state.at,
    line: progressLine(state),
    runs,
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(costLimitUsd === undefined ? {} : { costLimitUsd }),
    waitingFor: waitingFor(state),
  };
  return { status, changed_at: state.at, summary: JSON.stringify(summary) };
}
