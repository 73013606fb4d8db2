import { afterEach, describe, expect, it } from "vitest";
import type { Run } from "../src/api/types.js";
import { createRequestBudget } from "../src/runs/request-budget.js";
import type { RunEvent } from "../src/runs/run-events.js";
import { bareRun } from "../src/runs/run-facts.js";
import type { StreamListener } from "../src/runs/run-stream.js";
import { createRunWatcher, type RunWatcher } from "../src/runs/run-watcher.js";
import type { Clock } from "../src/shared/clock.js";
import { createHandClock } from "./support/hand-clock.js";
import { silentLog } from "./support/harness.js";

const running = (runId: string): Run => ({ ...bareRun(runId), status: "running" });
const names = (count: number) => Array.from({ length: count }, (_, index) => `run-${index}`);
const HOUR = 3_600_000;

let watcher: RunWatcher | undefined;
afterEach(() => watcher?.close());

/** A watcher over an API made of a map of runs, whose answers can be held back, and a clock that can be set. */
function startWatcher(
  list: (options: { page?: number }) => Run[] = () => [],
  listen?: (listener: StreamListener) => void,
  perSecond = 20,
) {
  const time = createHandClock();
  const clock: Clock & { setBy: number } = {
    setBy: 0,
    now: () => time.now() + clock.setBy,
    elapsed: time.elapsed,
    after: (ms, task) => time.after(ms, task),
  };
  const runs = new Map<string, Run>();
  const asked: { path: string; at: number; answer: () => void }[] = [];
  /** What is not answered before its time has come. */
  const held = new Set<string>();
  function ask<T>(path: string, work: () => T): Promise<T> {
    return new Promise((resolve) => {
      // As the run stands when it is asked for, however late the answer comes.
      const answer = work();
      asked.push({ path, at: time.now(), answer: () => resolve(answer) });
      if (!held.has(path)) resolve(answer);
    });
  }
  watcher = createRunWatcher({
    api: {
      getRun: (runId) => ask(runId, () => runs.get(runId) ?? bareRun(runId)),
      listRuns: (options = {}) =>
        ask("list", () => {
          const found = list(options);
          return { runs: found, last: found.length < 100 };
        }),
    },
    clock,
    log: silentLog,
    pollingIntervalMs: 8_000,
    perSecond,
    stallAfterMs: 300_000,
    ...(listen ? { listen: async (_signal, listener) => listen(listener) } : {}),
  });
  watcher.start();
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  async function pass(ms: number, stepMs = 50): Promise<void> {
    await settle();
    for (let passed = 0; passed < ms; passed += stepMs) {
      time.advance(stepMs);
      await settle();
    }
  }
  function watch(runIds: readonly string[]) {
    const told: { runId: string; type: RunEvent["type"]; run: Run; at: number }[] = [];
    for (const runId of runIds) {
      runs.set(runId, runs.get(runId) ?? running(runId));
      watcher?.watch(running(runId), ({ type, run }) => told.push({ runId, type, run, at: time.now() }));
    }
    return told;
  }
  const end = (runId: string, status = "completed") => runs.set(runId, { ...bareRun(runId), status });
  return { watcher, clock, time, runs, asked, held, pass, settle, watch, end };
}

