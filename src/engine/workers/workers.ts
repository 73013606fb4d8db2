import { randomUUID } from "node:crypto";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { VERSION } from "../../shared/version.js";
import { type Database, type SharedDatabase, transaction } from "../../store/database.js";

/**
 * Parts of the time after which a silent worker is gone: so often each says that it is there; one that could not say so
 * for that long ends its agents, before the others take it for gone; and only who could say so itself for that long
 * judges others, since all look silent after the database was away.
 */
const [BEAT, GIVE_UP, JUDGE] = [1 / 12, 5 / 6, 1 / 3];

/** A worker as it was last seen: an engine that shares a database with others. */
export interface Worker {
  id: string;
  /** Its process. */
  instance: string;
  /** Its machine, as a person calls it. */
  name: string;
  version: string;
  places: number;
  /** `ended`: in an orderly way; `gone`: nothing was heard of it for too long. */
  state: "ready" | "draining" | "ended" | "gone";
  /** How long it was silent by then, in ms. */
  silentMs: number;
}

/** The workers of a database, as seen from one of them. */
export interface Workers {
  readonly own: { readonly id: string; readonly instance: string; readonly name: string };
  /** As of the last look, a few seconds ago. */
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
 * @param options.id of this one
 * @param options.places how many agents work here at once, by now
 * @param options.onGone called while a worker is gone, with each look, until its row is another one's. Must not throw
 * @param options.onLost the others take this one for gone soon: whatever it does is to end. Must not throw
 * @throws StoreError when the database cannot be used, and Error when another machine has the same id
 */
export async function joinWorkers(options: {
  database: Database;
  shared: SharedDatabase;
  id: string;
  name: string;
  places: () => number;
  clock: Clock;
  log: Log;
  onGone: (worker: Worker) => void;
  onLost: () => void;
  /** One that was silent for so long is gone, in ms by the database's clock; its agents go on until shortly before. */
  timeoutMs: number;
}): Promise<Workers> {
  const { database, shared, id, name, places, clock, log, onGone, onLost, timeoutMs } = options;
  const own = { id, instance: randomUUID(), name };
  const listeners = new Set<() => void>();
  let state: "ready" | "draining" | "ended" = "ready";
  let known = new Map<string, Worker>();
  let beatAt = clock.elapsed();
  /** Since when every beat has come through. */
  let steadySince = clock.elapsed();
  let isLost = false;
  let isClosed = false;
  let cancelNext = () => {};

  await refuseTwin(options);
  await say();
  next();

  /** Writes how this one stands, and reads how the others do. */
  async function say(): Promise<void> {
    const { rows, now } = await transaction(database, async (trx) => {
      const now = await shared.readNow(trx);
      const row = { instance: own.instance, name, version: VERSION, places: places(), state, seen_at: now };
      await trx
        .insertInto("workers")
        .values({ ...row, worker_id: id, began_at: now })
        .onConflict((conflict) => conflict.column("worker_id").doUpdateSet(row))
        .execute();
      return { rows: await trx.selectFrom("workers").selectAll().execute(), now };
    });
    beatAt = clock.elapsed();
    isLost = false;
    const before = summaryOf(known);
    known = new Map(
      rows.map((row) => {
        const silentMs = Math.max(0, now - row.seen_at);
        const isGone = row.state !== "ended" && silentMs > timeoutMs;
        const { instance, version } = row;
        const seen = { id: row.worker_id, instance, name: row.name, version, places: row.places, silentMs };
        return [row.worker_id, { ...seen, state: isGone ? "gone" : (row.state as Worker["state"]) }];
      }),
    );
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
    all: () => [...known.values()],
    get: (workerId) => known.get(workerId),
    isThere: (workerId) => {
      const state = known.get(workerId)?.state;
      return workerId === id || state === "ready" || state === "draining";
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
      cancelNext();
      state = "ended";
      await beat();
    },
  };
}

/** A state folder that was copied to another machine has the same id: their runs and workspaces would be mixed. */
async function refuseTwin(options: Parameters<typeof joinWorkers>[0]): Promise<void> {
  const { database, shared, id, name, timeoutMs } = options;
  const now = await shared.readNow(database);
  const query = database.selectFrom("workers").select(["name", "state", "seen_at"]);
  const row = await query.where("worker_id", "=", id).executeTakeFirst();
  if (!row || row.name === name || row.state === "ended" || now - row.seen_at > timeoutMs) return;
  throw new Error(
    `another machine (${row.name}) is the worker of this state folder, which looks like a copy of its. Remove the file worker-id in the engine's folder here, with its workspaces, or wait a minute where that machine has gone.`,
  );
}

const summaryOf = (workers: ReadonlyMap<string, Worker>) =>
  JSON.stringify([...workers.values()].map(({ silentMs: _, ...rest }) => rest));
