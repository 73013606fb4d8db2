/**
 * Appends `count` runs to one session, each in an update of its own, and tells each that was stored. `place` is a folder
 * or the address of a PostgreSQL database. Started by the tests as a process.
 */
import { writeSync } from "node:fs";
import { createSessionStore } from "../../src/sessions/store/open-session-store.js";
import { createSharedSessionStore } from "../../src/sessions/store/shared-session-store.js";

const [place = "", upstream = "", key = "", prefix = "", count = "0"] = process.argv.slice(2);
// On a busy machine a server may take longer to start again than people are made to wait for it.
const store = place.startsWith("postgres:")
  ? createSharedSessionStore({ address: place, upstream, runsKept: 5_000, limitMs: 100_000 })
  : createSessionStore({ folder: place, upstream, runsKept: 5_000 });
for (let i = 0; i < Number(count); i += 1) {
  const run = {
    runId: `${prefix}-${i}`,
    workflowName: "genie",
    status: "running",
    startedAt: i,
    updatedAt: i,
  };
  await store.update(key, (current) => ({
    ...(current ?? { version: 1, key, name: key, createdAt: 0 }),
    updatedAt: i,
    runs: [...(current?.runs ?? []), run],
  }));
  writeSync(1, `${run.runId}\n`);
}
await store.close();
