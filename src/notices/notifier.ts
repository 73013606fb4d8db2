import type { Kysely } from "kysely";
import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import type { Log } from "../shared/log.js";
import type { Database, Transaction } from "../store/database.js";
import type { StorePlace } from "../store/open-store.js";
import { createReopened } from "../store/reopened.js";
import type { Tables } from "../store/tables.js";
import type { Channel } from "./channel.js";
import type { Notice } from "./notice.js";
import {
  addNotice,
  type Claimed,
  claimDelivery,
  findUnsettled,
  finishDelivery,
  nextDueAt,
  releaseDue,
  settleNotices,
} from "./outbox.js";

/** Tells what is written down, and writes down. Nothing of it throws or is waited for: a run goes on whatever fails. */
export interface Notifier {
  /**
   * Writes a notice down, to be told unless a window settles it in time.
   * @param at when it happened, epoch ms
   */
  add(runId: string, notice: Notice, at: number): void;
  /** The person knows of these events: they are told no more. */
  settle(keys: readonly string[]): void;
  /** Looks what is to be told: something was written down by others, or may have been left by a former process. */
  look(): void;
  /** Ends what is being told, and closes. */
  close(): Promise<void>;
}

/** Pauses after a failed try, in ms; after the last one it is given up. A service that restarts is back by then. */
const PAUSES_MS = [5_000, 30_000, 120_000];
/** After the database could not be used, in ms. */
const REST_MS = 30_000;
/** The clock may be set meanwhile. In ms. */
const LONGEST_WAIT_MS = 60_000;
/** What is being told when this process ends gets so long, in ms. */
const CLOSE_MS = 2_000;

/** The module is loaded only when it is needed. */
interface Opened {
  db: Database;
  transaction: typeof import("../store/database.js").transaction;
}

/**
 * Tells notices by the channels. Several processes may do so on one database: each delivery is taken on by one of them.
 * The database is opened when it is first needed. In one that several servers share times are those of its clock, and what
 * others have left is looked for every minute.
 * @param options.channels none: this process tells nothing and only settles
 */
export function createNotifier(
  options: StorePlace & {
    channels: readonly Channel[];
    clock: Clock;
    log: Log;
    /** Told what has become of a notice. Must not throw. */
    onTold?: ((channel: string, outcome: "sent" | "failed") => void) | undefined;
  },
): Notifier {
  const { folder, address, channels, clock, log, onTold } = options;
  const names = channels.map(({ name }) => name);
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
    if (closing.signal.aborted || channels.length === 0) return;
    if (!isFailing) log.warn(`Notifications cannot be noted: ${error.message} Runs are not affected.`);
    isFailing = true;
    lookAfter(REST_MS);
  }

  function note(runId: string, notice: Notice, at: number): void {
    const isShared = address !== undefined;
    const addNow = () =>
      change((trx, now) =>
        addNotice(trx, runId, notice, isShared ? now - Math.max(0, clock.now() - at) : at),
      );
    void queue(addNow).catch((error: Error) => {
      recover(error);
      // A database elsewhere is away for a while, and comes back.
      if (isShared && !closing.signal.aborted) clock.after(REST_MS, () => note(runId, notice, at));
    });
  }

  function lookAfter(ms: number): void {
    cancelTimer();
    if (!closing.signal.aborted) cancelTimer = clock.after(Math.min(ms, LONGEST_WAIT_MS), look);
  }

  function look(): void {
    if (channels.length === 0 || closing.signal.aborted) return;
    isLookWanted = true;
    looking ??= tellDue()
      .catch(recover)
      .finally(() => {
        looking = undefined;
        if (isLookWanted) look();
      });
  }

  async function tellDue(): Promise<void> {
    while (isLookWanted && !closing.signal.aborted) {
      isLookWanted = false;
      // What has been noted before.
      await last;
      const waitMs = await use(async ({ db }) => {
        const dueAt = await nextDueAt(db, names);
        return dueAt === undefined ? undefined : dueAt - (await timeOf(db, db));
      });
      if (waitMs === undefined) {
        if (address !== undefined) lookAfter(LONGEST_WAIT_MS);
        continue;
      }
      if (waitMs > 0) {
        lookAfter(waitMs);
        continue;
      }
      const unknown = await queue(() => change((trx, now) => releaseDue(trx, names, now)));
      for (const title of unknown)
        log.warn(`Whether "${title}" was told is not known: its process has ended.`);
      await Promise.all(channels.map(deliver));
      isLookWanted = true;
    }
  }

  /** Tells what is due by one channel, one after the other. */
  async function deliver(channel: Channel): Promise<void> {
    while (!closing.signal.aborted) {
      const claimed = await change((trx, now) => claimDelivery(trx, channel.name, now));
      if (!claimed) return;
      const problem = await send(channel, claimed);
      // Cut off in the middle: nobody knows, and the next process says so.
      if (problem !== undefined && closing.signal.aborted) return;
      // Not within the transaction, which may be made twice.
      const how = judge(claimed, problem);
      await change((trx, now) =>
        finishDelivery(trx, claimed, "pauseMs" in how ? { tryAgainAt: now + how.pauseMs } : how),
      );
    }
  }

  async function send(channel: Channel, { notice }: Claimed): Promise<string | undefined> {
    try {
      await channel.send(notice, closing.signal);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  function judge({ notice, channel, tries }: Claimed, problem: string | undefined) {
    if (problem === undefined) {
      onTold?.(channel, "sent");
      return { state: "sent" as const };
    }
    const pauseMs = PAUSES_MS[tries - 1];
    const what = `The notification "${notice.title}" could not be given (${channel}: ${problem})`;
    if (pauseMs === undefined) {
      onTold?.(channel, "failed");
      log.warn(`${what}, ${tries} times. It is given up.`);
      return { state: "failed" as const };
    }
    log.debug(`${what}. It is tried again.`);
    return { pauseMs };
  }

  return {
    add(runId, notice, at) {
      note(runId, notice, at);
      look();
    },
    settle(keys) {
      const settleNow = async () => {
        const unsettled = await use(({ db }) => findUnsettled(db, keys));
        if (unsettled.length > 0) await change((trx) => settleNotices(trx, unsettled));
      };
      void queue(settleNow).catch(recover);
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
