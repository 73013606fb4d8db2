import type { StorePlace } from "../store/open-store.js";
import type { countDeliveries, TroubledDelivery } from "./outbox.js";

/** What has become of what was told elsewhere. */
export interface OutboxSight {
  counts: Awaited<ReturnType<typeof countDeliveries>>;
  /** The last ones that are not known or failed. */
  troubled: TroubledDelivery[];
}

/** The outbox of a server, for who only looks. */
export interface OutboxReader {
  /** @throws StoreError when the database cannot be used */
  look(): Promise<OutboxSight>;
}

const MOST_TROUBLED = 50;

/**
 * Whoever looks while another one does sees the same: there is one connection for it, and none while nobody looks. What it
 * needs is loaded with the first look.
 */
export function createOutboxReader(place: StorePlace): OutboxReader {
  let looking: Promise<OutboxSight> | undefined;
  async function look(): Promise<OutboxSight> {
    const { lookIntoOutbox } = await import("./look-into-outbox.js");
    const { countDeliveries, listTroubled } = await import("./outbox.js");
    const found = await lookIntoOutbox(place, async (db) => ({
      counts: await countDeliveries(db),
      troubled: await listTroubled(db, MOST_TROUBLED),
    }));
    return found ?? { counts: [], troubled: [] };
  }
  return {
    look() {
      looking ??= look().finally(() => {
        looking = undefined;
      });
      return looking;
    },
  };
}
