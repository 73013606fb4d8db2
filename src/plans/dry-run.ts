import { buildGraph } from "./graph.js";
import type { FieldValue, Plan, RunStep } from "./plan.js";
import { optional } from "./plan.js";
import { countItems, countRuns } from "./run-count.js";

/** What runs of a workflow have taken so far; what is not known is left out, and never 0. */
export interface WorkflowHistory {
  /** The middle one. */
  turns?: number | undefined;
  costUsd?: number | undefined;
  durationS?: number | undefined;
  /** What nine of ten did not exceed. */
  most?: { turns?: number | undefined; costUsd?: number | undefined; durationS?: number | undefined };
  /** Of how many runs. */
  n?: number | undefined;
}

export interface DryRunStep {
  id: string;
  kind: "run" | "gate" | "merge";
  workflow?: string;
  /** Runs, where it is known how many; of a gate or a merge 0. */
  runs?: number;
  /** It may be skipped, since it has a condition. */
  conditional?: true;
}

/** What a plan would do and take, before anything of it has begun. */
export interface DryRun {
  /** Steps that can go on at the same time, wave after wave. */
  waves: DryRunStep[][];
  runs: {
    /** When every condition holds, nothing is sent back and nothing fails. */
    expected: number;
    /** Without those that a condition may leave out. */
    least: number;
    /** Lists are not known yet: it may be more than expected. */
    isOpen: boolean;
    limit: number;
  };
  /** Sums over the expected runs; left out where one of them is unknown. */
  turns?: number;
  costUsd?: number;
  /** Seconds from the start to the end, with as many runs at once as allowed, without waiting for people. */
  durationS?: number;
  /** The same sums over what nine of ten runs of each workflow did not exceed: few plans take more. */
  most: { turns?: number; costUsd?: number; durationS?: number };
  /** The part of the cost that is known, where not all of it is. */
  knownCostUsd?: number;
  /** Of so many past runs, at least, is known what a run of each workflow takes; left out where nothing is. */
  basedOn?: number;
  /** Workflows of which nothing, or not everything, is known. */
  unknown: string[];
  /** What is worth knowing before it begins; sentences. */
  warnings: string[];
}

/**
 * Counts what a checked plan would do. Nothing is started.
 * @param options.history what runs of a workflow have taken so far
 */
export function dryRun(
  plan: Plan,
  options: {
    inputs?: Readonly<Record<string, FieldValue>>;
    history?: (workflow: string) => WorkflowHistory | undefined;
  } = {},
): DryRun {
  const { inputs = {}, history = () => undefined } = options;
  const graph = buildGraph(plan.steps);
  const waves: DryRunStep[][] = [];
  const totals = { turns: 0, costUsd: 0 };
  const missing = { turns: false, costUsd: false, durationS: false };
  const most = { turns: 0, costUsd: 0 };
  let knownCostUsd = 0;
  const unknown = new Set<string>();
  let basedOn = Number.POSITIVE_INFINITY;

  for (const step of plan.steps) {
    const depth = graph.depthOf(step.id);
    while (waves.length <= depth) waves.push([]);
    const runs = step.kind === "run" ? countItems(step, inputs) : 0;
    waves[depth]?.push({
      id: step.id,
      kind: step.kind,
      ...(step.kind === "run" ? { workflow: step.workflow } : {}),
      ...optional("runs", runs),
      ...(step.when === undefined ? {} : { conditional: true as const }),
    });
    if (step.kind !== "run") continue;
    const past = history(step.workflow) ?? {};
    if (past.n !== undefined) basedOn = Math.min(basedOn, past.n);
    const times = runs ?? 1;
    for (const what of ["turns", "costUsd"] as const) {
      const value = past[what];
      if (value === undefined) missing[what] = true;
      else totals[what] += value * times;
      // Not a number as soon as one of them is unknown.
      most[what] += (past.most?.[what] ?? Number.NaN) * times;
    }
    knownCostUsd += (past.costUsd ?? 0) * times;
    if (past.durationS === undefined) missing.durationS = true;
    if (past.turns === undefined || past.costUsd === undefined || past.durationS === undefined)
      unknown.add(step.workflow);
  }

  const { expected, least, isOpen } = countRuns(plan, inputs);
  const costUsd = missing.costUsd ? undefined : totals.costUsd;
  return {
    waves,
    runs: { expected, least, isOpen, limit: plan.limits.runs },
    ...optional("turns", missing.turns ? undefined : totals.turns),
    ...optional("costUsd", costUsd),
    ...optional(
      "durationS",
      missing.durationS
        ? undefined
        : durationOf(plan, inputs, (workflow) => history(workflow)?.durationS ?? 0),
    ),
    most: {
      ...optional("turns", known(most.turns)),
      ...optional("costUsd", known(most.costUsd)),
      ...optional(
        "durationS",
        known(durationOf(plan, inputs, (workflow) => history(workflow)?.most?.durationS ?? Number.NaN)),
      ),
    },
    ...optional("knownCostUsd", missing.costUsd && knownCostUsd > 0 ? knownCostUsd : undefined),
    ...optional("basedOn", Number.isFinite(basedOn) ? basedOn : undefined),
    unknown: [...unknown],
    warnings: warn(plan, { expected, isOpen, knownCostUsd }),
  };
}

const known = (sum: number) => (Number.isFinite(sum) ? sum : undefined);

function warn(plan: Plan, found: { expected: number; isOpen: boolean; knownCostUsd: number }): string[] {
  const { limits } = plan;
  const warnings: string[] = [];
  if (found.expected > limits.runs)
    warnings.push(
      `When every condition holds, ${found.expected} runs are needed, and at most ${limits.runs} may be started.`,
    );
  if (limits.costUsd !== undefined && found.knownCostUsd > limits.costUsd)
    warnings.push(
      `Runs like these have cost $${found.knownCostUsd.toFixed(2)}, and the plan may cost $${limits.costUsd.toFixed(2)}: it would stop before its end.`,
    );
  if (limits.costUsd === undefined) warnings.push("The plan has no limit of its cost.");
  return warnings;
}

/** Each run takes the first free slot once all that it needs has ended. */
function durationOf(
  plan: Plan,
  inputs: Readonly<Record<string, FieldValue>>,
  secondsOf: (workflow: string) => number,
): number {
  const steps = new Map(plan.steps.map((step) => [step.id, step]));
  const ends = new Map<string, number>();
  const places = Array.from({ length: plan.limits.parallel }, () => 0);
  for (const id of buildGraph(plan.steps).order) {
    const step = steps.get(id);
    if (!step) continue;
    const ready = Math.max(0, ...step.needs.map((need) => ends.get(need) ?? 0));
    ends.set(id, step.kind === "run" ? placeRuns(step, ready) : ready);
  }
  return Math.max(0, ...ends.values());

  function placeRuns(step: RunStep, ready: number): number {
    const each = secondsOf(step.workflow);
    const own = step.forEach === undefined ? undefined : step.parallel;
    const ended: number[] = [];
    for (let run = 0; run < (countItems(step, inputs) ?? 1); run++) {
      const free = places.indexOf(Math.min(...places));
      // With as many of its own at once as the step allows, the next one waits for the oldest of them.
      const turn = own === undefined || run < own ? 0 : (ended[run - own] ?? 0);
      const end = Math.max(ready, places[free] ?? 0, turn) + each;
      places[free] = end;
      ended.push(end);
    }
    return Math.max(ready, ...ended);
  }
}
