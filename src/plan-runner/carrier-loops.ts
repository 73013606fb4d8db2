import { sleep } from "../shared/clock.js";
import type { CarriedPlan, CarrierContext } from "./carrier.js";
import { isCaughtUp } from "./plan-copy.js";
import { isSameOwner } from "./plan-owner.js";
import type { OpenPlan } from "./plan-owners.js";
import { isSameEnd, type JournalEnd } from "./plan-rows.js";

/** How often plans that ended long ago are looked for, in ms. */
const PRUNE_MS = 60 * 60_000;

/** What every carrier does all the time: it says that it lives, and looks at how the plans stand. */
export interface CarrierLoops {
  start(): void;
  /** Looks now. */
  wake(): void;
  /** Resolves when nothing of it is done any more. */
  stop(): Promise<void>;
}

/**
 * @param options.lookMs how often the plans are looked at
 * @param options.takeOn gets the open plans that are not carried out here, with each look
 * @param options.prune removes what is not needed any more, now and then
 */
export function createCarrierLoops(options: {
  context: CarrierContext;
  lookMs: number;
  takeOn: (open: readonly OpenPlan[], signal: AbortSignal) => Promise<void>;
  prune: () => Promise<void>;
}): CarrierLoops {
  const { context, lookMs, takeOn, prune } = options;
  const { journal, plans, clock, tellOnce } = context;
  const closing = new AbortController();
  let woken = new AbortController();
  let loops: Promise<unknown> | undefined;

  async function keepLooking(): Promise<void> {
    let prunedAt = Number.NEGATIVE_INFINITY;
    let slept = 0;
    while (!closing.signal.aborted) {
      woken = new AbortController();
      try {
        // The journal gets it with whatever is written next; nobody is waited for meanwhile.
        if (context.slept() > slept)
          for (const plan of plans.values()) plan.happen({ type: "tick" }).catch(() => {});
        slept = context.slept();
        await look();
        tellOnce("all", undefined);
        if (clock.elapsed() - prunedAt >= PRUNE_MS) {
          prunedAt = clock.elapsed();
          await prune();
        }
      } catch (error) {
        tellOnce("all", `The plans could not be read: ${(error as Error).message}`);
      }
      await sleep(clock, lookMs, AbortSignal.any([woken.signal, closing.signal]));
    }
  }

  async function look(): Promise<void> {
    const owner = await context.owner;
    // What is taken on meanwhile is not in what is read.
    const own = [...plans];
    const open = await journal.listOpen(owner);
    for (const [planId, plan] of own) {
      if (plans.get(planId) !== plan) continue;
      const row = open.find((one) => one.planId === planId);
      const isOurs = row && isSameOwner(row.owner, owner) && row.epoch === plan.epoch;
      // Where an earlier copy of the database is in its place it goes on as that has it.
      if (!isOurs || !(await isStillThat(planId, plan, row))) await context.letGo(planId);
    }
    await takeOn(
      open.filter(({ planId }) => !plans.has(planId)),
      closing.signal,
    );
  }

  /** Takes in what others have added. @returns whether the journal has what is known here of the plan */
  async function isStillThat(planId: string, plan: CarriedPlan, row: JournalEnd): Promise<boolean> {
    const { entries, last } = plan;
    if (row.entries > entries) return isCaughtUp(plan);
    if (isSameEnd(row, { entries, last })) return true;
    // What was just written may not have been there at that look.
    const now = await journal.readRow(planId);
    return now === undefined || now.entries > entries || isSameEnd(now, { entries, last });
  }

  /** Says that this process lives, whatever else waits for the database. */
  async function keepBeating(): Promise<void> {
    const owner = await context.owner;
    while (await sleep(clock, journal.times.beatMs, closing.signal)) {
      if (plans.size === 0) continue;
      const problem = await journal.refresh(owner, clock.now()).then(
        () => undefined,
        (error: Error) => `It could not be noted that plans are carried out here: ${error.message}`,
      );
      tellOnce("beat", problem);
    }
  }

  return {
    start() {
      loops ??= Promise.all([keepLooking(), keepBeating()]);
    },
    wake: () => woken.abort(),
    async stop() {
      closing.abort();
      await loops;
    },
  };
}
