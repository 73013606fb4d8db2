import { isDeepStrictEqual } from "node:util";
import { type Database, type Transaction, transaction } from "../../store/database.js";
import type { Tables } from "../../store/tables.js";
import { byNewest, copyRecord, foldName, type SessionRecord, storedForm } from "./session-record.js";
import { toKeyColumn, toRecord, toRunColumns, toSessionColumns } from "./session-rows.js";
import type { SessionStore } from "./session-store.js";

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
  async function readRuns(from: Database | Transaction, keys?: readonly string[]): Promise<RunRow[]> {
    const runs = from.selectFrom("session_runs").selectAll().where("upstream", "=", upstream);
    return (keys ? runs.where("session_key", "in", keys) : runs).execute();
  }

  async function read(keys?: readonly string[]): Promise<SessionRecord[]> {
    const sessions = db.selectFrom("sessions").selectAll().where("upstream", "=", upstream);
    const rows = await (keys ? sessions.where("key", "in", keys) : sessions).execute();
    return rows.length === 0 ? [] : assemble(rows, await readRuns(db, keys)).sort(byNewest);
  }

  /** Keys of sessions by a column, of runs' sessions by any of three. */
  async function findKeys(names: readonly string[], ids: readonly string[]): Promise<string[]> {
    const sessions = db
      .selectFrom("sessions")
      .select("key")
      .where("upstream", "=", upstream)
      .where((where) =>
        where.or([
          ...(names.length > 0 ? [where("visible_name", "in", names)] : []),
          ...(ids.length > 0 ? [where("session_id", "in", ids)] : []),
        ]),
      );
    const found = (await sessions.execute()).map(({ key }) => key);
    if (ids.length === 0) return found;
    const runs = db
      .selectFrom("session_runs")
      .select("session_key")
      .where("upstream", "=", upstream)
      .where((where) =>
        where.or((["run_id", "session_id", "resumes"] as const).map((column) => where(column, "in", ids))),
      );
    return [...found, ...(await runs.execute()).map(({ session_key }) => session_key)];
  }

  return {
    list: () => read(),

    async find({ names = [], ids = [] }) {
      const keys = new Set<string>();
      for (const batch of batches(names.map(foldName)))
        for (const key of await findKeys(batch, [])) keys.add(key);
      for (const batch of batches(ids)) for (const key of await findKeys([], batch)) keys.add(key);
      const found = await Promise.all(batches([...keys]).map(read));
      return found.flat().sort(byNewest);
    },

    get: async (key) => (await read([toKeyColumn(key)]))[0],

    update: (key, change) =>
      transaction(db, async (trx) => {
        const own = { upstream, key: toKeyColumn(key) };
        const row = await trx
          .selectFrom("sessions")
          .selectAll()
          .where("upstream", "=", upstream)
          .where("key", "=", own.key)
          .executeTakeFirst();
        const runs = row ? await readRuns(trx, [own.key]) : [];
        const [current] = row ? assemble([row], runs) : [];
        const next = change(current && copyRecord(current));
        if (!next) return current;
        const { record } = storedForm(next, key, runsKept);
        await write(trx, upstream, record, runs);
        return record;
      }),

    async remove(key) {
      await db
        .deleteFrom("sessions")
        .where("upstream", "=", upstream)
        .where("key", "=", toKeyColumn(key))
        .execute();
    },
  };
}

/**
 * Puts a record in the place of the one that was read.
 * @param before the rows of its runs as they are stored
 */
export async function write(
  trx: Transaction,
  upstream: string,
  record: SessionRecord,
  before: readonly RunRow[] = [],
): Promise<void> {
  const key = toKeyColumn(record.key);
  const row = { upstream, key, visible_name: foldName(record.name), ...toSessionColumns(record) };
  await trx
    .insertInto("sessions")
    .values(row)
    .onConflict((conflict) => conflict.columns(["upstream", "key"]).doUpdateSet(row))
    .execute();
  const stored = new Map(before.map((one) => [one.run_id, one]));
  let last = Math.max(0, ...before.map(({ position }) => position));
  const changed = record.runs
    .map((run) => {
      const position = stored.get(run.runId)?.position ?? ++last;
      return { upstream, session_key: key, ...toRunColumns(run), position };
    })
    .filter((run) => !isDeepStrictEqual(stored.get(run.run_id), run));
  const kept = new Set(record.runs.map(({ runId }) => runId));
  const gone = [...stored.keys()].filter((runId) => !kept.has(runId));
  const replaced = changed.map(({ run_id }) => run_id).filter((runId) => stored.has(runId));
  for (const batch of batches([...gone, ...replaced])) {
    await trx
      .deleteFrom("session_runs")
      .where("upstream", "=", upstream)
      .where("session_key", "=", key)
      .where("run_id", "in", batch)
      .execute();
  }
  for (const batch of batches(changed)) await trx.insertInto("session_runs").values(batch).execute();
}

/** Records of rows, each with its runs, oldest first. */
function assemble(rows: readonly Tables["sessions"][], runs: RunRow[]): SessionRecord[] {
  const began = ({ started_at, updated_at }: RunRow) => started_at ?? updated_at;
  runs.sort((a, b) => began(a) - began(b) || a.position - b.position);
  const own = new Map<string, RunRow[]>(rows.map(({ key }) => [key, []]));
  for (const run of runs) own.get(run.session_key)?.push(run);
  return rows.map((row) => toRecord(row, own.get(row.key) ?? []));
}

function batches<T>(values: readonly T[]): T[][] {
  const count = Math.ceil(values.length / AT_ONCE);
  return Array.from({ length: count }, (_, i) => values.slice(i * AT_ONCE, (i + 1) * AT_ONCE));
}
