import type { Clock } from "../../shared/clock.js";
import type { Database, Transaction, transaction } from "../../store/database.js";
import { StoreError } from "../../store/store-error.js";
import { apply } from "./apply.js";
import type { RunEvent } from "./events.js";
import { readFact } from "./facts.js";
import type { LoadedRuns } from "./load-runs.js";
import { pruneRuns } from "./prune-runs.js";
import { hasEnded } from "./run.js";
import {
  type HeldRun,
  newestEventOf,
  readEvents,
  readEventsInOrder,
  readRuns,
  type StoredRun,
} from "./run-rows.js";
import { NotWritten, type RunStoreProblem, type StoredEvent } from "./run-store.js";
import type { Asked, LIMITS, RunWriter, Written } from "./run-writer.js";
import {
  type Guard,
  type Outcome,
  type Told,
  toldOf,
  type WriteAlongside,
  writeChanges,
} from "./write-changes.js";
import { createWriteFailure } from "./write-failure.js";

/** Events that are read at once; more are read in several goes. */
const PAGE = 1_000;
/** Changes that wait for a database that is away; with more, what an agent did a while ago is left out. */
const MOST_WAITING = 20_000;
/** What tells only what an agent does at the moment: nothing follows from it. */
const PASSING = new Set<RunEvent["type"]>(["action", "output"]);

const NOTHING_UNWRITTEN = { runs: [], events: [], facts: new Map() };

/** What others have written: their events in order, and their runs as they stand now. */
interface News {
  events: StoredEvent[];
  runs: StoredRun[];
}

/**
 * Keeps the runs in memory as they are in a database that several engines share. Every change is made on what the others
 * have written before, and what they have written is told here as our own is, each event once and in the one order of
 * all: numbers are given, and seen, under the database's lock.
 *
 * While the database is away, what may wait counts in memory (`newest`) and is made as soon as it is back, on the state
 * that it has then: what cannot happen to a run any more, since another engine has ended it, does not. Nobody is told
 * before. What concerns a run that has not begun cannot wait.
 * @param options.tell says to the others that there is something new
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
  /** The database's clock, epoch ms. */
  readNow: (trx: Transaction) => Promise<number>;
  /** How often a connection was lost. */
  losses: () => number;
  /** The database is an earlier copy of itself. Must not throw. */
  onEarlierCopy: () => void;
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
    losses,
    readNow,
    onEarlierCopy,
    clock,
    limits,
    transact,
  } = options;
  /** Everything up to this event is known here and was told. */
  let newestId = options.loaded.newestStored;
  /** Changes that count in memory and are not in the database. */
  let waiting: Asked[] = [];
  const failure = createWriteFailure({
    ...{ clock, askAgain, onProblem: options.onProblem, retryAfterMs: limits.retryAfterMs },
    consequence:
      "They go on, and what happens is written when the database is back; it would be lost if this engine ended before.",
  });
  /** When all was read last, epoch ms. */
  let readAt = clock.now();
  let isClosing = false;
  let knownLosses = losses();

  async function carryOut(batch: readonly Asked[]): Promise<Written> {
    const mustWrite = isClosing || batch.some(({ durability }) => durability === "written");
    if (failure.isResting() && !mustWrite) return { outcomes: batch.map(countInMemory), told: [] };
    try {
      await lookForEarlierCopy();
      const written = batch.length + waiting.length > 0 ? await write(batch) : await look();
      failure.clear();
      readAt = clock.now();
      return written;
    } catch (error) {
      failure.note(error as Error);
      return { outcomes: batch.map(countInMemory), told: [] };
    }
  }

  async function write(batch: readonly Asked[]): Promise<Written> {
    const ahead = waiting.length;
    const asked = [...waiting, ...batch].map(({ change }) => change);
    const { news, changes } = await transact(database, async (trx) => {
      const news = await readNews(trx, newestId);
      const changes = await writeChanges(trx, asked, NOTHING_UNWRITTEN, runs, newestId, alongside, guard);
      if (changes.runs.length > 0) await tell(trx);
      return { news, changes };
    });
    // What is not in memory any more was counted there before its run was changed elsewhere.
    const told = takeIn(news);
    for (const stored of changes.runs) hold(stored);
    waiting = waiting.slice(ahead);
    newestId = changes.newestId;
    return { outcomes: changes.outcomes.slice(ahead), told: [...told, ...toldOf(changes.outcomes)] };
  }

  /** A server that has taken another one's place may lack its last changes, and its numbers are given once more. */
  async function lookForEarlierCopy(): Promise<void> {
    const lost = losses();
    if (lost === knownLosses) return;
    const goneThrough = Number((await readFact(database, "events_gone_through")) ?? 0);
    const newest = Math.max(await newestEventOf(database), goneThrough);
    if (newest < newestId) {
      const stored = await readRuns(database);
      runs.clear();
      for (const one of stored) hold(one);
      newestId = newest;
      onEarlierCopy();
    }
    knownLosses = lost;
  }

  async function look(): Promise<Written> {
    return { outcomes: [], told: takeIn(await readNews(database, newestId)) };
  }

  function takeIn({ events, runs: changed }: News): Told[] {
    for (const stored of changed) hold(stored);
    newestId = events.at(-1)?.id ?? newestId;
    return events.flatMap((event) => {
      const run = runs.get(event.runId)?.newest;
      return run ? [{ event, run, fromElsewhere: true }] : [];
    });
  }

  function hold(stored: StoredRun): void {
    runs.set(stored.run.runId, { ...stored, newest: stored.run });
  }

  function countInMemory(asked: Asked): Outcome {
    const { change, durability } = asked;
    const held = change.kind === "record" ? runs.get(change.runId) : undefined;
    // What is still to begin, others may begin meanwhile: what came of that is not undone by what was meant before it.
    const mayWait = held !== undefined && held.newest.status !== "pending";
    if (change.kind === "accept" || durability === "written" || !mayWait) {
      const cause = failure.cause();
      const isUncertain = cause instanceof StoreError && cause.kind === "unknown";
      return { refused: new NotWritten(`The run could not be written: ${cause?.message}`, isUncertain) };
    }
    const run = apply(held.newest, change.event);
    if (run === held.newest) return { run, event: undefined };
    runs.set(run.runId, { ...held, newest: run });
    waiting.push(asked);
    if (waiting.length > MOST_WAITING) leaveOut();
    const { type, at, ...data } = change.event;
    return { run, event: { id: newestId, runId: run.runId, at, type, status: run.status, data } };
  }

  function leaveOut(): void {
    const passing = waiting.findIndex(
      ({ change }) => change.kind === "record" && PASSING.has(change.event.type),
    );
    if (passing >= 0) waiting.splice(passing, 1);
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
      await database.destroy();
    },
  };
}

async function readNews(db: Parameters<typeof readEventsInOrder>[0], after: number): Promise<News> {
  const events: StoredEvent[] = [];
  for (;;) {
    const page = await readEventsInOrder(db, { after: events.at(-1)?.id ?? after, limit: PAGE });
    events.push(...page);
    if (page.length < PAGE) break;
  }
  const changed = [...new Set(events.map(({ runId }) => runId))];
  return { events, runs: changed.length > 0 ? await readRuns(db, changed) : [] };
}
