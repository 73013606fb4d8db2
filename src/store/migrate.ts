import type { Kysely, RawBuilder, Transaction } from "kysely";
import { VERSION } from "../shared/version.js";
import { StoreError, type StoreProblem } from "./store-error.js";
import type { Tables } from "./tables.js";

/** A step from one form of the database to the next. What was released never changes; a change is a new step. */
export interface Migration {
  /** As its file is called. */
  name: string;
  /** Carried out in one transaction. What SQLite and PostgreSQL both understand. */
  statements: readonly RawBuilder<unknown>[];
  /**
   * Takes over what earlier releases kept in files of the state folder, afterwards in the same transaction. The files
   * stay. What cannot be read is left out and reported: nothing may keep the database from being opened.
   */
  takeOver?(db: Transaction<Tables>, from: StateFolder): Promise<void>;
}

/** Where files of earlier releases are, and who is told of what is wrong with them. */
export interface StateFolder {
  folder: string;
  onProblem(problem: StoreProblem): void;
}

/**
 * Brings the database to the form that this release needs. Of many processes that come at once one makes the steps
 * while the others wait; where nothing is to be done it is one query.
 * @param now epoch ms
 * @param from the state folder; none for a database in memory
 * @throws StoreError (`newer-version`) when a later release has changed it; nothing is changed then
 */
export async function migrate(
  db: Kysely<Tables>,
  migrations: readonly Migration[],
  now: number,
  from?: StateFolder,
): Promise<void> {
  const isApplied =
    (applied: Applied) =>
    ({ name }: Migration) =>
      applied.some((one) => one.name === name);
  const before = await readApplied(db).catch(expectNewDatabase);
  refuseNewer(before, migrations);
  if (migrations.every(isApplied(before))) return;
  await db.transaction().execute(async (transaction) => {
    await transaction.schema
      .createTable("schema_migrations")
      .ifNotExists()
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("release", "text", (column) => column.notNull())
      .addColumn("applied_at", "double precision", (column) => column.notNull())
      .execute();
    const applied = await readApplied(transaction);
    refuseNewer(applied, migrations);
    for (const migration of migrations) {
      if (isApplied(applied)(migration)) continue;
      for (const statement of migration.statements) await statement.execute(transaction);
      if (from) await migration.takeOver?.(transaction, from);
      const row = { name: migration.name, release: VERSION, applied_at: now };
      await transaction.insertInto("schema_migrations").values(row).execute();
    }
  });
}

type Applied = { name: string; release: string }[];

/** The steps that were made, in their order. */
export function readApplied(db: Kysely<Tables>): Promise<Applied> {
  return db.selectFrom("schema_migrations").select(["name", "release"]).orderBy("name").execute();
}

/** The table is missing in a new database, which is the query's own mistake; a StoreError is none. */
function expectNewDatabase(error: unknown): Applied {
  if (error instanceof StoreError) throw error;
  return [];
}

function refuseNewer(applied: Applied, migrations: readonly Migration[]): void {
  const newer = applied.findLast((one) => migrations.every(({ name }) => name !== one.name));
  if (!newer) return;
  throw new StoreError(
    `The database in the state folder was changed by version ${newer.release} of this product, and this is version ` +
      `${VERSION}, which cannot use it. Update this one, or name another folder in AUTOMAGIK_WORKFLOWS_STATE_DIR. ` +
      "Nothing in it was changed.",
    newer.name,
    "newer-version",
  );
}
