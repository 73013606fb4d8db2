import { type Kysely, sql } from "kysely";
import { VERSION } from "../shared/version.js";
import type { Migration } from "./migration.js";
import { StoreError } from "./store-error.js";
import { MIGRATIONS, type Tables } from "./tables.js";

/** How messages call the database and what stands in its place. */
const STATE_FOLDER = {
  what: "The database in the state folder",
  instead: "folder in AUTOMAGIK_WORKFLOWS_STATE_DIR",
};

/**
 * Brings the database to the form that this release needs. Of many processes that come at once one makes the steps
 * while the others wait; where nothing is to be done it is one query.
 * @param now epoch ms
 * @param place where the database is
 * @throws StoreError (`newer-version`) when a later release has changed it so that this one cannot use it; nothing is
 * changed then
 */
export async function migrate(db: Kysely<Tables>, now: number, place = STATE_FOLDER): Promise<void> {
  if (listMissing(await readApplied(db), place).length === 0) return;
  await db.transaction().execute(async (transaction) => {
    await transaction.schema
      .createTable("schema_migrations")
      .ifNotExists()
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("release", "text", (column) => column.notNull())
      .addColumn("applied_at", "double precision", (column) => column.notNull())
      .execute();
    const missing = listMissing(await readApplied(transaction), place);
    for (const { name, statements } of missing) {
      for (const statement of statements) await sql.raw(statement).execute(transaction);
      const row = { name, release: VERSION, applied_at: now };
      await transaction.insertInto("schema_migrations").values(row).execute();
    }
    // The column is one of the steps.
    const adding = missing.filter(({ olderMayGoOn }) => olderMayGoOn).map(({ name }) => name);
    if (adding.length === 0) return;
    const noted = transaction.updateTable("schema_migrations").set({ older_may_go_on: 1 });
    await noted.where("name", "in", adding).execute();
  });
}

type Applied = { name: string; release: string; older_may_go_on?: number | undefined }[];

/** The steps that were made, in their order; none in a new database. */
export async function readApplied(db: Kysely<Tables>): Promise<Applied> {
  try {
    return await db.selectFrom("schema_migrations").selectAll().orderBy("name").execute();
  } catch (error) {
    // The table is missing, which is the query's own mistake; a StoreError is none.
    if (error instanceof StoreError) throw error;
    return [];
  }
}

/**
 * The steps that are still to be made. Steps of a later release are left alone where that says that older ones may go on.
 * @throws StoreError (`newer-version`) when there are others
 */
export function listMissing(applied: Applied, place = STATE_FOLDER): readonly Migration[] {
  const newer = listNewer(applied).findLast((one) => one.older_may_go_on !== 1);
  if (!newer) return MIGRATIONS.filter(({ name }) => applied.every((one) => one.name !== name));
  throw new StoreError(
    `${place.what} was changed by version ${newer.release} of this product, and this is version ` +
      `${VERSION}, which cannot use it. Update this one, or name another ${place.instead}. ` +
      "Nothing in it was changed.",
    newer.name,
    "newer-version",
  );
}

/** The steps that this release does not know. */
export function listNewer(applied: Applied): Applied {
  return applied.filter((one) => MIGRATIONS.every(({ name }) => name !== one.name));
}
