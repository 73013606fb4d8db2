import { type Clock, sleep } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { cleanLine } from "../../shared/text.js";
import { VERSION } from "../../shared/version.js";
import { type Database, type SharedDatabase, type Transaction, transaction } from "../../store/database.js";
import { isThere, NAME_CHARACTERS, readWorkers, type Worker } from "./worker-rows.js";

/**
 * Parts of the time after which a silent worker is gone: so often each says that it is there; one that could not say so
 * for that long ends its agents, before the others take it for gone; and only who could say so itself for that long
 * judges others, since all look silent after the database was away.
 */
const [BEAT, GIVE_UP, JUDGE] = [1 / 12, 5 / 6, 1 / 3];

/** Told when a worker has come, has another state or other places. */
const CHANGED = "workers_changed";
/** A machine that was silent for so long does not come back, in ms. */
const FORGOTTEN_MS = 30 * 24 * 60 * 60_000;

/** The workers of a database, as seen from one of them. */
export interface Workers {
  readonly own: { readonly id: string; readonly instance: string; readonly name: string };
  /** As of the last look, a few seconds ago; this one as it is. */
  all(): readonly Worker[];
  get(workerId: string): Worker | undefined;
  /** It takes requests, as far as is known. */
  isThere(workerId: string): boolean;
  /** From now on this one begins nothing more. */
  drain(): Promise<void>;
  isDraining(): boolean;
  /** This one reaches the database for long enough to judge of others; not after it was away, when all look silent. */
  isSteady(): boolean;
  /** Says at once what has changed here, and looks. Never rejects. */
  beat(): Promise<void>;
  /** Called when one has come, gone or changed. Gives back what ends it. */
  onChange(listener: () => void): () => void;
  /** Says that this one has ended. Never rejects. */
  close(): Promise<void>;
}

/**
 * Joins the workers of a database.
 * @param options.id of this one; `instance`: of its process
 * @param options.places how many agents work here at once, by now
 * @param options.busy how many of these places are taken, by now
 * @param options.onGone told with each look which workers are gone or have ended, where there are any. Must not throw
 * @param options.onLost the others take this one for gone soon: whatever it does is to end. Must not throw
 * @throws StoreError when the database cannot be used
 */
