import { setting } from "./setting.js";
import { decimal } from "./values.js";

/** What a plan may do where it says nothing itself, and from where on a person is asked first. */
export const planSettings = {
  planRuns: setting(decimal(1, 1_000, true).default(20), {
    variable: "PLAN_RUNS",
    about: "Runs that a plan may start, unless it has a limit of its own.",
    bounds: "1–1000, whole",
  }),
  planParallel: setting(decimal(1, 100, true).default(3), {
    variable: "PLAN_PARALLEL",
    about: "Runs of a plan at once, unless it has a limit of its own.",
    bounds: "1–100, whole",
  }),
  planMinutes: setting(decimal(1, 100_000, true).default(240), {
    variable: "PLAN_MINUTES",
    about:
      "Minutes that runs of a plan may work, unless it has a limit of its own. Waiting for a person does not count.",
    bounds: "1–100000 minutes, whole",
  }),
  planCostLimitUsd: setting(decimal(0.01, 100_000).optional(), {
    variable: "PLAN_COST_LIMIT",
    about: "What a plan may cost, unless it has a limit of its own. Default: no limit.",
    bounds: "0.01–100000 USD",
  }),
  planAskAboveRuns: setting(decimal(1, 1_000, true).default(8), {
    variable: "PLAN_ASK_ABOVE_RUNS",
    about: "A plan asks the person before it starts more runs than this for one list.",
    bounds: "1–1000, whole",
  }),
  planAskAboveUsd: setting(decimal(0, 100_000).default(10), {
    variable: "PLAN_ASK_ABOVE_COST",
    about:
      "A plan asks the person before it starts runs for one list that are expected to cost more than this.",
    bounds: "0–100000 USD",
  }),
};

/** The limits of a plan that has none of its own. */
export function planLimitsOf(settings: {
  planRuns: number;
  planParallel: number;
  planMinutes: number;
  planCostLimitUsd?: number | undefined;
}): { runs: number; parallel: number; minutes: number; costUsd?: number } {
  const {
    planRuns: runs,
    planParallel: parallel,
    planMinutes: minutes,
    planCostLimitUsd: costUsd,
  } = settings;
  return { runs, parallel, minutes, ...(costUsd === undefined ? {} : { costUsd }) };
}
