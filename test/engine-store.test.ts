import * as fs from "node:fs";
import { appendFile, copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { applyChanges, changesBetween } from "../src/engine/store/json-changes.js";
import { runFileName } from "../src/engine/store/load-runs.js";
import {
  createRunStore,
  type RunStore,
  type RunStoreProblem,
  type StoredEvent,
} from "../src/engine/store/run-store.js";
import type { EngineRun } from "../src/engine/types.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { compileWorker } from "./engine-workers/compile.js";
import { runNamed } from "./engine-workers/stored-runs.js";
import { ended, linesOf } from "./state-workers/worker-processes.js";
import { createHandClock, type HandClock } from "./support/hand-clock.js";

// The real file system, in which a test can make two calls fail or wait.
vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, writeSync: vi.fn(real.writeSync), fsync: vi.fn(real.fsync) };
});

type Limits = Parameters<typeof createRunStore>[0]["limits"];

let folder: string;
let runsFolder: string;
let clock: HandClock;
let problems: RunStoreProblem[];
let stores: RunStore[];

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "engine-store-")), "engine");
  runsFolder = join(folder, "runs");
  clock = createHandClock();
  problems = [];
  stores = [];
});
afterEach(async () => {
  vi.mocked(fs.writeSync).mockReset();
  vi.mocked(fs.fsync).mockReset();
  await Promise.all(stores.map((store) => store.close()));
  await rm(join(folder, ".."), { recursive: true, force: true });
});

async function openStore(limits?: Limits, more: { clock?: Clock; at?: string } = {}): Promise<RunStore> {
  const store = createRunStore({
    folder: more.at ?? folder,
    clock: more.clock ?? clock,
    onProblem: (problem) => problems.push(problem),
    ...(limits ? { limits } : {}),
  });
  stores.push(store);
  await store.open();
  return store;
}

const pathOf = (runId: string) => join(runsFolder, runFileName(runId));
const linesIn = async (runId: string) => (await readFile(pathOf(runId), "utf8")).trimEnd().split("\n");
const turnEvent = (turn: number) => ({ type: "turn", data: { turn } });
const idsOf = (events: StoredEvent[]) => events.map((event) => event.id);

/** Saves turns of a run, waiting for none. */
async function saveTurns(store: RunStore, run: EngineRun, count: number): Promise<number[]> {
  const ids: number[] = [];
  for (let i = 0; i < count; i += 1) {
    run.turn += 1;
    ids.push((await store.save(run, turnEvent(run.turn), "soon"))?.id ?? 0);
  }
  return ids;
}

/** A store on a copy of the files as they are now: what a killed engine leaves. */
async function openAfterKill(limits?: Limits): Promise<RunStore> {
  const at = `${folder}-after-kill-${stores.length}`;
  // In one go, as a kill stops everything at one moment.
  fs.cpSync(folder, at, { recursive: true });
  return openStore(limits, { at });
}

