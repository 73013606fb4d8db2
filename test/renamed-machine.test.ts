import type * as Os from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { engineFiles } from "../src/engine/background/engine-files.js";
import { writeEngineRecord } from "../src/engine/background/engine-record.js";
import { ENGINE_LOCK, lookAtEngine } from "../src/engine/background/look-at-engine.js";
import { lastingIdentity } from "../src/shared/background/process-life.js";
import { readLockHolder, takeLock } from "../src/shared/background/process-lock.js";
import { ensurePrivateFolder } from "../src/shared/private-files.js";
import { temporaryFolder } from "./support/bin.js";

// A laptop gets another name with another network, while its engine goes on.

const machine = vi.hoisted(() => ({ name: "at-home" }));
vi.mock("node:os", async (original) => ({
  ...(await original<typeof Os>()),
  hostname: () => machine.name,
}));

const DAY_MS = 24 * 60 * 60 * 1000;

it("a process that began when its machine had another name is known, and its lock is nobody else's however silent it is", async () => {
  const stateFolder = join(temporaryFolder(), "state");
  const { folder } = engineFiles(stateFolder);
  await ensurePrivateFolder(folder);
  const before = await lastingIdentity();
  const taken = await takeLock(folder, ENGINE_LOCK, Date.now());
  expect(taken).toHaveProperty("lock");
  const told = { url: "http://127.0.0.1:1", version: "1", startedAt: 0, keyDigest: "", background: true };
  writeEngineRecord(stateFolder, { ...before, ...told });

  machine.name = "in-the-train";
  const now = Date.now() + DAY_MS;
  const own = await lastingIdentity();
  expect(own.place).not.toBe(before.place);
  expect(await readLockHolder(folder, ENGINE_LOCK, now)).toEqual(own);
  expect(await takeLock(folder, ENGINE_LOCK, now)).toEqual({ holder: own });
  const health = { version: "1", activeRuns: 1 };
  const sight = await lookAtEngine(stateFolder, { probe: async () => health as never, now });
  expect(sight).toMatchObject({ kind: "answers", holder: own });
});
