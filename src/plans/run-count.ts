import type { FieldValue, Plan, RunStep } from "./plan.js";
import { soleReference } from "./references.js";

/** How many runs a plan has when nothing is sent back or started again. */
export interface RunCount {
  /** Without those that a condition may leave out; a list that is not known yet counts as one item. */
  least: number;
  /** With them. */
  expected: number;
  /** There are lists whose length nobody knows yet, so that there may be more. */
  isOpen: boolean;
}

/** How many runs a plan takes when nothing fails or is sent back. */
export function countRuns(plan: Plan, inputs: Readonly<Record<string, FieldValue>>): RunCount {
  let [least, expected, isOpen] = [0, 0, false];
  for (const step of plan.steps) {
    if (step.kind !== "run") continue;
    const items = countItems(step, inputs);
    expected += items ?? 1;
    if (items === undefined) isOpen = true;
    if (step.when === undefined) least += items ?? 1;
  }
  return { least, expected, isOpen };
}

/** The runs of one step; undefined where a list is not known yet. */
export function countItems(
  { forEach }: RunStep,
  inputs: Readonly<Record<string, FieldValue>>,
): number | undefined {
  if (forEach === undefined) return 1;
  const reference = soleReference(forEach);
  if (reference?.kind !== "input" || !Object.hasOwn(inputs, reference.name)) return undefined;
  const list = inputs[reference.name];
  return Array.isArray(list) ? list.length : undefined;
}
