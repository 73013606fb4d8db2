import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type BundledWorker, bundleWorker } from "./engine-workers/bundle.js";
import { ended, linesOf } from "./state-workers/worker-processes.js";
import { createWorld, REQUEST } from "./support/walked-engine.js";

// An engine process is killed (SIGKILL) at every point of its runs' lives: at each wait, and in, at the end of and after
// each transaction. The points are found by a run without a kill, so a new one is met by itself. Each point is met the
// first time that a process comes to it, but for the waits just around a transaction, where it leaves the same files as
// in it and after it. `npm run kills` meets these too, and ten times each.
const KILLS = Number(process.env.AUTOMAGIK_TEST_KILLS ?? 1);
const AROUND = /^writ(?:e|ten) /;

interface Told {
  did?: "accepted" | "message" | "answered" | "ended" | "cleaned";
  runId: string;
  status?: string;
  key?: string;
  points?: Record<string, number>;
}

let worker: BundledWorker;
let base: string;
beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "engine-kills-"));
  worker = await bundleWorker("engine-workers/runs-until-killed", base);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** One engine process, up to its death; gives what it has told, and its exit code. */
async function runEngine(folder: string, ...kill: string[]): Promise<{ told: Told[]; code: number | null }> {
  const process = worker.start(folder, ...kill);
  const told: Told[] = [];
  const lines = linesOf(process);
  for (let next = await lines.next(); !next.done; next = await lines.next())
    told.push(JSON.parse(next.value));
  return { told, code: await ended(process) };
}

/** The next engine on what the killed one has left: nothing acknowledged is lost, and nothing is started twice. */
async function expectKept(folder: string, told: Told[], place: string): Promise<void> {
  const world = createWorld();
  const { engine, over } = await world.open({ folder: join(folder, "engine") });
  for (const { did, runId, status, key } of told.filter((line) => line.did)) {
    const run = engine.get(runId);
    if (did === "message") expect(run.queue.added, place).toBe(1);
    if (did === "ended") expect(run.status, place).toBe(status);
    if (did === "cleaned") expect(run.workspaceRemoved, place).toBe(true);
    if (did === "answered")
      expect(run.questions, place).toMatchObject([{ answer: "This one", answeredBy: "person" }]);
    if (key) {
      const again = await engine.start({ ...REQUEST, persistent: false, message: run.request.message }, key);
      expect(again.runId, place).toBe(runId);
    }
  }
  for (const run of engine.list({})) {
    // What had not begun begins now; an agent that hangs would hang again.
    if (run.request.message.includes("[") && run.status === "pending") await engine.kill(run.runId, true);
    const { status } = await over(run.runId);
    expect(["completed", "killed", "interrupted"], place).toContain(status);
  }
  await engine.close();
  const before = readAgents(folder);
  const started = [...before, ...world.agents.map(({ runId }) => runId)];
  expect(started, place).toHaveLength(new Set(started).size);
  expect(world.violations, place).toEqual([]);
}

function readAgents(folder: string): string[] {
  try {
    return readFileSync(join(folder, "agents"), "utf8").trim().split("\n");
  } catch {
    return [];
  }
}

it("an engine that is killed at any point loses nothing that it has acknowledged, and starts nothing twice", async () => {
  const whole = await runEngine(mkdtempSync(join(base, "whole-")));
  expect(whole.code).toBe(0);
  const all = Object.entries(whole.told.at(-1)?.points ?? {});
  const points = KILLS > 1 ? all : all.filter(([point]) => !AROUND.test(point));
  expect(points.length).toBeGreaterThan(40);
  const kills = points.flatMap(([point, count]) =>
    Array.from({ length: KILLS }, (_, time) => [point, String((time % count) + 1)]),
  );
  const planned = kills.length;
  let died = 0;
  async function lane(): Promise<void> {
    for (let kill = kills.shift(); kill; kill = kills.shift()) {
      const folder = mkdtempSync(join(base, "killed-"));
      const { told, code } = await runEngine(folder, ...kill);
      // What depends on the moment may not come about another time; then it has come to its end.
      if (code === null) died++;
      else expect(code, kill.join(" ")).toBe(0);
      await expectKept(folder, told, kill.join(" "));
      rmSync(folder, { recursive: true, force: true });
    }
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, lane));
  expect(died).toBeGreaterThan(planned * 0.9);
}, 3_600_000);
