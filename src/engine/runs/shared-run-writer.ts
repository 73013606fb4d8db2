import type { Clock } from "../../shared/clock.js";
import type { Database, Transaction, transaction } from "../../store/database.js";
import { StoreError } from "../../store/store-error.js";
import { readFact } from "./facts.js";
import type { LoadedRuns } from "./load-runs.js";
import { pruneRuns } from "./prune-runs.js";
import { readUpdates, type Updates } from "./read-updates.js";
import { type EngineRun, hasEnded } from "./run.js";
import { type HeldRun, hasEvent, newestEventOf, readEvents, readRuns, type StoredRun } from "./run-rows.js";
import { NotWritten, type RunStoreProblem, type StoredEvent } from "./run-store.js";
import type { Asked, LIMITS, RunWriter, Written } from "./run-writer.js";
import { isTakenIn } from "./taken-in.js";
import { createWaitingList, type Keeping, type Named } from "./waiting-list.js";
import { type Guard, type Told, toldOf, type WriteAlongside, writeChanges } from "./write-changes.js";
import { createWriteFailure } from "./write-failure.js";

/** So many changes that have waited are written in one transaction: all others wait for it. */
const AT_ONCE = 1_000;

const NOTHING_UNWRITTEN = { runs: [], events: [], facts: new Map() };

/**
 * Keeps the runs in memory as they are in a database that several engines share. Every change is made on what the others
 * have written before, and what they have written is told here as our own is, each event once and in the one order of
 * all: numbers are given, and seen, under the database's lock.
 *
 * While the database is away, what may wait counts in memory (`newest`) and is made as soon as it is back, on the state
 * that it has then: what cannot happen to a run any more, since another engine has ended it, does not. Nobody is told
 * before. What concerns a run that has not begun cannot wait. What waits is on this machine's disk as well, with a name by
 * which it is made once: also by the process that comes after this one (`keeping`).
 * @param options.tell says to the others that there is something new
 * @param options.tellNow tells the listeners here of what is read in several goes
 */
