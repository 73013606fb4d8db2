import { setImmediate as nextTurn } from "node:timers/promises";
import { type Database, type Transaction, transaction } from "../store/database.js";
import { type Figures, mergeFigures, repositoryKey } from "./figures.js";

/** Rows in one statement or transaction: the rest of this process goes on in between. */
const AT_ONCE = 200;
const DAY_MS = 86_400_000;

/** How far an API's history has been read. */
export interface HistoryCursor {
  /** The reader of one opened database: in another one the numbers are others. */
  of: object;
  changes: number;
}

/** What has changed in an API's history since a reading of it. */
export interface HistoryUpdates {
  /** Where the next reading begins; undefined where each reading gives everything. */
  cursor: HistoryCursor | undefined;
  figures: Figures[];
  /** Rows that are no more. */
  gone: Pick<Figures, "kind" | "id">[];
}

/**
 * Stores what ended runs and plans have taken, each once; what is known of one is completed and corrected by what comes
 * later. What a person has deleted does not come back.
 * @param upstream names the workflows API
 */
export async function writeFigures(
  trx: Transaction,
  upstream: string,
  figures: readonly Figures[],
): Promise<void> {
  for (let from = 0; from < figures.length; from += AT_ONCE)
    await writeSome(trx, upstream, figures.slice(from, from + AT_ONCE));
}

async function writeSome(trx: Transaction, upstream: string, figures: readonly Figures[]): Promise<void> {
  const ids = [...new Set(figures.map(({ id }) => id))];
  const rows = await trx
    .selectFrom("history")
    .selectAll()
    .where("upstream", "=", upstream)
    .where("id", "in", ids)
    .execute();
  const known = new Map(rows.map((row) => [`${row.kind} ${row.id}`, row]));
  const deletions = await trx.selectFrom("history_deletions").selectAll().execute();
  const deletedAt = new Map(deletions.map(({ repository, deleted_at }) => [repository, deleted_at]));
  const next = new Map<string, Figures>();
  for (const one of figures) {
    const key = `${one.kind} ${one.id}`;
    const row = known.get(key);
    if (row?.deleted) continue;
    const merged = mergeFigures(next.get(key) ?? (row && readRow(row)), one);
    const until = merged.repository && deletedAt.get(repositoryKey(merged.repository));
    if (until && (merged.endedAt ?? merged.startedAt ?? 0) <= until) continue;
    if (JSON.stringify(merged) !== row?.figures) next.set(key, merged);
  }
  if (next.size === 0) return;
  const last = await lastChange(trx, upstream);
  const values = [...next.values()].map((one, index) => ({
    ...{ upstream, kind: one.kind, id: one.id, changed: last + 1 + index, deleted: 0 },
    ended_at: one.endedAt ?? null,
    repository: one.repository === undefined ? null : repositoryKey(one.repository),
    figures: JSON.stringify(one),
  }));
  await trx
    .insertInto("history")
    .values(values)
    .onConflict((conflict) =>
      conflict.columns(["upstream", "kind", "id"]).doUpdateSet((row) => ({
        changed: row.ref("excluded.changed"),
        ended_at: row.ref("excluded.ended_at"),
        repository: row.ref("excluded.repository"),
        figures: row.ref("excluded.figures"),
      })),
    )
    .execute();
}

async function lastChange(trx: Transaction, upstream: string): Promise<number> {
  const query = trx.selectFrom("history").select("changed").where("upstream", "=", upstream);
  return (await query.orderBy("changed", "desc").limit(1).executeTakeFirst())?.changed ?? 0;
}

/**
 * The history of one API in the database, as it is read and completed by a server.
 * @param options.upstream names the API
 * @param options.days how long history is kept
 * @param options.prepare takes over what was stored before there was history
 */
