import { readKeptSettings } from "../../engine/background/index.js";
import { readSettings, SettingsError } from "../../settings/settings.js";
import { findSharedDatabase } from "../../settings/shared-database.js";
import { systemClock } from "../../shared/clock.js";
import type { Invocation } from "../command-line.js";
import { showCosts } from "../engine/show-costs.js";
import { findStateFolder } from "../process.js";

const MOST_DAYS = 366;

/** `engine cost`: what runs have cost, by day and workflow. */
export async function engineCost({ flags, days = "7", json }: Invocation): Promise<number> {
  const settings = readSettings(process.env, flags);
  if (!/^\d{1,3}$/.test(days) || Number(days) < 1 || Number(days) > MOST_DAYS)
    throw new SettingsError(`--days: the value is not allowed; allowed: 1 to ${MOST_DAYS}, whole`);
  const stateFolder = findStateFolder(settings);
  // A limit that is given here is told; else that which the engine has.
  const kept = (await readKeptSettings(stateFolder))?.settings;
  return showCosts(stateFolder, {
    days: Number(days),
    json: json === true,
    settings: settings.engineCostLimitPerDayUsd === undefined && kept ? kept : settings,
    now: systemClock.now(),
    database: findSharedDatabase(settings),
    out: (text) => process.stdout.write(text),
  });
}
