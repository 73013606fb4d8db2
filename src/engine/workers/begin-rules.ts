import type { Clock } from "../../shared/clock.js";
import type { SharedDatabase, Transaction } from "../../store/database.js";
import { dayOf } from "../runs/costs.js";
import { type EngineRun, hasEnded } from "../runs/run.js";
import { readRunsSince } from "../runs/run-rows.js";
import type { Guard } from "../runs/write-changes.js";
import { type DayLimits, hasDayLimit, mayBegin as isLeft } from "../work/day-limit.js";
import { homeOf, readSession } from "./session-homes.js";
import { isThere, type Worker } from "./worker-rows.js";
import type { Workers } from "./workers.js";

/** Which runs a worker may begin. */
export interface BeginRules {
  /**
   * True when the run may begin here: its session is nobody else's, and none of its runs goes on.
   * @param ofSession all runs of its session, the newest first
   */
  mayBegin(run: EngineRun, ofSession: readonly EngineRun[]): boolean;
  /**
   * The same by what the database has, in the transaction that begins it: of two workers one begins it, and none that the
   * others take for gone at that moment. And a run that goes on ends by its own worker, or by one that takes that for gone, and
   * not once it has come back.
   */
  guard: Guard;
  /** The worker alone at which a session goes on, by where its workspace lies; undefined where any may. */
  onlyAt(home: string | undefined): Worker | undefined;
}

/**
 * @param workers undefined until this one has joined them: then nothing begins
 * @param options.limits what all runs of a day may cost, by now
 * @param times.timeoutMs a worker that was silent for so long is gone
 * @param times.moveAfterMs a session of a worker that was gone for so long goes on elsewhere: till then it may come back
 */
export function createBeginRules(
  workers: () => Workers | undefined,
  { timeoutMs, moveAfterMs }: { timeoutMs: number; moveAfterMs: number },
  { shared, limits, clock }: { shared: SharedDatabase; limits: DayLimits; clock: Pick<Clock, "now"> },
): BeginRules {
  function mayBegin(run: EngineRun, ofSession: readonly EngineRun[]): boolean {
    const known = workers();
    if (!known || known.isDraining()) return false;
    // One after the other, in the order in which they were taken on.
    const before = ofSession.slice(ofSession.findIndex(({ runId }) => runId === run.runId) + 1);
    if (before.some(({ status }) => status === "pending")) return false;
    if (ofSession.some((one) => one.runId !== run.runId && one.status !== "pending" && !hasEnded(one)))
      return false;
    const only = onlyAt(homeOf(ofSession));
    return only === undefined || only.id === known.own.id;
  }

  function onlyAt(home: string | undefined): Worker | undefined {
    const worker = home === undefined ? undefined : workers()?.get(home);
    if (!worker) return undefined;
    const isAway = !isThere(worker) && worker.silentMs > moveAfterMs && workers()?.isSteady();
    return isAway ? undefined : worker;
  }

  /** A worker as the database has it at this moment; undefined when it has forgotten that. */
  function readWorker(trx: Transaction, workerId: string) {
    const row = trx.selectFrom("workers").select(["seen_at", "instance"]).where("worker_id", "=", workerId);
    return row.executeTakeFirst();
  }

  /** How long it was silent, in ms by the database's clock. */
  async function silenceOf(trx: Transaction, worker: { seen_at: number }): Promise<number> {
    return (await shared.readNow(trx)) - worker.seen_at;
  }

  /** Its worker may have come back since it was looked at. */
  async function mayTakeFrom(trx: Transaction, home: string | undefined): Promise<boolean> {
    if (home === undefined || home === workers()?.own.id) return true;
    const found = await readWorker(trx, home);
    return !found || (await silenceOf(trx, found)) > moveAfterMs;
  }

  /**
   * A process that was held up comes back before it has said so: what it began then would be ended by the others. Nor does
   * one begin anything in whose place the next process of its folder is.
   */
  async function isHeard(trx: Transaction, own: Workers["own"]): Promise<boolean> {
    const found = await readWorker(trx, own.id);
    // Whom the database does not know (yet) nobody takes for gone.
    if (!found) return true;
    return found.instance === own.instance && (await silenceOf(trx, found)) <= timeoutMs;
  }

  /** To begin a run is a sign of life: who has taken this one for gone before does not end that run. */
  async function noteLife(trx: Transaction, { id }: Workers["own"]): Promise<void> {
    await trx.updateTable("workers").set({ seen_at: shared.now }).where("worker_id", "=", id).execute();
  }

  /** It may have come back since it was taken for gone, and have begun this run since. */
  async function isStillGone(trx: Transaction, workerId: string): Promise<boolean> {
    const known = workers()?.get(workerId);
    if (!known) return true;
    return !isThere(known) && (await readWorker(trx, workerId))?.seen_at === known.seenAt;
  }

  /** Of the runs that begin at several workers at once each is granted what those before it have left of the day. */
  async function isWithinDay(
    trx: Transaction,
    { runId, request }: EngineRun,
    costLimitUsd: number | undefined,
    { changed, held }: Parameters<Guard>[3],
  ): Promise<boolean> {
    if (!hasDayLimit(limits)) return true;
    const now = clock.now();
    const ofDay = await readRunsSince(trx, dayOf(now).from, held);
    const others = new Map([...ofDay, ...changed.values()].map(({ run }) => [run.runId, run]));
    others.delete(runId);
    return isLeft(request, costLimitUsd, { others: [...others.values()], limits, now });
  }

  return {
    mayBegin,
    onlyAt,
    async guard(trx, run, event, known) {
      const own = workers()?.own;
      // What goes on at another worker is its own to end, unless that is gone.
      if (event.type === "ended" && own && run.worker !== undefined && run.worker !== own.id)
        return event.leftBehind === true && isStillGone(trx, run.worker);
      if (event.type !== "started") return true;
      if (!own || !(await isHeard(trx, own))) return false;
      const ofSession = await readSession(trx, run.sessionId);
      if (!mayBegin(run, ofSession) || !(await mayTakeFrom(trx, homeOf(ofSession)))) return false;
      if (!(await isWithinDay(trx, run, event.costLimitUsd, known))) return false;
      await noteLife(trx, own);
      return true;
    },
  };
}
