/**
 * Writes events of runs as fast as it can, as one of several engines with one database. Started as a process:
 *
 *     writer.ts <address of the database>
 *
 * Told `{ runs, seconds }` it writes for so long, and tells how many events and changes of state that were.
 */
import { createRunStore } from "../../src/engine/runs/create-run-store.js";
import { systemClock } from "../../src/shared/clock.js";
import { openStore } from "../../src/store/open-store.js";

const [address = ""] = process.argv.slice(2);
const database = await openStore({ folder: "", address, clock: systemClock });
const store = await createRunStore({ database, clock: systemClock });

async function begin(): Promise<string> {
  const runId = crypto.randomUUID();
  const request = { workflowName: "implement", message: "x", timeoutS: 60, persistent: true };
  const flags = { autoMerge: false, tempWorkspace: false };
  await store.accept({ runId, sessionId: runId, sessionName: "bench", request: { ...request, ...flags } });
  await store.record(runId, { type: "started" }, "written");
  return runId;
}

process.on("message", async ({ runs, seconds }: { runs: number; seconds: number }) => {
  const ids = await Promise.all(Array.from({ length: runs }, begin));
  let events = 0;
  const until = performance.now() + seconds * 1_000;
  await Promise.all(
    ids.map(async (runId) => {
      for (let turn = 1; performance.now() < until; turn++) {
        await store.record(runId, { type: "action", text: `Step ${turn}`, turn }, "now");
        events++;
      }
    }),
  );
  process.send?.({ events });
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
