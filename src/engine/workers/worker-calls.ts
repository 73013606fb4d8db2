import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Pauses, pauseAfter } from "../../shared/backoff.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { type Database, type SharedDatabase, transaction } from "../../store/database.js";
import { StoreError } from "../../store/store-error.js";
import { EngineRefusal } from "../types.js";
import type { Workers } from "./workers.js";

const [ASKED, ANSWERED] = ["worker_calls", "worker_answers"] as const;
/** What was told may have been missed: so often it is looked for all the same, in ms. */
const LOOK_MS = 1_000;
/** A worker that is there takes a call within this time, in ms; else it is taken back. */
const TAKE_MS = 10_000;
/** One that was not taken back by then is nobody's any more, in ms: whoever has asked has ended, or was told that it is not known. */
const STALE_MS = 3 * TAKE_MS;
/** An answer that nobody has fetched goes after this time, in ms. */
const KEPT_MS = 60 * 60_000;
/** Before an answer that could not be written is written again. */
const PAUSES: Pauses = { firstMs: 100, longestMs: 5_000 };

/** What is asked of a worker: a method of its engine, with its arguments. All of it can be written as JSON. */
export interface Call {
  method: string;
  args: readonly unknown[];
}

type Answer =
  /** Without a value where the method gives none. */
  { value?: unknown } | { refusal: Pick<EngineRefusal, "status" | "message"> & Partial<EngineRefusal> };

/** What workers ask of one another, by the database: none has to reach another one. */
export interface WorkerCalls {
  /**
   * Asks another worker, and waits for its answer as long as it is there.
   * @param signal says to the other one that it is not wanted any more; its answer is waited for all the same
   * @throws EngineRefusal: the other one's, or one that says what is known where it does not answer
   */
  ask(workerId: string, call: Call, signal?: AbortSignal): Promise<unknown>;
  close(): void;
}

/**
 * @param options.carryOut does what is asked of this worker; its signal fires when nobody wants it any more. What it throws
 * beside EngineRefusal is logged here, and the other one is told that it has failed
 */
