import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { DrivenPlan } from "./drive-plan.js";
import type { PlanJournal } from "./journal.js";
import type { PlanOwner } from "./plan-owner.js";
import type { OpenPlan } from "./plan-owners.js";
import type { PlanPort } from "./port.js";

/** A plan that this process carries out, and the epoch in which it has it. */
export type CarriedPlan = Pick<DrivenPlan, "entries" | "last" | "catchUp" | "happen"> & {
  readonly epoch: number;
};

/**
 * Who carries plans out: finds those that this process takes on, sees to it that they are its own for as long as they
 * are, and that those of a process that has died go on. What is done with a plan is the same for all of them.
 */
export interface PlanCarrier {
  /** From now on this process takes plans on. */
  start(): void;
  /** Something may be there to be taken on. */
  wake(): void;
  /** Nothing more is taken on. */
  stop(): Promise<void>;
  /** Ends it, after all plans were let go of. */
  close(): Promise<void>;
}

/** What a carrier has to do with a plan while it is carried out. */
export interface PlanTies {
  /** Stands between the plan and the world outside. */
  port(port: PlanPort): PlanPort;
  /** The plan was let go of. */
  onGone(): void;
}

/** What a carrier has to work with: the plans of one process, and what it can do with them. */
export interface CarrierContext {
  journal: PlanJournal;
  /** Who this process is. */
  owner: Promise<PlanOwner>;
  clock: Clock;
  log: Log;
  /** The plans that this process carries out, by their ids. */
  plans: ReadonlyMap<string, CarriedPlan>;
  /** Whether nobody carries the plan out, surely nobody any more, or this process. */
  mayTake(row: OpenPlan): Promise<boolean>;
  /** Carries out a plan that was taken on. @throws StoreError when it cannot be read */
  drive(planId: string, epoch: number, ties?: PlanTies): Promise<void>;
  /** Lets go of a plan of this process's; others go on with it, if there is something to be done. Never rejects. */
  release(planId: string): Promise<void>;
  /** The plan is another process's: nothing more is done with it here. */
  letGo(planId: string): Promise<void>;
  /** How long the machine has slept in all, in ms; to be looked at often. */
  slept(): number;
  /** Warns of a problem, once and not with every look; undefined when it is over. */
  tellOnce(what: string, problem: string | undefined): void;
}
