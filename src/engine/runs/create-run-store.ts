import type { Clock } from "../../shared/clock.js";
import { type Database, transaction } from "../../store/database.js";
import { apply } from "./apply.js";
import { readFact, writeFact } from "./facts.js";
import { newKeyPrefix } from "./key-prefix.js";
import { pruneRuns } from "./prune-runs.js";
import { type EngineRun, hasEnded } from "./run.js";
import { findKey, insertRun, newestEventOf, readEvents, readRuns, type StoredRun } from "./run-rows.js";
import {
  type Durability,
  NotWritten,
  type Recorded,
  type RunStore,
  type RunStoreProblem,
  type StoredEvent,
} from "./run-store.js";
import { type Change, type Outcome, toStored, type WrittenChanges, writeChanges } from "./write-changes.js";

const LIMITS = {
  /** After a commit, what can wait does so for as many times its duration, and at most so long, in ms. */
  restFactor: 2,
  longestRestMs: 25,
  /** Until a disk that failed is tried again, in ms. */
  retryAfterMs: 2_000,
  /** Events that a client that resumes gets at most; more are a gap. */
  eventsAtOnce: 10_000,
  endedRuns: 1_000,
  /** Days on which the engine was in use since the run's end. */
  endedRunDays: 30,
  /** The newest events that are kept, of all runs. */
  eventsKept: 100_000,
};

/** A change that waits to be written, and who is told what has come of it. */
interface Waiting {
  change: Change;
  durability: Durability;
  resolve: (recorded: Recorded) => void;
  reject: (error: Error) => void;
}

/** A run in memory. */
interface Held extends StoredRun {
  /** The newest snapshot; ahead of `run`, which is as in the database, while the disk fails. */
  newest: EngineRun;
}

/**
 * Opens the runs in a database. All changes go through one queue: they are written in the order of the calls, those
 * that come together in one transaction. While the disk fails, those that may do so count in memory, and are written
 * as soon as that works.
 *
 * @param options.database is closed together with the store
 * @param options.takeOver reads the runs that an earlier version has left in files; asked once in a database's life
 * @param options.onProblem must not throw
 * @param options.transact stands in for `transaction`, for tests
 * @throws StoreError when the runs cannot be read
 */
