import type { Database, Transaction } from "../../store/database.js";

/** Single values that the engine keeps; numbers are written in decimal. */
type FactName = "key_prefix" | "run_logs_taken_over" | "events_pruned_through" | "events_trimmed_through";

export async function readFact(db: Database | Transaction, name: FactName): Promise<string | undefined> {
  const row = await db.selectFrom("engine_facts").select("value").where("name", "=", name).executeTakeFirst();
  return row?.value;
}

export async function writeFact(trx: Transaction, name: FactName, value: string): Promise<void> {
  await trx
    .insertInto("engine_facts")
    .values({ name, value })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
    .execute();
}
