import type { Clock } from "../../shared/clock.js";
import type { Database, transaction } from "../../store/database.js";
import { StoreError } from "../../store/store-error.js";
import { apply } from "./apply.js";
import { type FactName, readFact } from "./facts.js";
import type { LoadedRuns } from "./load-runs.js";
import { pruneRuns } from "./prune-runs.js";
import { hasEnded } from "./run.js";
import { type HeldRun, readEvents } from "./run-rows.js";
import {
  type Durability,
  NotWritten,
  type RunStore,
  type RunStoreProblem,
  type StoredEvent,
} from "./run-store.js";
import {
  type Change,
  type Outcome,
  type Told,
  toldOf,
  toStored,
  type WriteAlongside,
  writeChanges,
} from "./write-changes.js";
import { createWriteFailure } from "./write-failure.js";

/** How much is kept, and for how long. */
export const LIMITS = {
  /** Until a disk that failed is tried again, in ms. */
  retryAfterMs: 2_000,
  /** Events that a client that resumes gets at most, and that are kept while the disk fails; more are a gap. */
  eventsAtOnce: 10_000,
  endedRuns: 1_000,
  /** Days on which the engine was in use since the run's end. */
  endedRunDays: 30,
  /** The newest events that are kept, of all runs. */
  eventsKept: 100_000,
};

/** A change as it was asked for. */
export interface Asked {
  change: Change;
  durability: Durability;
}

/** What was written. */
export interface Written {
  /** One for each change that was asked for. */
  outcomes: readonly Outcome[];
  /** To be told now, in this order. */
  told: readonly Told[];
}

/** Keeps the runs in memory and those in the database together, also while that cannot be written or is gone. */
export interface RunWriter extends Pick<RunStore, "eventsAfter" | "newestEventId" | "prune" | "close"> {
  /**
   * Has the changes written in one transaction, with what could not be written before. Where that fails, those that may
   * count in memory do so. Never rejects. With no change it only writes what is left, and looks for what others have
   * written.
   */
  carryOut(batch: readonly Asked[]): Promise<Written>;
  /** As {@link RunStore} describes it; left out where nobody else writes. */
  knownUntil?(): number | undefined;
  /** From now on nothing waits until the disk works again: what cannot be written is lost. */
  startClosing(): void;
}

/**
 * @param options.loaded what was in the database
 * @param options.runs the runs in memory
 * @param options.reopen opens what is in the place of a database that was removed
 * @param options.askAgain has `carryOut` called soon
 * @param options.alongside writes what belongs to an event, in its transaction
 */
