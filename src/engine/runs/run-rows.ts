import type { Database, Transaction } from "../../store/database.js";
import type { EngineTables } from "../../store/migrations/002-engine.js";
import { deepFreeze } from "./apply.js";
import type { EngineRun } from "./run.js";
import type { RequestKey, StoredEvent } from "./run-store.js";

/** A run as the database has it. */
export interface StoredRun {
  run: EngineRun;
  key?: RequestKey | undefined;
  /** Counts its changes. */
  version: number;
  firstEvent: number;
  lastEvent: number;
}

/** A run in memory. */
export interface HeldRun extends StoredRun {
  /** As it stands: ahead of `run`, which is as in the database, while that cannot be written. */
  newest: EngineRun;
}

type PartKind = "request" | "message" | "question";

/** What is written by itself: it may be large, and hardly ever changes. */
interface Part {
  kind: PartKind;
  id: string;
  value: object;
}

function partsOf({ request, queue, questions }: EngineRun): Part[] {
  return [
    { kind: "request", id: "", value: request },
    ...queue.waiting.map((message): Part => ({ kind: "message", id: message.id, value: message })),
    ...questions.map((question): Part => ({ kind: "question", id: question.questionId, value: question })),
  ];
}

const nameOf = (runId: string, { kind, id }: Pick<Part, "kind" | "id">) => JSON.stringify([runId, kind, id]);

/**
 * Reads some runs, or all; oldest first. In one statement: outside of a transaction others write meanwhile, and a run
 * with the parts of another moment is none that there ever was.
 */
export async function readRuns(
  trx: Database | Transaction,
  runIds?: readonly string[],
): Promise<StoredRun[]> {
  let query = trx
    .selectFrom("engine_runs as run")
    .leftJoin("engine_parts as part", "part.run_id", "run.run_id")
    .selectAll("run")
    .select(["part.kind", "part.id as part_id", "part.data"])
    .orderBy("run.first_event")
    .orderBy("run.run_id");
  if (runIds) query = query.where("run.run_id", "in", runIds);
  const values = new Map<string, string>();
  const rows = new Map<string, EngineTables["engine_runs"]>();
  for (const { kind, part_id, data, ...row } of await query.execute()) {
    rows.set(row.run_id, row);
    if (kind !== null && part_id !== null && data !== null)
      values.set(nameOf(row.run_id, { kind, id: part_id }), data);
  }
  return [...rows.values()].map((row) => toStoredRun(row, values));
}

/**
 * The runs that have begun and not ended, or have ended since the moment.
 * @param from epoch ms
 * @param held runs in memory: what is still the same in the database is not read again
 */
export async function readRunsSince(
  trx: Transaction,
  from: number,
  held: ReadonlyMap<string, StoredRun>,
): Promise<StoredRun[]> {
  const query = trx
    .selectFrom("engine_runs")
    .select(["run_id", "version"])
    .where((is) =>
      is.or([
        is("ended_at", ">=", from),
        is.and([is("started_at", "is not", null), is("ended_at", "is", null)]),
      ]),
    );
  const known: StoredRun[] = [];
  const changed: string[] = [];
  for (const { run_id, version } of await query.execute()) {
    const run = held.get(run_id);
    if (run?.version === version) known.push(run);
    else changed.push(run_id);
  }
  return changed.length > 0 ? [...known, ...(await readRuns(trx, changed))] : known;
}

/** @param values the parts, by their names */
function toStoredRun(row: EngineTables["engine_runs"], values: ReadonlyMap<string, string>): StoredRun {
  const part = (kind: PartKind, id: string) =>
    JSON.parse(values.get(nameOf(row.run_id, { kind, id })) ?? "null");
  const { queue, questions, ...state } = JSON.parse(row.state);
  const run: EngineRun = {
    ...state,
    request: part("request", ""),
    queue: { ...queue, waiting: queue.waiting.map((id: string) => part("message", id)) },
    questions: questions.map((id: string) => part("question", id)),
  };
  const { request_key: key, request_digest: digest } = row;
  return {
    run: deepFreeze(run),
    ...(key === null ? {} : { key: { key, digest: digest ?? "" } }),
    version: row.version,
    firstEvent: row.first_event,
    lastEvent: row.last_event,
  };
}

/** Undefined when there is no such run. */
export async function readVersion(trx: Transaction, runId: string): Promise<number | undefined> {
  const query = trx.selectFrom("engine_runs").select("version").where("run_id", "=", runId);
  return (await query.executeTakeFirst())?.version;
}

/** The id of the run that was accepted with the key. */
export async function findRunByKey(trx: Transaction, key: string): Promise<string | undefined> {
  const query = trx.selectFrom("engine_runs").select("run_id").where("request_key", "=", key);
  return (await query.executeTakeFirst())?.run_id;
}

/** The id of a session's run that was accepted last. */
export async function newestOfSession(trx: Transaction, sessionId: string): Promise<string | undefined> {
  const query = trx.selectFrom("engine_runs").select("run_id").where("session_id", "=", sessionId);
  return (await query.orderBy("first_event", "desc").limit(1).executeTakeFirst())?.run_id;
}

/** Writes a new run. */
export async function insertRun(trx: Transaction, stored: StoredRun): Promise<void> {
  const { run, key, version, firstEvent } = stored;
  await trx
    .insertInto("engine_runs")
    .values({
      ...columnsOf(stored),
      run_id: run.runId,
      version,
      session_id: run.sessionId,
      workflow_name: run.request.workflowName,
      created_at: run.createdAt,
      request_key: key?.key ?? null,
      request_digest: key?.digest ?? null,
      first_event: firstEvent,
    })
    .execute();
  await writeParts(trx, run.runId, [], partsOf(run));
}

