import { type IssueProgress, listPulls, type ProgressPhase } from "../integrations/issue-progress.js";
import { noteProgress } from "../integrations/note-progress.js";
import { describePlan, type StepView } from "../plans/machine/describe-plan.js";
import { type PlanStatus, waitingFor } from "../plans/machine/plan-status.js";
import type { PlanState, StepStatus } from "../plans/machine/state.js";
import { optional } from "../plans/plan.js";
import { formatUsd } from "../shared/usd.js";
import type { Transaction } from "../store/database.js";
import { whyFailed } from "./plan-notices.js";
import type { PlanPlace } from "./plan-place.js";
import { isOver } from "./plan-summary.js";

/** A step's outcome has so many characters at the issue. */
const NOTE_CHARS = 160;

/**
 * Writes down what the issue of a plan is to be told, with the change of the plan: nothing for one without an issue.
 * @param now epoch ms
 */
export async function noteIssueOfPlan(
  trx: Transaction,
  { issue }: PlanPlace,
  state: PlanState,
  now: number,
): Promise<void> {
  if (issue) await noteProgress(trx, issue, progressOfPlan(state), now);
}

/** A plan as its issue is told of it. */
export function progressOfPlan(state: PlanState): IssueProgress {
  const view = describePlan(state);
  const { runs, costUsd, knownCostUsd } = view;
  const isEnd = isOver(state);
  const cost = costUsd ?? knownCostUsd;
  const told = cost > 0 ? `, ${costUsd === undefined ? "at least " : ""}${formatUsd(cost)}` : "";
  const [need] = waitingFor(state);
  return {
    what: "plan",
    id: view.planId,
    name: view.name,
    status: STATUS[view.status],
    phases: view.steps.map(toPhase),
    ...optional("needs", need && `${need.step}: ${need.what}`),
    ...optional("branch", view.steps.findLast(({ branch }) => branch !== undefined)?.branch),
    ...(isEnd
      ? {
          effort: `${runs.started} run${runs.started === 1 ? "" : "s"}${told}`,
          ...optional("result", view.status === "completed" ? lastResult(state) : undefined),
          ...optional("error", whyFailed(state) || undefined),
        }
      : {}),
    pulls: listPulls(
      Object.entries(state.pullRequests ?? {}).map(([branch, { url }]) => ({ url, title: branch })),
    ),
  };
}

const STATUS: Record<PlanStatus, IssueProgress["status"]> = {
  running: "running",
  waiting: "needs_you",
  blocked: "needs_you",
  paused: "paused",
  completed: "completed",
  failed: "failed",
  killed: "killed",
};

const PHASE: Record<StepStatus, ProgressPhase["state"]> = {
  pending: "ahead",
  running: "now",
  waiting: "waits",
  blocked: "ahead",
  succeeded: "done",
  failed: "failed",
  killed: "failed",
  skipped: "left out",
};

function toPhase({ id, status, items, outcome, reason }: StepView): ProgressPhase {
  const count = items ? `${items.done} of ${items.of}` : undefined;
  const said = status === "succeeded" ? outcome : status === "failed" ? reason : undefined;
  const note = [count, said?.slice(0, NOTE_CHARS)].filter(Boolean).join(": ");
  return { name: id, state: PHASE[status], ...(note ? { note } : {}) };
}

/** What the last run of the plan has said. */
function lastResult({ plan, steps }: PlanState): string | undefined {
  for (const { id } of plan.steps.toReversed()) {
    const result = steps[id]?.attempts.findLast((attempt) => attempt.result)?.result;
    if (result) return result;
  }
  return undefined;
}
