import type { PlanStep } from "../plan.js";
import { indexOf } from "./plan-index.js";
import { openPullRequests } from "./pull-requests.js";
import { questionOf } from "./resolve.js";
import { hasEnded, type PlanState, type StepState } from "./state.js";

/** How a plan stands as a whole. `completed`, `failed` and `killed` do nothing more by themselves. */
export type PlanStatus = "running" | "waiting" | "blocked" | "paused" | "completed" | "failed" | "killed";

/** It as a whole, by the states of its steps. */
export function planStatus(state: PlanState): PlanStatus {
  let [busy, asks, blocked, failed, open] = [false, false, false, false, false];
  for (const step of state.plan.steps) {
    const now = state.steps[step.id] as StepState;
    const isAtWork =
      now.merges.some(({ status }) => status === "merging") ||
      (now.going > 0 && now.attempts.some(({ status }) => status === "starting" || status === "running"));
    if (isAtWork) busy = true;
    else if (now.going > 0 || now.status === "waiting") asks = true;
    if (!hasEnded(now)) open = true;
    if (now.status === "blocked" && !now.byNeed) blocked = true;
    if (now.status === "blocked" && now.byNeed) failed = true;
    if ((now.status === "failed" || now.status === "killed") && !isMadeGood(state, step)) failed = true;
  }
  if (state.killAskedAt !== undefined) return busy || asks ? "running" : "killed";
  if (!open && failed) return "failed";
  if (!open) return openPullRequests(state).length > 0 ? "running" : "completed";
  if (state.pausedAt !== undefined) return "paused";
  if (busy) return "running";
  if (asks) return "waiting";
  return blocked || !failed ? "blocked" : "failed";
}

/** Something that needed a failed step went on all the same. */
function isMadeGood(state: PlanState, step: PlanStep): boolean {
  const behind = indexOf(state.plan).graph.dependentsOf(step.id);
  return behind.length > 0 && behind.every((id) => state.steps[id]?.status !== "blocked");
}

/** Something that a person has to do, or to know. */
export interface WaitingFor {
  step: string;
  /** A sentence. */
  what: string;
  since: number;
  /** `gate` and `agreement` are decided; `question` is an agent's own; `lost` and `blocked` want a person's change. */
  kind: "gate" | "agreement" | "question" | "lost" | "blocked";
  /** Of a question: the run's key and id. */
  key?: string;
  runId?: string;
}

/** All that needs a person, in the order of the plan: a plan never waits in silence. */
export function waitingFor(state: PlanState): WaitingFor[] {
  const found: WaitingFor[] = [];
  const isEnding = state.killAskedAt !== undefined;
  for (const step of state.plan.steps) {
    const now = state.steps[step.id] as StepState;
    const at = { step: step.id, since: now.since, what: now.reason ?? "" };
    if (isEnding) {
      // What was lost may go on and cost, whatever has become of the plan.
    } else if (now.open && step.kind === "gate")
      found.push({ ...at, kind: "gate", what: questionOf(state, step) });
    else if (now.status === "waiting" && now.agreement && !now.begun)
      found.push({ ...at, kind: "agreement" });
    else if (now.status === "blocked" && !now.byNeed) found.push({ ...at, kind: "blocked" });
    for (const { status, abandoned, asks, since, key, runId, error } of now.attempts) {
      if (status === "waiting" && !isEnding)
        found.push({
          step: step.id,
          kind: "question",
          what: asks ?? "",
          since,
          key,
          ...(runId === undefined ? {} : { runId }),
        });
      if (status === "unknown" && !abandoned)
        found.push({
          step: step.id,
          kind: "lost",
          what: `Nobody knows whether its run was started. Look for it; redo the step only when there is none, since it would be paid twice. ${error ?? ""}`.trim(),
          since,
          key,
        });
    }
  }
  return found;
}