describe("a clock that is set back by an hour", () => {
  it("while the list is being read keeps nobody from reading it again", async () => {
    const { runs, clock, asked, held, pass, watch } = startWatcher(() =>
      [...runs.values()].filter((run) => run.status === "running"),
    );
    watch(names(5));
    await pass(5_000);
    held.add("list");
    await pass(2_000);
    clock.setBy = -HOUR;
    // Another look comes back first, and so the change is noticed while the list is still out.
    await pass(9_000);
    held.delete("list");
    asked.findLast(({ path }) => path === "list")?.answer();
    await pass(1_000);
    const before = asked.length;
    await pass(10_000);
    expect(asked.slice(before).filter(({ path }) => path === "list").length).toBeGreaterThan(3);
  });

  it("makes no run stalled that somebody begins to watch then", async () => {
    const { clock, pass, watch } = startWatcher();
    watch(["run-0"]);
    await pass(1_000);
    clock.setBy = -HOUR;
    const told = watch(["run-1"]);
    await pass(5_000);
    expect(told.filter(({ type }) => type === "stalled")).toEqual([]);
  });

  it("makes a run stalled that stands still and is watched anew", async () => {
    const { watcher, clock, runs, pass, watch } = startWatcher();
    runs.set("run-0", running("run-0"));
    const watched = watcher.watch(running("run-0"), () => {});
    await pass(1_000);
    watched.stop();
    clock.setBy = -HOUR;
    watch(["run-1"]);
    await pass(1_000);
    const told = watch(["run-0"]);
    await pass(310_000, 500);
    expect(told.map(({ type }) => type)).toEqual(["stalled"]);
  });
});

describe("a run that changes while nobody watches it", () => {
  it("over the stream, is not stalled for whoever comes then", async () => {
    let listener: StreamListener | undefined;
    const { watcher, runs, pass, watch } = startWatcher(undefined, (given) => {
      listener = given;
    });
    listener?.onOpen(true);
    await pass(500);
    for (let turn = 1; turn <= 20; turn++) {
      runs.set("run-0", { ...running("run-0"), turn });
      listener?.onRun({ ...running("run-0"), turn });
      await pass(30_000, 10_000);
    }
    expect(watcher.stalledFor({ ...running("run-0"), turn: 20 })).toBeUndefined();
    const told = watch(["run-0"]);
    await pass(5_000);
    expect(told.filter(({ type }) => type === "stalled")).toEqual([]);
    await pass(300_000, 1_000);
    expect(told.filter(({ type }) => type === "stalled")).toHaveLength(1);
  });

  it("is not stalled for whoever has read it anew", async () => {
    const { watcher, runs, pass } = startWatcher();
    runs.set("run-0", running("run-0"));
    const watched = watcher.watch(running("run-0"), () => {});
    await pass(1_000);
    watched.stop();
    await pass(400_000, 10_000);
    expect(watcher.stalledFor(running("run-0"))).toBeGreaterThan(300_000);
    expect(watcher.stalledFor({ ...running("run-0"), turn: 7 })).toBeUndefined();
  });
});

describe("a look that is answered after its run was watched anew", () => {
  it("does not bring back an older picture", async () => {
    const { watcher, runs, asked, held, pass, settle, end } = startWatcher();
    runs.set("run-0", running("run-0"));
    held.add("run-0");
    const first = watcher.watch(running("run-0"), () => {});
    await settle();
    first.stop();
    held.delete("run-0");
    end("run-0");
    const second = watcher.watch(running("run-0"), () => {});
    await pass(1_000);
    expect(second.latest().status).toBe("completed");
    asked[0]?.answer();
    await settle();
    expect(watcher.latest("run-0")?.status).toBe("completed");
  });
});

describe("a killed run whose news are pushed", () => {
  it("is told of as killed to whoever comes while it is being looked at", async () => {
    let tell = (_run: Run) => {};
    const { asked, held, pass, watch, end } = startWatcher(undefined, ({ onOpen, onRun }) => {
      onOpen(true);
      tell = onRun;
    });
    held.add("run-0");
    watch(["run-0"]);
    end("run-0", "killed");
    tell({ ...bareRun("run-0"), status: "killed" });
    const told = watch(["run-0"]);
    held.delete("run-0");
    // What was asked before the news counts for nothing.
    asked[0]?.answer();
    await pass(2_000);
    expect(told.map(({ type }) => type)).toEqual(["finished"]);
  });
});

