import type { ProcessIdentity } from "../shared/process-identity.js";

/** A process that carries plans out; `instance` tells two of one process apart. */
export interface PlanOwner extends ProcessIdentity {
  instance: string;
}

/** Who carries a plan out. */
export interface Ownership {
  owner: PlanOwner | undefined;
  /** When its owner was last seen, epoch ms. */
  ownerSeen: number;
}

/** Always the same text for the same owner: owners are compared by it. */
export function textOf({ pid, began, place, instance }: PlanOwner): string {
  return JSON.stringify({ pid, began, place, instance });
}

/** Who carries a plan out, as its row says. */
export function readOwnership(row: { owner: string | null; owner_seen: number | null }): Ownership {
  return {
    owner: row.owner === null ? undefined : (JSON.parse(row.owner) as PlanOwner),
    ownerSeen: row.owner_seen ?? 0,
  };
}
