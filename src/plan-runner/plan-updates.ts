import { randomUUID } from "node:crypto";
import type { Database, Transaction } from "../store/database.js";

/**
 * What another process has done with a plan: `free`: it may have to be carried out by somebody; `changed`: something was
 * added to it; `seen`: what is seen of it has changed.
 */
export type PlanUpdateKind = "free" | "changed" | "seen";

/** What processes that share a database tell each other of plans, so that none has to look all the time. */
export interface PlanUpdates {
  /** Tells it together with the transaction. Nothing happens in a database that is not shared. */
  announce(trx: Transaction, kind: PlanUpdateKind, planId: string): Promise<void>;
  /**
   * Listens to what others announce. Some of it may be missed.
   * @param onUpdate must not throw; without a plan it may be about any
   * @returns ends it
   */
  listen(onUpdate: (kind: PlanUpdateKind, planId?: string) => void): () => void;
}

const CHANNEL = "automagik_plans";

export function createPlanUpdates({
  database,
  upstream,
}: {
  database: Database;
  upstream: string;
}): PlanUpdates {
  const { shared } = database;
  const self = randomUUID();
  return {
    async announce(trx, kind, planId) {
      await shared?.notify(trx, CHANNEL, [self, kind, planId, upstream].join(" "));
    },
    listen(onUpdate) {
      const stop = shared?.listen(CHANNEL, (payload) => {
        if (payload === undefined) return onUpdate("free");
        const [from, kind, planId, ...rest] = payload.split(" ");
        if (from !== self && rest.join(" ") === upstream) onUpdate(kind as PlanUpdateKind, planId);
      });
      return stop ?? (() => {});
    },
  };
}