export async function joinWorkers(options: {
  database: Database;
  shared: SharedDatabase;
  id: string;
  instance: string;
  /** Processes that this worker was before. */
  former: readonly string[];
  name: string;
  places: () => number;
  busy: () => number;
  clock: Clock;
  log: Log;
  onGone: (workers: readonly Worker[]) => void;
  onLost: () => void;
  /** A copy of this worker's folder has taken its place: whatever this one does is to end. Must not throw. */
  onCopied: () => void;
  /** One that was silent for so long is gone, in ms; its agents go on until shortly before. */
  timeoutMs: number;
}): Promise<Workers> {
  const { database, shared, id, instance, former, name, places, busy, clock, log, timeoutMs } = options;
  const { onGone, onLost, onCopied } = options;
  const own = { id, instance, name };
  const listeners = new Set<() => void>();
  let state: "ready" | "draining" | "ended" = "ready";
  let known = new Map<string, Worker>();
  /** When a sign of each worker was seen here last (monotonic clock). */
  const heard = new Map<string, { seenAt: number; at: number }>();
  let beatAt = clock.elapsed();
  /** Since when every beat has come through. */
  let steadySince = clock.elapsed();
  /** What the others were told last. */
  let said: string | undefined;
  let isLost = false;
  let isClosed = false;
  let cancelNext = () => {};
  let stopListening = () => {};
  let hasSaid = false;

  await say();
  next();
  stopListening = shared.listen(CHANGED, (changed) => {
    if (changed !== id && !isClosed) void beat();
  });

  function present(): Pick<Worker, "places" | "busy"> & { state: typeof state } {
    return { places: places(), busy: busy(), state };
  }

  function asItIs(worker: Worker): Worker {
    return worker.id === id ? { ...worker, ...present() } : worker;
  }

  /**
   * Writes how this one stands, and reads how the others do; past the one lock of all changes, so that a database in which
   * much is written takes nobody for gone.
   */
  async function say(): Promise<void> {
    const summary = JSON.stringify([state, places()]);
    // What the others see is no older than that.
    const since = clock.elapsed();
    const row = { ...present(), instance: own.instance, name, version: VERSION, timeout_ms: timeoutMs };
    const { numInsertedOrUpdatedRows = 0n } = await database
      .insertInto("workers")
      .values({ ...row, worker_id: id, began_at: shared.now, seen_at: shared.now })
      .onConflict((conflict) =>
        conflict
          .column("worker_id")
          .doUpdateSet({ ...row, seen_at: shared.now })
          .where("workers.instance", "in", [own.instance, ...(hasSaid ? [] : former)]),
      )
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows === 0n) return giveWay();
    hasSaid = true;
    if (summary !== said) await transaction(database, tellChange);
    const workers = await readWorkers(database, await shared.readNow(database), silenceOf);
    said = summary;
    beatAt = since;
    isLost = false;
    const before = summaryOf(known);
    known = new Map(workers.map((worker) => [worker.id, worker]));
    if (summaryOf(known) !== before) for (const listener of [...listeners]) listener();
    if (!isSteady()) return;
    const gone = [...known.values()].filter((worker) => worker.id !== id && !isThere(worker));
    if (gone.length > 0) onGone(gone);
  }

  /** By this machine's own clock: the database's may be set, and all would look silent, or nobody. */
  function silenceOf(workerId: string, seenAt: number, silentMs: number): number {
    const now = clock.elapsed();
    const last = heard.get(workerId);
    if (last?.seenAt === seenAt) return now - last.at;
    // Of one that is seen for the first time the database alone can tell.
    const at = last ? now : now - silentMs;
    heard.set(workerId, { seenAt, at });
    return now - at;
  }

  async function tellChange(trx: Transaction): Promise<void> {
    const forgotten = (await shared.readNow(trx)) - FORGOTTEN_MS;
    await trx.deleteFrom("workers").where("seen_at", "<", forgotten).execute();
    await shared.notify(trx, CHANGED, id);
  }

  /** A copy of this folder has begun as the same worker: what this one does would be mixed with what that does. */
  function giveWay(): void {
    if (isClosed) return;
    isClosed = true;
    stopListening();
    cancelNext();
    onCopied();
  }

  function isSteady(): boolean {
    return clock.elapsed() - steadySince >= timeoutMs * JUDGE;
  }

  async function beat(): Promise<void> {
    try {
      await say();
    } catch (error) {
      steadySince = clock.elapsed();
      log.debug(`This worker could not say that it is there: ${(error as Error).message}`);
    }
  }

  function next(): void {
    cancelNext = clock.after(timeoutMs * BEAT, () => {
      // While the database is away, saying so takes its time.
      const overdue = clock.after(Math.max(0, beatAt + timeoutMs * GIVE_UP - clock.elapsed()), giveUp);
      void beat().finally(() => {
        overdue();
        if (!isClosed) next();
      });
      if (clock.elapsed() - beatAt >= timeoutMs * GIVE_UP) giveUp();
    });
  }

  function giveUp(): void {
    if (isLost || isClosed || clock.elapsed() - beatAt < timeoutMs * GIVE_UP) return;
    isLost = true;
    steadySince = clock.elapsed();
    onLost();
  }

  return {
    own,
    all: () => [...known.values()].map(asItIs),
    get(workerId) {
      const worker = known.get(workerId);
      return worker && asItIs(worker);
    },
    isThere(workerId) {
      const worker = known.get(workerId);
      return workerId === id || (worker !== undefined && isThere(worker));
    },
    async drain() {
      state = "draining";
      await beat();
    },
    isDraining: () => state === "draining",
    isSteady,
    beat,
    onChange(listener) {
      const mine = () => listener();
      listeners.add(mine);
      return () => void listeners.delete(mine);
    },
    async close() {
      isClosed = true;
      stopListening();
      cancelNext();
      state = "ended";
      await beat();
    },
  };
}

/**
 * A state folder that was copied is the same worker as its original, and the runs and workspaces of both would be mixed.
 * @param instances processes that the engine of this folder was
 * @param options.waitMs two beats: whether one is there that beats
 * @returns the process that the database has for it; undefined for none
 * @throws Error when the worker was another folder's last, or another process is it at the moment
 */
export async function refuseCopy(
  database: Database,
  { id, instances }: { id: string; instances: readonly string[] },
  options: { shared: SharedDatabase; clock: Clock; timeoutMs: number },
): Promise<string | undefined> {
  const { shared, clock, timeoutMs } = options;
  const read = () =>
    database
      .selectFrom("workers")
      .select(["name", "instance", "state", "seen_at"])
      .where("worker_id", "=", id)
      .executeTakeFirst();
  const row = await read();
  if (!row) return undefined;
  const name = cleanLine(row.name, NAME_CHARACTERS);
  if (!instances.includes(row.instance))
    throw new Error(
      `this state folder is a copy of one that is a worker of the database already, on ${name}. Give this engine a state folder of its own (AUTOMAGIK_WORKFLOWS_STATE_DIR).`,
    );
  if (row.state === "ended" || (await shared.readNow(database)) - row.seen_at > timeoutMs)
    return row.instance;
  // It ended without a word, or is there: then it beats.
  await sleep(clock, timeoutMs * BEAT * 2.5);
  if ((await read())?.seen_at === row.seen_at) return row.instance;
  throw new Error(
    `another engine is the worker of this state folder at the moment, on ${name}: one of the two is a copy. Give this engine a state folder of its own (AUTOMAGIK_WORKFLOWS_STATE_DIR).`,
  );
}

const summaryOf = (workers: ReadonlyMap<string, Worker>) =>
  JSON.stringify([...workers.values()].map(({ seenAt: _, silentMs: __, busy: ___, ...rest }) => rest));
