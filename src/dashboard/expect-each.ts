import { type Figures, hasSucceeded } from "../history/figures.js";
import { LEAST_RUNS } from "../shared/spread.js";

/** What was usual when a run began; what too few runs tell is left out. */
export interface Expected {
  turns?: number;
  seconds?: number;
  costUsd?: number;
}

/** By the reading of history, of which nothing changes any more. */
const kept = new WeakMap<readonly Figures[], ReadonlyMap<Figures, Expected>>();

const KEYS = ["turns", "seconds", "costUsd"] as const;

/**
 * For each run the medians of the successful runs of its workflow that had ended before it: what was to be expected then,
 * and not what is known by now. Runs of which nothing was to be expected are left out.
 */
export function expectEach(figures: readonly Figures[]): ReadonlyMap<Figures, Expected> {
  const known = kept.get(figures);
  if (known) return known;
  const byWorkflow = new Map<string, Figures[]>();
  for (const one of figures) {
    if (one.kind !== "run" || !one.workflow) continue;
    const of = byWorkflow.get(one.workflow) ?? [];
    of.push(one);
    byWorkflow.set(one.workflow, of);
  }
  const expected = new Map<Figures, Expected>();
  for (const runs of byWorkflow.values()) expectOf(runs, expected);
  kept.set(figures, expected);
  return expected;
}

function expectOf(runs: Figures[], expected: Map<Figures, Expected>): void {
  const began = (one: Figures) => one.startedAt ?? one.endedAt ?? 0;
  const ended = (one: Figures) => one.endedAt ?? Number.POSITIVE_INFINITY;
  const past = runs.filter(hasSucceeded).sort((a, b) => ended(a) - ended(b));
  const known = { turns: [] as number[], seconds: [] as number[], costUsd: [] as number[] };
  let taken = 0;
  for (const run of runs.sort((a, b) => began(a) - began(b))) {
    for (; taken < past.length && ended(past[taken] as Figures) <= began(run); taken++)
      for (const key of KEYS) insert(known[key], past[taken]?.[key]);
    const own: Expected = {};
    for (const key of KEYS) {
      const values = known[key];
      if (values.length >= LEAST_RUNS) own[key] = values[Math.floor((values.length - 1) / 2)] as number;
    }
    if (Object.keys(own).length > 0) expected.set(run, own);
  }
}

/** Puts a value into a list that is in order. */
function insert(sorted: number[], value: number | undefined): void {
  if (value === undefined) return;
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] as number) < value) from = middle + 1;
    else to = middle;
  }
  sorted.splice(from, 0, value);
}
