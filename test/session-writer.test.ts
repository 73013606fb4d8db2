import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import type { Run } from "../src/api/types.js";
import { bareRun } from "../src/runs/run-facts.js";
import { createRunList } from "../src/runs/run-list.js";
import { createSessionWriter } from "../src/sessions/session-writer.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import type { SessionStore } from "../src/sessions/store/session-store.js";
import { setBounded } from "../src/shared/bounded-map.js";
import type { Log } from "../src/shared/log.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory, silentLog, until } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: "manual" });

describe("a session that cannot be written", () => {
  it("is logged without the paths that the file system names", async () => {
    const lines: string[] = [];
    const log = { ...silentLog, warn: (...words: unknown[]) => void lines.push(words.join(" ")) } as Log;
    const store: SessionStore = {
      ...createMemorySessionStore(),
      update: () => {
        const error = new Error("EMFILE: too many open files, open '/home/person/.local/state/x.json'");
        return Promise.reject(Object.assign(error, { code: "EMFILE" }));
      },
    };
    const { call } = await connectInMemory({ store, log });
    await call({ ...COMPLETE, wait_seconds: 0 });
    await until(() => lines.length > 0, "the line in the log");
    expect(lines.join()).toContain("EMFILE");
    expect(lines.join()).not.toMatch(/home|\.json/);
    expect(sim.api().posts("/run/")).toHaveLength(1);
  });
});

describe("what is kept at hand of runs", () => {
  it("is bounded, and what was dropped is found again in the index", async () => {
    const inner = createMemorySessionStore();
    let lists = 0;
    const store: SessionStore = {
      ...inner,
      list: () => {
        lists++;
        return inner.list();
      },
      find: (query) => {
        lists++;
        return inner.find(query);
      },
    };
    const watch = (run: Run) => ({ latest: () => run, stop: () => {} });
    const watcher = {
      watch,
      latest: () => undefined,
      stalledFor: () => undefined,
      onEvent: () => () => {},
      start() {},
      close() {},
    };
    const clock = createHandClock();
    const writer = createSessionWriter({ store, watcher, clock, log: silentLog, onChange: () => {} });
    const start = (runId: string) =>
      writer.started(
        { ...bareRun(runId), workflowName: "architect", status: "running", startedAt: clock.now() },
        { workflowName: "architect", message: "Design it", inputFormat: "stream-json", sessionName: runId },
      );
    await start("first");
    await Promise.all(Array.from({ length: 1_000 }, (_, number) => start(`run-${number}`)));
    expect(lists).toBe(0);
    await writer.seen({ ...bareRun("run-999"), workflowName: "architect", status: "completed" });
    expect(lists).toBe(0);
    await writer.seen({ ...bareRun("first"), workflowName: "architect", status: "completed" });
    expect(lists).toBe(0);
    const records = await inner.list();
    expect(records).toHaveLength(1_001);
    expect(records.find((record) => record.name === "first")?.runs).toMatchObject([{ status: "completed" }]);
    await writer.close();
  });

  it("of a run that is not ours and shows no session is one record, at every event", async () => {
    const inner = createMemorySessionStore();
    const reads = { find: 0, get: 0 };
    const store: SessionStore = {
      ...inner,
      find: (query) => {
        reads.find++;
        return inner.find(query);
      },
      get: (key) => {
        reads.get++;
        return inner.get(key);
      },
    };
    const watcher = {
      watch: (run: Run) => ({ latest: () => run, stop: () => {} }),
      latest: () => undefined,
      stalledFor: () => undefined,
      onEvent: () => () => {},
      start() {},
      close() {},
    };
    const clock = createHandClock();
    const writer = createSessionWriter({ store, watcher, clock, log: silentLog, onChange: () => {} });
    const theirs = { ...bareRun("theirs"), workflowName: "architect", status: "running" };
    for (let turn = 1; turn <= 50; turn++) await writer.seen({ ...theirs, turn });
    expect(reads.find).toBe(1);
    expect(reads.get).toBeLessThanOrEqual(50);
    expect(await inner.list()).toEqual([]);
    // Once it shows its session, or another process has written it down, it is kept.
    await writer.seen({ ...theirs, sessionId: "s-1" });
    expect(await inner.list()).toMatchObject([{ key: "theirs", sessionId: "s-1" }]);
    const other = { ...bareRun("other"), workflowName: "fix", status: "running" };
    await writer.seen(other);
    const at = clock.now();
    await inner.update("other", () => ({
      version: 1,
      key: "other",
      name: "theirs-too",
      createdAt: at,
      updatedAt: at,
      runs: [{ runId: "other", workflowName: "fix", status: "running", updatedAt: at }],
    }));
    await writer.seen({ ...other, status: "completed" });
    expect((await inner.get("other"))?.runs).toMatchObject([{ status: "completed" }]);
    await writer.close();
  });

  it("counts a run as lost no longer than the API is asked for it again anyway", async () => {
    const clock = createHandClock();
    let listing = Array.from({ length: 5_001 }, (_, number) => bareRun(`run-${number}`));
    const list = createRunList({
      clock,
      api: {
        getRun: async (runId) => bareRun(runId),
        listRuns: async ({ page = 1 } = {}) => {
          const runs = listing.slice((page - 1) * 100, page * 100);
          return { runs, last: runs.length < 100 };
        },
      },
    });
    await list.read();
    listing = [];
    clock.advance(5_000);
    await list.read();
    expect([list.isLost("run-0"), list.isLost("run-1"), list.isLost("run-5000")]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it("the oldest goes first, and what is set again is the newest", () => {
    const map = new Map<string, number>();
    for (const [key, value] of [
      ["a", 1],
      ["b", 2],
      ["a", 3],
      ["c", 4],
    ] as const)
      setBounded(map, key, value, 2);
    expect([...map]).toEqual([
      ["a", 3],
      ["c", 4],
    ]);
  });
});

it("the list of runs leaves nothing at the signal of who reads it again and again", async () => {
  const clock = createHandClock();
  const api = {
    getRun: async (runId: string) => bareRun(runId),
    listRuns: async () => ({ runs: [], last: true }),
  };
  const list = createRunList({ clock, api });
  const { signal } = new AbortController();
  for (let time = 0; time < 3; time++) {
    await list.read(signal);
    clock.advance(60_000);
  }
  expect(getEventListeners(signal, "abort")).toEqual([]);
});
