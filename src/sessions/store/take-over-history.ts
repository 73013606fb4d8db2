import { setImmediate as nextTurn } from "node:timers/promises";
import { writeFigures } from "../../history/history-rows.js";
import { type Database, transaction } from "../../store/database.js";
import { newFigures } from "../run-figures.js";
import { parseRecord } from "./session-record.js";

const NAME = "history of sessions";
/** Sessions whose runs are taken over together, in some ms: others write in between. */
const AT_ONCE = 50;

/**
 * Takes over into the history, once, what sessions remember of runs that ended before there was any. Several processes
 * may do so at once, and one go on where another was killed: each run is in it once.
 */
export async function takeOverHistory(db: Database, now: number): Promise<void> {
  const done = db.selectFrom("taken_over").select("name").where("name", "=", NAME);
  if (await done.executeTakeFirst()) return;
  for (let from = 0, isMore = true; isMore; from += AT_ONCE) {
    const query = db.selectFrom("sessions").select(["upstream", "record"]).orderBy("upstream").orderBy("key");
    const rows = await query.limit(AT_ONCE).offset(from).execute();
    await transaction(db, async (trx) => {
      for (const { upstream, record } of rows) {
        const content = parseRecord(record ?? "");
        if (content.kind === "record")
          await writeFigures(trx, upstream, newFigures(undefined, content.record));
      }
    });
    isMore = rows.length === AT_ONCE;
    await nextTurn();
  }
  await transaction(db, async (trx) => {
    const row = { name: NAME, taken_at: now };
    await trx
      .insertInto("taken_over")
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
}
