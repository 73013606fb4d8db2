import { setImmediate as nextTurn } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import { writeFigures } from "../../history/history-rows.js";
import type { Database, Transaction } from "../../store/database.js";
import { createStatement } from "../../store/statement.js";
import type { Tables } from "../../store/tables.js";
import { createWriteTogether } from "../../store/write-together.js";
import { newFigures } from "../run-figures.js";
import { recordId } from "./file-names.js";
import {
  byNewest,
  copyRecord,
  foldName,
  listTerms,
  type SessionRecord,
  selectSessions,
  storedForm,
} from "./session-record.js";
import type { SessionStore } from "./session-store.js";

type SessionRow = Tables["sessions"];
type TermRow = Tables["session_terms"];

/** Rows in one statement: any database takes so many, and they do not hold up the rest of this process. */
const AT_ONCE = 200;

/** So few values are looked for one by one, by a statement that is there already. */
const ONE_BY_ONE = 4;

// What each start needs.
const findByTerm = createStatement((db, { upstream, term }: Omit<TermRow, "session_key">) =>
  db
    .selectFrom("sessions")
    .select(["key", "record"])
    .where("upstream", "=", upstream)
    .where("key", "in", (holders) =>
      holders
        .selectFrom("session_terms")
        .select("session_key")
        .where("upstream", "=", upstream)
        .where("term", "=", term),
    ),
);
const findRecord = createStatement((db, { upstream, key }: Pick<SessionRow, "upstream" | "key">) =>
  db.selectFrom("sessions").select("record").where("upstream", "=", upstream).where("key", "=", key),
);
const putSession = createStatement((db, { upstream, key, record }: Omit<SessionRow, "changed">) =>
  db
    .insertInto("sessions")
    .values({ upstream, key, record, changed: nextChange(db, upstream) })
    .onConflict((conflict) =>
      conflict.columns(["upstream", "key"]).doUpdateSet((row) => ({
        changed: row.ref("excluded.changed"),
        record: row.ref("excluded.record"),
      })),
    ),
);
// Those of a row that could not be read any more are still there.
const putTerm = createStatement((db, { upstream, term, session_key }: TermRow) =>
  db
    .insertInto("session_terms")
    .values({ upstream, term, session_key })
    .onConflict((conflict) => conflict.doNothing()),
);

/** The part of a session store that is about sessions. */
export type SessionQueries = Pick<SessionStore, "list" | "find" | "get" | "update" | "remove">;

/**
 * The sessions of one API in the database.
 * @param upstream which API, as `upstreamFolderName` gives it
 */
export function createSqlSessions(db: Database, upstream: string, runsKept: number): SessionQueries {
  /** All sessions as they were after so many changes: a list reads only what has changed since. */
  const known = { changes: 0, records: new Map<string, SessionRecord>() };
  const write = createWriteTogether(db);

  async function readChanged(): Promise<void> {
    for (let isMore = true; isMore; ) {
      const later = sessionsOf(db, upstream).selectAll().where("changed", ">", known.changes);
      const rows = await later.orderBy("changed").limit(AT_ONCE).execute();
      for (const { key, changed, record } of rows) {
        // Another call may have come first.
        if (changed <= known.changes) continue;
        known.changes = changed;
        const session = toSession(record);
        if (session) known.records.set(key, session);
        else known.records.delete(key);
      }
      isMore = rows.length === AT_ONCE;
      if (isMore) await nextTurn();
    }
  }

  return {
    async list() {
      await readChanged();
      return [...known.records.values()].map(copyRecord).sort(byNewest);
    },

    async find({ names = [], ids = [] }) {
      const found = new Map<string, SessionRecord>();
      const terms = [...names.map(foldName), ...ids];
      const few = terms.length <= ONE_BY_ONE;
      for (const some of few ? terms.map((term) => [term]) : batches(terms)) {
        const [term = ""] = some;
        const rows = few ? findByTerm(db, { upstream, term }) : findByTerms(db, upstream, some);
        for (const { key, record } of await rows) {
          const session = toSession(record);
          if (session) found.set(key, session);
        }
      }
      // One session's name may be an id of another.
      return selectSessions([...found.values()], { names, ids }).sort(byNewest);
    },

    get: (key) => readSession(db, upstream, key),

    update: (key, change) =>
      write(async (trx) => {
        const before = await readSession(trx, upstream, key);
        const next = change(before && copyRecord(before));
        if (!next) return before;
        const after = storedForm(next, key, runsKept);
        await replaceSession(trx, upstream, { key, before, after });
        return after.record;
      }),

    remove: (key) =>
      write(async (trx) => {
        const before = await readSession(trx, upstream, key);
        if (before) await replaceSession(trx, upstream, { key, before, after: undefined });
      }),
  };
}

