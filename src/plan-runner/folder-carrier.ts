import type { CarrierContext, PlanCarrier } from "./carrier.js";
import { createCarrierLoops } from "./carrier-loops.js";
import type { OpenPlan } from "./plan-owners.js";

/** How often the database is looked at for what other processes have added, in ms. */
const LOOK_MS = 500;

/**
 * Carries plans out that are in a database without anything beside it: looks for such as nobody carries out, and takes
 * each on, if nobody else was first.
 */
export function createFolderCarrier(context: CarrierContext): PlanCarrier {
  const { journal, clock, tellOnce } = context;
  const loops = createCarrierLoops({ context, lookMs: LOOK_MS, takeOn, prune: journal.prune });

  async function takeOn(open: readonly OpenPlan[], signal: AbortSignal): Promise<void> {
    const owner = await context.owner;
    for (const row of open) {
      if (signal.aborted) return;
      if (!(await context.mayTake(row))) continue;
      try {
        const epoch = await journal.claim(row.planId, owner, formerOf(row), clock.now());
        if (epoch === undefined) continue;
        await context.drive(row.planId, epoch);
        tellOnce(row.planId, undefined);
      } catch (error) {
        // The others go on all the same.
        tellOnce(row.planId, `A plan could not be carried on: ${(error as Error).message}`);
      }
    }
  }

  return { start: loops.start, wake: loops.wake, stop: loops.stop, close: async () => {} };
}

/** Of whom a plan is taken over, as he was seen. */
function formerOf({ owner, epoch, ownerSeen }: OpenPlan) {
  return owner && { ...owner, epoch, ownerSeen };
}
