import { type Figures, onlyKnown } from "../history/figures.js";
import { apply, startPlan } from "../plans/machine/apply.js";
import { countRuns } from "../plans/machine/count-runs.js";
import type { PlanEvent, PlanStarted } from "../plans/machine/events.js";
import { planStatus } from "../plans/machine/plan-status.js";
import type { PlanState } from "../plans/machine/state.js";

/** A plan as its journal's row has it. */
interface Begun {
  start: Pick<PlanStarted, "template">;
  place: { repositoryUrl?: string };
}

/** What runs of a plan have taken that have ended by these events. */
export function figuresOfRuns(events: readonly PlanEvent[], next: PlanState, begun: Begun): Figures[] {
  const ended = new Set(events.flatMap((event) => (event.type === "run-ended" ? [event.key] : [])));
  if (ended.size === 0) return [];
  return next.plan.steps.flatMap((step) => {
    if (step.kind !== "run") return [];
    const attempts = next.steps[step.id]?.attempts ?? [];
    return attempts.flatMap(({ key, runId, status, turns, costUsd, sessionName, endedAt, startedAt }) => {
      if (!ended.has(key) || !runId) return [];
      if (status !== "completed" && status !== "failed" && status !== "killed") return [];
      return onlyKnown({
        kind: "run",
        id: runId,
        outcome: status,
        workflow: step.workflow,
        template: begun.start.template,
        plan: next.planId,
        step: step.id,
        session: sessionName,
        repository: begun.place.repositoryUrl,
        turns: turns || undefined,
        costUsd: costUsd || undefined,
        startedAt,
        endedAt,
      });
    });
  });
}

/**
 * What a plan has taken that has ended.
 * @param events its whole journal: by it the waits for people are known
 */
export function figuresOfPlan(
  { start, place }: { start: PlanStarted; place: Begun["place"] },
  events: readonly PlanEvent[],
  end: PlanState,
): Figures | undefined {
  const status = planStatus(end);
  if (status !== "completed" && status !== "failed" && status !== "killed") return undefined;
  const steps = Object.values(end.steps);
  const attempts = steps.flatMap((step) => step.attempts);
  const decisions = steps.flatMap((step) => step.decisions);
  const turns = attempts.map((one) => one.turns);
  const isKnown = attempts.length > 0 && turns.every((one) => one !== undefined);
  return onlyKnown({
    kind: "plan",
    id: end.planId,
    outcome: status,
    failure: status === "failed" ? findFailure(end) : undefined,
    template: start.template,
    session: end.plan.name,
    repository: place.repositoryUrl,
    startedAt: end.startedAt,
    endedAt: end.at,
    seconds: (end.at - end.startedAt) / 1000,
    turns: isKnown ? turns.reduce<number>((sum, one) => sum + (one ?? 0), 0) : undefined,
    costUsd: end.unknownCosts === 0 ? end.spentUsd || undefined : undefined,
    costAtLeastUsd: end.unknownCosts === 0 ? undefined : end.spentUsd || undefined,
    // Those of which nobody knows whether they were started are no figure.
    runs: countRuns(end).started,
    questions: decisions.length,
    waitedS: measureWaits(start, events),
    retries: attempts.filter(({ why }) => why === "retry").length,
    gateRejections: decisions.filter(({ decision }) => decision !== "approve").length,
  });
}

/** The kind of what has failed first: a gate that a person has stopped, a merge, or a run. */
function findFailure(end: PlanState): string | undefined {
  for (const { id, kind } of end.plan.steps) {
    const step = end.steps[id];
    if (step?.status !== "failed" && step?.status !== "killed" && step?.status !== "blocked") continue;
    if (!step.byNeed) return kind;
  }
  return undefined;
}

/** For how long everything stood still for a person, in s. */
function measureWaits(start: PlanStarted, events: readonly PlanEvent[]): number {
  let state = startPlan(start);
  let waitedMs = 0;
  for (const event of events) {
    if (planStatus(state) === "waiting") waitedMs += Math.max(0, event.at - state.at);
    state = apply(state, event);
  }
  return waitedMs / 1000;
}
