import type { PlanChange } from "../plans/machine/events.js";
import type { Attempt, PlanState } from "../plans/machine/state.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { BegunActs } from "./begun-acts.js";
import type { PlanJournal } from "./journal.js";
import type { PlanCopy } from "./plan-copy.js";
import type { PlanPort } from "./port.js";
import type { WatchedNow } from "./watched-now.js";

/** What the commands of a plan are carried out with. */
export interface CommandContext {
  copy: PlanCopy;
  journal: PlanJournal;
  port: PlanPort;
  clock: Clock;
  log: Log;
  begun: BegunActs;
  watched: WatchedNow;
  /** Aborts when nothing more is to be begun here. */
  stopping: AbortSignal;
  /** Whether a command is still to be carried out, as the plan stands. */
  isWanted(id: string): boolean;
  /** What is known to be so is written down, however long the disk fails. False when this process ends before. */
  tell(change: PlanChange): Promise<boolean>;
}

/** To be tried again, for this reason; after the usual pause unless told. */
export interface NotNow {
  reason: string;
  afterMs?: number | undefined;
  /** It is as it should be, and no trouble. */
  isFine?: true;
}

/** The attempt of a run by its key (plan/step/attempt, with the item behind it in a fan-out). */
export function findAttempt({ steps }: PlanState, key: string): Attempt | undefined {
  return steps[key.split("/")[1] ?? ""]?.attempts.findLast((one) => one.key === key);
}