describe("the engine's store", () => {
  it("knows nothing at first", async () => {
    const store = await openStore();
    expect(store.all()).toEqual([]);
    expect(store.get("r")).toBeUndefined();
    expect(store.newestEventId()).toBe(0);
    expect(store.eventsAfter(0)).toEqual({ events: [], gap: false });
    expect(store.eventsAfter(0, "r")).toEqual({ events: [], gap: false });
  });

  it("creates nothing before it is opened, and files that only their owner can read", async () => {
    createRunStore({ folder, clock });
    await expect(stat(folder)).rejects.toThrow("ENOENT");
    const store = await openStore();
    await store.save(runNamed("r"), turnEvent(0));
    const modes = await Promise.all(
      [runsFolder, pathOf("r"), join(runsFolder, "numbers.json")].map(
        async (path) => (await stat(path)).mode,
      ),
    );
    expect(modes.map((mode) => (mode & 0o777).toString(8))).toEqual(["700", "600", "600"]);
  });

  it("gives a run back whole after a restart, under whatever id", async () => {
    const store = await openStore();
    const full = runNamed("9b2f7c1e-7a61-4b8e-9d55-000000000001", {
      startedAt: 2,
      currentAction: "Bash: npm test",
      result: "Überarbeitung 🚀\nfertig",
      toolsUsed: ["Bash"],
      queue: { added: 1, consumed: 0, waiting: [{ id: "m", type: "user", content: "x", addedAt: 3 }] },
      agentProcess: { pid: 7, startedAt: "123" },
    });
    const odd = runNamed("../../etc/passwd");
    await store.save(full);
    await store.save(odd);
    await store.close();
    const reopened = await openStore();
    expect(reopened.get(full.runId)).toEqual(full);
    expect(reopened.get(odd.runId)).toEqual(odd);
    expect((await readdir(runsFolder)).length).toBe(3);
    expect(problems).toEqual([]);
  });

  it("lists the newest run first, before and after a restart", async () => {
    const store = await openStore();
    for (const [runId, createdAt] of [
      ["a", 2],
      ["b", 3],
      ["c", 1],
      ["d", 3],
    ] as const) {
      await store.save(runNamed(runId, { createdAt }), turnEvent(0));
    }
    const names = (of: RunStore) => of.all().map((run) => run.runId);
    expect(names(store)).toEqual(["d", "b", "a", "c"]);
    await store.close();
    expect(names(await openStore())).toEqual(["d", "b", "a", "c"]);
  });

  it("gives out the live run, and writes down only what was saved", async () => {
    const store = await openStore();
    const run = runNamed("r");
    const saving = store.save(run, turnEvent(0));
    run.turn = 5;
    await saving;
    expect(store.get("r")).toBe(run);
    expect(store.all()[0]).toBe(run);
    expect((await openAfterKill()).get("r")?.turn).toBe(0);
    const other = { ...run, turn: 6 };
    await store.save(other);
    expect(store.get("r")).toBe(other);
    expect((await openAfterKill()).get("r")?.turn).toBe(6);
  });

  it("writes nothing when nothing has changed", async () => {
    const store = await openStore();
    const run = runNamed("r");
    await store.save(run);
    const before = await readFile(pathOf("r"));
    expect(await store.save(structuredClone(run))).toBeUndefined();
    expect(await readFile(pathOf("r"))).toEqual(before);
  });

  it("writes what a turn has changed and not the run again", async () => {
    const store = await openStore();
    const run = runNamed("r", { result: "x".repeat(200_000) });
    run.filesChanged = Array.from({ length: 500 }, (_, i) => `src/file-${i}.ts`);
    await store.save(run);
    const before = (await stat(pathOf("r"))).size;
    for (let turn = 1; turn <= 200; turn += 1) {
      run.turn = turn;
      run.filesChanged.push(`src/new-${turn}.ts`);
      run.tokens.input += 10;
      await store.save(run, turnEvent(turn), "soon");
    }
    expect((await stat(pathOf("r"))).size - before).toBeLessThan(200 * 300);
    expect((await openAfterKill()).get("r")).toEqual(run);
  });

  it("comes back as it was through any changes", async () => {
    const store = await openStore();
    const run = runNamed("r") as EngineRun & Record<string, unknown>;
    const pick = <T>(...of: T[]) => of[Math.floor(Math.random() * of.length)] as T;
    for (let i = 0; i < 150; i += 1) {
      const change = pick(0, 1, 2, 3, 4, 5);
      if (change === 0) run.turn += 1;
      if (change === 1) run.queue.waiting.push({ id: `m${i}`, type: "user", content: "hm", addedAt: i });
      if (change === 2) run.queue.waiting.shift();
      if (change === 3) run.currentAction = `Edit ${i}`;
      if (change === 4) delete run.currentAction;
      if (change === 5) run.later = pick<unknown>(null, [], [[i]], { a: { b: [i] } }, "", { a: {} });
      const waiting = run.queue.waiting[0];
      if (waiting && i % 3 === 0) waiting.writtenAt = i;
      await store.save(run, undefined, "soon");
      if (i % 15 === 0) expect((await openAfterKill()).get("r")).toEqual(run);
    }
    expect((await openAfterKill()).get("r")).toEqual(run);
  });

  it("refuses a run that could not be read back, and stays as it was", async () => {
    const store = await openStore();
    const run = runNamed("r");
    await store.save(run, turnEvent(0));
    const before = await readFile(pathOf("r"));
    await expect(store.save({ ...run, costUsd: Number.NaN })).rejects.toThrow("wrong type: costUsd");
    await expect(store.save({ ...run, status: "odd" as "failed" })).rejects.toThrow(TypeError);
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    await expect(store.save(run, { type: "turn", data: circular })).rejects.toThrow(TypeError);
    expect(store.get("r")).toBe(run);
    expect(await readFile(pathOf("r"))).toEqual(before);
  });

  it("refuses everything before it is opened and after it was closed", async () => {
    const store = createRunStore({ folder, clock });
    expect(() => store.all()).toThrow("not open");
    await expect(store.save(runNamed("r"))).rejects.toThrow("not open");
    await store.open();
    const saving = store.save(runNamed("r"));
    await Promise.all([store.close(), store.close()]);
    await saving;
    expect(() => store.get("r")).toThrow("closed");
    await expect(store.save(runNamed("r"))).rejects.toThrow("closed");
    await expect(store.open()).rejects.toThrow("closed");
    expect(clock.pending()).toBe(0);
  });

  it("says so when the folder cannot be used", async () => {
    await writeFile(folder, "a file where the folder should be");
    await expect(openStore()).rejects.toThrow(/cannot be used \(E\w+\)/);
  });
});

