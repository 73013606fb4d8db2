import type { Database, Transaction } from "../../store/database.js";

/**
 * Single values that the engine keeps: the prefix of keys, when files of an earlier version were taken over (epoch ms),
 * up to which number events may be gone, what was made of the changes that had waited at a worker (see taken-in.ts), and the days of use (counted from 1970, as JSON, in the order in which they came).
 */
export type FactName =
  | "key_prefix"
  | "run_logs_taken_over"
  | "events_gone_through"
  | "days_of_use"
  | `taken_in:${string}`;

/** Undefined while it was not written. */
export async function readFact(db: Database | Transaction, name: FactName): Promise<string | undefined> {
  const row = await db.selectFrom("engine_facts").select("value").where("name", "=", name).executeTakeFirst();
  return row?.value;
}

/** Writes a value in place of a former one. */
export async function writeFact(trx: Transaction, name: FactName, value: string): Promise<void> {
  await trx
    .insertInto("engine_facts")
    .values({ name, value })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
    .execute();
}
