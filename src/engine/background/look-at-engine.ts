import { lastingIdentity, sameProcess } from "../../shared/background/process-life.js";
import { readLockHolder } from "../../shared/background/process-lock.js";
import type { ProcessIdentity } from "../../shared/process-identity.js";
import { engineFiles } from "./engine-files.js";
import type { EngineHealth, ProbeHealth } from "./engine-health.js";
import { type EngineRecord, readEngineRecord } from "./engine-record.js";

/** The name of the lock that an engine holds for its life. */
export const ENGINE_LOCK = "lock";

/**
 * How an engine's state folder looks. `none`: no living engine. `elsewhere`: one on another machine or in another
 * container. `unready`: its process lives, but it is only starting or already stopping. `silent`: it should answer
 * and does not.
 */
export type EngineSight =
  | { kind: "none" }
  | { kind: "elsewhere" }
  | { kind: "unready"; holder: ProcessIdentity }
  | { kind: "silent"; holder: ProcessIdentity; record: EngineRecord }
  | { kind: "answers"; holder: ProcessIdentity; record: EngineRecord; health: EngineHealth };

/** Looks whether an engine is there. Changes nothing and never throws. */
export async function lookAtEngine(
  stateFolder: string,
  options: { probe: ProbeHealth; now: number },
): Promise<EngineSight> {
  const holder = await readLockHolder(engineFiles(stateFolder).folder, ENGINE_LOCK, options.now);
  if (!holder) return { kind: "none" };
  if (holder.place !== (await lastingIdentity()).place) return { kind: "elsewhere" };
  const readRecord = async () => {
    const record = await readEngineRecord(stateFolder);
    return record && sameProcess(record, holder) ? record : undefined;
  };
  const record = await readRecord();
  if (!record) return { kind: "unready", holder };
  const health = await options.probe(record.url);
  // An engine that decides to end removes its record at that very moment, so its answer may be its last.
  if (!(await readRecord())) return { kind: "unready", holder };
  return health ? { kind: "answers", holder, record, health } : { kind: "silent", holder, record };
}
