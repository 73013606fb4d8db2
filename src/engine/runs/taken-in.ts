import type { Database, Transaction } from "../../store/database.js";
import { readFact, writeFact } from "./facts.js";
import type { ChangeId } from "./waiting-changes.js";

/**
 * The last change of a worker that is in the database, of those that may wait: written together with it, so that one whose
 * answer was lost, or which a former process has left on the disk, is not made twice.
 */
export interface TakenIn {
  read(db: Database | Transaction): Promise<ChangeId>;
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
    write: (trx, { process, number }) => writeFact(trx, name, `${process} ${number}`),
  };
}

/** Whether a change is one that the database has. */
export function isTakenIn({ process, number }: ChangeId, last: ChangeId): boolean {
  return process < last.process || (process === last.process && number <= last.number);
}
