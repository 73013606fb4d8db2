import * as fs from "node:fs";
import * as promises from "node:fs/promises";
import { afterEach, expect, it, vi } from "vitest";
import * as durable from "../src/engine/store/durable-files.js";
import { EngineRefusal } from "../src/engine/types.js";
import { createWorld, REQUEST } from "./support/walked-engine.js";

// The real file system, in which every call that brings a start onto the disk can be made to fail.
vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, writeSync: vi.fn(real.writeSync), fsync: vi.fn(real.fsync) };
});
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return { ...real, unlink: vi.fn(real.unlink) };
});
vi.mock("../src/engine/store/durable-files.js", async (original) => {
  const real = await original<typeof durable>();
  return { ...real, syncFolder: vi.fn(real.syncFolder) };
});

const mocks = () =>
  [fs.writeSync, fs.fsync, durable.syncFolder, promises.unlink].map((call) => vi.mocked(call));
afterEach(() => {
  for (const mock of mocks()) mock.mockReset();
});

const broken = Object.assign(new Error("input/output error"), { code: "EIO" });

/** From the n-th disk call on, calls fail: that one, or all. Gives the name of the first that did. */
async function failFrom(n: number, forGood: boolean): Promise<() => string | undefined> {
  const real = await vi.importActual<typeof import("node:fs")>("node:fs");
  const realDurable = await vi.importActual<typeof durable>("../src/engine/store/durable-files.js");
  let count = 0;
  let first: string | undefined;
  function fails(name: string): boolean {
    count++;
    if (count < n || (count > n && !forGood)) return false;
    first ??= name;
    return true;
  }
  vi.mocked(fs.writeSync).mockImplementation(((...args: Parameters<typeof fs.writeSync>) => {
    if (fails("write")) throw broken;
    return real.writeSync(...args);
  }) as typeof fs.writeSync);
  vi.mocked(fs.fsync).mockImplementation((fd, done) => {
    if (fails("sync")) done(broken);
    else real.fsync(fd, done);
  });
  vi.mocked(durable.syncFolder).mockImplementation(async (folder) => {
    if (fails("sync of the folder")) throw broken;
    return realDurable.syncFolder(folder);
  });
  return () => first;
}

it.each([
  { disk: "fails once", forGood: false, removes: true },
  { disk: "fails once and does not let the file be removed", forGood: false, removes: false },
  { disk: "fails for good", forGood: true, removes: false },
])(
  "a start is either refused and never carried out, or answered and found again, where the disk $disk",
  async ({ forGood, removes }) => {
    const refusedAt: string[] = [];
    for (let n = 1; ; n++) {
      const world = createWorld();
      const { engine, folder } = await world.open();
      const failedAt = await failFrom(n, forGood);
      if (!removes) vi.mocked(promises.unlink).mockRejectedValue(broken);
      const answer = await engine.start(REQUEST).catch((error) => error);
      const wasMet = failedAt() !== undefined;
      // What an engine that is killed in this moment leaves.
      const left = world.copy(folder);
      for (const mock of mocks()) mock.mockReset();
      if (answer instanceof Error) {
        expect(answer).toBeInstanceOf(EngineRefusal);
        expect(answer).toMatchObject({ status: 503, message: expect.stringMatching(/Nothing was started/) });
        expect(answer.message).not.toContain(folder);
        refusedAt.push(failedAt() ?? "");
        expect(engine.list({})).toEqual([]);
        const after = await world.open({ folder: left });
        expect(after.engine.list({})).toEqual([]);
        expect(after.engine.activeRuns()).toBe(0);
        await engine.close();
        const same = await world.open({ folder });
        expect(same.engine.list({})).toEqual([]);
        await same.engine.close();
        expect(world.agents).toEqual([]);
        // The disk works again, and so does the next start.
        const again = await after.engine.start(REQUEST);
        expect((await after.over(again.runId)).status).toBe("completed");
        await after.engine.close();
      } else {
        const after = await world.open({ folder: left });
        expect(after.engine.list({})).toMatchObject([{ runId: answer.runId }]);
        await after.over(answer.runId);
        await Promise.all([engine.close(), after.engine.close()]);
      }
      if (!wasMet) break;
    }
    expect(refusedAt).toEqual(expect.arrayContaining(["write", "sync", "sync of the folder"]));
  },
);
