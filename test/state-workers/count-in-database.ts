/**
 * Opens the database and adds one to a number `count` times, each in a transaction of its own, telling each result that
 * was stored; without a count until it is killed. Started by the tests as a process.
 */
import { writeSync } from "node:fs";
import { openDatabase, transaction } from "../../src/store/database.js";

const [folder = "", key = "", count = "Infinity"] = process.argv.slice(2);
const db = await openDatabase({ folder, onProblem: ({ message }) => writeSync(1, `problem: ${message}\n`) });
for (let i = 0; i < Number(count); i += 1) {
  const stored = await transaction(db, async (trx) => {
    const row = await trx
      .selectFrom("sessions")
      .select("record")
      .where("upstream", "=", "test")
      .where("key", "=", key)
      .executeTakeFirst();
    const next = Number(row?.record ?? 0) + 1;
    const values = { upstream: "test", key, changed: key.charCodeAt(0), record: String(next) };
    if (row) await trx.updateTable("sessions").set(values).where("key", "=", key).execute();
    else await trx.insertInto("sessions").values(values).execute();
    return next;
  });
  writeSync(1, `${stored}\n`);
}
await db.destroy();
