import { isDeepStrictEqual } from "node:util";
import { type Database, readTransaction, type Transaction, transaction } from "../../store/database.js";
import type { Tables } from "../../store/tables.js";
import { byNewest, copyRecord, foldName, type SessionRecord, storedForm } from "./session-record.js";
import { toKeyColumn, toRecord, toRunColumns, toSessionColumns } from "./session-rows.js";
import type { SessionStore } from "./session-store.js";

type SessionRow = Tables["sessions"];
type RunRow = Tables["session_runs"];

/** Values in one statement: fewer than any database takes. */
const AT_ONCE = 500;

/** The part of a session store that is about sessions. */
export type SessionQueries = Pick<SessionStore, "list" | "find" | "get" | "update" | "remove">;

/**
 * The sessions of one API in the database.
 * @param upstream which API, as `upstreamFolderName` gives it
 */
export function createSqlSessions(db: Database, upstream: string, runsKept: number): SessionQueries {
  /** All sessions as they were after so many changes: a list reads only what has changed since. */
  let known = { changes: 0, records: new Map<string, SessionRecord>() };

  const sessionsOf = (from: Transaction) => from.selectFrom("sessions").where("upstream", "=", upstream);
  const runsOf = (from: Transaction) => from.selectFrom("session_runs").where("upstream", "=", upstream);

  /** Records of rows, each with its runs, oldest first. */
  async function withRuns(trx: Transaction, rows: readonly SessionRow[]) {
    const query = runsOf(trx).selectAll();
    const keys = rows.map(({ key }) => key);
    // Of so many, all are wanted.
    const runs = await (keys.length > AT_ONCE ? query : query.where("session_key", "in", keys)).execute();
    const began = ({ started_at, updated_at }: RunRow) => started_at ?? updated_at;
    runs.sort((a, b) => began(a) - began(b) || a.position - b.position);
    const own = new Map<string, RunRow[]>(keys.map((key) => [key, []]));
    for (const run of runs) own.get(run.session_key)?.push(run);
    return rows.map((row) => {
      const runRows = own.get(row.key) ?? [];
      return { record: toRecord(row, runRows), runRows };
    });
  }

  async function readOne(trx: Transaction, key: string) {
    const rows = await sessionsOf(trx).selectAll().where("key", "=", toKeyColumn(key)).execute();
    return rows.length === 0 ? undefined : (await withRuns(trx, rows))[0];
  }

  /** The keys of the sessions that have a value in a column, or a run that has. */
  async function findKeys(trx: Transaction, names: readonly string[], ids: readonly string[]) {
    const queries = [
      // Each by an index of its own: asked for by "or", they would all be looked through.
      sessionsOf(trx).select("key").where("visible_name", "in", names),
      sessionsOf(trx).select("key").where("session_id", "in", ids),
      ...(["run_id", "session_id", "resumes"] as const).map((column) =>
        runsOf(trx).select("session_key as key").where(column, "in", ids),
      ),
    ];
    const used = queries.slice(names.length > 0 ? 0 : 1, ids.length > 0 ? queries.length : 1);
    const [first, ...others] = used;
    if (!first) return [];
    const rows = await others.reduce((all, one) => all.union(one), first).execute();
    return rows.map(({ key }) => key);
  }

  async function readChanged(trx: Transaction, changes: number, since = known): Promise<typeof known> {
    const rows = await sessionsOf(trx).selectAll().where("changed", ">", since.changes).execute();
    const records = new Map(since.records);
    for (const { record } of rows.length === 0 ? [] : await withRuns(trx, rows))
      records.set(record.key, record);
    const count = sessionsOf(trx).select(({ fn }) => fn.countAll<number>().as("sessions"));
    const { sessions } = await count.executeTakeFirstOrThrow();
    // Some have been removed.
    if (sessions !== records.size) return readChanged(trx, changes, { changes: 0, records: new Map() });
    return { changes, records };
  }

  return {
    list: () =>
      readTransaction(db, async (trx) => {
        const counted = trx.selectFrom("session_changes").select("changes").where("upstream", "=", upstream);
        const { changes } = (await counted.executeTakeFirst()) ?? { changes: 0 };
        if (changes !== known.changes) known = await readChanged(trx, changes);
        return [...known.records.values()].map(copyRecord).sort(byNewest);
      }),

    find: ({ names = [], ids = [] }) =>
      readTransaction(db, async (trx) => {
        const keys = new Set<string>();
        for (const batch of batches(names.map(foldName)))
          for (const key of await findKeys(trx, batch, [])) keys.add(key);
        for (const batch of batches(ids)) for (const key of await findKeys(trx, [], batch)) keys.add(key);
        const found: SessionRecord[] = [];
        for (const batch of batches([...keys])) {
          const rows = await sessionsOf(trx).selectAll().where("key", "in", batch).execute();
          found.push(...(await withRuns(trx, rows)).map(({ record }) => record));
        }
        return found.sort(byNewest);
      }),

    get: (key) => readTransaction(db, async (trx) => (await readOne(trx, key))?.record),

    update: (key, change) =>
      transaction(db, async (trx) => {
        const current = await readOne(trx, key);
        const next = change(current && copyRecord(current.record));
        if (!next) return current?.record;
        const { record } = storedForm(next, key, runsKept);
        await write(trx, upstream, record, current?.runRows ?? []);
        return record;
      }),

    remove: (key) =>
      transaction(db, async (trx) => {
        await countChange(trx, upstream);
        const own = trx.deleteFrom("sessions").where("upstream", "=", upstream);
        await own.where("key", "=", toKeyColumn(key)).execute();
      }),
  };
}

