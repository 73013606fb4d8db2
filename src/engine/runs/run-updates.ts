import { randomUUID } from "node:crypto";
import type { Clock } from "../../shared/clock.js";
import type { SharedDatabase, Transaction } from "../../store/database.js";

const CHANNEL = "engine_runs";
/** What was told may have been missed: so often it is looked for all the same, in ms. */
const LOOK_MS = 1_000;
/**
 * After a look that a notice has led to, in ms: what is told meanwhile is looked for together. Else each of many engines
 * would ask the database once for each change of each other one.
 */
const REST_MS = 20;

/** How engines that share a database learn that another one has written something about a run. */
export interface RunUpdates {
  /** Says so; the others hear it when the transaction has ended. */
  tell(trx: Transaction): Promise<void>;
  close(): void;
}

/** @param options.onUpdate called when another engine has said so, and now and then. Must not throw */
export function createRunUpdates(options: {
  shared: SharedDatabase;
  clock: Pick<Clock, "after">;
  onUpdate: () => void;
}): RunUpdates {
  const { shared, clock, onUpdate } = options;
  const own = randomUUID();
  let isResting = false;
  let isDue = false;
  let cancelRest = () => {};
  const stop = shared.listen(CHANNEL, (writer) => {
    if (writer !== own) hear();
  });
  let cancel = () => {};

  function hear(): void {
    isDue = isResting;
    if (isResting) return;
    isResting = true;
    onUpdate();
    cancelRest = clock.after(REST_MS, () => {
      isResting = false;
      if (isDue) hear();
    });
  }

  function lookLater(): void {
    cancel = clock.after(LOOK_MS, () => {
      onUpdate();
      lookLater();
    });
  }
  lookLater();
  return {
    tell: (trx) => shared.notify(trx, CHANNEL, own),
    close() {
      stop();
      cancel();
      cancelRest();
    },
  };
}