describe("events", () => {
  it("are numbered upwards over all runs and over restarts", async () => {
    const ids: number[] = [];
    for (let restart = 0; restart < 3; restart += 1) {
      const store = await openStore();
      for (const runId of ["a", "b", "a"]) {
        const run = store.get(runId) ?? runNamed(runId);
        ids.push(...(await saveTurns(store, run, 2)));
        expect(store.newestEventId()).toBe(ids.at(-1));
      }
      await store.close();
    }
    expect(ids).toEqual(Array.from({ length: 18 }, (_, i) => i + 1));
  });

  it("hold what happened, when and to which run", async () => {
    const store = await openStore();
    const data = { question_id: "q", nested: [1] };
    const event = await store.save(runNamed("r"), { type: "question", data });
    expect(event).toEqual({ id: 1, runId: "r", at: clock.now(), type: "question", data });
    data.nested.push(2);
    expect(store.eventsAfter(0).events[0]).toEqual(event);
    await store.close();
    expect((await openStore()).eventsAfter(0).events).toEqual([event]);
  });

  it("resume after any number, of one run or of all, also after a restart", async () => {
    let store = await openStore();
    const [a, b] = [runNamed("a"), runNamed("b")];
    const ofA: number[] = [];
    for (let i = 0; i < 20; i += 1) {
      ofA.push(...(await saveTurns(store, a, 2)));
      await saveTurns(store, b, 1);
    }
    a.status = "completed";
    ofA.push((await store.save(a, { type: "finished", data: {} }))?.id ?? 0);
    const check = () => {
      for (let id = 0; id <= 61; id += 1) {
        const all = store.eventsAfter(id);
        expect(idsOf(all.events)).toEqual(Array.from({ length: 61 - id }, (_, i) => id + 1 + i));
        const one = store.eventsAfter(id, "a");
        expect(idsOf(one.events)).toEqual(ofA.filter((each) => each > id));
        expect([all.gap, one.gap]).toEqual([false, false]);
      }
    };
    check();
    const afterKill = await openAfterKill();
    await store.close();
    store = await openStore();
    check();
    store = afterKill;
    check();
  });

  it("are kept in memory up to a limit; older ones of one run come from its file", async () => {
    const store = await openStore({ eventsInMemory: 10 });
    const [a, b] = [runNamed("a"), runNamed("b")];
    await saveTurns(store, a, 30);
    await saveTurns(store, b, 5);
    expect(store.eventsAfter(25)).toMatchObject({ gap: false });
    expect(idsOf(store.eventsAfter(25).events)).toEqual([26, 27, 28, 29, 30, 31, 32, 33, 34, 35]);
    expect(store.eventsAfter(24).gap).toBe(true);
    expect(idsOf(store.eventsAfter(3, "a").events)).toEqual(Array.from({ length: 27 }, (_, i) => i + 4));
    expect(store.eventsAfter(3, "a").gap).toBe(false);
    expect(idsOf(store.eventsAfter(0, "b").events)).toEqual([31, 32, 33, 34, 35]);
    const bytes = await openStore({ eventBytesInMemory: 1_000 }, { at: `${folder}-bytes` });
    for (let i = 0; i < 10; i += 1)
      await bytes.save(runNamed("r"), { type: "x", data: "y".repeat(400) }, "soon");
    expect(bytes.eventsAfter(0)).toMatchObject({ gap: true });
    expect(bytes.eventsAfter(8).gap).toBe(false);
    expect(bytes.eventsAfter(8).events).toHaveLength(2);
  });

  it("begin in memory where they are whole after a restart with more of them than fit", async () => {
    const store = await openStore();
    for (let i = 0; i < 30; i += 1) {
      await saveTurns(store, runNamed(`r${i}`, { status: "completed" }), 3);
      await saveTurns(store, runNamed("long"), 1);
    }
    await store.close();
    const reopened = await openStore({ eventsInMemory: 40 });
    const complete = Array.from({ length: 121 }, (_, id) => id).filter((id) => !reopened.eventsAfter(id).gap);
    expect(complete.length).toBeGreaterThan(35);
    for (const id of complete) {
      const ids = idsOf(reopened.eventsAfter(id).events);
      expect(ids).toEqual(Array.from({ length: 120 - id }, (_, i) => id + 1 + i));
    }
  });

  it("begin in memory right after the last one that was not read", async () => {
    const store = await openStore();
    for (let i = 0; i < 50; i += 1) await saveTurns(store, runNamed(`r${i}`), 1);
    await store.close();
    const reopened = await openStore({ eventsInMemory: 40 });
    expect(reopened.eventsAfter(9).gap).toBe(true);
    expect(reopened.eventsAfter(10).gap).toBe(false);
    expect(reopened.eventsAfter(10).events).toHaveLength(40);
    expect(idsOf(reopened.eventsAfter(0, "r3").events)).toEqual([4]);
  });

  it("of a run are kept up to a limit when its file is rewritten, and the gap is told", async () => {
    const limits = { eventsPerRun: 10, eventsInMemory: 5 };
    let store = await openStore(limits);
    const run = runNamed("r");
    await saveTurns(store, run, 30);
    run.status = "completed";
    await store.save(run, { type: "finished", data: {} });
    await store.close();
    expect(await linesIn("r")).toHaveLength(11);
    store = await openStore(limits);
    expect(store.eventsAfter(21, "r").gap).toBe(false);
    expect(idsOf(store.eventsAfter(21, "r").events)).toEqual([22, 23, 24, 25, 26, 27, 28, 29, 30, 31]);
    expect(store.eventsAfter(20, "r").gap).toBe(true);
  });

  it("after a number that this store never gave are a gap", async () => {
    const store = await openStore();
    await saveTurns(store, runNamed("r"), 3);
    expect(store.eventsAfter(4)).toEqual({ events: [], gap: true });
    // A power failure took what a client had seen already.
    const afterCrash = await openAfterKill();
    const [next = 0] = await saveTurns(afterCrash, afterCrash.get("r") ?? runNamed("r"), 1);
    expect(next).toBeGreaterThan(4);
    expect(afterCrash.eventsAfter(3).gap).toBe(false);
    expect(afterCrash.eventsAfter(4).gap).toBe(true);
    expect(idsOf(afterCrash.eventsAfter(4).events)).toEqual([next]);
  });

  it("reach every listener in order, before the save is over", async () => {
    const store = await openStore();
    const [seen, others]: [string[], number[]] = [[], []];
    const run = runNamed("r");
    const stop = store.subscribe((event, of) => {
      seen.push(`${event.type} ${event.id} ${of.turn}`);
      // Saves from within do not overtake what the others have not seen yet.
      if (event.type === "turn") void store.save(run, { type: "echo", data: {} }, "soon");
      if (event.type === "turn") throw new Error("not my day");
    });
    store.subscribe((event) => others.push(event.id));
    run.turn = 4;
    void store.save(run, turnEvent(4));
    void store.save(run);
    expect(seen).toEqual(["turn 1 4", "echo 2 4"]);
    stop();
    stop();
    await store.save(run, turnEvent(4));
    expect(seen).toHaveLength(2);
    expect(others).toEqual([1, 2, 3]);
    expect(problems).toEqual([{ kind: "listener", message: "A listener for events failed: not my day" }]);
  });

  it("cannot be changed by those who get them", async () => {
    const store = await openStore();
    const event = await store.save(runNamed("r"), { type: "x", data: { list: [1] } });
    const { list } = event!.data as { list: number[] };
    expect(() => list.push(2)).toThrow(TypeError);
  });
});

