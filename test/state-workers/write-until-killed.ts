/** Counts up in one session as fast as it can and tells each committed number, until it is killed. */
import { writeSync } from "node:fs";
import { createDatabaseSessionStore } from "../../src/sessions/store/database-session-store.js";

const [folder = "", upstream = "", key = ""] = process.argv.slice(2);
const store = createDatabaseSessionStore({ folder, upstream });
// Some hundred bytes would be written in an instant; this is as long as a record gets.
const filling = Array.from({ length: 150 }, (_, i) => ({
  runId: `run-${i}`,
  workflowName: "genie",
  status: "completed",
  updatedAt: i,
}));
for (;;) {
  const after = await store.update(key, (current) => {
    const turns = (current?.runs.at(-1)?.turns ?? 0) + 1;
    const counter = { runId: "counter", workflowName: "genie", status: "running", turns, updatedAt: 1_000 };
    return { version: 1, key, name: key, createdAt: 0, updatedAt: turns, runs: [...filling, counter] };
  });
  writeSync(1, `${after?.runs.at(-1)?.turns}\n`);
}
