import { buildGraph, type PlanGraph } from "../graph.js";
import type { Plan, PlanStep } from "../plan.js";

/** What follows from a plan alone. */
export interface PlanIndex {
  readonly graph: PlanGraph;
  readonly steps: ReadonlyMap<string, PlanStep>;
  /** Where each stands in the graph's order. */
  readonly positions: ReadonlyMap<string, number>;
}

const indexes = new WeakMap<Plan, PlanIndex>();

/** Made once for each plan, which never changes. */
export function indexOf(plan: Plan): PlanIndex {
  const known = indexes.get(plan);
  if (known) return known;
  const graph = buildGraph(plan.steps);
  const index = {
    graph,
    steps: new Map(plan.steps.map((step) => [step.id, step])),
    positions: new Map(graph.order.map((id, at) => [id, at])),
  };
  indexes.set(plan, index);
  return index;
}
