import { readdir } from "node:fs/promises";
import { driverFiles, stopDriver } from "../../plan-driver/index.js";
import { systemClock } from "../../shared/clock.js";
import { lookAtPlans, namePlans } from "./tell-driver.js";

/**
 * Ends the processes of this state folder that serve plans or the dashboard of workflows APIs elsewhere, where no plan of
 * theirs is open: else they would stay for some minutes when all else has ended.
 * @param own the API whose process is not meant, as a folder is called
 * @returns what is to be told: that others stay, with their plans; empty where none does. Never throws
 */
export async function endOtherDrivers(stateFolder: string, own: string): Promise<string> {
  const { parent } = driverFiles({ stateFolder, upstream: own });
  const names = await readdir(parent).catch(() => []);
  const told = await Promise.all(
    names.filter((name) => name !== own).map((upstream) => endIdle({ stateFolder, upstream })),
  );
  return told.filter(Boolean).join("\n");
}

async function endIdle(place: { stateFolder: string; upstream: string }): Promise<string> {
  const plans = await lookAtPlans(place).catch(() => undefined);
  if (plans?.sight.kind !== "drives") return "";
  if (plans.open.length === 0) {
    await stopDriver(place, { clock: systemClock });
    return "";
  }
  return `Process ${plans.sight.record.pid} goes on with plans of a workflows API elsewhere: ${namePlans(plans.open)}.`;
}
