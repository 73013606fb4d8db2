import { type Kysely, sql } from "kysely";
import { VERSION } from "../shared/version.js";
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
 * @throws StoreError (`newer-version`) when a later release has changed it; nothing is changed then
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
    for (const { name, statements } of listMissing(await readApplied(transaction), place)) {
      for (const statement of statements) await sql.raw(statement).execute(transaction);
      const row = { name, release: VERSION, applied_at: now };
      await transaction.insertInto("schema_migrations").values(row).execute();
    }
  });
}

type Applied = { name: string; release: string }[];

/** The steps that were made, in their order; none in a new database. */
export async function readApplied(db: Kysely<Tables>): Promise<Applied> {
  try {
    return await db.selectFrom("schema_migrations").select(["name", "release"]).orderBy("name").execute();
  } catch (error) {
    // The table is missing, which is the query's own mistake; a StoreError is none.
    if (error instanceof StoreError) throw error;
    return [];
  }
}

/**
 * The steps that are still to be made.
 * @throws StoreError (`newer-version`) when there are others than these
 */
export function listMissing(applied: Applied, place = STATE_FOLDER): typeof MIGRATIONS {
  const newer = applied.findLast((one) => MIGRATIONS.every(({ name }) => name !== one.name));
  if (!newer) return MIGRATIONS.filter(({ name }) => applied.every((one) => one.name !== name));
  throw new StoreError(
    `${place.what} was changed by version ${newer.release} of this product, and this is version ` +
      `${VERSION}, which cannot use it. Update this one, or name another ${place.instead}. ` +
      "Nothing in it was changed.",
    newer.name,
    "newer-version",
  );
}