export function createSharedRunWriter(options: {
  database: Database;
  loaded: Omit<LoadedRuns, "stored">;
  runs: Map<string, HeldRun>;
  /** Has `carryOut` called soon. */
  askAgain: () => void;
  /** The same, and waits for it. */
  lookNow: () => Promise<void>;
  alongside: WriteAlongside | undefined;
  guard: Guard | undefined;
  tell: (trx: Parameters<typeof writeChanges>[0]) => Promise<void>;
  tellNow: (told: readonly Told[]) => void;
  keeping: Keeping | undefined;
  /** The database's clock, epoch ms. */
  readNow: (trx: Transaction) => Promise<number>;
  /** How often a connection was lost. */
  losses: () => number;
  /** The database is an earlier copy of itself. Must not throw. @param known the runs as they were known before */
  onEarlierCopy: (known: ReadonlyMap<string, EngineRun>) => void;
  clock: Clock;
  onProblem: (problem: RunStoreProblem) => void;
  limits: typeof LIMITS;
  transact: typeof transaction;
}): RunWriter {
  const {
    database,
    runs,
    askAgain,
    lookNow,
    alongside,
    guard,
    tell,
    tellNow,
    keeping,
    losses,
    readNow,
    onEarlierCopy,
    clock,
    limits,
    transact,
  } = options;
  /** Everything up to this event is known here and was told. */
  let newestId = options.loaded.newestStored;
  /** That event, once there was one since this began. */
  let newest: StoredEvent | undefined;
  const failure = createWriteFailure({
    ...{ clock, askAgain, onProblem: options.onProblem, retryAfterMs: limits.retryAfterMs },
    consequence: keeping
      ? "They go on, and what happens is kept on this machine's disk until the database is back."
      : "They go on, and what happens is written when the database is back; it would be lost if this engine ended before.",
  });
  let isUnkept = false;
  const waiting = createWaitingList({
    ...{ runs, keeping, newestId: () => newestId },
    onUnkept(reason) {
      const message = `What happens cannot be kept on this machine's disk (${reason}): it would be lost if this engine ended now.`;
      if (!isUnkept) options.onProblem({ kind: "unwritable", message });
      isUnkept = true;
    },
  });
  /** When all was read last, epoch ms. */
  let readAt = clock.now();
  let isClosing = false;
  let knownLosses = losses();

  async function carryOut(batch: readonly Asked[]): Promise<Written> {
    const asked = batch.map(waiting.name);
    const mustWrite = isClosing || batch.some(({ durability }) => durability === "written");
    if (failure.isResting() && !mustWrite) return letWait(asked);
    try {
      await lookForEarlierCopy();
      while (waiting.length > AT_ONCE) tellNow((await write([], AT_ONCE)).told);
      const written =
        batch.length + waiting.length > 0 ? await write(asked, waiting.length) : await catchUp();
      failure.clear();
      isUnkept = false;
      readAt = clock.now();
      return written;
    } catch (error) {
      failure.note(error as Error);
      return letWait(asked);
    }
  }

  async function letWait(asked: readonly Named[]): Promise<Written> {
    const outcomes = await waiting.add(asked, () => {
      const cause = failure.cause();
      const isUncertain = cause instanceof StoreError && cause.kind === "unknown";
      return new NotWritten(`The run could not be written: ${cause?.message}`, isUncertain);
    });
    return { outcomes, told: [] };
  }

  /** Writes the first that wait, and the batch behind them. */
  async function write(batch: readonly Named[], ahead: number): Promise<Written> {
    const attempt = () =>
      transact(database, async (trx) => {
        const updates = await readUpdates(trx, newestId);
        if (updates.isFull) return undefined;
        const known = ahead > 0 ? await keeping?.takenIn.read(trx) : undefined;
        const isNew = ({ id }: Named) => !id || !known || !isTakenIn(id, known);
        // The batch is made for the first time.
        const left = [...waiting.first(ahead).filter(isNew), ...batch];
        const changes = await writeChanges(
          ...([trx, left.map(({ change }) => change), NOTHING_UNWRITTEN, runs, newestId] as const),
          ...([alongside, guard] as const),
        );
        const last = left.findLast(({ id }) => id)?.id;
        if (last) await keeping?.takenIn.write(trx, last);
        if (changes.runs.length > 0) await tell(trx);
        return { updates, changes };
      });
    let made = await attempt();
    while (!made) {
      // All that others have written comes before, however much that is.
      tellNow((await catchUp()).told);
      made = await attempt();
    }
    const { updates, changes } = made;
    // What is not in memory any more was counted there before its run was changed elsewhere.
    waiting.drop(ahead);
    const told = takeIn(updates);
    for (const stored of changes.runs) hold(stored);
    if (ahead > 0 && waiting.length === 0) await waiting.clear();
    const own = toldOf(changes.outcomes);
    newestId = changes.newestId;
    newest = own.at(-1)?.event ?? newest;
    const outcomes = batch.length > 0 ? changes.outcomes.slice(-batch.length) : [];
    return { outcomes, told: [...told, ...own] };
  }

  /**
   * A server that has taken another one's place may lack its last changes, and its numbers are given once more: perhaps
   * others have done so already, so that the newest event that is known here is another one there.
   */
  async function lookForEarlierCopy(): Promise<void> {
    const lost = losses();
    if (lost === knownLosses) return;
    const newestThere = await newestEventOf(database);
    const isSame = newest === undefined || (await hasEvent(database, newest));
    // Last of all: an event that is removed meanwhile is not missing.
    const goneThrough = Number((await readFact(database, "events_gone_through")) ?? 0);
    const isEarlier = newestThere < newestId || !isSame;
    if (isEarlier && newestId > goneThrough) {
      const stored = await readRuns(database);
      const known = new Map([...runs].map(([runId, { newest: run }]) => [runId, run]));
      runs.clear();
      for (const one of stored) hold(one);
      newestId = Math.max(newestThere, goneThrough);
      newest = undefined;
      onEarlierCopy(known);
    }
    knownLosses = lost;
  }

  /** Takes in what others have written; what is left to be told is the last part of it. */
  async function catchUp(): Promise<Written> {
    for (;;) {
      const updates = await readUpdates(database, newestId);
      const told = takeIn(updates);
      if (!updates.isFull) return { outcomes: [], told };
      tellNow(told);
    }
  }

  function takeIn({ events, runs: changed }: Pick<Updates, "events" | "runs">): Told[] {
    for (const stored of changed) hold(stored);
    newest = events.at(-1) ?? newest;
    newestId = events.at(-1)?.id ?? newestId;
    return events.flatMap((event) => {
      const run = runs.get(event.runId)?.newest;
      return run ? [{ event, run, fromElsewhere: true }] : [];
    });
  }

  function hold(stored: StoredRun): void {
    runs.set(stored.run.runId, { ...stored, newest: waiting.onTop(stored.run) });
  }

  return {
    carryOut,

    async eventsAfter(id, runId) {
      // Somebody who was told of it by another engine asks here.
      if (id > newestId) await lookNow();
      const known = newestId;
      const limit = limits.eventsAtOnce;
      const events = await readEvents(database, { after: id, runId, limit: limit + 1 });
      const goneThrough = Number((await readFact(database, "events_gone_through")) ?? 0);
      return {
        // Later ones are told here in a moment.
        events: events.slice(-limit).filter((event) => event.id <= known),
        gap: id > newestId || id < goneThrough || events.length > limit,
      };
    },

    newestEventId: () => newestId,

    knownUntil: () => (failure.cause() ? readAt : undefined),

    async prune(now) {
      const ended = [...runs.values()].filter(({ run }) => hasEnded(run));
      const pruned = await transact(database, async (trx) => {
        const goneThrough = Number((await readFact(trx, "events_gone_through")) ?? 0);
        return pruneRuns(trx, { now, sharedNow: await readNow(trx), ended, goneThrough, limits });
      });
      for (const runId of pruned.removed) runs.delete(runId);
      return pruned.removed;
    },

    startClosing() {
      isClosing = true;
    },

    async close() {
      failure.close();
      await waiting.close();
      await database.destroy();
    },
  };
}
