import type { FieldValue, Plan } from "./plan.js";
import { soleReference } from "./references.js";

/**
 * The plan with the commands of its merges as they will run: where one is an input, that input's value; an empty one is
 * no command.
 */
export function fillChecks(plan: Plan, inputs: Readonly<Record<string, FieldValue>>): Plan {
  return {
    ...plan,
    steps: plan.steps.map((step) => {
      if (step.kind !== "merge" || step.check === undefined) return step;
      const reference = soleReference(step.check);
      if (reference?.kind !== "input") return step;
      const { check: _, ...rest } = step;
      const value = Object.hasOwn(inputs, reference.name) ? inputs[reference.name] : undefined;
      return typeof value === "string" && value.trim() !== "" ? { ...rest, check: value.trim() } : rest;
    }),
  };
}
