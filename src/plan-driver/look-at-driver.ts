import { lastingIdentity, sameProcess } from "../shared/background/process-life.js";
import { readLockHolder } from "../shared/background/process-lock.js";
import type { ProcessIdentity } from "../shared/process-identity.js";
import { DRIVER_LOCK, type DriverPlace, driverFiles } from "./driver-files.js";
import { type DriverRecord, readDriverRecord } from "./driver-record.js";

/**
 * `none`: no living driver. `elsewhere`: one on another machine or in another container that shares the folder.
 * `unready`: its process lives, but it is only starting or already ending.
 */
export type DriverSight =
  | { kind: "none" }
  | { kind: "elsewhere" }
  | { kind: "unready"; holder: ProcessIdentity }
  | { kind: "drives"; holder: ProcessIdentity; record: DriverRecord };

/** Looks whether a driver is there. Changes nothing and never throws. @param now epoch ms */
export async function lookAtDriver(place: DriverPlace, now: number): Promise<DriverSight> {
  const holder = await readLockHolder(driverFiles(place).folder, DRIVER_LOCK, now);
  if (!holder) return { kind: "none" };
  if (holder.place !== (await lastingIdentity()).place) return { kind: "elsewhere" };
  const record = await readDriverRecord(place);
  return record && sameProcess(record, holder)
    ? { kind: "drives", holder, record }
    : { kind: "unready", holder };
}
