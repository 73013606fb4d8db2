import { countRuns, type RunCount } from "../plans/machine/count-runs.js";
import { progressLine } from "../plans/machine/describe-plan.js";
import { mergedBranches } from "../plans/machine/plan-branches.js";
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
  runs: RunCount;
  /** Missing where a cost is unknown; then `knownCostUsd` has the rest, in plans that were written since it is kept. */
  costUsd?: number;
  knownCostUsd?: number;
  costLimitUsd?: number;
  /** Not more than a list has room for; the plan itself has all. */
  waitingFor: WaitingFor[];
  /** Branches that its runs and merges have left, without those that are surely in another one of them. */
  branchesLeft: number;
}

const WAITING_KEPT = 50;

export const FINAL: readonly PlanStatus[] = ["completed", "failed", "killed"];

/** True when the plan does nothing more by itself, so that nobody has to carry it out. */
export function isOver(state: PlanState): boolean {
  return FINAL.includes(planStatus(state));
}

/** What a plan's row tells without its journal; it is made with each entry of that. */
export function columnsOf(state: PlanState) {
  const { planId, plan, startedAt, at, spentUsd, unknownCosts } = state;
  const status = planStatus(state);
  const summary: PlanSummary = {
    planId,
    name: plan.name,
    status,
    createdAt: startedAt,
    changedAt: at,
    line: progressLine(state),
    runs: countRuns(state),
    ...(unknownCosts === 0 ? { costUsd: spentUsd } : { knownCostUsd: spentUsd }),
    ...(plan.limits.costUsd === undefined ? {} : { costLimitUsd: plan.limits.costUsd }),
    waitingFor: waitingFor(state).slice(0, WAITING_KEPT),
    branchesLeft: countBranchesLeft(state),
  };
  return { status, changed_at: at, summary: JSON.stringify(summary) };
}

function countBranchesLeft(state: PlanState): number {
  const left = new Set<string>();
  for (const { attempts, branch } of Object.values(state.steps)) {
    for (const attempt of attempts) if (attempt.branch) left.add(attempt.branch);
    if (branch !== undefined) left.add(branch);
  }
  for (const branch of mergedBranches(state)) left.delete(branch);
  return left.size;
}
