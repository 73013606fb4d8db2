import type { Kysely } from "kysely";
import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import type { Log } from "../shared/log.js";
import type { Database, Transaction } from "../store/database.js";
import type { StorePlace } from "../store/open-store.js";
import { createReopened } from "../store/reopened.js";
import type { Tables } from "../store/tables.js";
import { NotNow, Refused } from "./delivery-error.js";
import {
  type Claimed,
  claimDelivery,
  finishDelivery,
  freeAbandoned,
  nextDeliveryAt,
  type Outcome,
} from "./outbox.js";
import { NEWS_PAUSES_MS, type Target } from "./target.js";

/**
 * Brings what is in the outbox to its targets, and writes into it. Nothing of it throws or is waited for: a run goes on
 * whatever fails.
 */
export interface Carrier {
  /**
   * Writes into the outbox, after what was written before, and looks.
   * @param work gets the time of the database, too, in epoch ms; it may be carried out again
   * @param options.isNeeded a look that changes nothing: left out, it is
   * @param options.onFailure the database cannot be used; nothing was written
   */
  write(
    work: (trx: Transaction, now: number) => Promise<unknown>,
    options?: { isNeeded?(db: Database): Promise<boolean>; onFailure?(): void },
  ): void;
  /** Looks what is to be delivered: something was written by others, or may have been left by a former process. */
  look(): void;
  /** Ends what is being delivered, and closes. */
  close(): Promise<void>;
}

/** What becomes a delivery by and by, as notices do that wait for a window to say that its person knows. */
export interface Source {
  /** When the next is due, epoch ms; undefined when none waits. @param now epoch ms */
  nextDueAt(db: Database, now: number): Promise<number | undefined>;
  /** Hands what is due to the outbox. @param now epoch ms */
  release(trx: Transaction, now: number): Promise<unknown>;
}

export interface CarrierOptions extends StorePlace {
  /** None: this process delivers nothing and only writes. */
  targets: readonly Target[];
  source?: Source | undefined;
  clock: Clock;
  log: Log;
  /** Told what has become of a delivery. Must not throw. @param label of its target */
  onDone?: ((label: string, outcome: "sent" | "unknown" | "failed") => void) | undefined;
}

/** After the database could not be used, in ms. */
export const REST_MS = 30_000;
/** The clock may be set meanwhile. In ms. */
const LONGEST_WAIT_MS = 60_000;
/** What is being delivered when this process ends gets so long, in ms. */
const CLOSE_MS = 2_000;
/** A delivery takes no longer, in ms: below the lease. */
const DELIVER_MS = 45_000;

/** The module is loaded only when it is needed. */
interface Opened {
  db: Database;
  transaction: typeof import("../store/database.js").transaction;
}

/**
 * Several processes may deliver from one database: each delivery is taken on by one of them. The database is opened when it
 * is first needed. In one that several servers share times are those of its clock, and what others have left is looked for
 * every minute.
 */