export function createRunWriter(options: {
  database: Database;
  loaded: Omit<LoadedRuns, "stored">;
  runs: Map<string, HeldRun>;
  reopen: (() => Promise<Database>) | undefined;
  askAgain: () => void;
  alongside: WriteAlongside | undefined;
  clock: Clock;
  onProblem: (problem: RunStoreProblem) => void;
  limits: typeof LIMITS;
  transact: typeof transaction;
}): RunWriter {
  const { runs, reopen, askAgain, alongside, clock, limits, transact } = options;
  const { facts, newestStored } = options.loaded;
  let { database } = options;
  // Above every number that was ever given, also by a disk that failed or a database that is gone: there are fewer
  // events than milliseconds.
  const firstId = Math.max(newestStored, clock.now());
  let newestId = firstId;
  let goneThrough = Number(facts.get("events_gone_through") ?? 0);
  /** What counts although it is not in the database: runs by their ids, events, facts. */
  let unwritten = nothing();
  const failure = createWriteFailure({
    ...{ clock, askAgain, onProblem: options.onProblem, retryAfterMs: limits.retryAfterMs },
    consequence: "They go on, but would be lost if the engine ended now.",
  });
  /** It was seen that the database was removed. */
  let isGone = false;
  let isClosing = false;

  async function carryOut(batch: readonly Asked[]): Promise<Outcome[]> {
    const mustWrite = isClosing || batch.some(({ durability }) => durability === "written");
    if (failure.isResting() && !mustWrite) return batch.map(countInMemory);
    if (batch.length === 0 && unwritten.runs.size === 0 && !isGone) return [];
    try {
      return await write(batch.map(({ change }) => change));
    } catch (error) {
      failure.note(error as Error);
      return batch.map(countInMemory);
    }
  }

  /** All is in the database afterwards, what was unwritten as well; or it throws, and nothing of it is. */
  async function write(changes: readonly Change[]): Promise<Outcome[]> {
    const tryOnce = () => {
      const ahead = [...unwritten.runs].flatMap((runId) => runs.get(runId) ?? []);
      return transact(database, (trx) =>
        writeChanges(trx, changes, { ...unwritten, runs: ahead }, runs, newestId, alongside),
      );
    };
    const written = await tryOnce().catch(async (error) => {
      if (!isRemoved(error)) throw error;
      await replaceDatabase(error);
      return tryOnce();
    });
    for (const stored of written.runs) runs.set(stored.run.runId, { ...stored, newest: stored.run });
    newestId = written.newestId;
    unwritten = nothing();
    failure.clear();
    isGone = false;
    return written.outcomes;
  }

  /** The change is not in the database. If it may count all the same, it does so in memory until it can be written. */
  function countInMemory({ change, durability }: Asked): Outcome {
    const held = change.kind === "record" ? runs.get(change.runId) : undefined;
    if (change.kind === "accept" || durability === "written" || !held)
      return { refused: new NotWritten(`The run could not be written: ${failure.cause()?.message}`) };
    const run = apply(held.newest, change.event);
    if (run === held.newest) return { run, event: undefined };
    const event = toStored(++newestId, run, change.event);
    runs.set(run.runId, { ...held, newest: run, lastEvent: event.id });
    unwritten.runs.add(run.runId);
    unwritten.events.push(event);
    // What they have changed is in the run: whoever misses them looks at that.
    if (unwritten.events.length > limits.eventsAtOnce) forgetThrough(unwritten.events.shift()?.id ?? 0);
    return { run, event };
  }

  function forgetThrough(id: number): void {
    goneThrough = id;
    unwritten.facts.set("events_gone_through", String(id));
  }

  /** The database was removed. The next try writes everything but the events into the one that is there now. */
  async function replaceDatabase(removed: Error): Promise<void> {
    if (!reopen) throw removed;
    const next = await reopen();
    const prefix = await readFact(next, "key_prefix");
    if (prefix !== undefined && prefix !== facts.get("key_prefix")) {
      await next.destroy();
      throw new StoreError(
        "Another database was put in the place of the engine's own. Start the engine again to go on with that one.",
        undefined,
        "removed",
      );
    }
    await database.destroy();
    database = next;
    unwritten = { runs: new Set(runs.keys()), events: [], facts: new Map(facts) };
    forgetThrough(newestId);
  }

  async function use<T>(step: (database: Database) => Promise<T>): Promise<T> {
    try {
      return await step(database);
    } catch (error) {
      // Only `write` replaces it, so that nothing else is going on in it then.
      if (isRemoved(error)) {
        isGone = true;
        askAgain();
      }
      throw error;
    }
  }

  return {
    async carryOut(batch) {
      const outcomes = await carryOut(batch);
      return { outcomes, told: toldOf(outcomes) };
    },

    async eventsAfter(id, runId) {
      const limit = limits.eventsAtOnce;
      // Before the look into the database, where they may get in the meantime.
      const { events: inMemory } = unwritten;
      const stored = await use((db) => readEvents(db, { after: id, runId, limit: limit + 1 }));
      const newest = stored.at(-1)?.id ?? id;
      const later = inMemory.filter((one) => one.id > newest && (runId === undefined || one.runId === runId));
      const isUnknown = id > newestId || (id > newestStored && id < firstId);
      return {
        events: [...stored.slice(-limit), ...later],
        gap: isUnknown || id < goneThrough || stored.length > limit,
      };
    },

    newestEventId: () => newestId,

    async prune(now) {
      const ended = [...runs.values()].filter(({ run }) => hasEnded(run));
      const pruned = await use((db) =>
        transact(db, (trx) => pruneRuns(trx, { now, ended, goneThrough, limits })),
      );
      for (const runId of pruned.removed) runs.delete(runId);
      goneThrough = Math.max(goneThrough, pruned.goneThrough);
      return pruned.removed;
    },

    startClosing() {
      isClosing = true;
    },

    async close() {
      failure.close();
      await database.destroy();
    },
  };
}

function nothing() {
  return { runs: new Set<string>(), events: [] as StoredEvent[], facts: new Map<FactName, string>() };
}

function isRemoved(error: unknown): boolean {
  return error instanceof StoreError && error.kind === "removed";
}