export function createHistoryRows(
  db: Database,
  options: { upstream: string; days: number; clock: { now(): number }; prepare: () => Promise<void> },
) {
  const { upstream, days, clock, prepare } = options;
  const self = {};
  let preparing: Promise<void> | undefined;

  async function prepareOnce(): Promise<void> {
    preparing ??= prepare()
      .then(() => forgetOld(db, days, clock.now()))
      .catch((error) => {
        preparing = undefined;
        throw error;
      });
    await preparing;
  }

  return {
    /** What has changed since a reading; everything without one. @throws StoreError */
    async readHistory(cursor?: HistoryCursor): Promise<HistoryUpdates> {
      await prepareOnce();
      return readUpdates(db, upstream, cursor?.of === self ? cursor : { of: self, changes: 0 });
    },
    /** Keeps what was seen on the API and is not older than history is kept. @throws StoreError */
    async noteFigures(figures: readonly Figures[]): Promise<void> {
      const since = clock.now() - days * DAY_MS;
      const kept = figures.filter(({ endedAt = 0 }) => endedAt >= since);
      for (let from = 0; from < kept.length; from += AT_ONCE) {
        const some = kept.slice(from, from + AT_ONCE);
        await transaction(db, (trx) => writeFigures(trx, upstream, some));
        await nextTurn();
      }
    },
  };
}

async function readUpdates(
  db: Database,
  upstream: string,
  { of, changes }: HistoryCursor,
): Promise<HistoryUpdates> {
  const cursor = { of, changes };
  const updates: HistoryUpdates = { cursor, figures: [], gone: [] };
  for (let isMore = true; isMore; ) {
    const later = db.selectFrom("history").selectAll().where("upstream", "=", upstream);
    const rows = await later
      .where("changed", ">", cursor.changes)
      .orderBy("changed")
      .limit(AT_ONCE)
      .execute();
    for (const row of rows) {
      cursor.changes = row.changed;
      const figures = readRow(row);
      if (figures) updates.figures.push(figures);
      else updates.gone.push({ kind: row.kind as Figures["kind"], id: row.id });
    }
    isMore = rows.length === AT_ONCE;
    if (isMore) await nextTurn();
  }
  return updates;
}

/** All that is known of all APIs, in the order of the ends; `api` names each one's. */
export async function readAll(db: Database): Promise<(Figures & { api: string })[]> {
  const query = db.selectFrom("history").selectAll().where("deleted", "=", 0);
  const rows = await query.orderBy("ended_at").orderBy("id").execute();
  return rows.flatMap((row) => {
    const figures = readRow(row);
    return figures ? [{ ...figures, api: row.upstream }] : [];
  });
}

/** A row that somebody has damaged is left out. */
function readRow({ figures }: { figures: string | null }): Figures | undefined {
  try {
    return figures === null ? undefined : JSON.parse(figures);
  } catch {
    return undefined;
  }
}

/**
 * Removes what is known of a repository's runs and plans, of all APIs. Neither the API's list nor a session brings it
 * back; what ends from now on is kept again.
 * @returns how many rows there were
 */
export async function deleteRepository(db: Database, repository: string, now: number): Promise<number> {
  const key = repositoryKey(repository);
  return transaction(db, async (trx) => {
    const own = trx.selectFrom("history").select(["upstream", "kind", "id"]).where("repository", "=", key);
    const rows = await own.where("deleted", "=", 0).execute();
    for (const row of rows) await emptyRow(trx, row);
    await trx
      .insertInto("history_deletions")
      .values({ repository: key, deleted_at: now })
      .onConflict((conflict) => conflict.column("repository").doUpdateSet({ deleted_at: now }))
      .execute();
    return rows.length;
  });
}

/** Removes what ended more than so many days ago. */
export async function forgetOld(db: Database, days: number, now: number): Promise<void> {
  const until = now - days * DAY_MS;
  const find = (from: Database | Transaction) =>
    from
      .selectFrom("history")
      .select(["upstream", "kind", "id"])
      .where("deleted", "=", 0)
      .where("ended_at", "<", until)
      .limit(AT_ONCE);
  while ((await find(db).execute()).length > 0) {
    await transaction(db, async (trx) => {
      for (const row of await find(trx).execute()) await emptyRow(trx, row);
    });
    await nextTurn();
  }
}

async function emptyRow(
  trx: Transaction,
  { upstream, kind, id }: { upstream: string; kind: string; id: string },
): Promise<void> {
  const changed = (await lastChange(trx, upstream)) + 1;
  await trx
    .updateTable("history")
    .set({ changed, deleted: 1, figures: null, ended_at: null, repository: null })
    .where("upstream", "=", upstream)
    .where("kind", "=", kind)
    .where("id", "=", id)
    .execute();
}
