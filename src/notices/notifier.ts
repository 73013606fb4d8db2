import { type CarrierOptions, createCarrier, REST_MS } from "../integrations/carrier.js";
import type { Target } from "../integrations/target.js";
import type { Transaction } from "../store/database.js";
import { type Channel, targetOf } from "./channel.js";
import type { Notice } from "./notice.js";
import { addNotice, findUnsettled, nextNoticeAt, releaseDue, settleNotices } from "./outbox.js";

/** Tells what is written down, and writes down. Nothing of it throws or is waited for: a run goes on whatever fails. */
export interface Notifier {
  /**
   * Writes a notice down, to be told unless a window settles it in time.
   * @param at when it happened, epoch ms
   */
  add(runId: string, notice: Notice, at: number): void;
  /** The person knows of these events: they are told no more. */
  settle(keys: readonly string[]): void;
  /** Writes into the outbox what is told of more than notices, and looks. @param work may be carried out again */
  write(work: (trx: Transaction, now: number) => Promise<unknown>): void;
  /** Looks what is to be told: something was written down by others, or may have been left by a former process. */
  look(): void;
  /** Ends what is being told, and closes. */
  close(): Promise<void>;
}

/**
 * Tells notices by the channels, and brings what else is in the outbox to its targets. Several processes may do so on one
 * database: each delivery is taken on by one of them.
 * @param options.channels none: this process tells nothing and only settles
 * @param options.targets what is told of more than notices
 */
export function createNotifier(
  options: Omit<CarrierOptions, "targets" | "source"> & {
    channels: readonly Channel[];
    targets?: readonly Target[] | undefined;
  },
): Notifier {
  const { address, channels, targets = [], clock } = options;
  const isShared = address !== undefined;
  let isClosed = false;
  const carrier = createCarrier({
    ...options,
    targets: [...channels.map(targetOf), ...targets],
    // Who has no channel leaves notices to those that have one.
    ...(channels.length === 0
      ? {}
      : { source: { nextDueAt: nextNoticeAt, release: (trx, now) => releaseDue(trx, channels, now) } }),
  });

  function add(runId: string, notice: Notice, at: number): void {
    carrier.write(
      (trx, now) => addNotice(trx, runId, notice, isShared ? now - Math.max(0, clock.now() - at) : at),
      {
        onFailure() {
          // A database elsewhere is away for a while, and comes back.
          if (isShared) clock.after(REST_MS, () => !isClosed && add(runId, notice, at));
        },
      },
    );
  }

  return {
    add,
    settle: (keys) =>
      carrier.write((trx) => settleNotices(trx, keys), {
        // Most are settled already.
        isNeeded: async (db) => (await findUnsettled(db, keys)).length > 0,
      }),
    write: (work) => carrier.write(work),
    look: carrier.look,
    async close() {
      isClosed = true;
      await carrier.close();
    },
  };
}
