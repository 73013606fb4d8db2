import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Profile } from "../mocks/types.js";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createApiClient } from "../src/api/client.js";
import type { Run } from "../src/api/types.js";
import type { RunEvent } from "../src/runs/run-events.js";
import { bareRun } from "../src/runs/run-facts.js";
import { createRunWatcher, type RunWatcher } from "../src/runs/run-watcher.js";
import type { Clock } from "../src/shared/clock.js";
import { createHandClock } from "./support/hand-clock.js";
import { silentLog } from "./support/harness.js";

let time = createHandClock();
/** What the wall clock shows beside what has passed: it can be set back. */
let setBy = 0;
/** What the monotonic clock shows beside what timers have noticed: where it counts the time that a machine has slept. */
let sleptMs = 0;
let profile: Profile = "contract";
const clock: Clock = {
  now: () => time.now() + setBy,
  elapsed: () => time.elapsed() + sleptMs,
  after: (ms, task) => time.after(ms, task),
};

const sim = useSimulatedApi(() => {
  time = createHandClock();
  setBy = sleptMs = 0;
  return { profile, clock: { now: () => time.now() }, paceMs: "manual" };
});

let watcher: RunWatcher | undefined;
afterEach(() => watcher?.close());

/** A watcher over the real client, a count of what it asks for, and time that stands still while it asks. */
function startWatcher(perSecond = 20) {
  const asked: { at: number; path: string }[] = [];
  let open = 0;
  const client = createApiClient({
    baseUrl: sim.baseUrl,
    apiKey: "test-key",
    requestTimeoutMs: 10_000,
    maxRetries: 3,
    clock,
    random: () => 0.5,
  });
  async function count<T>(path: string, answer: Promise<T>): Promise<T> {
    asked.push({ at: time.now(), path });
    open++;
    try {
      return await answer;
    } finally {
      open--;
    }
  }
  watcher = createRunWatcher({
    api: {
      getRun: (runId, read) => count(runId, client.getRun(runId, read)),
      listRuns: (read) => count("list", client.listRuns(read)),
    },
    clock,
    log: silentLog,
    pollingIntervalMs: 8_000,
    perSecond,
    stallAfterMs: 300_000,
  });
  async function settle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (open > 0);
  }
  async function pass(ms: number, stepMs = 50): Promise<void> {
    await settle();
    for (let passed = 0; passed < ms; passed += stepMs) {
      time.advance(stepMs);
      await settle();
    }
  }
  return { asked, watcher, pass, settle };
}

const startRuns = (count: number): string[] =>
  Array.from(
    { length: count },
    (_, index) =>
      sim.api().world.start(profile === "contract" ? "architect" : "builder", {
        message: `Task ${index}`,
        input_format: profile === "contract" ? "stream-json" : "text",
      }).runId,
  );

const running = (runId: string): Run => ({ ...bareRun(runId), status: "running" });

/** Watches runs and remembers when something of each was told. */
function watchAll(of: RunWatcher, runIds: string[], how?: { background: boolean }) {
  const told: { runId: string; type: RunEvent["type"]; at: number; run: Run }[] = [];
  for (const runId of runIds) {
    of.watch(
      running(runId),
      (event) => told.push({ runId, type: event.type, at: time.now(), run: event.run }),
      how,
    );
  }
  return told;
}

/** The most requests that went out in any second. */
function busiestSecond(asked: { at: number }[]): number {
  return Math.max(
    ...asked.map(({ at }) => asked.filter((one) => one.at >= at && one.at < at + 1_000).length),
  );
}

