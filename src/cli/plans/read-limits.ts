import type { PlanLimits } from "../../plans/plan.js";
import { SettingsError } from "../../settings/settings.js";

/** What each limit may be, as the settings of plans say it. */
const LIMITS = {
  runs: { name: "runs", least: 1, most: 1_000, whole: true },
  parallel: { name: "parallel", least: 1, most: 100, whole: true },
  minutes: { name: "minutes", least: 1, most: 100_000, whole: true },
  cost: { name: "costUsd", least: 0.01, most: 100_000, whole: false },
} as const;

/**
 * Limits as they are given on the command line.
 * @throws SettingsError for none, and for one that is no number or out of its bounds
 */
export function readLimits(asked: Partial<Record<keyof typeof LIMITS, string>>): Partial<PlanLimits> {
  const limits: Record<string, number> = {};
  for (const [flag, { name, least, most, whole }] of Object.entries(LIMITS)) {
    const text = asked[flag as keyof typeof LIMITS];
    if (text === undefined) continue;
    const value = /^\d{1,9}(?:\.\d{1,4})?$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value)))
      throw new SettingsError(
        `--${flag}: the value is not allowed; allowed: ${least} to ${most}${whole ? ", whole" : " USD"}`,
      );
    limits[name] = value;
  }
  if (Object.keys(limits).length === 0)
    throw new SettingsError("plan limits: give --cost, --runs, --parallel or --minutes; see --help");
  return limits;
}
