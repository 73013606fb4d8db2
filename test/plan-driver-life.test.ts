import { existsSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { driverFiles } from "../src/plan-driver/driver-files.js";
import { type DriverProcessOptions, runDriverProcess } from "../src/plan-driver/driver-process.js";
import { markOfKey, writeDriverRecord } from "../src/plan-driver/driver-record.js";
import { DriverUnavailable, findDriver } from "../src/plan-driver/find-driver.js";
import { lookAtDriver } from "../src/plan-driver/look-at-driver.js";
import { lastingIdentity } from "../src/shared/background/process-life.js";
import { takeLock } from "../src/shared/background/process-lock.js";
import { systemClock } from "../src/shared/clock.js";
import { ensurePrivateFolder } from "../src/shared/private-files.js";
import { StoreError } from "../src/store/store-error.js";
import { temporaryFolder } from "./support/bin.js";
import { silentLog } from "./support/harness.js";
import { createSkippingClock } from "./support/skipping-clock.js";

// How long a driver of plans lives, and who counts on it.

type Work = { open: number; isBusy: boolean };

function driver(work: (place: { stateFolder: string; upstream: string }) => Promise<Work>, idleMs = 60) {
  const place = { stateFolder: temporaryFolder(), upstream: "api" };
  let tell: (signal: "SIGTERM") => void = () => {};
  const seen = { looks: 0, closed: false };
  const options: DriverProcessOptions = {
    ...place,
    version: "2.0.0",
    apiKey: "key",
    open: async () => ({
      look() {
        seen.looks++;
        return work(place);
      },
      close: async () => {
        seen.closed = true;
      },
    }),
    idleMs,
    clock: systemClock,
    log: silentLog,
    onSignal(listener) {
      tell = listener;
      return () => {};
    },
  };
  const ended = runDriverProcess(options);
  onTestFinished(async () => {
    tell("SIGTERM");
    await ended;
  });
  return { place, options, seen, ended, tell: () => tell("SIGTERM") };
}

const spawnNone = () => Promise.reject(new Error("Nothing is to be started here."));

it("ends when all plans wait for people for the stated time, and leaves nothing that is in the way", async () => {
  const { place, ended, seen } = driver(async () => ({ open: 1, isBusy: false }));
  expect(await ended).toBe(0);
  expect(seen.closed).toBe(true);
  expect(existsSync(driverFiles(place).record)).toBe(false);
  expect(await lookAtDriver(place, systemClock.now())).toEqual({ kind: "none" });
});

it("stays as long as something of a plan is under way", async () => {
  const until = performance.now() + 300;
  const { ended } = driver(async () => ({ open: 1, isBusy: performance.now() < until }));
  await ended;
  expect(performance.now()).toBeGreaterThanOrEqual(until);
});

it("goes on when something is to be done at the very moment at which it would end", async () => {
  let answers = 0;
  const { place, seen, ended } = driver(async () => {
    // Whoever has written something has looked for a driver before its record was taken away, and counts on it.
    const isLastLook = !existsSync(driverFiles(place).record);
    if (isLastLook) answers++;
    return { open: 1, isBusy: isLastLook && answers === 1 };
  });
  await ended;
  expect(answers).toBe(2);
  expect(seen.looks).toBeGreaterThan(3);
});

it("ends when its plans are gone with their database, and stays when that cannot be read for a while", async () => {
  let looks = 0;
  const { ended } = driver(async () => {
    if (++looks < 3) throw new StoreError("The disk fails.");
    throw new StoreError("The database was removed.", undefined, "removed");
  });
  expect(await ended).toBe(0);
  expect(looks).toBe(3);
});

it("lets go of its plans when it is told to end", async () => {
  const { ended, seen, tell, place } = driver(async () => ({ open: 1, isBusy: true }), 60_000);
  await expect.poll(async () => (await lookAtDriver(place, systemClock.now())).kind).toBe("drives");
  tell();
  expect(await ended).toBe(0);
  expect(seen.closed).toBe(true);
});

it("is found by whoever looks for it, and there is no second one", async () => {
  const { place, options, ended, tell } = driver(async () => ({ open: 1, isBusy: true }), 60_000);
  await expect.poll(async () => (await lookAtDriver(place, systemClock.now())).kind).toBe("drives");
  await findDriver({ ...options, spawn: spawnNone });
  // Of another version, but not an older one.
  await findDriver({ ...options, version: "1.9.0", apiKey: "another key", spawn: spawnNone });
  expect(await runDriverProcess(options)).toBe(3);
  tell();
  await ended;
});

it("is told that nobody carries plans out when none can be started, and what it has said", async () => {
  const place = { stateFolder: temporaryFolder(), upstream: "api" };
  const common = { ...place, version: "1.0.0", apiKey: "key", clock: systemClock, log: silentLog };
  await expect(findDriver({ ...common, spawn: () => Promise.reject(new Error("EAGAIN")) })).rejects.toThrow(
    "What carries plans out could not be started: EAGAIN",
  );
  const spawn = async () => ({ pid: 1, ended: Promise.resolve(1), lastWords: () => "The disk is full." });
  const failure = findDriver({ ...common, spawn });
  await expect(failure).rejects.toThrow(DriverUnavailable);
  await expect(failure).rejects.toThrow("(exit code 1). Its last output: The disk is full.");
});

it("waits for one that is starting or ending, no longer than stated, and starts none beside it", async () => {
  const place = { stateFolder: temporaryFolder(), upstream: "api" };
  const { parent, folder } = driverFiles(place);
  await ensurePrivateFolder(parent);
  await ensurePrivateFolder(folder);
  const taken = await takeLock(folder, "lock", systemClock.now());
  if (!("lock" in taken)) throw new Error("The lock is taken.");
  const common = { ...place, version: "1.0.0", apiKey: "key", clock: systemClock, log: silentLog };
  await expect(findDriver({ ...common, spawn: spawnNone, timeoutMs: 100 })).rejects.toThrow(
    "is starting or ending, and has not finished",
  );
  const clock = createSkippingClock();
  const late = findDriver({ ...common, clock, spawn: spawnNone, timeoutMs: 100 });
  clock.set(-3_600_000);
  await expect(late).rejects.toThrow("is starting or ending, and has not finished");
  const found = findDriver({ ...common, spawn: spawnNone });
  const identity = await lastingIdentity();
  const keyMark = markOfKey("salt", "key");
  writeDriverRecord(place, {
    ...identity,
    ...{ version: "1.0.0", startedAt: 1, salt: "salt", keyMark, keyRefused: true },
  });
  await found;
  await taken.lock.release();
});
