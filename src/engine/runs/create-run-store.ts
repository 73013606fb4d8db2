import type { Clock } from "../../shared/clock.js";
import { type Database, transaction } from "../../store/database.js";
import { createWriteQueue } from "../../store/write-queue.js";
import { loadRuns } from "./load-runs.js";
import type { EngineRun } from "./run.js";
import type { HeldRun } from "./run-rows.js";
import type { Durability, Recorded, RunStore, RunStoreProblem, StoredEvent } from "./run-store.js";
import { type Asked, createRunWriter, LIMITS } from "./run-writer.js";
import type { Change, Outcome, WriteAlongside } from "./write-changes.js";

/**
 * Opens the runs in a database. The way of a change: `ask` puts it into the queue (src/store/write-queue.ts), `carryOut` has all
 * that wait there written (run-writer.ts) in one transaction (write-changes.ts), then tells the listeners; then `ask`
 * answers.
 *
 * @param options.database is closed together with the store
 * @param options.reopen opens what is in the place of a database that was removed; a new one gets all runs in memory
 * @param options.takeOver reads the runs that an earlier version has left in files; asked once in a database's life
 * @param options.alongside writes what belongs to an event, in its transaction
 * @param options.onProblem must not throw
 * @param options.transact stands in for `transaction`, for tests
 * @throws StoreError when the runs cannot be read
 */
export async function createRunStore(options: {
  database: Database;
  /** The database ends with the engine; default false. */
  inMemory?: boolean;
  reopen?: () => Promise<Database>;
  clock: Clock;
  takeOver?: () => Promise<EngineRun[]>;
  alongside?: WriteAlongside | undefined;
  onProblem?: (problem: RunStoreProblem) => void;
  limits?: Partial<typeof LIMITS>;
  transact?: typeof transaction;
}): Promise<RunStore> {
  const { database, reopen, clock, transact = transaction, onProblem = () => undefined } = options;
  const limits = { ...LIMITS, ...options.limits };
  const loaded = await loadRuns(database, transact, clock.now(), options.takeOver);
  const runs = new Map<string, HeldRun>();
  for (const stored of loaded.stored) runs.set(stored.run.runId, { ...stored, newest: stored.run });
  const queue = createWriteQueue({ clock, work: carryOut });
  const askAgain = () => void queue.flush();
  const writer = createRunWriter({
    database,
    loaded,
    runs,
    reopen,
    askAgain,
    alongside: options.alongside,
    clock,
    onProblem,
    limits,
    transact,
  });
  const listeners = new Set<(event: StoredEvent, run: EngineRun) => void>();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new Error("The run store is closed.");
  }

  async function ask(change: Change, durability: Durability): Promise<Recorded> {
    assertOpen();
    const outcome = await queue.add({ change, durability }, durability === "soon");
    if ("refused" in outcome) throw outcome.refused;
    return { run: outcome.run, happened: outcome.event !== undefined };
  }

  async function carryOut(batch: readonly Asked[]): Promise<Outcome[]> {
    const outcomes = await writer.carryOut(batch);
    for (const outcome of outcomes) {
      if (!("refused" in outcome) && outcome.event) tell(outcome.event, outcome.run);
    }
    return outcomes;
  }

  function tell(event: StoredEvent, run: EngineRun): void {
    for (const listener of [...listeners]) {
      try {
        listener(event, run);
      } catch (error) {
        const message = `A listener for events failed: ${(error as Error).message}`;
        onProblem({ kind: "listener", message });
      }
    }
  }

  return {
    keyPrefix: options.inMemory ? undefined : loaded.facts.get("key_prefix"),

    all: () =>
      [...runs.values()]
        // Of runs of the same millisecond the one that came last is the newest.
        .sort((a, b) => b.newest.createdAt - a.newest.createdAt || b.firstEvent - a.firstEvent)
        .map(({ newest }) => newest),

    get: (runId) => runs.get(runId)?.newest,

    findByKey(key) {
      const found = [...runs.values()].find((one) => one.key?.key === key);
      return found?.key && { run: found.newest, digest: found.key.digest };
    },

    accept: (run, key) =>
      ask({ kind: "accept", accepted: { ...run, type: "accepted", at: clock.now() }, key }, "written"),

    record: (runId, change, durability) =>
      ask({ kind: "record", runId, event: { ...change, at: clock.now() } }, durability),

    async eventsAfter(id, runId) {
      assertOpen();
      return writer.eventsAfter(id, runId);
    },

    subscribe(listener) {
      const own: typeof listener = (event, run) => listener(event, run);
      listeners.add(own);
      return () => void listeners.delete(own);
    },

    newestEventId: writer.newestEventId,

    async prune(now) {
      assertOpen();
      return writer.prune(now);
    },

    async close() {
      if (closed) return;
      closed = true;
      writer.startClosing();
      await queue.close();
      await writer.close();
    },
  };
}
