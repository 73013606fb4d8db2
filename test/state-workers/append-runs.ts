/**
 * Appends `count` runs to one session, each in an update of its own. `place` is a folder or the address of a Redis
 * server. Started by the tests as a process.
 */
import { createSessionStore } from "../../src/sessions/store/open-session-store.js";

const [place = "", upstream = "", key = "", prefix = "", count = "0"] = process.argv.slice(2);
const state = place.startsWith("redis:") ? place : undefined;
const store = createSessionStore({ state, folder: place, upstream, runsKept: 5_000 });
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
}
await store.close();
