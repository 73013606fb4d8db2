import { isPlanRunKey } from "../../shared/plan-run-key.js";
import type { Transaction } from "../../store/database.js";
import { acceptRun, apply, applyLate, deepFreeze } from "./apply.js";
import type { RunAccepted, RunEvent } from "./events.js";
import { type FactName, writeFact } from "./facts.js";
import type { EngineRun, FinalStatus } from "./run.js";
import {
  findRunByKey,
  type HeldRun,
  insertEvent,
  insertRun,
  newestEventOf,
  newestOfSession,
  readRuns,
  readVersion,
  type StoredRun,
  updateRun,
} from "./run-rows.js";
import { KeyReused, NotResumable, type RequestKey, type StoredEvent } from "./run-store.js";

/** What is asked of the store: to take a run on, or that something has happened to one. */
export type Change =
  | { kind: "accept"; accepted: RunAccepted; key: RequestKey | undefined }
  | {
      kind: "record";
      runId: string;
      event: RunEvent;
      /** It has happened a while ago, and could not be written: see {@link applyLate}. */
      isLate?: boolean;
    };

/** Writes what belongs to an event, in the same transaction. */
export type WriteAlongside = (trx: Transaction, event: StoredEvent, run: EngineRun) => Promise<void>;

/**
 * Says whether an event that can happen to a run may happen to it beside the other runs, as they are in the database.
 * @param known runs that have changed in this transaction already, and those in memory
 */
export type Guard = (
  trx: Transaction,
  run: EngineRun,
  event: RunEvent,
  known: Record<"changed" | "held", ReadonlyMap<string, StoredRun>>,
) => Promise<boolean>;

/** How a run had come to its end by itself, behind its name. */
const HAD_ENDED: Record<FinalStatus, string> = {
  completed: "had completed",
  failed: "had failed",
  killed: "had been killed",
  interrupted: "had been stopped, and was not to go on by itself",
};

const tellHad = (status: FinalStatus) => `${HAD_ENDED[status]}, which its worker could not tell before`;

/** What has come of a change: the run after it, and the event if it could happen. */
export type Outcome = Happened | { refused: Error };

interface Happened {
  run: EngineRun;
  event: StoredEvent | undefined;
  /** What has happened to another run together with it, and what has followed for this one. */
  before?: { run: EngineRun; event: StoredEvent };
  behind?: { run: EngineRun; event: StoredEvent } | undefined;
}

/** An event for those who listen, with the run as it stands after it. */
export interface Told {
  event: StoredEvent;
  run: EngineRun;
  /** Another engine has written it. */
  fromElsewhere: boolean;
}

const happenedIn = (outcome: Outcome): Happened["behind"] =>
  "refused" in outcome || !outcome.event ? undefined : { run: outcome.run, event: outcome.event };

/** What is to be told of changes that were made here, in order. */
export function toldOf(outcomes: readonly Outcome[]): Told[] {
  const told: Told[] = [];
  for (const outcome of outcomes) {
    if ("refused" in outcome || !outcome.event) continue;
    const { before, event, run, behind } = outcome;
    for (const one of [before, { event, run }, behind]) if (one) told.push({ ...one, fromElsewhere: false });
  }
  return told;
}

/** What counts already and is not in the database, because that could not be written or is a new one. */
export interface Unwritten {
  runs: readonly HeldRun[];
  events: readonly StoredEvent[];
  facts: ReadonlyMap<FactName, string>;
}

export interface WrittenChanges {
  /** One for each change. */
  outcomes: Outcome[];
  /** The runs that have changed, as they are in the database now. */
  runs: StoredRun[];
  /** The newest event's number. */
  newestId: number;
}

/**
 * Writes what counts already, then changes in their order, each on the newest state of its run: it is read, the event
 * applied, and the run written. The transaction holds the lock from its beginning, so nobody changes it in between.
 * @param held the runs in memory: what is still the same in the database is not read again
 * @param newestId no event with this number or a lower one is written anew
 * @param alongside called for each event of a run that there was before, with the run after it
 * @throws what the database throws; nothing is written then
 */
