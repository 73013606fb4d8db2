import type { Database } from "./database.js";
import { StoreError } from "./store-error.js";

/** How often a call begins anew when the database's file was removed under it. */
const TRIES = 3;

/** What works on a database that is opened by the first call, and anew after its file was removed. */
export interface Reopened<Store> {
  /**
   * Does the work, again when the file was removed meanwhile. A call that came while another's opening, which failed, was
   * under way opens it once more: it does not fail for a fault of before.
   * @throws what opening and the work throw
   */
  use<T>(work: (store: Store) => Promise<T>): Promise<T>;
  /** The next call opens it anew. */
  forget(): void;
  close(): Promise<void>;
}

/** @param open opens the database, and what works on it */
export function createReopened<Store extends { db: Database }>(open: () => Promise<Store>): Reopened<Store> {
  let opening: Promise<Store> | undefined;
  let last: Store | undefined;

  async function closeLast(): Promise<void> {
    const former = last;
    last = undefined;
    await former?.db.destroy();
  }

  async function openAnew(): Promise<Store> {
    await closeLast();
    last = await open();
    return last;
  }

  return {
    async use(work) {
      for (let tries = 1; ; tries++) {
        const isShared = opening !== undefined;
        opening ??= openAnew();
        const current = opening;
        let store: Store | undefined;
        try {
          store = await current;
          return await work(store);
        } catch (error) {
          const isRemoved = error instanceof StoreError && error.kind === "removed";
          if ((!store || isRemoved) && opening === current) opening = undefined;
          if (store ? !isRemoved || tries === TRIES : !isShared || tries > 1) throw error;
        }
      }
    },
    forget() {
      opening = undefined;
    },
    async close() {
      await opening?.catch(() => {});
      await closeLast();
    },
  };
}
