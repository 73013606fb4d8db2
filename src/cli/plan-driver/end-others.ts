import { readdir } from "node:fs/promises";
import {
  type DriverPlace,
  driverFiles,
  driverFolderName,
  isOfSharedDatabase,
  stopDriver,
} from "../../plan-driver/index.js";
import { systemClock } from "../../shared/clock.js";
import { lookAtPlans, namePlans } from "./tell-driver.js";

/**
 * Ends the processes of this state folder that serve plans or the dashboard of workflows APIs elsewhere, where no plan of
 * theirs is open: else they would stay for some minutes when all else has ended. Whether plans of a database that several
 * servers share are open is not known here, so their processes are left alone.
 * @param own the plans whose process is not meant
 * @returns what is to be told: that others stay, with their plans; empty where none does. Never throws
 */
export async function endOtherDrivers(own: DriverPlace): Promise<string> {
  const { stateFolder } = own;
  const names = await readdir(driverFiles(own).parent).catch(() => []);
  const others = names.filter((name) => name !== driverFolderName(own) && !isOfSharedDatabase(name));
  const told = await Promise.all(others.map((upstream) => endIdle({ stateFolder, upstream })));
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