/**
 * Puts a record in the place of the one that was read.
 * @param before the rows of its runs as they are stored
 */
async function write(trx: Transaction, upstream: string, record: SessionRecord, before: readonly RunRow[]) {
  const stored = new Map(before.map((row) => [row.run_id, row]));
  const { session, runs } = toRows(upstream, record, await countChange(trx, upstream), stored);
  await trx
    .insertInto("sessions")
    .values(session)
    .onConflict((conflict) => conflict.columns(["upstream", "key"]).doUpdateSet(session))
    .execute();
  const changed = runs.filter((run) => !isDeepStrictEqual(stored.get(run.run_id), run));
  const unchanged = new Set(runs.filter((run) => !changed.includes(run)).map(({ run_id }) => run_id));
  const outdated = [...stored.keys()].filter((runId) => !unchanged.has(runId));
  for (const batch of batches(outdated)) {
    const own = trx.deleteFrom("session_runs").where("upstream", "=", upstream);
    await own.where("session_key", "=", session.key).where("run_id", "in", batch).execute();
  }
  for (const batch of batches(changed)) await trx.insertInto("session_runs").values(batch).execute();
}

/** Stores sessions of an API that has none yet. */
export async function insertSessions(trx: Transaction, upstream: string, records: readonly SessionRecord[]) {
  const changed = await countChange(trx, upstream);
  const rows = records.map((record) => toRows(upstream, record, changed));
  for (const batch of batches(rows.map(({ session }) => session)))
    await trx.insertInto("sessions").values(batch).execute();
  for (const batch of batches(rows.flatMap(({ runs }) => runs)))
    await trx.insertInto("session_runs").values(batch).execute();
}

/** @param stored its runs that are stored, which keep their position */
function toRows(
  upstream: string,
  record: SessionRecord,
  changed: number,
  stored = new Map<string, RunRow>(),
) {
  const key = toKeyColumn(record.key);
  let last = Math.max(0, ...[...stored.values()].map(({ position }) => position));
  const runs = new Map(record.runs.map((run) => [run.runId, run]));
  return {
    session: { upstream, key, visible_name: foldName(record.name), changed, ...toSessionColumns(record) },
    runs: [...runs.values()].map((run) => {
      const position = stored.get(run.runId)?.position ?? ++last;
      return { upstream, session_key: key, position, ...toRunColumns(run) };
    }),
  };
}

/** @returns how many changes of the API's sessions there are with this one */
async function countChange(trx: Transaction, upstream: string): Promise<number> {
  const { changes } = await trx
    .insertInto("session_changes")
    .values({ upstream, changes: 1 })
    .onConflict((conflict) =>
      conflict.column("upstream").doUpdateSet((row) => ({ changes: row("session_changes.changes", "+", 1) })),
    )
    .returning("changes")
    .executeTakeFirstOrThrow();
  return changes;
}

function batches<T>(values: readonly T[]): T[][] {
  const count = Math.ceil(values.length / AT_ONCE);
  return Array.from({ length: count }, (_, i) => values.slice(i * AT_ONCE, (i + 1) * AT_ONCE));
}
