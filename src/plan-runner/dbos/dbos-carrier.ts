import type * as Dbos from "@dbos-inc/dbos-sdk";
import { type Pauses, pauseAfter } from "../../shared/backoff.js";
import { sleep } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { explainPostgres } from "../../store/postgres-error.js";
import { StoreError } from "../../store/store-error.js";
import type { CarrierContext, PlanCarrier } from "../carrier.js";
import { createCarrierLoops } from "../carrier-loops.js";
import type { OpenPlan } from "../plan-owners.js";
import type { DbosShifts } from "./dbos-shifts.js";
import { type Executor, launchExecutor } from "./executor.js";
import { carryShift } from "./shift.js";

/** Between two tries to begin. */
const PAUSES: Pauses = { firstMs: 250, longestMs: 5_000 };
/** Shifts have this time to come to their end, in ms: what was sent gets its answer before a plan is let go of. */
const GRACE_MS = 12_000;
/** After that what has to be recorded of them is waited for so long, in ms: the database may be away. */
const RECORD_MS = 1_000;

/**
 * Carries plans out that DBOS brings to this process: whoever lets a plan go on offers a shift of it on a queue, and DBOS
 * gives it to one of the processes that carry plans out. That one takes the plan on in a new epoch, by which another one
 * that only was slow finds out that it is not its own any more. DBOS does not see that a process has died: who misses its
 * beats in the database offers its plans again, as well as those of which the shift was lost.
 */
export function createDbosCarrier(context: CarrierContext, shifts: DbosShifts): PlanCarrier {
  const { journal, clock, log, tellOnce } = context;
  const { times } = journal;
  const closing = new AbortController();
  /** Plans of shifts that have begun here, from before they are taken on until they are let go of. */
  const begun = new Set<string>();
  /** Plans that nobody carries out, in which epoch, and since when that is seen here (monotonic clock). */
  const waiting = new Map<string, { epoch: number; since: number }>();
  const loops = createCarrierLoops({ context, lookMs: times.beatMs, takeOn: offer, prune });
  let launching: Promise<void> | undefined;
  let executor: Executor | undefined;
  let ending: Promise<void> | undefined;

  const wake = () => executor?.wake();
  let offUpdates = () => {};

  async function launch(): Promise<void> {
    for (let tries = 1; !closing.signal.aborted; tries++) {
      try {
        const { instance: id } = await context.owner;
        executor = await launchExecutor({ id, queue: shifts.queue, pool: shifts.pool(), carry, log });
        tellOnce("dbos", undefined);
        if (!closing.signal.aborted) loops.start();
        return;
      } catch (error) {
        log.debug(`DBOS: ${(error as Error).message}`);
        tellOnce("dbos", `No plans can be taken on at the moment: ${reasonOf(error)}`);
      }
      await sleep(clock, pauseAfter(tries, PAUSES), closing.signal);
    }
  }

  async function carry(dbos: typeof Dbos, planId: string, after: number): Promise<string> {
    begun.add(planId);
    try {
      return await carryShift({ context, shifts, dbos, planId, after, closing: closing.signal });
    } finally {
      begun.delete(planId);
    }
  }

  async function offer(open: readonly OpenPlan[], signal: AbortSignal): Promise<void> {
    const left = new Set(open.map(({ planId }) => planId));
    for (const planId of waiting.keys()) if (!left.has(planId)) waiting.delete(planId);
    for (const row of open) {
      if (signal.aborted) return;
      if (begun.has(row.planId)) continue;
      try {
        await (row.owner ? takeFrom(row) : seeThatItIsOffered(row));
      } catch (error) {
        // The others go on all the same.
        tellOnce(row.planId, `A plan could not be carried on: ${(error as Error).message}`);
      }
    }
  }

  async function takeFrom({ planId, owner, epoch, ownerSeen, ...row }: OpenPlan): Promise<void> {
    if (!owner || !(await context.mayTake({ planId, owner, epoch, ownerSeen, ...row }))) return;
    const isFree = await journal.setFree(planId, { ...owner, epoch, ownerSeen });
    // One that only was slow learns of it by this, too.
    if (isFree) await shifts.cancel(planId, epoch - 1);
    wake();
  }

  async function seeThatItIsOffered({ planId, epoch }: OpenPlan): Promise<void> {
    const seen = waiting.get(planId);
    const isKnown = seen?.epoch === epoch;
    if (isKnown && clock.elapsed() - seen.since < times.silentMs) return;
    await journal.offerAgain(planId, epoch, false);
    waiting.set(planId, { epoch, since: clock.elapsed() });
    // It may have been given to a process that has died before it could take the plan on.
    if (isKnown && !(await shifts.resume(planId, epoch))) await journal.offerAgain(planId, epoch, true);
    wake();
  }

  async function prune(): Promise<void> {
    await journal.prune();
    if (executor) await shifts.prune();
  }

  return {
    start() {
      if (launching) return;
      offUpdates = journal.listen((kind) => {
        if (kind === "free") wake();
      });
      launching = launch();
    },
    wake,
    async stop() {
      closing.abort();
      offUpdates();
      await loops.stop();
      // A beginning that is under way may wait for the database, and nobody waits for that.
      ending = launching?.then(() => executor?.close(GRACE_MS));
      ending?.catch((error: Error) => log.debug(`DBOS could not be ended: ${error.message}`));
    },
    async close() {
      await withDeadline(clock, RECORD_MS, async () => ending).catch(() => {});
    },
  };
}

/** Without an address or a word of the server. */
function reasonOf(error: unknown): string {
  const meaning = explainPostgres((error as { error?: unknown }).error ?? error);
  if (meaning instanceof StoreError) return meaning.message;
  return "DBOS could not begin here, for a reason that the log has at LOG_LEVEL=debug. It is tried again.";
}