export function createWorkerCalls(options: {
  database: Database;
  shared: SharedDatabase;
  workers: Workers;
  carryOut: (call: Call, signal: AbortSignal) => Promise<unknown>;
  clock: Clock;
  log: Log;
}): WorkerCalls {
  const { database, shared, workers, carryOut, clock, log } = options;
  const { own } = workers;
  /** Those that are carried out here, by their ids. */
  const underWay = new Map<string, AbortController>();
  /** Those that this worker waits for, by their ids. */
  const waiting = new Map<string, () => void>();
  let isLooking = false;
  let lookAgain = false;
  let isClosed = false;
  let cancelLook = () => {};

  const stops = [
    shared.listen(ASKED, (workerId) => {
      if (workerId === undefined || workerId === own.id) look();
    }),
    shared.listen(ANSWERED, (id) => {
      if (id !== undefined) waiting.get(id)?.();
      else for (const wake of waiting.values()) wake();
    }),
  ];
  lookLater();

  function lookLater(): void {
    cancelLook = clock.after(LOOK_MS, () => {
      look();
      lookLater();
    });
  }

  function look(): void {
    lookAgain = true;
    if (isLooking || isClosed) return;
    isLooking = true;
    void takeAll()
      .catch((error: Error) => log.debug(`Calls of other workers could not be read: ${error.message}`))
      .finally(() => {
        isLooking = false;
        if (lookAgain && !isClosed) clock.after(LOOK_MS, look);
      });
  }

  async function takeAll(): Promise<void> {
    while (lookAgain && !isClosed) {
      lookAgain = false;
      const open = database.selectFrom("worker_calls").select("id").where("instance", "=", own.instance);
      const ids = (await open.where("answer", "is", null).execute()).map(({ id }) => id);
      // Whoever has asked does not want it any more.
      for (const [id, abort] of underWay) if (!ids.includes(id)) abort.abort();
      const left = ids.filter((id) => !underWay.has(id));
      if (left.length > 0) for (const { id, call } of await take(left)) begin(id, JSON.parse(call) as Call);
    }
  }

  /** Whoever has asked may have taken it back. One that was taken, which was not heard here, is taken again. */
  function take(ids: readonly string[]): Promise<{ id: string; call: string }[]> {
    return transaction(database, async (trx) => {
      const now = await shared.readNow(trx);
      const before = (ms: number) => trx.deleteFrom("worker_calls").where("asked_at", "<", now - ms);
      await before(KEPT_MS).where("answer", "is not", null).execute();
      await before(STALE_MS).where("taken_at", "is", null).execute();
      const taken = trx.updateTable("worker_calls").set({ taken_at: now }).where("id", "in", ids);
      return taken.where("answer", "is", null).returning(["id", "call"]).execute();
    });
  }

  function begin(id: string, call: Call): void {
    const abort = new AbortController();
    underWay.set(id, abort);
    void answer(id, call, abort.signal).finally(() => underWay.delete(id));
  }

  async function answer(id: string, call: Call, signal: AbortSignal): Promise<void> {
    const text = JSON.stringify(await answerOf(call, signal));
    const write = () =>
      transaction(database, async (trx) => {
        await trx.updateTable("worker_calls").set({ answer: text }).where("id", "=", id).execute();
        await shared.notify(trx, ANSWERED, id);
      });
    for (let tries = 1; !isClosed; tries++) {
      try {
        return await write();
      } catch (error) {
        log.debug(`The answer to another worker could not be written: ${(error as Error).message}`);
      }
      await delay(pauseAfter(tries, PAUSES));
    }
  }

  async function answerOf(call: Call, signal: AbortSignal): Promise<Answer> {
    try {
      return { value: await carryOut(call, signal) };
    } catch (error) {
      if (error instanceof EngineRefusal) {
        const { status, message, errorCode, isUncertain } = error;
        return { refusal: { status, message, isUncertain, ...(errorCode ? { errorCode } : {}) } };
      }
      log.error(`What another worker has asked for (${call.method}) failed: ${(error as Error).message}`);
      const message = "The worker that has the session failed at this. What came of it is not known.";
      return { refusal: { status: 503, message, isUncertain: true } };
    }
  }

  async function send(id: string, workerId: string, call: Call): Promise<string> {
    const worker = workers.get(workerId);
    if (!worker || !workers.isThere(workerId)) throw away(worker?.name);
    const { instance } = worker;
    await transaction(database, async (trx) => {
      const row = { id, worker_id: workerId, instance, asked_at: await shared.readNow(trx) };
      await trx
        .insertInto("worker_calls")
        .values({ ...row, call: JSON.stringify(call), taken_at: null, answer: null })
        .execute();
      await shared.notify(trx, ASKED, workerId);
    });
    return instance;
  }

  /** Waits for the answer; a worker that does not take the call is not waited for. */
  async function receive(id: string, workerId: string, instance: string): Promise<Answer> {
    const askedAt = clock.elapsed();
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        const cancel = clock.after(LOOK_MS, resolve);
        waiting.set(id, () => {
          cancel();
          resolve();
        });
      });
      const query = database.selectFrom("worker_calls").select(["taken_at", "answer"]);
      const row = await query.where("id", "=", id).executeTakeFirst();
      if (row?.answer) return JSON.parse(row.answer) as Answer;
      const isThere = workers.isThere(workerId) && workers.get(workerId)?.instance === instance;
      if (row?.taken_at === null && (!isThere || clock.elapsed() - askedAt > TAKE_MS)) {
        if (await takeBack(id)) throw away(workers.get(workerId)?.name);
      } else if (!isThere) throw lost(workers.get(workerId)?.name);
      // An earlier copy of the database was put in its place, perhaps.
      if (isClosed || !row) throw lost(workers.get(workerId)?.name);
      await woken;
    }
  }

  /** @returns whether it is certain that it is not carried out */
  async function takeBack(id: string): Promise<boolean> {
    return transaction(database, async (trx) => {
      const call = trx.deleteFrom("worker_calls").where("id", "=", id).where("taken_at", "is", null);
      return (await call.executeTakeFirst()).numDeletedRows === 1n;
    });
  }

  /** It is not wanted any more: whoever is at it finds that it is gone. */
  async function withdraw(id: string, workerId: string): Promise<void> {
    await transaction(database, async (trx) => {
      await trx.deleteFrom("worker_calls").where("id", "=", id).where("answer", "is", null).execute();
      await shared.notify(trx, ASKED, workerId);
    });
  }

  async function forget(id: string): Promise<void> {
    waiting.delete(id);
    await transaction(database, (trx) =>
      trx.deleteFrom("worker_calls").where("id", "=", id).where("answer", "is not", null).execute(),
    ).catch(() => {});
  }

  return {
    async ask(workerId, call, signal) {
      const id = randomUUID();
      let isSent = false;
      const cancel = () => void withdraw(id, workerId).catch(() => {});
      signal?.addEventListener("abort", cancel, { once: true });
      try {
        const instance = await send(id, workerId, call);
        isSent = true;
        const answered = await receive(id, workerId, instance);
        if (!("refusal" in answered)) return answered.value;
        const { status, message, errorCode, isUncertain } = answered.refusal;
        throw new EngineRefusal(status, message, errorCode, isUncertain);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        const isUncertain = isSent || error.kind === "unknown";
        const known = isUncertain ? "Whether it was done is not known." : "Nothing was done.";
        throw new EngineRefusal(503, `${error.message} ${known}`, undefined, isUncertain);
      } finally {
        signal?.removeEventListener("abort", cancel);
        if (isSent) void forget(id);
      }
    },
    close() {
      isClosed = true;
      for (const stop of stops) stop();
      cancelLook();
      for (const wake of waiting.values()) wake();
    },
  };
}

const nameOf = (name: string | undefined) => (name === undefined ? "" : ` (${name})`);

function away(name: string | undefined): EngineRefusal {
  const message = `The worker that has this session${nameOf(name)} is not there at the moment. Nothing was done. Try again when it is back.`;
  return new EngineRefusal(503, message);
}

function lost(name: string | undefined): EngineRefusal {
  const message = `The worker that has this session${nameOf(name)} went away while it was at this. Whether it was done is not known: look at the session when it is back.`;
  return new EngineRefusal(503, message, undefined, true);
}
