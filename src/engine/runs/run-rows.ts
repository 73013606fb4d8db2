import type { Database, Transaction } from "../../store/database.js";
import { deepFreeze } from "./apply.js";
import type { EngineRun } from "./run.js";
import type { RequestKey, StoredEvent } from "./run-store.js";

/** A run as the database has it. */
export interface StoredRun {
  run: EngineRun;
  /** Counts its changes. */
  version: number;
  firstEvent: number;
  lastEvent: number;
}

/** Reads one run, or all; oldest first. */
export async function readRuns(trx: Transaction, runId?: string): Promise<StoredRun[]> {
  let runs = trx.selectFrom("engine_runs").selectAll().orderBy("created_at").orderBy("first_event");
  let messages = trx.selectFrom("engine_messages").selectAll().where("taken_at", "is", null);
  let questions = trx.selectFrom("engine_questions").selectAll();
  if (runId !== undefined) {
    runs = runs.where("run_id", "=", runId);
    messages = messages.where("run_id", "=", runId);
    questions = questions.where("run_id", "=", runId);
  }
  const waiting = new Map<string, EngineRun["queue"]["waiting"][number][]>();
  for (const row of await messages.orderBy("position").execute())
    waiting.set(row.run_id, [...(waiting.get(row.run_id) ?? []), JSON.parse(row.message)]);
  const asked = new Map<string, EngineRun["questions"][number][]>();
  for (const row of await questions.orderBy("position").execute())
    asked.set(row.run_id, [...(asked.get(row.run_id) ?? []), JSON.parse(row.question)]);
  return (await runs.execute()).map((row) => {
    const state = JSON.parse(row.state) as EngineRun;
    const queue = { ...state.queue, waiting: waiting.get(row.run_id) ?? [] };
    const request = JSON.parse(row.request);
    const run = deepFreeze({ ...state, request, queue, questions: asked.get(row.run_id) ?? [] });
    return { run, version: row.version, firstEvent: row.first_event, lastEvent: row.last_event };
  });
}

/** Undefined when there is no such run. */
export async function readVersion(trx: Transaction, runId: string): Promise<number | undefined> {
  const query = trx.selectFrom("engine_runs").select("version").where("run_id", "=", runId);
  return (await query.executeTakeFirst())?.version;
}

/** The run that was accepted with the key. */
export async function findKey(
  db: Database | Transaction,
  key: string,
): Promise<{ runId: string; digest: string } | undefined> {
  const row = await db
    .selectFrom("engine_runs")
    .select(["run_id as runId", "request_digest as digest"])
    .where("request_key", "=", key)
    .executeTakeFirst();
  return row && { runId: row.runId, digest: row.digest ?? "" };
}

/** Writes a new run. */
export async function insertRun(trx: Transaction, stored: StoredRun, key?: RequestKey): Promise<void> {
  const { run, version } = stored;
  await trx
    .insertInto("engine_runs")
    .values({
      ...columnsOf(stored),
      run_id: run.runId,
      version,
      session_id: run.sessionId,
      workflow_name: run.request.workflowName,
      created_at: run.createdAt,
      request: JSON.stringify(run.request),
      request_key: key?.key ?? null,
      request_digest: key?.digest ?? null,
      first_event: stored.firstEvent,
    })
    .execute();
  await writeParts(trx, { queue: { added: 0, consumed: 0, waiting: [] }, questions: [] }, run);
}

/**
 * Brings a run from the state that was read to its next one.
 * @returns false when the run has changed since it was read, or is gone: then nothing was written
 */
export async function updateRun(trx: Transaction, before: StoredRun, after: StoredRun): Promise<boolean> {
  const { request } = after.run;
  const { numUpdatedRows } = await trx
    .updateTable("engine_runs")
    .set({
      ...columnsOf(after),
      version: before.version + 1,
      // It may be a megabyte, and hardly ever changes.
      ...(request === before.run.request ? {} : { request: JSON.stringify(request) }),
    })
    .where("run_id", "=", before.run.runId)
    .where("version", "=", before.version)
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) return false;
  await writeParts(trx, before.run, after.run);
  return true;
}

/** The columns that change. */
function columnsOf({ run, lastEvent }: StoredRun) {
  const state = { ...run, request: undefined, queue: { ...run.queue, waiting: [] }, questions: [] };
  return {
    status: run.status,
    started_at: run.startedAt ?? null,
    ended_at: run.endedAt ?? null,
    turns: run.turn,
    cost_usd: run.costUsd,
    last_event: lastEvent,
    state: JSON.stringify(state),
  };
}

/** Messages and questions that differ. An event leaves those that it does not change as the same objects. */
async function writeParts(
  trx: Transaction,
  before: Pick<EngineRun, "queue" | "questions">,
  after: EngineRun,
): Promise<void> {
  const { runId, queue } = after;
  const ids = queue.waiting.map(({ id }) => id);
  for (const { id } of before.queue.waiting.filter((message) => !ids.includes(message.id))) {
    const taken = trx.updateTable("engine_messages").set({ taken_at: after.lastActivityAt ?? null });
    await taken.where("run_id", "=", runId).where("message_id", "=", id).execute();
  }
  const known = before.queue.waiting.map(({ id }) => id);
  for (const [index, message] of queue.waiting.entries()) {
    if (known.includes(message.id)) continue;
    const position = queue.added - (queue.waiting.length - 1 - index);
    const row = { run_id: runId, message_id: message.id, position, message: JSON.stringify(message) };
    await trx
      .insertInto("engine_messages")
      .values({ ...row, taken_at: null })
      .execute();
  }
  for (const [position, question] of after.questions.entries()) {
    if (before.questions[position] === question) continue;
    const changed = { answered_at: question.answeredAt ?? null, question: JSON.stringify(question) };
    const row = { run_id: runId, question_id: question.questionId, position, asked_at: question.askedAt };
    await trx
      .insertInto("engine_questions")
      .values({ ...row, ...changed })
      .onConflict((conflict) => conflict.columns(["run_id", "question_id"]).doUpdateSet(changed))
      .execute();
  }
}

/** 0 before the first event. */
export async function newestEventOf(trx: Transaction): Promise<number> {
  const query = trx.selectFrom("engine_events").select("id").orderBy("id", "desc").limit(1);
  return (await query.executeTakeFirst())?.id ?? 0;
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

/** The newest `limit` events after the number, of one run or of all, oldest first. */
export async function readEvents(
  db: Database,
  { after, runId, limit }: { after: number; runId: string | undefined; limit: number },
): Promise<StoredEvent[]> {
  let query = db.selectFrom("engine_events").selectAll().where("id", ">", after);
  if (runId !== undefined) query = query.where("run_id", "=", runId);
  const rows = await query.orderBy("id", "desc").limit(limit).execute();
  return rows.reverse().map(({ run_id, data, ...row }) => {
    return deepFreeze({ ...row, runId: run_id, data: JSON.parse(data) } as StoredEvent);
  });
}
