import { branchesOf } from "./plan-branches.js";
import type { PlanState } from "./state.js";

/** A branch of a plan whose steps are all done, for which a pull request is still to be asked. */
export interface OpenPullRequest {
  step: string;
  branch: string;
  /** A run of the plan, by which the branch's repository is known. */
  runId: string;
  /** It is that run's own branch. */
  isOwn: boolean;
}

/** Those that are to be asked for: of a plan that ends with them, each branch that nothing else of it has taken in. */
export function openPullRequests(state: PlanState): OpenPullRequest[] {
  if (state.plan.finish !== "pull_request") return [];
  const any = Object.values(state.steps)
    .flatMap(({ attempts }) => attempts)
    .findLast(({ runId, branch }) => runId !== undefined && branch)?.runId;
  return branchesOf(state).flatMap(({ step, branch, run_id }) => {
    const runId = run_id ?? any;
    if (runId === undefined || state.pullRequests?.[branch]) return [];
    return [{ step, branch, runId, isOwn: run_id !== undefined }];
  });
}
