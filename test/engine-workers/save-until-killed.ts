/**
 * Goes on with the three runs in a store, or begins them, and saves as fast as it can until it is killed. It tells
 * what it found, then each save that was acknowledged. Started by the tests as a process.
 */
import { writeSync } from "node:fs";
import { createRunStore } from "../../src/engine/store/run-store.js";
import type { EngineRun } from "../../src/engine/types.js";
import { systemClock } from "../../src/shared/clock.js";
import { runNamed } from "./stored-runs.js";

const [folder = "", round = ""] = process.argv.slice(2);
const problems: string[] = [];
const store = createRunStore({
  folder,
  clock: systemClock,
  onProblem: ({ message }) => problems.push(message),
  // Files are rewritten all the time, so that kills hit that too.
  limits: { rewriteAfterMs: 1, rewriteAfterBytes: 50_000, eventsPerRun: 1_000_000 },
});
await store.open();
const running = store.all().filter((run) => run.status === "running");
const runs = running.map((run) => {
  const turns = store.eventsAfter(0, run.runId).events.map((event) => (event.data as { turn: number }).turn);
  return { runId: run.runId, turn: run.turn, eventTurn: turns.at(-1) };
});
tell({ newest: store.newestEventId(), runs, problems });

let begun = 0;
for (let count = 1; ; count += 1) {
  const place = count % 3;
  const run = running[place] ?? runNamed(`run-${round}-${++begun}`);
  running[place] = run;
  run.turn += 1;
  // A kill can only cut a write in two that takes its time.
  run.result = count % 4 === 0 ? `${run.turn % 10}`.repeat(1_000_000) : `${run.turn}`;
  run.toolsUsed.push(`tool ${run.turn}`);
  if (run.turn % 30 === 0) endRun(run, place);
  const event = await store.save(run, { type: "turn", data: { turn: run.turn } }, count % 2 ? "now" : "soon");
  tell({ runId: run.runId, turn: run.turn, id: event?.id });
}

function endRun(run: EngineRun, place: number): void {
  run.status = "completed";
  run.endedAt = 2_000;
  delete running[place];
}

function tell(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
