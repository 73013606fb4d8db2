import type { PlanChange } from "../plans/machine/events.js";
import type { PlanState } from "../plans/machine/state.js";
import { whyNotNow } from "../plans/machine/why-not.js";
import type { StepChange } from "./views/needs.js";

/** Whether a person can have this of the plan, as it stands. */
export function mayHappen(state: PlanState, change: PlanChange): boolean {
  return whyNotNow(state, { ...change, at: state.at }) === undefined;
}

/** What a person may do with a step now. */
export function changesOf(state: PlanState, step: string): StepChange[] {
  return [
    ...(mayHappen(state, { type: "step-skipped", step }) ? (["skip"] as const) : []),
    ...(mayHappen(state, { type: "step-redone", step }) ? (["redo"] as const) : []),
  ];
}
