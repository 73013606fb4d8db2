import { optional } from "../plan.js";
import { leftWork } from "./sources.js";
import { isGoing, type PlanState } from "./state.js";

/** A branch that nothing else of a plan has taken in. */
export interface BranchOfPlan {
  step: string;
  branch: string;
  /** Of the run that has left it; missing where a merge step has. */
  run_id?: string;
}

/** In the order of the plan, the newest work of each branch. */
export function branchesOf(state: PlanState): BranchOfPlan[] {
  const gone = new Set(mergedBranches(state));
  const found = new Map<string, BranchOfPlan>();
  for (const step of state.plan.steps) {
    const now = state.steps[step.id];
    if (!now) continue;
    if (step.kind === "merge" && now.branch) found.set(now.branch, { step: step.id, branch: now.branch });
    if (step.kind !== "run") continue;
    const attempts = now.attempts.filter(({ round, branch }) => round === now.round && branch);
    for (const { branch, runId } of attempts) {
      if (!branch) continue;
      found.delete(branch);
      found.set(branch, { step: step.id, branch, ...optional("run_id", runId) });
    }
    // What begins at another step's branch has all of it.
    const source = step.from === undefined || attempts.length === 0 ? undefined : leftWork(state, step.from);
    if (typeof source === "object" && "branch" in source) gone.add(source.branch);
  }
  return [...found.values()].filter(({ branch }) => !gone.has(branch));
}

/** Branches whose commits are surely in a merged branch, so that they may be removed; nothing else may. */
export function mergedBranches(state: PlanState): string[] {
  const merged = new Set<string>();
  const kept = new Set<string>();
  for (const now of Object.values(state.steps)) {
    for (const { status, branch, round } of now.merges)
      (status === "merged" && round === now.round ? merged : kept).add(branch);
    for (const attempt of now.attempts) if (isGoing(attempt) && attempt.branch) kept.add(attempt.branch);
  }
  return [...merged].filter((branch) => !kept.has(branch));
}
