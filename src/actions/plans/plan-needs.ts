import { type WaitingFor, waitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";

/** What a person has to decide or to answer so that the plan goes on. */
export function needsNow(state: PlanState): WaitingFor[] {
  return waitingFor(state).filter(({ kind }) => kind !== "lost" && kind !== "blocked");
}

/** What is meant by a need, as `step` of a call: of several runs of one step `build/2` is the second item's. */
export function nameOfNeed({ steps }: PlanState, { step, key }: WaitingFor): string {
  const item = key === undefined ? undefined : steps[step]?.attempts.find((one) => one.key === key)?.item;
  return item === undefined ? step : `${step}/${item + 1}`;
}
