import { setImmediate as turnOfLoop } from "node:timers/promises";
import { type Database, type Transaction, transaction } from "./database.js";
import { StoreError } from "./store-error.js";
import { createWriteQueue } from "./write-queue.js";

/** A part of a transaction. It may be carried out again, and has no other effects. */
type Work<T> = (trx: Transaction) => Promise<T>;
type Outcome = { value: unknown } | { error: Error };

/** Writes to the database; resolves when it is there for good. @throws what the work throws, and StoreError */
export type WriteTogether = <T>(work: Work<T>) => Promise<T>;

/**
 * What is to be written while one transaction is brought to the disk goes into the next one together: that wait is the
 * same for one write and for many, and while it lasts the whole process stands still.
 */
export function createWriteTogether(database: Database): WriteTogether {
  const queue = createWriteQueue<Work<unknown>, Outcome>({
    // What has arrived meanwhile is read first.
    gather: turnOfLoop,
    work: (jobs) => carryOut(database, jobs),
  });
  return async <T>(work: Work<T>) => {
    const outcome = await queue.add(work, false);
    if ("error" in outcome) throw outcome.error;
    return outcome.value as T;
  };
}

async function carryOut(database: Database, jobs: readonly Work<unknown>[]): Promise<Outcome[]> {
  try {
    return await transaction(database, async (trx) => {
      const outcomes: Outcome[] = [];
      for (const work of jobs) outcomes.push({ value: await work(trx) });
      return outcomes;
    });
  } catch (error) {
    // A database that cannot be written fails all of them; a mistake in one of them is that one's alone.
    if (jobs.length === 1 || error instanceof StoreError) return jobs.map(() => ({ error: error as Error }));
    const outcomes: Outcome[] = [];
    for (const work of jobs) outcomes.push(...(await carryOut(database, [work])));
    return outcomes;
  }
}
