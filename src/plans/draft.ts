import type { PlanStarted } from "./events.js";
import { buildGraph, type PlanGraph } from "./graph.js";
import { optional, type Plan, type PlanStep } from "./plan.js";
import {
  type Attempt,
  type AttemptStatus,
  isGoing,
  type PlanState,
  type StepState,
  type StepStatus,
} from "./state.js";

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
}

/** What follows from a plan alone. */
export interface PlanIndex {
  readonly graph: PlanGraph;
  readonly steps: ReadonlyMap<string, PlanStep>;
}

const indexes = new WeakMap<Plan, PlanIndex>();

export function indexOf(plan: Plan): PlanIndex {
  const known = indexes.get(plan);
  if (known) return known;
  const index = { graph: buildGraph(plan.steps), steps: new Map(plan.steps.map((step) => [step.id, step])) };
  indexes.set(plan, index);
  return index;
}

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

export function draftOf(state: PlanState, at: number): Draft {
  return {
    state: { ...state, steps: { ...state.steps } },
    index: indexOf(state.plan),
    at,
    copied: new Set(),
    again: false,
  };
}

/** The step's state, to be written to. */
export function edit({ state, copied }: Draft, id: string): MutableStep {
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

/** All runs that go on. */
export function countGoing(state: Pick<PlanState, "steps">): number {
  let going = 0;
  for (const id in state.steps) going += (state.steps[id] as StepState).going;
  return going;
}

/** True while a run is at work, and not only waits for a person, or for a paused plan to go on. */
export function isWorking(state: Pick<PlanState, "steps" | "pausedAt">): boolean {
  const isPaused = state.pausedAt !== undefined;
  for (const id in state.steps) {
    const step = state.steps[id] as StepState;
    if (
      step.going > 0 &&
      step.attempts.some(({ status }) => status === "running" || (status === "starting" && !isPaused))
    )
      return true;
  }
  return false;
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
