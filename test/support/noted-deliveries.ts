import type { Outcome } from "../../src/integrations/outbox.js";
import { addDelivery, claimDelivery, dropDeliveries, finishDelivery } from "../../src/integrations/outbox.js";
import { transaction } from "../../src/store/database.js";
import { openStore, type StorePlace } from "../../src/store/open-store.js";

/** What has become of something that was told elsewhere. */
export interface NotedDelivery {
  target: string;
  state: "pending" | "sent" | "unknown" | "failed" | "dropped";
  /** Why it was not told. */
  note?: string;
  kind?: string;
  payload?: unknown;
  /** When that was, epoch ms. */
  at?: number;
}

/** Writes into the outbox as those who tell do, one after the other. */
export async function noteDeliveries(place: StorePlace, noted: readonly NotedDelivery[]): Promise<void> {
  const db = await openStore({ ...place, clock: Date });
  try {
    for (const [index, one] of noted.entries())
      await transaction(db, async (trx) => {
        const { target, state, note = "no answer came", kind = "finished", payload = {} } = one;
        const { at = Date.now() } = one;
        const id = `event-${index}`;
        await addDelivery(trx, { id, target, kind, payload }, at);
        if (state === "pending") return;
        if (state === "dropped") return dropDeliveries(trx, [id]);
        const claimed = await claimDelivery(trx, target, at);
        if (!claimed) throw new Error(`${target} has nothing to tell.`);
        const outcome: Outcome = state === "sent" ? { state } : { state, note };
        await finishDelivery(trx, claimed, outcome, at);
      });
  } finally {
    await db.destroy();
  }
}
