import type { Join, PlanStep } from "../plan.js";
import type { Draft } from "./draft.js";
import { itemsOf, outcomeOf } from "./outcome.js";
import { hasEnded, type StepState } from "./state.js";

type Sight = Pick<Draft, "state" | "index">;

/** Whether a step can begin: not yet, now, or not by itself, because of a step that it needs. */
export type Readiness = "wait" | "ready" | { problem: string };

/** Held against what each need has come to. Nothing is ready before all of them have ended, whatever is joined. */
export function readinessOf(sight: Sight, step: PlanStep): Readiness {
  const { state, index } = sight;
  let succeeded = step.needs.length === 0;
  let problem: string | undefined;
  for (const id of step.needs) {
    const need = index.steps.get(id);
    const now = state.steps[id];
    if (!need || !now) continue;
    const isStuck = now.status === "blocked" && now.byNeed === true;
    if (!hasEnded(now) && !isStuck) return "wait";
    if (hasSucceeded(need, now)) succeeded = true;
    if (joinOf(step, need) === "all_ok") problem ??= problemOf(need, now, isStuck);
  }
  if (problem !== undefined) return { problem };
  if (step.join === "any_ok" && !succeeded)
    return { problem: "None of the steps that it needs has succeeded." };
  return "ready";
}

/** Behind a fan-out its runs' own ends are enough, anything else has to have succeeded, unless the step says. */
function joinOf(step: PlanStep, need: PlanStep): Join {
  return step.join ?? (need.kind === "run" && need.forEach !== undefined ? "all_done" : "all_ok");
}

function hasSucceeded(need: PlanStep, now: StepState): boolean {
  if (now.status === "succeeded") return true;
  return need.kind === "run" && need.forEach !== undefined && hasEnded(now)
    ? itemsOf(need, now).some((item) => outcomeOf(need, now, item).ok)
    : false;
}

function problemOf(need: PlanStep, now: StepState, isStuck: boolean): string | undefined {
  if (isStuck) return `Step ${need.id}, which it needs, cannot begin.`;
  if (now.status === "failed") return `Step ${need.id}, which it needs, has failed.`;
  if (now.status === "killed") return `Step ${need.id}, which it needs, was killed.`;
  return undefined;
}