describe("a list that shows runs of every status, whatever is asked for", () => {
  it("tells of an end without being read to its last page", async () => {
    const others = names(4_000).map((runId) => ({ ...bareRun(`other-${runId}`), status: "completed" }));
    const { runs, asked, pass, watch, end } = startWatcher(({ page = 1 }) =>
      [...runs.values(), ...others].slice((page - 1) * 100, page * 100),
    );
    const told = watch(names(5));
    await pass(20_000);
    const before = asked.length;
    end("run-0");
    await pass(2_000);
    expect(told.some(({ type, runId }) => type === "finished" && runId === "run-0")).toBe(true);
    expect(asked.slice(before).filter(({ path }) => path === "list").length).toBeLessThan(5);
  });
});

describe("a list of many pages", () => {
  it("is read at one go, however many single looks are due", async () => {
    const { runs, asked, pass, watch } = startWatcher(({ page = 1 }) =>
      [...runs.values()].map((run) => ({ ...run, turn: 0 })).slice((page - 1) * 100, page * 100),
    );
    watch(names(800));
    await pass(60_000, 25);
    const before = asked.length;
    await pass(10_000, 25);
    const lists = asked.slice(before).filter(({ path }) => path === "list").length;
    // Eight pages about once a second; a page each quarter of a second would be half of that.
    expect(lists).toBeGreaterThan(64);
    expect(asked.length - before - lists).toBeGreaterThan(64);
  });

  it("does not keep single looks from going out while it hangs, however low the rate", async () => {
    const list = ({ page = 1 }) => [...runs.values()].slice((page - 1) * 100, page * 100);
    const { runs, asked, held, pass, watch } = startWatcher(list, undefined, 4);
    watch(names(250));
    await pass(30_000);
    held.add("list");
    await pass(3_000);
    const before = asked.length;
    await pass(10_000);
    expect(asked.length - before).toBeGreaterThan(20);
  });

  it("may leave a run out once, and its end right after is told at once all the same", async () => {
    let leftOut = "";
    const { runs, asked, pass, watch, end } = startWatcher(() =>
      [...runs.values()]
        .filter((run) => run.status === "running" && run.runId !== leftOut)
        .map((run) => ({ ...run, turn: 0 })),
    );
    const told = watch(names(5));
    await pass(120_000);
    const before = asked.length;
    leftOut = "run-0";
    const looks = () => asked.slice(before).filter(({ path }) => path === "run-0").length;
    for (let waited = 0; looks() === 0 && waited < 10_000; waited += 50) await pass(50);
    end("run-0");
    await pass(2_000);
    expect(told.some(({ type, runId }) => type === "finished" && runId === "run-0")).toBe(true);
  });
});

describe("runs that are left when one is killed", () => {
  it("are not left waiting when they are too few for the list", async () => {
    const { runs, time, pass, watch, end } = startWatcher(() =>
      [...runs.values()].filter((run) => run.status === "running").map((run) => ({ ...run, turn: 0 })),
    );
    const told = watch(names(3));
    await pass(25_000);
    end("run-0", "killed");
    await pass(1_700);
    expect(told.some(({ type }) => type === "finished")).toBe(true);
    runs.set("run-1", { ...running("run-1"), turn: 1 });
    const at = time.now();
    await pass(1_500);
    expect(told.some(({ type, runId, at: then }) => type === "turn" && runId === "run-1" && then > at)).toBe(
      true,
    );
  });
});

describe("a budget of requests", () => {
  const inAnySecond = (sent: number[]) =>
    Math.max(...sent.map((at) => sent.filter((one) => one >= at && one < at + 1_000).length));

  it.each([1, 2, 3, 4, 5, 7, 11, 20, 999])(
    "of %s a second is used up and never exceeded",
    async (perSecond) => {
      const time = createHandClock();
      const budget = createRequestBudget({ clock: time, perSecond });
      const sent: number[] = [];
      for (let ms = 0; ms < 5_000; ms++) {
        while (budget.waitMs() === 0) {
          sent.push(ms);
          await budget.spend(async () => {});
        }
        time.advance(1);
      }
      expect(inAnySecond(sent)).toBe(perSecond);
      expect(sent.length).toBeGreaterThanOrEqual(5 * perSecond);
    },
  );
});
