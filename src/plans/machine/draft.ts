import { optional } from "../plan.js";
import type { PlanStarted } from "./events.js";
import { indexOf, type PlanIndex } from "./plan-index.js";
import {
  type Attempt,
  type AttemptStatus,
  isGoing,
  type PlanState,
  type StepState,
  type StepStatus,
} from "./state.js";
import { type Tally, takeTally } from "./tally.js";

export type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
export type MutableStep = Omit<Mutable<StepState>, "attempts" | "queue" | "decisions" | "merges"> & {
  attempts: Mutable<Attempt>[];
  queue: StepState["queue"][number][];
  decisions: StepState["decisions"][number][];
  merges: Mutable<StepState["merges"][number]>[];
};

/** The next state while it is made: steps are copied when they are first written to, so that the last one stays. */
export interface Draft {
  readonly state: Omit<Mutable<PlanState>, "steps"> & { steps: Record<string, StepState> };
  index: PlanIndex;
  /** The time of the event. */
  at: number;
  readonly copied: Set<string>;
  /** Something has happened to a step that was looked at already, or comes before it. */
  again: boolean;
  tally: Tally;
}

/** A plan that has just begun, and of which nothing was decided yet. */
export function createState(event: PlanStarted): PlanState {
  const { planId, plan, inputs, at } = event;
  return {
    planId,
    plan,
    version: 1,
    earlier: [],
    inputs,
    agreeAbove: event.agreeAbove ?? {},
    expectedUsd: event.expectedUsd ?? {},
    startedAt: at,
    at,
    workMs: 0,
    runsStarted: 0,
    spentUsd: 0,
    unknownCosts: 0,
    heldUsd: 0,
    steps: Object.fromEntries(plan.steps.map(({ id }) => [id, createStep(at)])),
  };
}

/** A step that has not begun. @param at epoch ms */
export function createStep(at: number): StepState {
  return {
    status: "pending",
    since: at,
    round: 0,
    attempts: [],
    going: 0,
    queue: [],
    sentBack: 0,
    decisions: [],
    merges: [],
  };
}

/** What an event at that time changes; the state itself stays as it is. @param at epoch ms */
export function draftOf(state: PlanState, at: number): Draft {
  const index = indexOf(state.plan);
  return {
    state: { ...state, steps: { ...state.steps } },
    index,
    at,
    copied: new Set(),
    again: false,
    tally: takeTally(state, index),
  };
}

/** The step's state, to be written to. */
export function edit({ state, copied, tally }: Draft, id: string): MutableStep {
  tally.stale.add(id);
  tally.touched.add(id);
  const step = state.steps[id] as StepState;
  if (copied.has(id)) return step as MutableStep;
  copied.add(id);
  const copy: MutableStep = {
    ...step,
    attempts: step.attempts.map((attempt) => ({ ...attempt })),
    queue: [...step.queue],
    decisions: [...step.decisions],
    merges: step.merges.map((merge) => ({ ...merge })),
  };
  state.steps[id] = copy;
  return copy;
}

/** Gives a step another status, and the reason with it. */
export function setStatus(
  draft: Draft,
  id: string,
  status: StepStatus,
  reason?: string,
  byNeed?: true,
): void {
  const now = draft.state.steps[id] as StepState;
  if (now.status === status && now.reason === reason && now.byNeed === byNeed) return;
  const step = edit(draft, id);
  if (step.status !== status) step.since = draft.at;
  if (step.status !== status || step.byNeed !== byNeed)
    for (const other of draft.index.graph.dependentsOf(id)) draft.tally.touched.add(other);
  step.status = status;
  delete step.reason;
  delete step.byNeed;
  Object.assign(step, optional("reason", reason), optional("byNeed", byNeed));
}

/** The one place where an attempt's status changes, since the step counts those that go on. */
export function setAttempt(
  step: MutableStep,
  attempt: Mutable<Attempt>,
  status: AttemptStatus,
  at: number,
): void {
  step.going += Number(isGoing({ status })) - Number(isGoing(attempt));
  attempt.status = status;
  attempt.since = at;
  if (status !== "waiting") delete attempt.asks;
  if (status !== "starting") delete attempt.request;
  if (!isGoing(attempt) && status !== "unknown") attempt.endedAt = at;
}

/** These steps, each behind all that it needs. */
export function inOrder({ index }: Pick<Draft, "index">, ids: ReadonlySet<string>): string[] {
  return [...ids].sort((one, other) => (index.positions.get(one) ?? 0) - (index.positions.get(other) ?? 0));
}

/** True while a run is at work, and not only waits for a person, or for a paused plan to go on. */
export function isWorking({ pausedAt }: Pick<PlanState, "pausedAt">, { running, starting }: Tally): boolean {
  return running > 0 || (starting > 0 && pausedAt === undefined);
}

/** Finds an attempt by its key: plan/step/attempt, or plan/step/attempt/item. */
export function findAttempt(
  state: PlanState | Draft["state"],
  key: string,
): { id: string; attempt: Attempt } | undefined {
  const id = key.startsWith(`${state.planId}/`)
    ? key.slice(state.planId.length + 1).split("/")[0]
    : undefined;
  if (id === undefined || !Object.hasOwn(state.steps, id)) return undefined;
  const attempt = state.steps[id]?.attempts.findLast((one) => one.key === key);
  return attempt && { id, attempt };
}