/** Brings a run from the state that was read in this transaction to its next one. */
export async function updateRun(trx: Transaction, before: StoredRun, after: StoredRun): Promise<void> {
  const { runId } = before.run;
  const next = { ...columnsOf(after), version: after.version };
  await trx.updateTable("engine_runs").set(next).where("run_id", "=", runId).execute();
  await writeParts(trx, runId, partsOf(before.run), partsOf(after.run));
}

/** The columns that change. */
function columnsOf({ run, lastEvent }: StoredRun) {
  const { request: _inParts, queue, questions, ...state } = run;
  const waiting = queue.waiting.map(({ id }) => id);
  const asked = questions.map(({ questionId }) => questionId);
  return {
    status: run.status,
    started_at: run.startedAt ?? null,
    ended_at: run.endedAt ?? null,
    turns: run.turn,
    cost_usd: run.costUsd,
    last_event: lastEvent,
    state: JSON.stringify({ ...state, queue: { ...queue, waiting }, questions: asked }),
  };
}

/** Writes the parts that differ, and removes those that are gone. An event leaves what it does not change as it is. */
async function writeParts(
  trx: Transaction,
  runId: string,
  before: readonly Part[],
  after: readonly Part[],
): Promise<void> {
  const written = new Set(before.map(({ value }) => value));
  for (const { kind, id, value } of after) {
    if (written.has(value)) continue;
    const data = JSON.stringify(value);
    await trx
      .insertInto("engine_parts")
      .values({ run_id: runId, kind, id, data })
      .onConflict((conflict) => conflict.columns(["run_id", "kind", "id"]).doUpdateSet({ data }))
      .execute();
  }
  const left = new Set(after.map((part) => nameOf(runId, part)));
  for (const part of before) {
    if (left.has(nameOf(runId, part))) continue;
    const gone = trx.deleteFrom("engine_parts").where("run_id", "=", runId).where("kind", "=", part.kind);
    await gone.where("id", "=", part.id).execute();
  }
}

/** So many runs are removed with one statement for each table: all other changes wait for them. */
const REMOVED_AT_ONCE = 1_000;

/** Removes runs with all that belongs to them. */
export async function deleteRuns(trx: Transaction, runIds: readonly string[]): Promise<void> {
  for (let at = 0; at < runIds.length; at += REMOVED_AT_ONCE) {
    const some = runIds.slice(at, at + REMOVED_AT_ONCE);
    for (const table of ["engine_parts", "engine_events", "engine_runs"] as const)
      await trx.deleteFrom(table).where("run_id", "in", some).execute();
  }
}

/** 0 before the first event. */
export async function newestEventOf(trx: Database | Transaction): Promise<number> {
  const query = trx.selectFrom("engine_events").select("id").orderBy("id", "desc").limit(1);
  return (await query.executeTakeFirst())?.id ?? 0;
}

/** Whether the event with its number is this one. */
export async function hasEvent(db: Database, { id, runId, type, at }: StoredEvent): Promise<boolean> {
  const query = db.selectFrom("engine_events").select("id").where("id", "=", id).where("run_id", "=", runId);
  return (await query.where("type", "=", type).where("at", "=", at).executeTakeFirst()) !== undefined;
}

/** Writes an event; one with its number that is there already stays. */
export async function insertEvent(trx: Transaction, event: StoredEvent): Promise<void> {
  const { id, runId, at, type, status, data } = event;
  await trx
    .insertInto("engine_events")
    .values({ id, run_id: runId, at, type, status, data: JSON.stringify(data) })
    .onConflict((conflict) => conflict.column("id").doNothing())
    .execute();
}

/** Removes all events but the newest; gives the number of the last that was removed, 0 where there was none. */
export async function trimEvents(trx: Transaction, kept: number): Promise<number> {
  const newestFirst = trx.selectFrom("engine_events").select("id").orderBy("id", "desc");
  const last = (await newestFirst.offset(kept).limit(1).executeTakeFirst())?.id ?? 0;
  if (last > 0) await trx.deleteFrom("engine_events").where("id", "<=", last).execute();
  return last;
}

/** The first `limit` events after the number, in order. */
export async function readEventsInOrder(
  db: Database | Transaction,
  { after, limit }: { after: number; limit: number },
): Promise<StoredEvent[]> {
  const query = db.selectFrom("engine_events").selectAll().where("id", ">", after);
  return (await query.orderBy("id").limit(limit).execute()).map(toEvent);
}

/** The newest `limit` events after the number, of one run or of all, oldest first. */
export async function readEvents(
  db: Database,
  { after, runId, limit }: { after: number; runId: string | undefined; limit: number },
): Promise<StoredEvent[]> {
  let query = db.selectFrom("engine_events").selectAll().where("id", ">", after);
  if (runId !== undefined) query = query.where("run_id", "=", runId);
  const rows = await query.orderBy("id", "desc").limit(limit).execute();
  return rows.reverse().map(toEvent);
}

function toEvent({ run_id, data, ...row }: EngineTables["engine_events"]): StoredEvent {
  return deepFreeze({ ...row, runId: run_id, data: JSON.parse(data) } as StoredEvent);
}