/**
 * Stores those of the records whose sessions the API has never had.
 * @param records no more than fit into a statement, each of another key
 */
export async function addSessions(
  trx: Transaction,
  upstream: string,
  records: readonly SessionRecord[],
): Promise<void> {
  const keys = records.map(({ key }) => recordId(key));
  const found = await sessionsOf(trx, upstream).select("key").where("key", "in", keys).execute();
  const known = new Set(found.map(({ key }) => key));
  const added = records.filter(({ key }) => !known.has(recordId(key)));
  if (added.length === 0) return;
  const [{ next } = { next: 1 }] = await trx.selectNoFrom(nextChange(trx, upstream).as("next")).execute();
  const rows = added.map((record, index) => ({
    ...{ upstream, key: recordId(record.key), changed: next + index },
    record: JSON.stringify(record),
  }));
  await trx.insertInto("sessions").values(rows).execute();
  const terms = added.flatMap((record) => toTermRows(upstream, record));
  await addTerms(trx, terms);
}

/** Puts a record, or none, in the place of the one that was read. */
async function replaceSession(
  trx: Transaction,
  upstream: string,
  change: {
    key: string;
    before: SessionRecord | undefined;
    after: { record: SessionRecord; text: string } | undefined;
  },
): Promise<void> {
  const { before, after } = change;
  const key = recordId(change.key);
  await putSession(trx, { upstream, key, record: after?.text ?? null });
  const [former, present] = [toTermRows(upstream, before), toTermRows(upstream, after?.record)];
  for (const rows of batches(withoutTerms(former, present))) {
    const gone = rows.map(({ term }) => term);
    const own = trx.deleteFrom("session_terms").where("upstream", "=", upstream);
    await own.where("session_key", "=", key).where("term", "in", gone).execute();
  }
  for (const added of withoutTerms(present, former)) await putTerm(trx, added);
  await writeFigures(trx, upstream, newFigures(before, after?.record));
}

async function addTerms(trx: Transaction, rows: readonly TermRow[]): Promise<void> {
  for (const some of batches(rows)) {
    const adding = trx.insertInto("session_terms").values(some);
    await adding.onConflict((conflict) => conflict.doNothing()).execute();
  }
}

function findByTerms(db: Database, upstream: string, terms: readonly string[]) {
  const holders = db.selectFrom("session_terms").where("upstream", "=", upstream);
  const keys = holders.where("term", "in", terms).select("session_key");
  return sessionsOf(db, upstream).select(["key", "record"]).where("key", "in", keys).execute();
}

function sessionsOf(from: Database | Transaction, upstream: string) {
  return from.selectFrom("sessions").where("upstream", "=", upstream);
}

async function readSession(from: Database | Transaction, upstream: string, key: string) {
  const [row] = await findRecord(from, { upstream, key: recordId(key) });
  return toSession(row?.record);
}

/** The number of the next change to the API's sessions. */
function nextChange(db: Kysely<Tables>, upstream: string) {
  const newest = db.selectFrom("sessions").select("changed").where("upstream", "=", upstream);
  return sql<number>`coalesce((${newest.orderBy("changed", "desc").limit(1)}), 0) + 1`;
}

function toTermRows(upstream: string, record: SessionRecord | undefined): TermRow[] {
  if (!record) return [];
  const session_key = recordId(record.key);
  return [...new Set(listTerms(record))].map((term) => ({ upstream, term, session_key }));
}

function withoutTerms(rows: readonly TermRow[], others: readonly TermRow[]): TermRow[] {
  const terms = new Set(others.map(({ term }) => term));
  return rows.filter(({ term }) => !terms.has(term));
}

/** What is stored was checked before. A row that somebody has damaged is left out. */
function toSession(text: string | null | undefined): SessionRecord | undefined {
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

function batches<T>(values: readonly T[]): T[][] {
  const count = Math.ceil(values.length / AT_ONCE);
  return Array.from({ length: count }, (_, i) => values.slice(i * AT_ONCE, (i + 1) * AT_ONCE));
}
