import { optional } from "../plan.js";
import type { PlanState } from "./state.js";

/** Of the runs that a plan may have: what is used of them. */
export interface RunCount {
  /** Known to be there, or to have been. */
  started: number;
  /** Decided on, and not confirmed by anybody yet: one that is refused gives its place back. Missing for none. */
  starting?: number;
  /** Nobody knows whether they were started. Missing for none. */
  unknown?: number;
  limit: number;
}

/** Counts the runs of a plan. All of them together count against its limit. */
export function countRuns({ plan, runsStarted, steps }: PlanState): RunCount {
  let [starting, unknown] = [0, 0];
  for (const { attempts } of Object.values(steps))
    for (const { status } of attempts) {
      if (status === "starting") starting++;
      if (status === "unknown") unknown++;
    }
  return {
    started: runsStarted - starting - unknown,
    ...optional("starting", starting || undefined),
    ...optional("unknown", unknown || undefined),
    limit: plan.limits.runs,
  };
}

/** What follows on the number of those that were started: ", 1 starting, 2 unknown"; "" where all are. */
export function tellUnsure({ starting = 0, unknown = 0 }: Partial<RunCount>): string {
  return `${starting > 0 ? `, ${starting} starting` : ""}${unknown > 0 ? `, ${unknown} unknown` : ""}`;
}
