import { readFile } from "node:fs/promises";
import { isGone, ownIdentity, type ProcessIdentity } from "../shared/process-identity.js";

/** A process that carries plans out; `instance` tells two of one process apart. */
export interface PlanOwner extends ProcessIdentity {
  instance: string;
  /** Names the machine since it was switched on, where it tells that: two of them may have one name. */
  boot?: string;
}

/** A process as the owner of one plan. */
export interface PlanHolder extends PlanOwner {
  /** How often the plan had been taken on when this one had it: after it was replaced the number is another one. */
  epoch: number;
}

/** Who carries a plan out. */
export interface Ownership {
  owner: PlanOwner | undefined;
  epoch: number;
  /** When its owner was last seen, epoch ms. */
  ownerSeen: number;
  /** How long ago that is, in ms by the clock of a shared database; absent in that of a state folder. */
  silentMs?: number;
}

/** When owners say that they live, and when they are taken for dead. */
export interface OwnerTimes {
  /** How often they say it, in ms. */
  beatMs: number;
  /** Silent for so long they are gone, in ms. */
  silentMs: number;
}

/** On one machine an owner is mostly known by its process: silence counts of whom nothing else can be known. */
export const FOLDER_TIMES: OwnerTimes = { beatMs: 15_000, silentMs: 120_000 };
/** Over several machines silence always counts, also of a process that is only stopped: five beats missed. */
export const SHARED_TIMES: OwnerTimes = { beatMs: 3_000, silentMs: 15_000 };

/** Always the same text for the same owner: owners are compared by it. */
export function textOf({ pid, began, place, instance, boot }: PlanOwner): string {
  return JSON.stringify({ pid, began, place, instance, boot });
}

/** Who carries a plan out, as its row says. */
export function readOwnership(row: {
  owner: string | null;
  owner_seen: number | null;
  epoch: number;
  silent?: number | null;
}): Ownership {
  return {
    owner: row.owner === null ? undefined : (JSON.parse(row.owner) as PlanOwner),
    epoch: row.epoch,
    ownerSeen: row.owner_seen ?? 0,
    ...(row.silent === undefined ? {} : { silentMs: row.silent ?? 0 }),
  };
}

/** @param instance tells two owners of one process apart; @param isShared whether owners are on several machines */
export async function identifyOwner(instance: string, isShared: boolean): Promise<PlanOwner> {
  const own = { ...(await ownIdentity()), instance };
  if (!isShared) return own;
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "latin1").catch(() => "");
  return { ...own, boot: boot.trim() };
}

export function isSameOwner(a: PlanOwner | undefined, b: PlanOwner): boolean {
  return a?.instance === b.instance && a.pid === b.pid && a.began === b.began && a.place === b.place;
}

/**
 * True when nobody carries the plan out, or surely nobody any more, or this process.
 * @param now epoch ms, for what has no clock of its own
 */
export async function isFree(
  { owner, ownerSeen, silentMs }: Ownership,
  own: PlanOwner,
  { now, times }: { now: number; times: OwnerTimes },
): Promise<boolean> {
  if (!owner || isSameOwner(owner, own)) return true;
  if (silentMs !== undefined) {
    // The process is looked at only where it is surely one of this machine.
    const isHere = owner.boot !== undefined && owner.boot !== "" && owner.boot === own.boot;
    return silentMs > times.silentMs || (isHere && (await isGone(owner, own)));
  }
  if (await isGone(owner, own)) return true;
  const canTell = owner.place === own.place && owner.began !== "0";
  return !canTell && now - ownerSeen > times.silentMs;
}