export async function createRunStore(options: {
  database: Database;
  /** The database ends with the engine; default false. */
  inMemory?: boolean;
  clock: Clock;
  takeOver?: () => Promise<EngineRun[]>;
  onProblem?: (problem: RunStoreProblem) => void;
  limits?: Partial<typeof LIMITS>;
  transact?: typeof transaction;
}): Promise<RunStore> {
  const { database, clock, transact = transaction, onProblem = () => undefined } = options;
  const limits = { ...LIMITS, ...options.limits };
  const runs = new Map<string, Held>();
  const listeners = new Set<(event: StoredEvent, run: EngineRun) => void>();
  let newestFirst: readonly EngineRun[] | undefined;
  let waiting: Waiting[] = [];
  /** What counts although it could not be written yet. */
  let unwritten: { change: Extract<Change, { kind: "record" }>; event: StoredEvent }[] = [];
  let writing = false;
  let written: Promise<void> = Promise.resolve();
  /** Right after a commit, what can wait does. */
  let resting = false;
  /** Why the last try to write has failed; undefined while the disk works. */
  let failure: Error | undefined;
  let tryAgainAt = 0;
  let closed = false;
  let cancelTimers = () => {};

  const isTakenOver = (await readFact(database, "run_logs_taken_over")) !== undefined;
  const former = isTakenOver ? [] : ((await options.takeOver?.()) ?? []);
  let keyPrefix = "";
  const newestStored = await transact(database, async (trx) => {
    keyPrefix = (await readFact(trx, "key_prefix")) ?? newKeyPrefix();
    await writeFact(trx, "key_prefix", keyPrefix);
    for (const [index, run] of former.entries())
      await insertRun(trx, { run, version: 1, firstEvent: index, lastEvent: index });
    if (!isTakenOver) await writeFact(trx, "run_logs_taken_over", String(clock.now()));
    for (const stored of await readRuns(trx)) hold(stored);
    return newestEventOf(trx);
  });
  // Above every number that was ever given, also by a disk that failed or a database that is gone: there are fewer
  // events than milliseconds.
  const firstId = Math.max(newestStored, clock.now());
  let lastId = firstId;

  function assertOpen(): void {
    if (closed) throw new Error("The run store is closed.");
  }

  function hold(stored: StoredRun, newest = stored.run): void {
    runs.set(stored.run.runId, { ...stored, newest });
    newestFirst = undefined;
  }

  function enqueue(change: Change, durability: Durability): Promise<Recorded> {
    assertOpen();
    return new Promise((resolve, reject) => {
      waiting.push({ change, durability, resolve, reject });
      if (durability !== "soon" || !resting) void write();
    });
  }

  /** Writes what waits, until nothing does. */
  function write(): Promise<void> {
    if (!writing) written = writeAll();
    return written;
  }

  async function writeAll(): Promise<void> {
    writing = true;
    const began = performance.now();
    // What comes in the same moment belongs together.
    await Promise.resolve();
    do {
      const batch = waiting;
      waiting = [];
      // All that is unwritten is written anew each time, so a disk that fails is not tried for every change.
      const waits = !closed && clock.elapsed() < tryAgainAt;
      if (failure && waits && batch.every(({ durability }) => durability !== "written")) {
        countInMemory(batch, failure);
        continue;
      }
      const changes = [...unwritten, ...batch].map(({ change }) => change);
      try {
        succeeded(batch, await transact(database, (trx) => writeChanges(trx, changes, runs, lastId)));
      } catch (error) {
        failed(batch, error as Error);
      }
    } while (waiting.some(({ durability }) => closed || durability !== "soon"));
    writing = false;
    rest(performance.now() - began);
  }

  /** After a commit that took `tookMs` what can wait does so, and after a failure the next try. */
  function rest(tookMs: number): void {
    cancelTimers();
    if (closed) return;
    resting = true;
    const restMs = Math.min(limits.longestRestMs, tookMs * limits.restFactor);
    const cancelRest = clock.after(restMs, () => {
      resting = false;
      if (waiting.length > 0) void write();
    });
    const tryAgain = () => {
      tryAgainAt = 0;
      void write();
    };
    const cancelRetry = failure ? clock.after(limits.retryAfterMs, tryAgain) : () => {};
    cancelTimers = () => {
      cancelRest();
      cancelRetry();
    };
  }

  function succeeded(batch: readonly Waiting[], written: WrittenChanges): void {
    const outcomes = written.outcomes.slice(unwritten.length);
    failure = undefined;
    unwritten = [];
    lastId = written.lastId;
    for (const stored of written.runs.values()) hold(stored);
    tell(batch, outcomes);
  }

  function failed(batch: readonly Waiting[], error: Error): void {
    const message = `The runs cannot be written: ${error.message} They go on, but would be lost if the engine ended now.`;
    if (!failure) onProblem({ kind: "unwritable", message });
    failure = error;
    tryAgainAt = clock.elapsed() + limits.retryAfterMs;
    countInMemory(batch, error);
  }

  /** Nothing of the batch is in the database. What may count all the same does so in memory. */
  function countInMemory(batch: readonly Waiting[], error: Error): void {
    const outcomes = batch.map(({ change, durability }): Outcome => {
      const held = change.kind === "record" ? runs.get(change.runId) : undefined;
      if (change.kind === "accept" || durability === "written" || !held)
        return { refused: new NotWritten(`The run could not be written: ${error.message}`) };
      const run = apply(held.newest, change.event);
      if (run === held.newest) return { run, event: undefined };
      const event = toStored(++lastId, run, change.event);
      unwritten.push({ change: { ...change, id: event.id }, event });
      hold(held, run);
      return { run, event };
    });
    tell(batch, outcomes);
  }

  /** First those that listen, then those that wait. */
  function tell(batch: readonly Waiting[], outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) {
      if (!("refused" in outcome) && outcome.event) publish(outcome.event, outcome.run);
    }
    for (const [index, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[index];
      if (!outcome || "refused" in outcome) reject(outcome?.refused ?? new Error("The run was not written."));
      else resolve({ run: outcome.run, happened: outcome.event !== undefined });
    }
  }

  function publish(event: StoredEvent, run: EngineRun): void {
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
    keyPrefix: options.inMemory ? undefined : keyPrefix,

    all() {
      // Of runs of the same millisecond the one that came last is the newest.
      newestFirst ??= [...runs.values()]
        .sort((a, b) => b.newest.createdAt - a.newest.createdAt || b.firstEvent - a.firstEvent)
        .map(({ newest }) => newest);
      return newestFirst;
    },

    get: (runId) => runs.get(runId)?.newest,

    async findByKey(key) {
      assertOpen();
      const found = await findKey(database, key);
      const run = found && runs.get(found.runId)?.newest;
      return run && { run, digest: found.digest };
    },

    accept: (run, key) =>
      enqueue({ kind: "accept", accepted: { ...run, type: "accepted", at: clock.now() }, key }, "written"),

    record: (runId, change, durability) =>
      enqueue({ kind: "record", runId, event: { ...change, at: clock.now() } }, durability),

    async eventsAfter(id, runId) {
      assertOpen();
      const limit = limits.eventsAtOnce;
      const trimmed = Number((await readFact(database, "events_trimmed_through")) ?? 0);
      const pruned = Number((await readFact(database, "events_pruned_through")) ?? 0);
      const stored = await readEvents(database, { after: id, runId, limit: limit + 1 });
      const ofRun = (event: StoredEvent) => runId === undefined || event.runId === runId;
      const later = unwritten.map(({ event }) => event);
      const goneThrough = Math.max(trimmed, runId !== undefined && runs.has(runId) ? 0 : pruned);
      const isUnknown = id > lastId || (id > newestStored && id < firstId);
      return {
        events: [...stored.slice(-limit), ...later.filter((event) => event.id > id && ofRun(event))],
        gap: isUnknown || id < goneThrough || stored.length > limit,
      };
    },

    subscribe(listener) {
      const own: typeof listener = (event, run) => listener(event, run);
      listeners.add(own);
      return () => void listeners.delete(own);
    },

    newestEventId: () => lastId,

    async prune(now) {
      assertOpen();
      const ended = [...runs.values()].filter(({ run }) => hasEnded(run));
      const removed = await transact(database, (trx) => pruneRuns(trx, { now, ended, limits }));
      for (const runId of removed) runs.delete(runId);
      newestFirst = undefined;
      return removed;
    },

    async close() {
      if (closed) return;
      closed = true;
      await written;
      if (waiting.length > 0 || unwritten.length > 0) await write();
      cancelTimers();
      await database.destroy();
    },
  };
}