describe("many watched runs", () => {
  it("cost no more than the budget in any second, and all of it is used before any of them waits for long", async () => {
    const { asked, watcher, pass } = startWatcher(8);
    const runIds = startRuns(60);
    watchAll(watcher, runIds);
    await pass(12_000);
    expect(busiestSecond(asked)).toBe(8);
    expect(new Set(asked.map((one) => one.path)).size).toBe(61);
  });

  it("are told of their turns within a second, by a look at those that have changed and at no others", async () => {
    const { asked, watcher, pass } = startWatcher();
    const runIds = startRuns(50);
    const told = watchAll(watcher, runIds);
    await pass(6_000);
    const settled = asked.length;
    const changed = runIds.filter((_, index) => index % 10 === 0);
    const at = time.now();
    for (const runId of changed) sim.api().world.run(runId).turn(`Designing ${runId}`);
    await pass(1_000);
    const turns = told.filter((one) => one.type === "turn" && one.at > at);
    expect(turns.map((one) => one.runId).sort()).toEqual([...changed].sort());
    expect(turns.map((one) => one.run.currentAction).sort()).toEqual(
      changed.map((runId) => `Designing ${runId}`).sort(),
    );
    const looks = asked.slice(settled).filter((one) => one.path !== "list");
    for (const runId of changed) expect(looks.map((one) => one.path)).toContain(runId);
    // The others are looked at as slowly as the setting allows.
    expect(looks.length).toBeLessThan(20);
  });

  it("have their ends noticed through the list, without asking each", async () => {
    const { asked, watcher, pass } = startWatcher();
    const runIds = startRuns(250);
    const told = watchAll(watcher, runIds, { background: true });
    await pass(20_000);
    const settled = asked.length;
    const ending = runIds.filter((_, index) => index % 25 === 3);
    const at = time.now();
    for (const runId of ending) sim.api().world.run(runId).complete();
    await pass(2_000);
    const ends = told.filter((one) => one.type === "finished");
    expect(ends.map((one) => one.runId).sort()).toEqual([...ending].sort());
    expect(Math.max(...ends.map((one) => one.at)) - at).toBeLessThanOrEqual(2_000);
    const lists = asked.slice(settled).filter((one) => one.path === "list").length;
    expect(lists).toBeGreaterThan(0);
    expect(lists).toBeLessThan(20);
  });

  it("are told of by the list alone when more have changed than can be looked at", async () => {
    const { watcher, pass } = startWatcher(4);
    const runIds = startRuns(80);
    const told = watchAll(watcher, runIds);
    await pass(40_000, 100);
    const at = time.now();
    for (const runId of runIds) sim.api().world.run(runId).turn();
    await pass(2_000);
    const turns = new Set(told.filter((one) => one.type === "turn" && one.at > at).map((one) => one.runId));
    expect(turns.size).toBe(80);
  });

  it("are told of by the list alone also before each of them could be looked at for the first time", async () => {
    const { asked, watcher, pass } = startWatcher(4);
    const runIds = startRuns(80);
    const told = watchAll(watcher, runIds);
    await pass(6_000, 100);
    const unasked = runIds.filter((runId) => !asked.some(({ path }) => path === runId));
    expect(unasked.length).toBeGreaterThan(40);
    const at = time.now();
    for (const runId of unasked) sim.api().world.run(runId).turn();
    await pass(3_000);
    const turns = new Set(told.filter((one) => one.type === "turn" && one.at > at).map((one) => one.runId));
    expect(turns.size).toBe(unasked.length);
  });

  it("come before those that nobody waits for", async () => {
    const { asked, watcher, pass } = startWatcher(4);
    const nobodys = startRuns(40);
    const waitedFor = startRuns(4);
    watchAll(watcher, nobodys, { background: true });
    watchAll(watcher, waitedFor);
    await pass(3_000);
    const firstOf = (runId: string) => asked.findIndex((one) => one.path === runId);
    const order = waitedFor.map(firstOf);
    expect(Math.min(...order)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...order)).toBeLessThan(10);
    await pass(20_000, 100);
    expect(nobodys.filter((runId) => firstOf(runId) < 0)).toEqual([]);
  });

  it("are looked at one by one where the list refuses", async () => {
    sim.api().fault({ path: "/runs" }, { status: 405, body: { detail: "Method Not Allowed" } });
    const { asked, watcher, pass } = startWatcher();
    const runIds = startRuns(5);
    const told = watchAll(watcher, runIds);
    await pass(2_000);
    sim
      .api()
      .world.run(runIds[2] as string)
      .complete();
    await pass(8_000);
    expect(told.filter((one) => one.type === "finished").map((one) => one.runId)).toEqual([runIds[2]]);
    expect(asked.filter((one) => one.path === "list")).toHaveLength(1);
  });

  it("are not left waiting when only two of them are left for the list", async () => {
    const { asked, watcher, pass } = startWatcher();
    const runIds = startRuns(3);
    const told = watchAll(watcher, runIds);
    await pass(10_000);
    sim
      .api()
      .world.run(runIds[0] as string)
      .complete();
    await pass(1_500);
    expect(told.filter((one) => one.type === "finished")).toHaveLength(1);
    const at = time.now();
    const before = asked.length;
    sim
      .api()
      .world.run(runIds[1] as string)
      .turn();
    await pass(1_500);
    expect(told.some((one) => one.type === "turn" && one.runId === runIds[1] && one.at > at)).toBe(true);
    expect(asked.slice(before).map((one) => one.path)).not.toContain("list");
  });

  it("get no request at all while the API has asked for a pause", async () => {
    const { asked, watcher, pass } = startWatcher();
    const runIds = startRuns(10);
    watchAll(watcher, runIds);
    await pass(3_000);
    sim.api().fault({}, { status: 429, headers: { "retry-after": "5" } }, 1);
    const before = asked.length;
    await pass(1_000);
    expect(asked.length).toBeGreaterThan(before);
    // Those that were out already may still come back.
    const held = asked.length;
    await pass(3_500);
    expect(asked.length).toBe(held);
    await pass(3_000);
    expect(asked.length).toBeGreaterThan(held);
  });

  it("go on being watched when the clock is set back by an hour", async () => {
    const { watcher, pass } = startWatcher();
    const runIds = startRuns(5);
    const told = watchAll(watcher, runIds);
    await pass(3_000);
    setBy = -3_600_000;
    await pass(61_000, 500);
    sim
      .api()
      .world.run(runIds[0] as string)
      .turn();
    sim
      .api()
      .world.run(runIds[1] as string)
      .complete();
    const at = time.now();
    await pass(2_000);
    expect(told.filter((one) => one.at > at && one.type === "turn").map((one) => one.runId)).toContain(
      runIds[0],
    );
    expect(told.filter((one) => one.type === "finished").map((one) => one.runId)).toEqual([runIds[1]]);
  });

  it("are not called stalled because the machine has slept for an hour", async () => {
    const { asked, watcher, pass } = startWatcher();
    const told = watchAll(watcher, startRuns(5));
    await pass(3_000);
    setBy = sleptMs = 3_600_000;
    const before = asked.length;
    await pass(10_000);
    expect(asked.length).toBeGreaterThan(before);
    expect(told.filter((one) => one.type === "stalled")).toEqual([]);
  });
});

describe("many runs of the public server, whose list shows no turns", () => {
  beforeAll(() => {
    profile = "automagik-0.6";
  });
  afterAll(() => {
    profile = "contract";
  });

  it("have their turns told by looking at each, and their ends by the list", async () => {
    const { asked, watcher, pass } = startWatcher();
    const runIds = startRuns(40);
    const told = watchAll(watcher, runIds);
    await pass(4_000);
    for (const runId of runIds) sim.api().world.run(runId).turn();
    await pass(6_000);
    const turns = new Set(told.filter((one) => one.type === "turn").map((one) => one.runId));
    expect(turns.size).toBe(40);
    const at = time.now();
    for (const runId of runIds.slice(0, 10)) sim.api().world.run(runId).complete();
    await pass(2_000);
    const ends = told.filter((one) => one.type === "finished" && one.at > at);
    expect(ends.map((one) => one.runId).sort()).toEqual(runIds.slice(0, 10).sort());
    expect(busiestSecond(asked)).toBeLessThanOrEqual(20);
  });
});
