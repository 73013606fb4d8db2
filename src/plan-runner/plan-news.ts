import { randomUUID } from "node:crypto";
import type { Database, Transaction } from "../store/database.js";

/**
 * What another process has done with a plan: `free`: it may have to be carried out by somebody; `changed`: something was
 * added to it; `seen`: what is seen of it has changed.
 */
export type PlanNewsKind = "free" | "changed" | "seen";

/** What processes that share a database tell each other of plans, so that none has to look all the time. */
export interface PlanNews {
  /** Tells it together with the transaction. Nothing happens in a database that is not shared. */
  announce(trx: Transaction, kind: PlanNewsKind, planId: string): Promise<void>;
  /**
   * Listens to what others announce. Some of it may be missed.
   * @param onNews must not throw; without a plan it may be about any
   * @returns ends it
   */
  listen(onNews: (kind: PlanNewsKind, planId?: string) => void): () => void;
}

const CHANNEL = "automagik_plans";

export function createPlanNews({ database, upstream }: { database: Database; upstream: string }): PlanNews {
  const { shared } = database;
  const self = randomUUID();
  return {
    async announce(trx, kind, planId) {
      await shared?.notify(trx, CHANNEL, [self, kind, planId, upstream].join(" "));
    },
    listen(onNews) {
      const stop = shared?.listen(CHANNEL, (payload) => {
        if (payload === undefined) return onNews("free");
        const [from, kind, planId, ...rest] = payload.split(" ");
        if (from !== self && rest.join(" ") === upstream) onNews(kind as PlanNewsKind, planId);
      });
      return stop ?? (() => {});
    },
  };
}
