import { describe, expect, it } from "vitest";
import { ApiError } from "../src/api/errors.js";
import type { Run } from "../src/api/types.js";
import { createRunWatcher } from "../src/runs/run-watcher.js";
import { bareRun, createRuns } from "../src/runs/runs.js";
import { createHandClock } from "./support/hand-clock.js";
import { silentLog } from "./support/harness.js";

const running = (runId: string): Run => ({ ...bareRun(runId), status: "running" });

/** A feed on a clock held by hand, over an API that answers each look as told. */
function createFeed(answer: (runId: string) => Run) {
  const clock = createHandClock();
  const looks: string[] = [];
  const getRun = async (runId: string) => {
    looks.push(runId);
    return answer(runId);
  };
  const feed = createRunWatcher({
    api: { getRun, listRuns: async () => ({ runs: [], last: true }) },
    clock,
    log: silentLog,
    pollingIntervalMs: 8_000,
    perSecond: 20,
    stallAfterMs: 300_000,
  });
  return { clock, feed, getRun, looks };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("what the feed keeps of runs that nobody watches any more", () => {
  it("is the newest five hundred, and all that are still watched", () => {
    const { feed } = createFeed(running);
    const watched = feed.watch(running("watched"), () => {});
    for (let index = 0; index < 700; index++) feed.watch(running(`run-${index}`), () => {}).stop();
    const kept = Array.from({ length: 700 }, (_, index) => feed.latest(`run-${index}`)).filter(Boolean);
    expect(kept.length).toBeGreaterThan(450);
    expect(kept.length).toBeLessThanOrEqual(500);
    expect(feed.latest("run-699")).toBeDefined();
    expect(feed.latest("run-0")).toBeUndefined();
    expect(feed.latest("watched")).toBeDefined();
    watched.stop();
    feed.close();
  });

  it("has a run that was watched to the last among the newest, however long ago that began", async () => {
    const { clock, feed } = createFeed(running);
    const watched = feed.watch(running("long"), () => {});
    for (let index = 0; index < 700; index++) feed.watch(running(`run-${index}`), () => {}).stop();
    clock.advance(1_000);
    await settle();
    watched.stop();
    feed.watch(running("another"), () => {});
    expect(feed.latest("long")).toBeDefined();
    feed.close();
  });

  it("has none of their results, of which one alone may have millions of characters", () => {
    const { feed } = createFeed(running);
    const watch = feed.watch({ ...running("long"), result: "x".repeat(5_000_000) }, () => {});
    expect(feed.latest("long")?.result).toHaveLength(5_000_000);
    watch.stop();
    expect(feed.latest("long")).toMatchObject({ runId: "long", status: "running" });
    expect(feed.latest("long")).not.toHaveProperty("result");
    feed.close();
  });
});

describe("a call that follows a run while the API does not answer", () => {
  const unreachable = () => {
    throw new ApiError("unreachable", "The API did not answer.");
  };

  async function follow(answer: (runId: string, elapsedMs: number) => Run) {
    const began = createHandClock().now();
    const made = createFeed((runId) => answer(runId, made.clock.now() - began));
    const { clock, feed, getRun } = made;
    const api = {
      getRun,
      startRun: unreachable,
      listRuns: unreachable,
      clockOffsetMs: () => 0,
      apiTime: () => undefined,
    };
    const runs = createRuns({ api, feed, clock });
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
    feed.close();
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
