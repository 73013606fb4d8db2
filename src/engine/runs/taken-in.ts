import { sql } from "kysely";
import type { Database, Transaction } from "../../store/database.js";
import { readFact } from "./facts.js";
import type { ChangeId } from "./waiting-changes.js";

/**
 * The last change of a worker that is in the database, of those that may wait: written together with it, so that one whose
 * answer was lost, or which a former process has left on the disk, is not made twice.
 */
export interface TakenIn {
  read(db: Database | Transaction): Promise<ChangeId>;
  /** Where a later process of this worker has written, nothing happens: this one is the original of a copied folder. */
  write(trx: Transaction, last: ChangeId): Promise<void>;
}

/** @param workerId whose changes they are */
export function createTakenIn(workerId: string): TakenIn {
  const name = `taken_in:${workerId}` as const;
  return {
    async read(db) {
      const [process = 0, number = 0] = ((await readFact(db, name)) ?? "").split(" ").map(Number);
      return { process, number };
    },
    async write(trx, { process, number }) {
      const value = `${process} ${number}`;
      const processThere = sql<number>`split_part(engine_facts.value, ' ', 1)::bigint`;
      await trx
        .insertInto("engine_facts")
        .values({ name, value })
        .onConflict((conflict) =>
          conflict.column("name").doUpdateSet({ value }).where(processThere, "<=", process),
        )
        .execute();
    },
  };
}

/** Whether a change is one that the database has. */
export function isTakenIn({ process, number }: ChangeId, last: ChangeId): boolean {
  return process < last.process || (process === last.process && number <= last.number);
}
