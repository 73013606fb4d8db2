import { describe, expect, it } from "vitest";
import { ApiError } from "../src/api/errors.js";
import type { Run } from "../src/api/types.js";
import { bareRun } from "../src/runs/run-facts.js";
import { createRunWatcher } from "../src/runs/run-watcher.js";
import { createRuns } from "../src/runs/runs.js";
import { createHandClock } from "./support/hand-clock.js";
import { silentLog } from "./support/harness.js";

const running = (runId: string): Run => ({ ...bareRun(runId), status: "running" });

/** A watcher on a clock held by hand, over an API that answers each look as told. */
function createWatcher(answer: (runId: string) => Run) {
  const clock = createHandClock();
  const looks: string[] = [];
  const getRun = async (runId: string) => {
    looks.push(runId);
    return answer(runId);
  };
  const watcher = createRunWatcher({
    api: { getRun, listRuns: async () => ({ runs: [], last: true }) },
    clock,
    log: silentLog,
    pollingIntervalMs: 8_000,
    perSecond: 20,
    stallAfterMs: 300_000,
  });
  return { clock, watcher, getRun, looks };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("what the watcher keeps of runs that nobody watches any more", () => {
  it("is the newest five hundred, and all that are still watched", () => {
    const { watcher } = createWatcher(running);
    const watched = watcher.watch(running("watched"), () => {});
    for (let index = 0; index < 700; index++) watcher.watch(running(`run-${index}`), () => {}).stop();
    const kept = Array.from({ length: 700 }, (_, index) => watcher.latest(`run-${index}`)).filter(Boolean);
    expect(kept.length).toBeGreaterThan(450);
    expect(kept.length).toBeLessThanOrEqual(500);
    expect(watcher.latest("run-699")).toBeDefined();
    expect(watcher.latest("run-0")).toBeUndefined();
    expect(watcher.latest("watched")).toBeDefined();
    watched.stop();
    watcher.close();
  });

  it("has a run that was watched to the last among the newest, however long ago that began", async () => {
    const { clock, watcher } = createWatcher(running);
    const watched = watcher.watch(running("long"), () => {});
    for (let index = 0; index < 700; index++) watcher.watch(running(`run-${index}`), () => {}).stop();
    clock.advance(1_000);
    await settle();
    watched.stop();
    watcher.watch(running("another"), () => {});
    expect(watcher.latest("long")).toBeDefined();
    watcher.close();
  });

  it("has none of their results, of which one alone may have millions of characters", () => {
    const { watcher } = createWatcher(running);
    const watch = watcher.watch({ ...running("long"), result: "x".repeat(5_000_000) }, () => {});
    expect(watcher.latest("long")?.result).toHaveLength(5_000_000);
    watch.stop();
    expect(watcher.latest("long")).toMatchObject({ runId: "long", status: "running" });
    expect(watcher.latest("long")).not.toHaveProperty("result");
    watcher.close();
  });
});

describe("a call that follows a run while the API does not answer", () => {
  const unreachable = () => {
    throw new ApiError("unreachable", "The API did not answer.");
  };

  async function follow(answer: (runId: string, elapsedMs: number) => Run) {
    const began = createHandClock().now();
    const made = createWatcher((runId) => answer(runId, made.clock.now() - began));
    const { clock, watcher, getRun } = made;
    const api = {
      getRun,
      startRun: unreachable,
      listRuns: unreachable,
      clockOffsetMs: () => 0,
      apiTime: () => undefined,
    };
    const runs = createRuns({ api, watcher, clock });
    let ended = false;
    const following = runs
      .follow(running("run-1"), { waitMs: 200_000, signal: new AbortController().signal })
      .finally(() => {
        ended = true;
      });
    await settle();
    for (let second = 0; second < 250 && !ended; second++) {
      clock.advance(1_000);
      await settle();
    }
    watcher.close();
    return { end: await following, seconds: (clock.now() - began) / 1000 };
  }

  it("says so after a minute and waits no longer", async () => {
    const { end, seconds } = await follow(unreachable);
    expect(end).toMatchObject({ why: "unreachable", run: { runId: "run-1", status: "running" } });
    expect(seconds).toBeGreaterThanOrEqual(60);
    expect(seconds).toBeLessThan(75);
  });

  it("waits on when the API comes back in between", async () => {
    const { end } = await follow((runId, elapsedMs) =>
      elapsedMs % 50_000 > 40_000 ? running(runId) : unreachable(),
    );
    expect(end.why).toBe("waited");
  });
});
