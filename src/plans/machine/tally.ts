import { countItems } from "../run-count.js";
import type { PlanIndex } from "./plan-index.js";
import type { PlanState, StepState } from "./state.js";

/**
 * Sums over all steps, and what of them is to be looked at. They are kept while a state is changed, so that an event
 * costs what it changes and not what the plan is long.
 */
export interface Tally {
  /** Runs that go on, in all. */
  going: number;
  /** Of these, those at work; a run that is only being started counts apart. */
  running: number;
  starting: number;
  /** Runs that are still to come, each with its weight. Whole numbers, so that it is the same in any order. */
  weightToCome: number;
  /** Steps with runs in their queue; the same in the order of the plan, some of which have none any more. */
  readonly queued: Set<string>;
  order: readonly string[] | undefined;
  /** Why all steps in the queue wait, but for those that are to be looked at: mostly it is the same for all. */
  wait: string | undefined;
  readonly unlooked: Set<string>;
  /** Steps that were written to since the sums were made. */
  readonly stale: Set<string>;
  /** Steps that may get further because of what was written. */
  readonly touched: Set<string>;
  readonly parts: Map<string, Part>;
}

interface Part {
  going: number;
  running: number;
  starting: number;
  weightToCome: number;
}

const NOTHING: Part = { going: 0, running: 0, starting: 0, weightToCome: 0 };

type Sight = {
  readonly state: Omit<PlanState, "steps"> & { readonly steps: PlanState["steps"] };
  readonly index: PlanIndex;
};

/** A tally for which nothing was looked at yet. */
export function createTally(sight: Sight): Tally {
  const tally: Tally = {
    ...NOTHING,
    queued: new Set(),
    order: undefined,
    wait: undefined,
    unlooked: new Set(),
    stale: new Set(sight.index.steps.keys()),
    touched: new Set(),
    parts: new Map(),
  };
  refreshTally(tally, sight);
  return tally;
}

/** The sums of states that were made last: the next one is made with them. */
const kept = new WeakMap<object, Tally>();

/** Keeps the sums of a state that is made and does not change any more. */
export function keepTally(state: PlanState, tally: Tally): void {
  kept.set(state, tally);
}

/** The sums of a state, to be changed with a copy of it; they are not kept any more. */
export function takeTally(state: PlanState, index: PlanIndex): Tally {
  const tally = kept.get(state) ?? createTally({ state, index });
  kept.delete(state);
  return tally;
}

/** The sums of a state, only to be read. */
export function tallyOf(state: PlanState, index: PlanIndex): Readonly<Tally> {
  const tally = kept.get(state) ?? createTally({ state, index });
  kept.set(state, tally);
  return tally;
}

/** Brings the sums up to date with what was written. */
export function refreshTally(tally: Tally, sight: Sight): void {
  for (const id of tally.stale) {
    const before = tally.parts.get(id) ?? NOTHING;
    const now = sight.state.steps[id];
    const part = now ? partOf(sight, id, now) : NOTHING;
    tally.parts.set(id, part);
    for (const sum of ["going", "running", "starting", "weightToCome"] as const)
      tally[sum] += part[sum] - before[sum];
    if (now && now.queue.length > 0) {
      if (!tally.queued.has(id)) tally.order = undefined;
      tally.queued.add(id);
      tally.unlooked.add(id);
    } else {
      tally.queued.delete(id);
      tally.unlooked.delete(id);
    }
  }
  tally.stale.clear();
}

function partOf({ state, index }: Sight, id: string, now: StepState): Part {
  const step = index.steps.get(id);
  if (step?.kind !== "run") return NOTHING;
  let [running, starting] = [0, 0];
  if (now.going > 0)
    for (const { status } of now.attempts) {
      if (status === "running") running++;
      if (status === "starting") starting++;
    }
  const isToCome = !now.begun && now.status !== "skipped";
  const runs = now.queue.length || (isToCome ? (countItems(step, state.inputs) ?? 1) : 0);
  return {
    going: now.going,
    running,
    starting,
    weightToCome: runs === 0 ? 0 : runs * weightOf(state, step.workflow),
  };
}

/** What a run of the workflow costs as against others: by history, where there is some. In millionths. */
export function weightOf({ expectedUsd }: Pick<PlanState, "expectedUsd">, workflow: string): number {
  const known = Object.hasOwn(expectedUsd, workflow) ? expectedUsd[workflow] : undefined;
  if (known !== undefined && known > 0) return millionths(known);
  const all = Object.values(expectedUsd).filter((value) => value > 0);
  return millionths(all.length > 0 ? all.reduce((sum, value) => sum + value, 0) / all.length : 1);
}

function millionths(value: number): number {
  return Math.max(1, Math.round(value * 1_000_000));
}
