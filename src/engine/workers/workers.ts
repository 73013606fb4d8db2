import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { VERSION } from "../../shared/version.js";
import { type Database, type SharedDatabase, transaction } from "../../store/database.js";
import { isThere, readWorkers, type Worker } from "./worker-rows.js";

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
 * @param options.onGone called while a worker is gone, with each look, until its row is another one's. Must not throw
 * @param options.onLost the others take this one for gone soon: whatever it does is to end. Must not throw
 * @throws StoreError when the database cannot be used
 */
export async function joinWorkers(options: {
  database: Database;
  shared: SharedDatabase;
  id: string;
  instance: string;
  name: string;
  places: () => number;
  busy: () => number;
  clock: Clock;
  log: Log;
  onGone: (worker: Worker) => void;
  onLost: () => void;
  /** One that was silent for so long is gone, in ms by the database's clock; its agents go on until shortly before. */
  timeoutMs: number;
}): Promise<Workers> {
  const { database, shared, id, instance, name, places, busy, clock, log, onGone, onLost, timeoutMs } =
    options;
  const own = { id, instance, name };
  const listeners = new Set<() => void>();
  let state: "ready" | "draining" | "ended" = "ready";
  let known = new Map<string, Worker>();
  let beatAt = clock.elapsed();
  /** Since when every beat has come through. */
  let steadySince = clock.elapsed();
  /** What the others were told last. */
  let said: string | undefined;
  let isLost = false;
  let isClosed = false;
  let cancelNext = () => {};

  await say();
  next();
  const stopListening = shared.listen(CHANGED, (changed) => {
    if (changed !== id && !isClosed) void beat();
  });

  function present(): Pick<Worker, "places" | "busy"> & { state: typeof state } {
    return { places: places(), busy: busy(), state };
  }

  function asItIs(worker: Worker): Worker {
    return worker.id === id ? { ...worker, ...present() } : worker;
  }

  /** Writes how this one stands, and reads how the others do. */
  async function say(): Promise<void> {
    const summary = JSON.stringify([state, places()]);
    const workers = await transaction(database, async (trx) => {
      const now = await shared.readNow(trx);
      const row = { ...present(), instance: own.instance, name, version: VERSION, seen_at: now };
      await trx
        .insertInto("workers")
        .values({ ...row, worker_id: id, began_at: now })
        .onConflict((conflict) => conflict.column("worker_id").doUpdateSet(row))
        .execute();
      if (summary !== said) await shared.notify(trx, CHANGED, id);
      await trx
        .deleteFrom("workers")
        .where("seen_at", "<", now - FORGOTTEN_MS)
        .execute();
      return readWorkers(trx, now, timeoutMs);
    });
    said = summary;
    beatAt = clock.elapsed();
    isLost = false;
    const before = summaryOf(known);
    known = new Map(workers.map((worker) => [worker.id, worker]));
    if (summaryOf(known) !== before) for (const listener of [...listeners]) listener();
    if (clock.elapsed() - steadySince < timeoutMs * JUDGE) return;
    for (const worker of known.values()) if (worker.state === "gone") onGone(worker);
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
 * A state folder that was copied is the same worker as its original: of the two the one that has begun last goes on, since
 * the runs and workspaces of both would be mixed.
 * @param instances processes that the engine of this folder was
 * @throws Error when the worker was another folder's last
 */
export async function refuseCopy(
  database: Database,
  { id, instances }: { id: string; instances: readonly string[] },
): Promise<void> {
  const query = database.selectFrom("workers").select(["name", "instance"]).where("worker_id", "=", id);
  const row = await query.executeTakeFirst();
  if (!row || instances.includes(row.instance)) return;
  throw new Error(
    `this state folder is a copy of one that is a worker of the database already, on ${row.name}. Give this engine a state folder of its own (AUTOMAGIK_WORKFLOWS_STATE_DIR), or remove the folder "engine" in this one.`,
  );
}

const summaryOf = (workers: ReadonlyMap<string, Worker>) =>
  JSON.stringify([...workers.values()].map(({ silentMs: _, busy: __, ...rest }) => rest));
