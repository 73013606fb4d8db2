/**
 * An engine with runs of every kind, which kills itself at the n-th time that it comes to a named point: a wait of a
 * run's life, or a place in a transaction. It tells what was acknowledged, and at its end all points. Agents that it
 * starts are noted in a file. Started by the tests as a process:
 *
 *     runs-until-killed.js <folder> [<point> <n>]
 */
import { appendFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EngineRefusal } from "../../src/engine/types.js";
import { createEngineWorld, REQUEST } from "../support/engine-world.js";

const [folder = "", killPoint = "", killCount = "1"] = process.argv.slice(2);
const points = new Map<string, number>();

function tell(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

async function at(point: string): Promise<void> {
  const count = (points.get(point) ?? 0) + 1;
  points.set(point, count);
  if (point !== killPoint || count !== Number(killCount)) return;
  process.kill(process.pid, "SIGKILL");
  await new Promise(() => {});
}

async function until(fits: () => boolean): Promise<void> {
  while (!fits()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const world = createEngineWorld({
  base: folder,
  onAgent: ({ runId }) => appendFileSync(join(folder, "agents"), `${runId}\n`),
});
const { engine, over } = await world.open({ folder: join(folder, "engine"), at, atPoint: at });

async function start(message: string, key?: string): Promise<string> {
  const { runId } = await engine.start({ ...REQUEST, persistent: false, message }, key);
  tell({ did: "accepted", runId, key });
  return runId;
}

const plain = await start("Find it", "key");
try {
  await engine.addMessage(plain, "user", "one");
  tell({ did: "message", runId: plain });
} catch (error) {
  if (!(error instanceof EngineRefusal)) throw error;
}
const asking = await start("[ask]");
await until(() => engine.get(asking).status === "waiting");
await engine.answer(asking, "which", "This one");
tell({ did: "answered", runId: asking });
for (const runId of [plain, asking]) {
  const { status } = await over(runId);
  tell({ did: "ended", runId, status });
}
const hanging = await start("[hang]");
await until(() => engine.get(hanging).turn > 0);
await engine.kill(hanging, false);
tell({ did: "ended", runId: hanging, status: "killed" });
await engine.cleanup(plain, true);
tell({ did: "cleaned", runId: plain });
const last = await start("[hang]");
await until(() => engine.get(last).turn > 0);
await engine.close();
tell({ did: "ended", runId: last, status: "interrupted" });
tell({ points: Object.fromEntries(points) });
process.exit(0);
