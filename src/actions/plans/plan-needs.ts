import { type WaitingFor, waitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";

/** What a person has to decide or to answer so that the plan goes on. */
export function needsNow(state: PlanState): WaitingFor[] {
  return waitingFor(state).filter(({ kind }) => kind !== "lost" && kind !== "blocked");
}
