import type { Clock } from "../../shared/clock.js";
import { type Database, transaction } from "../../store/database.js";
import { createWriteQueue } from "../../store/write-queue.js";
import { HeldRuns } from "./held-runs.js";
import { loadRuns } from "./load-runs.js";
import type { EngineRun } from "./run.js";
import type { Durability, Recorded, RunListener, RunStore, RunStoreProblem } from "./run-store.js";
import { createRunUpdates } from "./run-updates.js";
import { type Asked, createRunWriter, LIMITS, type RunWriter } from "./run-writer.js";
import { createSharedRunWriter } from "./shared-run-writer.js";
import type { Keeping } from "./waiting-list.js";
import type { Change, Guard, Outcome, Told, WriteAlongside } from "./write-changes.js";

/**
 * Opens the runs in a database. The way of a change: `ask` puts it into the queue (src/store/write-queue.ts), `carryOut` has all
 * that wait there written (run-writer.ts) in one transaction (write-changes.ts), then tells the listeners; then `ask`
 * answers.
 *
 * @param options.database is closed together with the store
 * @param options.reopen opens what is in the place of a database that was removed; a new one gets all runs in memory
 * @param options.takeOver reads the runs that an earlier version has left in files; asked once in a database's life
 * @param options.guard forbids what can happen to a run, but not beside the other runs; only in a shared database
 * @param options.onEarlierCopy called when a shared database is found to be an earlier copy of itself; all runs are as
 * in that then, and it gets them as they were known before. Must not throw
 * @param options.keeping keeps what waits for a shared database that is away
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
  guard?: Guard | undefined;
  onEarlierCopy?: (known: ReadonlyMap<string, EngineRun>) => void;
  keeping?: Keeping | undefined;
  onProblem?: (problem: RunStoreProblem) => void;
  limits?: Partial<typeof LIMITS>;
  transact?: typeof transaction;
}): Promise<RunStore> {
  const { database, reopen, clock, transact = transaction, onProblem = () => undefined } = options;
  const limits = { ...LIMITS, ...options.limits };
  const loaded = await loadRuns(database, transact, clock.now(), options.takeOver);
  const runs = new HeldRuns();
  for (const stored of loaded.stored) runs.set(stored.run.runId, { ...stored, newest: stored.run });
  const queue = createWriteQueue({ clock, work: carryOut });
  const askAgain = () => void queue.flush();
  const parts = { database, loaded, runs, askAgain, clock, onProblem, limits, transact };
  const { alongside, guard, onEarlierCopy = () => {} } = options;
  const { shared } = database;
  const updates = shared && createRunUpdates({ shared, clock, onUpdate: () => void queue.flushAnew() });
  const writer: RunWriter = updates
    ? createSharedRunWriter({
        ...parts,
        alongside,
        guard,
        tell: updates.tell,
        tellNow: (told) => told.forEach(tell),
        keeping: options.keeping,
        lookNow: queue.flushAnew,
        losses: shared.losses,
        readNow: shared.readNow,
        onEarlierCopy,
      })
    : createRunWriter({ ...parts, alongside, reopen });
  const listeners = new Set<RunListener>();
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

  async function carryOut(batch: readonly Asked[]): Promise<readonly Outcome[]> {
    const { outcomes, told } = await writer.carryOut(batch);
    for (const one of told) tell(one);
    return outcomes;
  }

  function tell({ event, run, fromElsewhere }: Told): void {
    for (const listener of [...listeners]) {
      try {
        listener(event, run, fromElsewhere);
      } catch (error) {
        const message = `A listener for events failed: ${(error as Error).message}`;
        onProblem({ kind: "listener", message });
      }
    }
  }

  return {
    keyPrefix: options.inMemory ? undefined : loaded.facts.get("key_prefix"),

    all: () => runs.all(),

    ofSession: (sessionId) => runs.ofSession(sessionId),

    notEnded: () => runs.notEnded(),

    get: (runId) => runs.get(runId)?.newest,

    findByKey(key) {
      const found = [...runs.values()].find((one) => one.key?.key === key);
      return found?.key && { run: found.newest, digest: found.key.digest };
    },

    keyOf: (runId) => runs.get(runId)?.key?.key,

    accept: (run, key) =>
      ask({ kind: "accept", accepted: { ...run, type: "accepted", at: clock.now() }, key }, "written"),

    record: (runId, change, durability) =>
      ask({ kind: "record", runId, event: { ...change, at: clock.now() } }, durability),

    async eventsAfter(id, runId) {
      assertOpen();
      return writer.eventsAfter(id, runId);
    },

    refresh: updates ? queue.flushAnew : async () => {},

    knownUntil: () => writer.knownUntil?.(),

    subscribe(listener) {
      const own: RunListener = (...told) => listener(...told);
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
      updates?.close();
      writer.startClosing();
      await queue.close();
      await writer.close();
    },
  };
}