describe("durability", () => {
  /** Holds every sync of a file back; gives what lets them go on. */
  function holdSyncs() {
    const held: (() => void)[] = [];
    vi.mocked(fs.fsync).mockImplementation((_fd, done) => void held.push(() => done?.(null)));
    return held;
  }

  it("`now` waits for the disk, and saves at once share a sync", async () => {
    const store = await openStore();
    const run = runNamed("r");
    await store.save(run);
    const held = holdSyncs();
    const done: string[] = [];
    const first = store.save(run, turnEvent(0)).then(() => done.push("first"));
    await vi.waitFor(() => expect(held).toHaveLength(1));
    // These were written after that sync had begun, so it does not count for them.
    const later = [1, 2, 3].map((turn) => store.save(run, turnEvent(turn)).then(() => done.push(`${turn}`)));
    await store.save(run, turnEvent(4), "soon");
    expect(done).toEqual([]);
    held[0]?.();
    await first;
    await vi.waitFor(() => expect(held).toHaveLength(2));
    expect(done).toEqual(["first"]);
    held[1]?.();
    await Promise.all(later);
    expect(held).toHaveLength(2);
  });

  it("`soon` is brought onto the disk together within 200 ms", async () => {
    const store = await openStore();
    const [a, b] = [runNamed("a"), runNamed("b")];
    await store.save(a);
    await store.save(b);
    clock.advance(200);
    const held = holdSyncs();
    await saveTurns(store, a, 20);
    await saveTurns(store, b, 20);
    clock.advance(199);
    expect(held).toHaveLength(0);
    clock.advance(1);
    await vi.waitFor(() => expect(held).toHaveLength(2));
    vi.mocked(fs.fsync).mockReset();
    for (const go of held) go();
  });

  it("closing brings the rest onto the disk", async () => {
    const store = await openStore();
    await saveTurns(store, runNamed("r"), 1);
    const held = holdSyncs();
    let closed = false;
    const closing = store.close().then(() => {
      closed = true;
    });
    await vi.waitFor(() => expect(held).toHaveLength(1));
    expect(closed).toBe(false);
    held[0]?.();
    await closing;
  });
});

