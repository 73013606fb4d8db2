/**
 * Kills the process that carries plans out as soon as it has written to their journal so often; loaded before the
 * published bin, whose code stays as it is. A process of another kind is left alone, and so is every driver after the first
 * that was killed.
 */
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const { KILL_AFTER_WRITES: writes, KILL_MARK: mark = "" } = process.env;
const WRITES_JOURNAL = /^(insert into|update|delete from) "plan(s|_entries|_acts)"/;

if (process.argv.includes("plan-driver") && !existsSync(mark)) {
  const { prototype } = createRequire(process.argv[1])("libsql");
  const { prepare } = prototype;
  let written = 0;
  let isJournal = false;
  prototype.prepare = function (sql) {
    const statement = prepare.call(this, sql);
    for (const name of ["run", "all"]) {
      const execute = statement[name];
      statement[name] = (...values) => {
        const result = execute.apply(statement, values);
        if (WRITES_JOURNAL.test(sql)) isJournal = true;
        if (sql === "rollback") isJournal = false;
        if (sql === "commit" && isJournal) {
          isJournal = false;
          if (++written === Number(writes)) {
            writeFileSync(mark, "");
            process.kill(process.pid, "SIGKILL");
          }
        }
        return result;
      };
    }
    return statement;
  };
}
