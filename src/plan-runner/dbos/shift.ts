import { AsyncLocalStorage } from "node:async_hooks";
import type * as Dbos from "@dbos-inc/dbos-sdk";
import { untilAborted } from "../../shared/abort.js";
import { type Pauses, pauseAfter } from "../../shared/backoff.js";
import { sleep } from "../../shared/clock.js";
import { StoreError } from "../../store/store-error.js";
import type { CarrierContext } from "../carrier.js";
import { COMMON, type DbosShifts, type ShiftMessage } from "./dbos-shifts.js";
import { recordPort, type Step } from "./recorded-port.js";

/** A message is waited for so long at a time, in s: each wait is recorded. */
const WAIT_S = 600;
/** Messages are announced; without that they are looked for so often, in ms. */
const LOOK_MS = 30_000;
/** After so many records another shift begins: what is recorded of a plan of many days is not one endless list. */
const RECORDS = 300;
/** Before something that has failed is tried again. */
const PAUSES: Pauses = { firstMs: 500, longestMs: 15_000 };

export interface Shift {
  context: CarrierContext;
  shifts: DbosShifts;
  dbos: typeof Dbos;
  planId: string;
  /** The plan's epoch before this shift. */
  after: number;
  /** Aborts when this process takes nothing on any more. */
  closing: AbortSignal;
}

/**
 * Carries a plan out for one shift: until it is over, this process ends, it is another process's, or much was recorded.
 * @returns what has become of it, for people
 */
export async function carryShift(shift: Shift): Promise<string> {
  const { context, dbos, planId, closing } = shift;
  const records = createRecords(shift);
  const { instance } = await context.owner;
  const taken = await dbos.DBOS.runStep(async () => ({ epoch: await takeOn(shift), by: instance }), {
    name: "take on",
  });
  // Where somebody has resumed this shift elsewhere, the one who had it is replaced when he is missed.
  if (taken.epoch === undefined || taken.by !== instance) return "The plan is another process's.";
  const { epoch } = taken;
  const isOurs = () => context.plans.get(planId)?.epoch === epoch;
  /** The plan was let go of here. DBOS wakes nobody who waits for a message in a shift that was cancelled. */
  const gone = new AbortController();
  const isGone = untilAborted(gone.signal);
  if (!(await begin(shift, epoch, records.step, () => gone.abort()))) return "The plan could not be read.";
  while (isOurs()) {
    // What was added while nobody was told is seen with the next look, too.
    const message = records.wait().catch(async (error) => {
      // A later shift may have the plan here by now.
      if (!isOurs()) return undefined;
      if (isLost(dbos, error)) await context.release(planId);
      else await sleep(context.clock, PAUSES.firstMs, closing);
      if (closing.aborted) await context.release(planId);
      return undefined;
    });
    const told = await Promise.race([message, isGone]);
    const plan = context.plans.get(planId);
    if (plan && told?.entries !== undefined && told.entries > plan.entries) plan.catchUp().catch(() => {});
    if (isOurs() && records.isFull()) await context.release(planId);
  }
  return "The shift is over.";
}

/** @returns the plan's epoch from now on; undefined when it is another process's. @throws StoreError at closing only */
async function takeOn({ context, planId, after, closing }: Shift): Promise<number | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      return await context.journal.takeOn(planId, await context.owner, after);
    } catch (error) {
      if (closing.aborted) throw error;
    }
    await sleep(context.clock, pauseAfter(tries, PAUSES), closing);
  }
}

/** Begins to carry it out. @returns false when this process ends before that has worked; then it is let go of */
async function begin(
  { context, shifts, planId, after, closing }: Shift,
  epoch: number,
  step: Step,
  onGone: () => void,
): Promise<boolean> {
  const ties = {
    port: (port: Parameters<typeof recordPort>[0]) => recordPort(port, step),
    onGone() {
      onGone();
      void shifts.end(planId, after);
    },
  };
  for (let tries = 1; !closing.aborted; tries++) {
    try {
      // As it was in an earlier epoch, where nobody has noticed here that it was another one's meanwhile.
      await context.letGo(planId);
      await context.drive(planId, epoch, ties);
      context.tellOnce(planId, undefined);
      return true;
    } catch (error) {
      context.tellOnce(planId, `A plan could not be carried on: ${(error as Error).message}`);
    }
    await sleep(context.clock, pauseAfter(tries, PAUSES), closing);
  }
  await context.journal.release(planId, { ...(await context.owner), epoch }).catch(() => {});
  return false;
}

/** What DBOS records of a shift. */
function createRecords({ context, dbos, planId }: Shift) {
  // Whatever calls it, it belongs to the shift in which this was made.
  const inShift = AsyncLocalStorage.snapshot();
  let count = 0;
  let underWay = 0;

  async function record<T>(name: string, work: () => Promise<T>): Promise<T> {
    let outcome: { value: T } | { error: unknown } | undefined;
    underWay++;
    count++;
    try {
      await dbos.DBOS.runStep(
        async () => {
          outcome = await work().then(
            (value) => ({ value }),
            (error: unknown) => ({ error }),
          );
          return kindOf(outcome);
        },
        { name },
      );
    } catch (error) {
      // What was done is known all the same.
      if (outcome === undefined && !isLost(dbos, error)) throw error;
    } finally {
      underWay--;
    }
    if (outcome === undefined) {
      // What was noted and not done is taken back, unless another process has the plan.
      void context.release(planId);
      throw new StoreError("Another process carries the plan out.");
    }
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  return {
    step: <T>(name: string, work: () => Promise<T>) => inShift(() => record(name, work)),
    /** The next message; null when none has come. */
    wait(): Promise<ShiftMessage | null> {
      count += 2;
      return dbos.DBOS.recv<ShiftMessage>(COMMON.topic, {
        timeoutSeconds: WAIT_S,
        pollingIntervalMs: LOOK_MS,
      });
    },
    isFull: () => count >= RECORDS && underWay === 0,
  };
}

/** What is recorded of an outcome: no text of others. */
function kindOf(outcome: { value: unknown } | { error: unknown }): string {
  if ("error" in outcome) return "failed";
  return (outcome.value as { kind?: string } | undefined)?.kind ?? "done";
}

/** Whether DBOS says that the shift is not this process's any more. */
function isLost({ Error: errors }: typeof Dbos, error: unknown): boolean {
  return (
    error instanceof errors.DBOSWorkflowCancelledError || error instanceof errors.DBOSWorkflowConflictError
  );
}