describe("a disk that fails", () => {
  const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
  const fillDisk = () =>
    vi.mocked(fs.writeSync).mockImplementation(() => {
      throw full;
    });

  it("does not take a new run", async () => {
    const store = await openStore();
    await store.save(runNamed("first"), turnEvent(0));
    fillDisk();
    await expect(store.save(runNamed("r"), turnEvent(0), "soon")).rejects.toThrow(
      "(ENOSPC). It is not kept.",
    );
    expect(store.get("r")).toBeUndefined();
    expect(await readdir(runsFolder)).not.toContain(runFileName("r"));
    vi.mocked(fs.writeSync).mockReset();
    await store.save(runNamed("r"), turnEvent(0));
    expect((await openAfterKill()).get("r")?.turn).toBe(0);
  });

  it("lets a known run go on, is told once, and gets everything when it works again", async () => {
    const store = await openStore();
    const run = runNamed("r");
    await saveTurns(store, run, 2);
    const heard: number[] = [];
    store.subscribe((event) => heard.push(event.id));
    fillDisk();
    await saveTurns(store, run, 2);
    run.toolsUsed.push("Bash");
    await expect(store.save(run, turnEvent(5))).rejects.toThrow("could not be written (ENOSPC)");
    expect(heard).toEqual([3, 4, 5]);
    expect(idsOf(store.eventsAfter(0).events)).toEqual([1, 2, 3, 4, 5]);
    expect(problems.map((problem) => problem.kind)).toEqual(["unwritable"]);
    expect((await openAfterKill()).get("r")?.turn).toBe(2);
    vi.mocked(fs.writeSync).mockReset();
    await store.save(run, turnEvent(6));
    const after = await openAfterKill();
    expect(after.get("r")).toEqual(run);
    // What was never written is a gap for those who have not seen it.
    expect(after.eventsAfter(2, "r").gap).toBe(true);
    expect(after.eventsAfter(5, "r")).toMatchObject({ gap: false, events: [{ id: 6 }] });
    expect(problems).toHaveLength(1);
  });

  it("gets a run's end without another save", async () => {
    const store = await openStore();
    const run = runNamed("r");
    await store.save(run);
    fillDisk();
    run.status = "failed";
    await store.save(run, { type: "finished", data: {} }, "soon");
    vi.mocked(fs.writeSync).mockReset();
    clock.advance(10_000);
    await vi.waitFor(async () => expect(await linesIn("r")).toHaveLength(1));
    await vi.waitFor(async () => expect((await openAfterKill()).get("r")).toEqual(run));
  });

  it("leaves no half line behind when it takes only a part", async () => {
    const store = await openStore();
    const run = runNamed("r");
    await saveTurns(store, run, 1);
    const before = await readFile(pathOf("r"));
    const { writeSync } = await vi.importActual<typeof import("node:fs")>("node:fs");
    vi.mocked(fs.writeSync)
      .mockImplementationOnce(((
        fd: number,
        bytes: Buffer,
        offset: number,
        _length: number,
        position: number,
      ) => writeSync(fd, bytes, offset, 10, position)) as typeof fs.writeSync)
      .mockImplementationOnce(() => {
        throw full;
      });
    await expect(store.save(run, turnEvent(2))).rejects.toThrow("ENOSPC");
    expect(await readFile(pathOf("r"))).toEqual(before);
  });

  it("that cannot sync fails the save, and the file is written anew", async () => {
    const store = await openStore();
    const run = runNamed("r");
    await store.save(run);
    vi.mocked(fs.fsync).mockImplementationOnce((_fd, done) =>
      done?.(Object.assign(new Error("io"), { code: "EIO" })),
    );
    await expect(store.save(run, turnEvent(1))).rejects.toThrow("(EIO)");
    const { ino } = await stat(pathOf("r"));
    clock.advance(10_000);
    await vi.waitFor(async () => expect((await stat(pathOf("r"))).ino).not.toBe(ino));
    expect((await openAfterKill()).eventsAfter(0).events).toHaveLength(1);
  });
});

