/**
 * An engine that kills itself at the n-th time that it comes to a named point: a wait of a run's life, or a place in a
 * transaction. It tells what it has acknowledged, and at its end all points. Agents that it starts, messages that they
 * get, and what they commit are noted in files. Started by the tests as a process:
 *
 *     runs-until-killed.mjs <folder> <life> play|recover [<point> <n>]
 *
 * `play` plays the life in the folder; `recover` goes on with what was left of it until nothing is to be done. With
 * WALKED_DATABASE, the address of a PostgreSQL database, it is one of several workers, and whoever recovers another one.
 */
import { appendFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EngineRefusal } from "../../src/engine/types.js";
import { createEngineWorld, REQUEST } from "../support/engine-world.js";
import { LIVES, optionsOf, type Stage } from "./lives.js";
import { bringToRest, type NotedAgent, type Told, until } from "./told.js";

const [folder = "", name = "", manner = "play", killPoint = "", killCount = "1"] = process.argv.slice(2);
const HOUR_MS = 3_600_000;
const { WALKED_DATABASE: shared } = process.env;
const isNext = manner === "recover";
const points = new Map<string, number>();
// The engine's own timers keep no process alive.
setInterval(() => {}, HOUR_MS);

function tell(line: Told): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function note(file: string, line: object): void {
  appendFileSync(join(folder, file), `${JSON.stringify(line)}\n`);
}

async function at(point: string): Promise<void> {
  const count = (points.get(point) ?? 0) + 1;
  points.set(point, count);
  if (point !== killPoint || count !== Number(killCount)) return;
  process.kill(process.pid, "SIGKILL");
  await new Promise(() => {});
}

const world = createEngineWorld({
  base: folder,
  hasProcesses: true,
  onAgent: ({ runId, pid, began }) => note("agents", { runId, pid, began } satisfies NotedAgent),
  onMessage: ({ runId }, content) => note("messages", { runId, content }),
  onCommit: ({ runId }, commit) => note("commits", { runId, commit }),
});
const options = optionsOf(name, folder, shared);
const walked = await world.open({
  ...options,
  folder: join(folder, isNext && shared ? "other" : "engine"),
  // What the killed one has taken on for a while is free again.
  laterMs: isNext ? HOUR_MS : 0,
  ...{ at, atPoint: at },
});
const { engine } = walked;
let isClosed = false;

const stage: Stage = {
  ...walked,
  tell,
  async start(message, request = {}, key = undefined) {
    const asked = { ...REQUEST, persistent: false, ...request, message };
    const { runId } = await engine.start(asked, key);
    tell({ did: "accepted", runId, request: asked, key });
    return runId;
  },
  async message(runId, content) {
    try {
      await engine.addMessage(runId, "user", content);
      tell({ did: "message", runId });
    } catch (error) {
      // It has come to its end before.
      if (!(error instanceof EngineRefusal)) throw error;
    }
  },
  async answer(runId, questionId, answer) {
    await engine.answer(runId, questionId, answer);
    tell({ did: "answered", runId, questionId, answer });
  },
  async kill(runId) {
    await engine.kill(runId, false);
    tell({ did: "ended", runId, status: "killed" });
  },
  async ended(runId) {
    await until(() => engine.get(runId).endedAt !== undefined);
    const run = engine.get(runId);
    tell({ did: "ended", runId, status: run.status });
    return run;
  },
  atWork: (runId) => until(() => engine.get(runId).turn > 0),
  async close() {
    isClosed = true;
    await walked.close();
  },
};

if (isNext) {
  await bringToRest(walked, options.limits?.resumeOnce === true);
  for (const { runId, status } of engine.list({})) tell({ did: "ended", runId, status });
} else await LIVES[name]?.play(stage, folder);
if (!isClosed) await walked.close();
tell({ did: "everything", points: Object.fromEntries(points) });
process.exit(0);