export function createCarrier(options: CarrierOptions): Carrier {
  const { folder, address, targets, source, clock, log } = options;
  const names = targets.map(({ name }) => name);
  const closing = new AbortController();
  const { use, close } = createReopened(async (): Promise<Opened> => {
    const { transaction } = await import("../store/database.js");
    const { openStore } = await import("../store/open-store.js");
    return { db: await openStore({ folder, address, clock }), transaction };
  });
  /** What is written goes one after the other, so that what is noted and then settled keeps its order. */
  let last: Promise<unknown> = Promise.resolve();
  let isFailing = false;
  let looking: Promise<void> | undefined;
  let isLookWanted = false;
  let cancelTimer = () => {};

  /** @param work gets the time, too, epoch ms */
  function change<T>(work: (trx: Transaction, now: number) => Promise<T>): Promise<T> {
    return use(({ db, transaction }) => transaction(db, async (trx) => work(trx, await timeOf(db, trx))));
  }

  async function timeOf({ shared }: Database, db: Kysely<Tables>): Promise<number> {
    return shared ? shared.readNow(db) : clock.now();
  }

  function queue<T>(step: () => Promise<T>): Promise<T> {
    const result = last.then(step);
    last = result.catch(() => {});
    return result;
  }

  function recover(error: Error): void {
    if (closing.signal.aborted || targets.length === 0) return;
    if (!isFailing) log.warn(`Notifications cannot be noted: ${error.message} Runs are not affected.`);
    isFailing = true;
    lookAfter(REST_MS);
  }

  function lookAfter(ms: number): void {
    cancelTimer();
    if (!closing.signal.aborted) cancelTimer = clock.after(Math.min(ms, LONGEST_WAIT_MS), look);
  }

  function look(): void {
    if (targets.length === 0 || closing.signal.aborted) return;
    isLookWanted = true;
    looking ??= deliverDue()
      .catch(recover)
      .finally(() => {
        looking = undefined;
        if (isLookWanted) look();
      });
  }

  async function deliverDue(): Promise<void> {
    while (isLookWanted && !closing.signal.aborted) {
      isLookWanted = false;
      // What has been written before.
      await last;
      const waitMs = await use(async ({ db }) => {
        const now = await timeOf(db, db);
        const times = [await source?.nextDueAt(db, now), await nextDeliveryAt(db, names, now)];
        const dueAt = Math.min(...times.filter((at) => at !== undefined));
        return dueAt === Number.POSITIVE_INFINITY ? undefined : dueAt - now;
      });
      if (waitMs === undefined) {
        if (address !== undefined) lookAfter(LONGEST_WAIT_MS);
        continue;
      }
      if (waitMs > 0) {
        lookAfter(waitMs);
        continue;
      }
      await queue(() =>
        change(async (trx, now) => {
          await source?.release(trx, now);
          await freeAbandoned(trx, names, now);
        }),
      );
      await Promise.all(targets.map(deliverTo));
      isLookWanted = true;
    }
  }

  /** Delivers what is due to one target, one after the other. */
  async function deliverTo(target: Target): Promise<void> {
    while (!closing.signal.aborted) {
      const claimed = await change((trx, now) => claimDelivery(trx, target.name, now));
      if (!claimed) return;
      const outcome = await attempt(target, claimed);
      // Cut off in the middle: nobody knows, and the next process says so.
      if (outcome.state !== "sent" && closing.signal.aborted) return;
      // Not within the transaction, which may be made twice.
      tell(target, claimed, outcome);
      await change((trx, now) => finishDelivery(trx, claimed, outcome, now));
    }
  }

  async function attempt(target: Target, claimed: Claimed): Promise<Outcome> {
    const mayRepeat = target.isRepeatable?.(claimed) ?? false;
    if (claimed.mayHaveBeenSent && !mayRepeat)
      return { state: "unknown", note: "its process has ended, or no answer came" };
    try {
      const within = (signal: AbortSignal) => target.deliver(claimed, signal);
      const done = await withDeadline(clock, DELIVER_MS, within, closing.signal);
      return done ? { state: "sent", ...done } : judge(target, claimed, new Error("it took too long"));
    } catch (error) {
      return judge(target, claimed, error as Error);
    }
  }

  function judge({ pausesMs = NEWS_PAUSES_MS, ...target }: Target, claimed: Claimed, error: Error): Outcome {
    const note = error.message;
    // That it is refused now says nothing of a former try.
    if (error instanceof Refused) return { state: claimed.mayHaveBeenSent ? "unknown" : "failed", note };
    const isUnknown = !(error instanceof NotNow);
    if (isUnknown && !target.isRepeatable?.(claimed)) return { state: "unknown", note };
    const pauseMs = pausesMs[claimed.tries - 1];
    if (pauseMs === undefined)
      return { state: isUnknown || claimed.mayHaveBeenSent ? "unknown" : "failed", note };
    const asked = error instanceof NotNow ? (error.afterMs ?? 0) : 0;
    return { state: "again", afterMs: Math.max(pauseMs, asked), note, maybeSent: isUnknown };
  }

  function tell(target: Target, claimed: Claimed, outcome: Outcome): void {
    const { name, label = name } = target;
    if (outcome.state === "again") {
      log.debug(`${failure(target, claimed, outcome.note)}. It is tried again.`);
      return;
    }
    options.onDone?.(label, outcome.state);
    if (outcome.state === "failed") {
      const often = claimed.tries > 1 ? `, ${claimed.tries} times. It is given up.` : ". It is given up.";
      log.warn(`${failure(target, claimed, outcome.note)}${often}`);
    } else if (outcome.state === "unknown")
      log.warn(`Whether ${lowerFirst(target.describe(claimed))} was told is not known: ${outcome.note}.`);
  }

  return {
    write(work, { isNeeded = async () => true, onFailure } = {}) {
      const write = async () => {
        if (await use(({ db }) => isNeeded(db))) await change(work);
      };
      void queue(write).catch((error: Error) => {
        recover(error);
        if (!closing.signal.aborted) onFailure?.();
      });
      look();
    },
    look,
    async close() {
      cancelTimer();
      isLookWanted = false;
      await withDeadline(clock, CLOSE_MS, () => Promise.all([last, looking]));
      closing.abort();
      cancelTimer();
      await close();
    },
  };
}

function failure({ name, label = name, describe }: Target, claimed: Claimed, note: string): string {
  return `${describe(claimed)} could not be given (${label}: ${note})`;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
