import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import type { RunStore } from "./run-store.js";

const PRUNE_EVERY_MS = 24 * 60 * 60 * 1000;

/** Removes old runs now and once a day. Gives back what ends that. Never rejects. */
export async function pruneDaily(runs: Pick<RunStore, "prune">, clock: Clock, log: Log): Promise<() => void> {
  let cancel = () => {};
  async function prune(): Promise<void> {
    try {
      const removed = await runs.prune(clock.now());
      if (removed.length > 0) log.info(`${removed.length} old runs were removed from the list.`);
    } catch (error) {
      log.warn(`Old runs could not be removed: ${(error as Error).message}`);
    }
    cancel = clock.after(PRUNE_EVERY_MS, () => void prune());
  }
  await prune();
  return () => cancel();
}