describe("damage", () => {
  /** Two runs with three turns each, and the bytes of the first one's file. */
  async function twoRuns(): Promise<Buffer> {
    const store = await openStore();
    const [a, b] = [runNamed("a"), runNamed("b")];
    for (let i = 0; i < 3; i += 1) {
      await saveTurns(store, a, 1);
      await saveTurns(store, b, 1);
    }
    await store.close();
    return readFile(pathOf("a"));
  }

  it("at any place of an unfinished line costs that line only", async () => {
    const bytes = await twoRuns();
    const ends = [...bytes.entries()].filter(([, byte]) => byte === 10).map(([index]) => index + 1);
    const lastLine = (ends.at(-2) ?? 0) - 1;
    for (
      let size = lastLine;
      size < bytes.length;
      size += size < bytes.length - 3 && size > lastLine + 3 ? 9 : 1
    ) {
      await writeFile(pathOf("a"), bytes.subarray(0, size));
      problems = [];
      const store = await openStore();
      const torn = size < ends[1]! ? 1 : 2;
      expect(store.get("a")?.turn, `${size} bytes`).toBe(torn);
      expect(problems).toHaveLength(size === ends[1] ? 0 : 1);
      const [id = 0] = await saveTurns(store, store.get("a")!, 1);
      expect(id).toBeGreaterThan(6);
      await store.close();
      problems = [];
      expect((await openStore()).get("a")?.turn).toBe(torn + 1);
      expect(problems).toEqual([]);
      await stores.at(-1)?.close();
    }
  });

  it.each([
    ["zeros", Buffer.alloc(5_000)],
    ["garbage", Buffer.from([0xff, 0xfe, 10, 10, 7, 10, 0x7b])],
    ["JSON that is no line", Buffer.from('{"a":1}\n[]\nnull\n{"event":{"id":1,"type":"old"}}\n7\n')],
  ])("at the end is cut off: %s", async (_name, tail) => {
    const bytes = await twoRuns();
    await appendFile(pathOf("a"), tail);
    const store = await openStore();
    // One that changes nothing and says nothing counts as a line.
    expect(store.get("a")?.turn).toBe(3);
    expect(idsOf(store.eventsAfter(0).events)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(problems.map((problem) => problem.message)).toEqual([
      "The last entry of run a was not complete and was cut off.",
    ]);
    await saveTurns(store, store.get("a")!, 1);
    await store.close();
    expect((await readFile(pathOf("a"))).subarray(0, bytes.length)).toEqual(bytes);
    expect((await openStore()).get("a")?.turn).toBe(4);
    expect(problems).toHaveLength(1);
  });

  it("in the middle costs what it hit; the file as found is kept, and the gap is told", async () => {
    const bytes = await twoRuns();
    const middle = bytes.indexOf(10) + 5;
    bytes.fill(0, middle, middle + 10);
    await writeFile(pathOf("a"), bytes);
    const store = await openStore();
    expect(store.get("a")?.turn).toBe(3);
    expect(idsOf(store.eventsAfter(4, "a").events)).toEqual([5]);
    expect(store.eventsAfter(4, "a").gap).toBe(false);
    expect(store.eventsAfter(1, "a").gap).toBe(true);
    expect(store.eventsAfter(1).gap).toBe(true);
    expect(problems).toMatchObject([
      { kind: "damaged", message: expect.stringContaining("run a were damaged") },
    ]);
    const [kept = ""] = await readdir(join(runsFolder, "damaged"));
    expect(await readFile(join(runsFolder, "damaged", kept))).toEqual(bytes);
    await store.close();
    expect((await openStore()).eventsAfter(1, "a").gap).toBe(true);
    expect(problems).toHaveLength(1);
  });

  it("of a whole file sets it aside, and the others are there", async () => {
    await twoRuns();
    await writeFile(pathOf("a"), "not a run at all\n");
    await copyFile(pathOf("b"), pathOf("copy of b"));
    await fs.promises.mkdir(pathOf("a folder"));
    await fs.promises.symlink(pathOf("b"), pathOf("a link"));
    const store = await openStore();
    expect(store.all().map((run) => run.runId)).toEqual(["b"]);
    expect(problems.map((problem) => problem.kind)).toEqual(["damaged", "damaged", "damaged", "damaged"]);
    expect(problems.some((problem) => problem.message.includes(folder))).toBe(false);
    expect(await readdir(join(runsFolder, "damaged"))).toHaveLength(4);
    await store.save(runNamed("a"));
  });

  it("does not mean what a kill leaves while a file is created or rewritten", async () => {
    await twoRuns();
    for (const [index, text] of ["", '{"v"', '{"v":1,"run":{"runId":"x"'].entries()) {
      await writeFile(pathOf(`begun ${index}`), text);
    }
    await writeFile(`${pathOf("a")}.tmp`, "half");
    const store = await openStore();
    expect(store.all()).toHaveLength(2);
    expect(problems).toEqual([]);
    expect((await readdir(runsFolder)).sort()).toEqual(
      [runFileName("a"), runFileName("b"), "numbers.json"].sort(),
    );
  });

  it("is not what a newer release has written: that is left as it is", async () => {
    await twoRuns();
    await writeFile(pathOf("a"), '{"v":2,"something":"else"}\n');
    const store = await openStore();
    expect(store.get("a")).toBeUndefined();
    expect(problems.map((problem) => problem.kind)).toEqual(["newer-version"]);
    await expect(store.save(runNamed("a"))).rejects.toThrow("EEXIST");
    expect(await readFile(pathOf("a"), "utf8")).toContain('"v":2');
  });

  it.each([["missing"], ["damaged"]])("of the numbers: %s, none is given twice", async (how) => {
    await twoRuns();
    const numbers = join(runsFolder, "numbers.json");
    await (how === "missing" ? rm(numbers) : writeFile(numbers, "{"));
    const store = await openStore();
    expect(problems.map((problem) => problem.kind)).toEqual(["damaged"]);
    expect(store.eventsAfter(6).gap).toBe(false);
    expect(store.eventsAfter(5).gap).toBe(true);
    const [id = 0] = await saveTurns(store, store.get("a")!, 1);
    expect(id).toBeGreaterThan(6);
    await store.close();
    expect((await saveTurns(await openStore(), runNamed("c"), 1))[0]).toBe(id + 1);
  });
});

describe("rewriting", () => {
  it("leaves one line and the events when a run has ended, and later saves still count", async () => {
    const store = await openStore();
    const run = runNamed("r");
    await saveTurns(store, run, 50);
    Object.assign(run, { status: "completed", endedAt: 5, result: "ü".repeat(100_000) });
    await store.save(run, { type: "finished", data: {} });
    clock.advance(1_000);
    await vi.waitFor(async () => expect((await linesIn("r"))[0]).toContain('"completed"'));
    expect(await linesIn("r")).toHaveLength(52);
    expect((await stat(pathOf("r"))).mode & 0o777).toBe(0o600);
    run.workspaceRemoved = true;
    await store.save(run, { type: "cleanup", data: {} });
    for (const of of [store, await openAfterKill()]) {
      expect(of.get("r")).toEqual(run);
      expect(of.eventsAfter(0, "r").events).toHaveLength(52);
    }
    await store.close();
    expect(await linesIn("r")).toHaveLength(53);
    expect((await openStore()).get("r")).toEqual(run);
  });

  it("loses nothing that is saved meanwhile", async () => {
    const store = await openStore({ rewriteAfterBytes: 3_000 }, { clock: systemClock });
    const run = runNamed("r");
    // The first line of each rewriting names another event.
    const rewritings = new Set<string>();
    for (let turn = 1; rewritings.size < 5 || turn % 50 !== 1; turn += 1) {
      run.turn = turn;
      const saving = store.save(run, turnEvent(turn), turn % 7 === 0 ? "now" : "soon");
      if (turn % 20 === 0) await saving;
      if (turn % 50 !== 0) continue;
      rewritings.add(/"lastEventId":\d+/.exec((await linesIn("r"))[0] ?? "")?.[0] ?? "");
      const afterKill = await openAfterKill();
      expect(afterKill.get("r")?.turn).toBe(turn);
      expect(afterKill.eventsAfter(Math.max(0, turn - 1_500), "r")).toMatchObject({ gap: false });
      expect(afterKill.eventsAfter(0, "r").events.length).toBeGreaterThanOrEqual(Math.min(turn, 2_000));
      await afterKill.close();
    }
    expect(problems).toEqual([]);
  });

  it("is caught up on after a kill between the end and the rewriting", async () => {
    const store = await openStore();
    const run = runNamed("r");
    await saveTurns(store, run, 5);
    run.status = "killed";
    await store.save(run, { type: "finished", data: {} });
    const after = await openAfterKill();
    clock.advance(0);
    await after.close();
    const reopened = await openStore(undefined, { at: `${folder}-after-kill-1` });
    expect(reopened.get("r")).toEqual(run);
    const text = await readFile(join(`${folder}-after-kill-1`, "runs", runFileName("r")), "utf8");
    expect(text.split("\n")[0]).toContain('"killed"');
  });
});

describe("pruning", () => {
  const day = 24 * 60 * 60 * 1000;

  /** Prunes once a day, the last one included. Gives what was removed. */
  async function pruneDaily(store: RunStore, from: number, through: number): Promise<string[]> {
    const removed: string[] = [];
    for (let number = from; number <= through; number += 1)
      removed.push(...(await store.prune(number * day)));
    return removed;
  }

  it("removes nothing that ended today when the clock is set ahead, and what is old when it is right again", async () => {
    let store = await openStore();
    await store.save(runNamed("today", { status: "completed", endedAt: 100 * day }), turnEvent(0));
    await store.prune(100 * day);
    for (const ahead of [31, 400, 10_000]) {
      expect(await store.prune((100 + ahead) * day)).toEqual([]);
      await store.close();
      store = await openStore();
    }
    expect(await pruneDaily(store, 100, 126)).toEqual([]);
    expect(await pruneDaily(store, 127, 127)).toEqual(["today"]);
  });

  it("removes ended runs of more than 30 days, and those beyond the newest 1,000, never running ones", async () => {
    const store = await openStore({ endedRuns: 3 });
    const now = 100 * day;
    const runs = [
      runNamed("running", { createdAt: 0 }),
      runNamed("pending", { createdAt: 0, status: "pending" }),
      runNamed("day 69", { createdAt: 0, status: "failed", endedAt: 69.9 * day }),
      runNamed("day 71", { createdAt: 0, status: "killed", endedAt: 71 * day }),
      runNamed("day 99", { createdAt: 0, status: "completed", endedAt: 99 * day }),
    ];
    for (const run of runs) await store.save(run, turnEvent(0));
    expect(await pruneDaily(store, 69, 98)).toEqual([]);
    expect(await pruneDaily(store, 99, 100)).toEqual(["day 69"]);
    expect(await store.prune(now)).toEqual([]);
    for (const name of ["x", "y"]) {
      await store.save(runNamed(name, { status: "completed", endedAt: 98 * day }), turnEvent(0));
    }
    expect(await store.prune(now)).toEqual(["day 71"]);
    const left = ["day 99", "pending", "running", "x", "y"];
    expect(
      store
        .all()
        .map((run) => run.runId)
        .sort(),
    ).toEqual(left);
    await store.close();
    const reopened = await openStore();
    expect(
      reopened
        .all()
        .map((run) => run.runId)
        .sort(),
    ).toEqual(left);
    expect((await readdir(runsFolder)).length).toBe(left.length + 2);
  });

  it("is told as a gap, and frees no number", async () => {
    let store = await openStore();
    await saveTurns(store, runNamed("a"), 2);
    await saveTurns(store, runNamed("b", { status: "completed", endedAt: 0 }), 3);
    await pruneDaily(store, 1, 30);
    for (let restarts = 0; restarts < 2; restarts += 1) {
      expect(store.newestEventId()).toBe(5);
      expect(store.eventsAfter(4)).toEqual({ events: [], gap: true });
      expect(store.eventsAfter(4, "b")).toEqual({ events: [], gap: true });
      expect(store.eventsAfter(5)).toEqual({ events: [], gap: false });
      expect(idsOf(store.eventsAfter(0, "a").events)).toEqual([1, 2]);
      await store.close();
      store = await openStore();
    }
    expect(await saveTurns(store, runNamed("c"), 1)).toEqual([6]);
  });

  it("in the middle of a rewriting leaves nothing", async () => {
    const store = await openStore();
    await store.save(runNamed("r", { status: "completed", endedAt: 0 }), turnEvent(0));
    await pruneDaily(store, 1, 29);
    clock.advance(1_000);
    expect(await store.prune(30 * day)).toEqual(["r"]);
    await store.close();
    expect((await readdir(runsFolder)).sort()).toEqual(["days.json", "numbers.json"]);
    expect(problems).toEqual([]);
  });
});

describe("changes", () => {
  it("are refused where they do not fit", () => {
    expect(applyChanges({ list: [1] }, [[["list", 2], 3]])).toBe(false);
    expect(applyChanges({ list: [1] }, [[["list", 0]]])).toBe(false);
    expect(applyChanges({}, [[["a", "b"], 3]])).toBe(false);
    expect(applyChanges({}, [[["__proto__"], {}]])).toBe(false);
    expect(applyChanges({}, [[["toString", "x"], 1]])).toBe(false);
  });

  it("say only what differs", () => {
    const before = { a: 1, gone: 2, list: [1, { b: 1 }], queue: [1, 2], none: undefined };
    const after = { a: 1, list: [1, { b: 2 }, 3], queue: [2], none: undefined };
    expect(changesBetween(before, after)).toEqual([
      [["gone"]],
      [["list", 1, "b"], 2],
      [["list", 2], 3],
      [["queue"], [2]],
    ]);
  });
});

describe("kills in the midst of writing", () => {
  const LANES = 2;
  const KILLS = 50;
  let worker: ReturnType<typeof compileWorker>;
  beforeAll(() => {
    worker = compileWorker("save-until-killed");
  });
  afterAll(() => worker.dispose());

  it("lose nothing that was acknowledged, and events keep their order, over 100 of them", async () => {
    let [saves, cut, rewritings] = [0, 0, 0];
    const lane = async (number: number) => {
      const at = `${folder}-lane-${number}`;
      const acknowledged = new Map<string, { turn: number; ids: number[] }>();
      let newest = 0;
      for (let round = 0; round < KILLS; round += 1) {
        const process = worker.start(at, `${round}`);
        const lines = linesOf(process);
        const found = JSON.parse((await lines.next()).value as string) as {
          newest: number;
          runs: { runId: string; turn: number; eventTurn: number }[];
          problems: string[];
        };
        expect(found.newest).toBeGreaterThanOrEqual(newest);
        for (const { runId, turn, eventTurn } of found.runs) {
          // State and event came together.
          expect(eventTurn, runId).toBe(turn);
          expect(turn, runId).toBeGreaterThanOrEqual(acknowledged.get(runId)?.turn ?? 0);
        }
        for (const problem of found.problems) expect(problem).toMatch(/was not complete and was cut off/);
        cut += found.problems.length;
        const enough = 1 + Math.floor(Math.random() * 60);
        for (let seen = 0; ; seen += 1) {
          if (seen === enough) process.kill("SIGKILL");
          // What it had still told before it died counts as well.
          const { value, done } = await lines.next();
          if (done) break;
          const saved = JSON.parse(value) as { runId: string; turn: number; id: number };
          expect(saved.id).toBeGreaterThan(newest);
          newest = saved.id;
          const run = acknowledged.get(saved.runId) ?? { turn: 0, ids: [] };
          acknowledged.set(saved.runId, { turn: saved.turn, ids: [...run.ids, saved.id] });
          saves += 1;
        }
        expect(await ended(process)).toBeNull();
        if ((await readdir(join(at, "runs"))).some((name) => name.endsWith(".jsonl.tmp"))) rewritings += 1;
      }
      const store = await openStore(undefined, { at });
      for (const [runId, { turn, ids }] of acknowledged) {
        expect(store.get(runId)?.turn, runId).toBeGreaterThanOrEqual(turn);
        const { events, gap } = store.eventsAfter(0, runId);
        expect(gap).toBe(false);
        expect(idsOf(events)).toEqual(expect.arrayContaining(ids));
        expect(events.map((event) => (event.data as { turn: number }).turn)).toEqual(
          events.map((_, i) => i + 1),
        );
      }
      expect((await readdir(join(at, "runs"))).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    };
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    // The test is worth something only if the kills hit writes.
    expect(rewritings).toBeGreaterThan(0);
    expect(saves).toBeGreaterThan(1_000);
    measured(
      `${LANES * KILLS} kills in ${saves} acknowledged saves, ${cut} within a line, ${rewritings} within a rewriting`,
    );
  }, 180_000);
});

describe("speed", () => {
  it("is measured: saves, and opening 1,000 ended runs", async () => {
    const store = await openStore();
    const runs = Array.from({ length: 1_000 }, (_, i) =>
      runNamed(`r${i}`, { createdAt: i, result: "x".repeat(3_000) }),
    );
    let began = performance.now();
    for (const run of runs) await saveTurns(store, run, 20);
    measured(`20,000 saves "soon" over 1,000 runs: ${rate(20_000, began)}`);
    for (const run of runs) {
      run.status = "completed";
      await store.save(run, { type: "finished", data: {} }, "soon");
    }
    began = performance.now();
    await store.close();
    measured(`closing, 1,000 files rewritten: ${Math.round(performance.now() - began)} ms`);
    began = performance.now();
    const reopened = await openStore();
    measured(`opening 1,000 ended runs with 21 events each: ${Math.round(performance.now() - began)} ms`);
    expect(reopened.all()).toHaveLength(1_000);
    expect(reopened.eventsAfter(0, "r5").events).toHaveLength(21);

    const run = runNamed("now", { createdAt: 5_000 });
    began = performance.now();
    for (let turn = 1; turn <= 100; turn += 1) await reopened.save(run, turnEvent(turn), "now");
    measured(`saves "now", one after the other: ${rate(100, began)}`);
    const twenty = Array.from({ length: 20 }, (_, i) => runNamed(`t${i}`));
    began = performance.now();
    await Promise.all(
      twenty.map(async (each) => {
        for (let turn = 1; turn <= 20; turn += 1) await reopened.save(each, turnEvent(turn), "now");
      }),
    );
    measured(`saves "now", 20 runs at once: ${rate(400, began)}`);
  }, 60_000);
});

/** Shown, not asserted: it says as much about the machine. */
function measured(text: string): void {
  process.stderr.write(`    ${text}\n`);
}

function rate(count: number, began: number): string {
  const ms = performance.now() - began;
  return `${Math.round((count / ms) * 1_000)} per s (${(ms / count).toFixed(3)} ms each)`;
}