export async function writeChanges(
  trx: Transaction,
  changes: readonly Change[],
  unwritten: Unwritten,
  held: ReadonlyMap<string, StoredRun>,
  newestId: number,
  alongside?: WriteAlongside,
  guard?: Guard,
): Promise<WrittenChanges> {
  /** Runs as the database has them, and as they are after the changes so far. */
  const before = new Map<string, StoredRun>();
  const after = new Map<string, StoredRun>();
  /** Runs that are not in the database before the end of this, by their keys. */
  const acceptedNow = new Map<string, string>();
  let lastId = Math.max(newestId, await newestEventOf(trx));

  async function read(runId: string): Promise<StoredRun | undefined> {
    const changed = after.get(runId) ?? before.get(runId);
    if (changed) return changed;
    const version = await readVersion(trx, runId);
    if (version === undefined) return undefined;
    const known = held.get(runId);
    const stored = known?.version === version ? known : (await readRuns(trx, [runId]))[0];
    if (stored) before.set(runId, stored);
    return stored;
  }

  async function accept({ accepted, key }: Extract<Change, { kind: "accept" }>): Promise<Outcome> {
    const known = key && (acceptedNow.get(key.key) ?? (await findRunByKey(trx, key.key)));
    if (known) {
      const stored = await read(known);
      if (stored?.key?.digest === key.digest) return { run: stored.run, event: undefined };
      return { refused: new KeyReused() };
    }
    const resumed = accepted.resumes === undefined ? undefined : await resume(accepted.resumes, accepted);
    if (accepted.resumes !== undefined && !resumed) return { refused: new NotResumable() };
    const former = isPlanRunKey(key?.key) ? await newestOf(accepted.sessionId) : undefined;
    const run = acceptRun(accepted);
    const event = toStored(++lastId, run, accepted);
    await insertEvent(trx, event);
    after.set(run.runId, { run, key, version: 0, firstEvent: event.id, lastEvent: event.id });
    if (key) acceptedNow.set(key.key, run.runId);
    // What the plan goes on with was over, or killed by a person, before the plan was told that it was interrupted.
    const behind = former?.run.hadEnded && (await endNext(run, former.run, former.run.hadEnded, accepted.at));
    return { run, event, ...(resumed ? { before: resumed } : {}), ...(behind ? { behind } : {}) };
  }

  /** The run of a session that was accepted last. */
  async function newestOf(sessionId: string): Promise<StoredRun | undefined> {
    const isNew = ({ run }: StoredRun) => run.sessionId === sessionId && !before.has(run.runId);
    const added = [...after.values()].findLast(isNew);
    const newest = added ? undefined : await newestOfSession(trx, sessionId);
    return newest === undefined ? added : read(newest);
  }

  /** @returns undefined when its session has gone on since, or the run is not to be resumed */
  async function resume(
    runId: string,
    { runId: by, sessionId, at }: RunAccepted,
  ): Promise<Happened["before"]> {
    if ((await newestOf(sessionId))?.run.runId !== runId) return undefined;
    return happenedIn(await record({ kind: "record", runId, event: { type: "resumed", by, at } }));
  }

  async function record({ runId, event, isLate }: Extract<Change, { kind: "record" }>): Promise<Outcome> {
    const stored = await read(runId);
    if (!stored) return { refused: new Error(`Run ${runId} is not there`) };
    const changed = apply(stored.run, event);
    if (isLate && changed === stored.run && event.type === "ended") return endResume(stored, event);
    const run = isLate && changed === stored.run ? applyLate(stored.run, event) : changed;
    if (run === stored.run || (guard && !(await guard(trx, stored.run, event, { changed: after, held }))))
      return { run: stored.run, event: undefined };
    const written = toStored(++lastId, run, event);
    await insertEvent(trx, written);
    await alongside?.(trx, written, run);
    after.set(runId, { ...stored, run, lastEvent: written.id });
    return { run, event: written };
  }

  /**
   * A run that others have taken for interrupted had come to another end, which its worker could not tell until now: what
   * is to go on with it by itself does not begin.
   */
  async function endResume(
    { run, key }: StoredRun,
    ended: Extract<RunEvent, { type: "ended" }>,
  ): Promise<Outcome> {
    if (!run.leftBehind || ended.toResume) return { run, event: undefined };
    const { runId } = run;
    const told = `It ${tellHad(ended.status)}.`;
    if (run.toResume)
      return record({ kind: "record", runId, event: { type: "not-resumed", why: told, at: ended.at } });
    const isOfPlan = isPlanRunKey(key?.key) && ended.status !== "interrupted";
    // A plan goes on with whatever was interrupted, for whichever reason.
    const byPlan = isOfPlan ? await nextOfPlan(run) : undefined;
    // It may do so only later.
    if (byPlan?.runId === runId) {
      const event: RunEvent = { type: "had-ended", status: ended.status, told, at: ended.at };
      return record({ kind: "record", runId, event });
    }
    const next = run.resumedBy === undefined ? byPlan : (await read(run.resumedBy))?.run;
    const none = { run, event: undefined };
    return next?.status === "pending" ? ((await endNext(next, run, ended.status, ended.at)) ?? none) : none;
  }

  /** Ends a run that has not begun: the one with which it was to go on had come to an end of its own. */
  async function endNext(
    next: EngineRun,
    { runId }: EngineRun,
    status: FinalStatus,
    at: number,
  ): Promise<Happened["behind"]> {
    const event: RunEvent = {
      type: "ended",
      status: "failed",
      error: `The interrupted run ${runId}, with which it was to go on, ${tellHad(status)}.`,
      errorCode: "already_ended",
      neverStarted: true,
      at: Math.max(at, next.createdAt),
    };
    return happenedIn(await record({ kind: "record", runId: next.runId, event }));
  }

  /** The session's newest run, where it is a plan's, which goes on with one of its own. */
  async function nextOfPlan({ sessionId }: EngineRun): Promise<EngineRun | undefined> {
    const newest = await newestOf(sessionId);
    return isPlanRunKey(newest?.key?.key) ? newest?.run : undefined;
  }

  for (const [name, value] of unwritten.facts) await writeFact(trx, name, value);
  for (const event of unwritten.events) {
    await insertEvent(trx, event);
    const run = unwritten.runs.find(({ newest }) => newest.runId === event.runId)?.newest;
    if (run) await alongside?.(trx, event, run);
  }
  for (const { newest, ...stored } of unwritten.runs) {
    const { runId } = newest;
    const version = await readVersion(trx, runId);
    // With another version it is an earlier copy that was put back: what has come since is to be written, too.
    const inDatabase = version === stored.version ? stored : (await readRuns(trx, [runId]))[0];
    if (inDatabase) before.set(runId, inDatabase);
    else if (stored.key) acceptedNow.set(stored.key.key, runId);
    after.set(runId, { ...stored, run: newest });
  }
  const outcomes: Outcome[] = [];
  for (const change of changes)
    outcomes.push(await (change.kind === "accept" ? accept(change) : record(change)));
  const runs: StoredRun[] = [];
  for (const [runId, changed] of after) {
    const former = before.get(runId);
    const stored = { ...changed, version: (former?.version ?? 0) + 1 };
    if (former) await updateRun(trx, former, stored);
    else await insertRun(trx, stored);
    runs.push(stored);
  }
  return { outcomes, runs, newestId: lastId };
}

/** An event with its number; its data are its own fields. */
export function toStored(id: number, run: EngineRun, event: RunEvent | RunAccepted): StoredEvent {
  const { type, at, ...data } = event;
  return deepFreeze({ id, runId: run.runId, at, type, status: run.status, data });
}
