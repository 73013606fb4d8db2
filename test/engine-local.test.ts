import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test, vi } from "vitest";
import { type AskToStopOptions, askToStopEngine } from "../src/cli/engine/ask-to-stop.js";
import { type ServeEngineOptions, serveEngine } from "../src/cli/engine/serve-engine.js";
import { showEngineStatus } from "../src/cli/engine/show-status.js";
import { writeDrainRequest } from "../src/engine/background/drain-request.js";
import { engineFiles } from "../src/engine/background/engine-files.js";
import { createHealthProbe } from "../src/engine/background/engine-health.js";
import { digestOfKey, resolveEngineKey } from "../src/engine/background/engine-key.js";
import { openEngineLog } from "../src/engine/background/engine-log-file.js";
import { type EngineProcessOptions, runEngineProcess } from "../src/engine/background/engine-process.js";
import {
  readEngineRecord,
  removeEngineRecord,
  writeEngineRecord,
} from "../src/engine/background/engine-record.js";
import { readEngineStatus } from "../src/engine/background/engine-status.js";
import {
  type FindOptions,
  type FoundEngine,
  findOrStartEngine,
} from "../src/engine/background/find-or-start.js";
import { lookAtEngine } from "../src/engine/background/look-at-engine.js";
import { createSpawnEngine } from "../src/engine/background/spawn-engine.js";
import { type StopOptions, stopEngine } from "../src/engine/background/stop-engine.js";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { readSettings, SettingsError } from "../src/settings/settings.js";
import {
  hasEnded,
  lastingIdentity,
  signalProcess,
  startToldByPs,
  waitUntilEnded,
} from "../src/shared/background/process-life.js";
import { readLockHolder, takeLock } from "../src/shared/background/process-lock.js";
import { backgroundEnvironment } from "../src/shared/background/spawn.js";
import { isOlder } from "../src/shared/background/versions.js";
import { systemClock } from "../src/shared/clock.js";
import { createLog } from "../src/shared/log.js";
import type { ProcessIdentity } from "../src/shared/process-identity.js";
import { VERSION } from "../src/shared/version.js";
import { createContractClient } from "./contract/upstream.js";
import { type BundledWorker, bundleWorker } from "./engine-workers/bundle.js";
import { createHandClock, type HandClock } from "./support/hand-clock.js";
import { until } from "./support/harness.js";
import { ENGINE_KEY, engineFolder, QUESTION, startLocalEngine, withScript } from "./support/local-engine.js";
import { asLongAs } from "./support/patient.js";
import { createSkippingClock } from "./support/skipping-clock.js";
import { createStandInServer, ROLL, type StandIn, spawnStandIn } from "./support/stand-in-engine.js";

let base: string;
let worker: BundledWorker;
let state: string;
let files: ReturnType<typeof engineFiles>;
let lines: string[];

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "stand-in-engines-"));
  worker = await bundleWorker("support/stand-in-engine", base);
}, 60_000);
afterAll(async () => {
  const left = () =>
    readdirSync("/proc").filter((pid) => {
      if (!/^\d+$/.test(pid) || !existsSync(`/proc/${pid}/cmdline`)) return false;
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(worker.script);
      } catch {
        return false;
      }
    });
  // What is about to end may still be there on a busy machine; an engine that was left lives on.
  await vi.waitFor(() => expect(left()).toEqual([]), { timeout: 10_000 });
  rmSync(base, { recursive: true, force: true });
});
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "engine-local-"));
  files = engineFiles(state);
  lines = [];
});
afterEach(async () => {
  for (const standIn of [...roll("began"), ...roll("agent")]) {
    await signalProcess(standIn, "SIGKILL");
    await waitUntilEnded(standIn, 10_000);
  }
  rmSync(state, { recursive: true, force: true });
});

/** The stand-ins that have done so, in order. */
function roll(what: "began" | "listens" | "agent"): ProcessIdentity[] {
  const path = join(state, ROLL);
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const entries = text.split("\n").filter(Boolean);
  return entries.map((line) => JSON.parse(line)).filter((entry) => entry.what === what);
}

function write(text: string): boolean {
  lines.push(text.trim());
  return true;
}
const log = createLog({ level: "info", stderr: { write } });
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

function find(standIn: StandIn = {}, more: Partial<FindOptions> = {}): Promise<FoundEngine> {
  return findOrStartEngine({
    stateFolder: state,
    version: "1.0.0",
    spawnEngine: spawnStandIn(worker.script, state, standIn),
    clock: systemClock,
    log,
    ...more,
  });
}
const readStatus = () => readEngineStatus(state, { clock: systemClock });
const stop = (options: Partial<StopOptions> = {}) =>
  stopEngine(state, { force: false, clock: systemClock, log, ...options });

async function startStandIn(standIn: StandIn = {}): Promise<ProcessIdentity> {
  const count = roll("listens").length;
  await spawnStandIn(worker.script, state, standIn)();
  await until(() => roll("listens").length > count && existsSync(files.record), "the stand-in");
  return roll("listens").at(-1) as ProcessIdentity;
}

/** Windows of a chat client that all look for the engine at the same moment. */
async function findInWindows(count: number): Promise<FoundEngine[]> {
  const windows = Array.from({ length: count }, () => {
    const child = worker.start("window", state);
    const output = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const closed = once(child, "close");
    return { child, closed, next: async () => (await output.next()).value as string };
  });
  for (const { next } of windows) expect(await next()).toBe("ready");
  for (const { child } of windows) child.stdin.write("go\n");
  const found = await Promise.all(windows.map(async ({ next }) => JSON.parse(await next())));
  await Promise.all(windows.map(({ closed }) => closed));
  return found;
}

/** The lock as a process would hold it. */
function placeLock(
  owner: Partial<ProcessIdentity> & { pid: number },
  own: ProcessIdentity,
  name = "lock",
): string {
  const { pid, began, place } = { ...own, ...owner };
  mkdirSync(join(files.folder, name), { recursive: true });
  const path = join(files.folder, name, `${pid}-${began}-${place}-0123456789abcdef`);
  writeFileSync(path, "");
  return path;
}

/** A process of nobody's that lives until the test ends it. */
async function startProgram(): Promise<{ identity: ProcessIdentity; end: () => Promise<void> }> {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6); console.log()"]);
  await once(child.stdout, "data");
  const gone = once(child, "close");
  const stat = readFileSync(`/proc/${child.pid}/stat`, "latin1");
  const began = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] as string;
  return {
    identity: { ...(await lastingIdentity()), pid: child.pid as number, began },
    end: async () => {
      child.kill("SIGKILL");
      await gone;
    },
  };
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "It did not fail.",
    (error: Error) => error.message,
  );
}

describe("the engine's key", () => {
  it("comes from the settings when it is there, and then no file is made", async () => {
    expect(await resolveEngineKey({ stateFolder: state, settingsKey: "sk-1" })).toBe("sk-1");
    expect(existsSync(files.key)).toBe(false);
  });

  it("is made once, at random, and only its owner can read it", async () => {
    const key = await resolveEngineKey({ stateFolder: state });
    expect(key).toMatch(/^[\w-]{43}$/);
    expect(await resolveEngineKey({ stateFolder: state })).toBe(key);
    expect(modeOf(files.key)).toBe("600");
    expect(modeOf(files.privateFolder)).toBe("700");
    expect(readdirSync(files.privateFolder)).toEqual(["key"]);
  });

  it("is the same for all who make it at once", async () => {
    const children = Array.from({ length: 6 }, () => worker.start("key", state));
    const inHere = Array.from({ length: 20 }, () => resolveEngineKey({ stateFolder: state }));
    const inThere = children.map(async (child) => {
      let text = "";
      for await (const part of child.stdout) text += part;
      return text;
    });
    expect(new Set(await Promise.all([...inHere, ...inThere])).size).toBe(1);
    expect(readdirSync(files.privateFolder)).toEqual(["key"]);
  });

  it("does not lie above the folders that agents work in", async () => {
    await resolveEngineKey({ stateFolder: state });
    expect(files.key.startsWith(`${files.folder}/`)).toBe(false);
    expect(existsSync(join(files.folder, "key"))).toBe(false);
  });

  it("of an earlier version is taken over, and stays for the windows of that version", async () => {
    mkdirSync(files.folder, { recursive: true });
    writeFileSync(files.formerKey, "the-key-of-an-earlier-version\n", { mode: 0o600 });
    expect(await resolveEngineKey({ stateFolder: state })).toBe("the-key-of-an-earlier-version");
    expect(readFileSync(files.key, "utf8").trim()).toBe("the-key-of-an-earlier-version");
    expect(readFileSync(files.formerKey, "utf8").trim()).toBe("the-key-of-an-earlier-version");
  });

  it("is not replaced when its file holds none", async () => {
    mkdirSync(files.privateFolder, { recursive: true });
    writeFileSync(files.key, "two words that are no key\n", { mode: 0o600 });
    expect(await failure(resolveEngineKey({ stateFolder: state }))).toContain("holds no key");
    expect(readFileSync(files.key, "utf8")).toBe("two words that are no key\n");
  });
});

describe("the engine's lock", () => {
  const take = (now = Date.now()) => takeLock(files.folder, "lock", now);
  const holder = (now = Date.now()) => readLockHolder(files.folder, "lock", now);
  let own: ProcessIdentity;

  beforeEach(async () => {
    own = await lastingIdentity();
    mkdirSync(files.folder, { recursive: true });
  });

  async function taken(now?: number) {
    const result = await take(now);
    if (!("lock" in result)) throw new Error(`Process ${result.holder.pid} holds it.`);
    return result.lock;
  }

  it("is had by one of many, and by the next once it is given back", async () => {
    const results = await Promise.all(Array.from({ length: 12 }, () => take()));
    const [winner, ...others] = results.flatMap((result) => ("lock" in result ? result.lock : []));
    expect(others).toEqual([]);
    expect(await holder()).toEqual(own);
    expect(await take()).toEqual({ holder: own });
    expect(readdirSync(files.folder)).toEqual(["lock"]);
    await winner?.release();
    expect(await holder()).toBeUndefined();
    await (await taken()).release();
    expect(readdirSync(files.folder)).toEqual([]);
  });

  it("is taken from a process that has ended, and what that left is removed", async () => {
    const program = await startProgram();
    placeLock(program.identity, own);
    const { pid, began, place } = program.identity;
    mkdirSync(join(files.folder, `lock.${pid}-${began}-${place}-aa`));
    expect(await take()).toEqual({ holder: program.identity });
    await program.end();
    expect(await holder()).toBeUndefined();
    await taken();
    expect(readdirSync(files.folder)).toEqual(["lock"]);
  });

  it("is taken from a process whose pid is another program's by now", async () => {
    placeLock({ pid: process.pid, began: "1" }, own);
    expect(await holder()).toBeUndefined();
    await taken();
  });

  it("is not taken from a living process, however long that is silent", async () => {
    const file = placeLock({ pid: process.pid }, own);
    utimesSync(file, 1, 1);
    expect(await take()).toEqual({ holder: own });
  });

  it("is taken from a process elsewhere only when that has been silent for long", async () => {
    const elsewhere = { pid: 1, began: "7", place: "elsewhere" };
    const file = placeLock(elsewhere, own);
    expect(await take(Date.now() + 60_000)).toEqual({ holder: elsewhere });
    expect(await holder(Date.now() + 60_000)).toEqual(elsewhere);
    utimesSync(file, Date.now() / 1000 - 180, Date.now() / 1000 - 180);
    expect(await holder()).toBeUndefined();
    await taken();
  });

  it("tells its owner when it is gone", async () => {
    const lock = await taken();
    expect(await lock.refresh()).toBe(true);
    rmSync(files.folder, { recursive: true });
    expect(await lock.refresh()).toBe(false);
    await lock.release();
  });

  it("counts a process that only waits to be collected as ended", async () => {
    // `exec` puts a program that does not collect into the place of the shell that would.
    // On a busy machine it may take its time to get there: what ended before would be collected by the shell.
    const child = spawn("sh", ["-c", "sleep 2 & echo $!; exec sleep 1000"]);
    const gone = once(child, "close");
    const [pid] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
    const zombie = { ...own, pid: Number(pid), began: "0" };
    expect(await waitUntilEnded(zombie, 10_000)).toBe(true);
    expect(existsSync(`/proc/${zombie.pid}`)).toBe(true);
    child.kill("SIGKILL");
    await gone;
  });

  it("knows from ps when a process began, where the system has no better way", async () => {
    const seconds = Number(await startToldByPs(process.pid));
    expect(Math.abs(seconds - (Date.now() / 1000 - process.uptime()))).toBeLessThan(5);
    expect(await startToldByPs(2 ** 22 + 1)).toBe("0");
  });

  it("never takes a process of another machine or container for ended", async () => {
    expect(await hasEnded({ pid: 2 ** 22 + 1, began: "1", place: "elsewhere" }, own)).toBe(false);
  });
});

describe("the engine's log", () => {
  beforeEach(() => mkdirSync(files.folder, { recursive: true }));

  it("is bounded, with the older part beside it, and only its owner's", () => {
    writeFileSync(files.log, "", { mode: 0o644 });
    const file = openEngineLog(state, 2000);
    for (let line = 0; line < 200; line++) file.write(`[info] line ${line}\n`);
    expect(file.size()).toBeLessThanOrEqual(2000);
    expect(statSync(files.oldLog).size).toBeLessThanOrEqual(2000);
    const both = readFileSync(files.oldLog, "utf8") + readFileSync(files.log, "utf8");
    expect(both).toMatch(/line 150\n[\s\S]*line 199\n$/);
    // When something happened is what a log is asked first.
    expect(readFileSync(files.log, "utf8")).toMatch(/^20\d\d-\d\d-\d\dT[\d:.]+Z \[info\] line \d+\n/);
    expect(file.lastLine(0)).toBe("line 199");
    expect(modeOf(files.log)).toBe("600");
    expect(modeOf(files.oldLog)).toBe("600");
    file.close();
  });

  it("is brought back to its size when something was written past it", () => {
    const file = openEngineLog(state, 1000);
    writeSync(file.fd, "x".repeat(5000));
    writeSync(file.fd, "\nthe end");
    const again = openEngineLog(state, 1000);
    expect(again.size()).toBe(0);
    expect(readFileSync(files.oldLog, "utf8")).toMatch(/^x{992}\nthe end$/);
    // Who had it open before writes on at the new end.
    writeSync(file.fd, "[error] next\n\n");
    expect(again.lastLine(0)).toBe("next");
    expect(again.lastLine(again.size())).toBe("");
    expect(again.lastLine(100_000)).toBe("next");
    file.close();
    again.close();
  });

  it("does not throw when it cannot be written", () => {
    const file = openEngineLog(state, 1000);
    file.close();
    expect(file.write("x")).toBe(true);
  });
});

describe("the process of an engine", () => {
  let clock: HandClock;
  let over: boolean;
  let runs: number;
  let clients: number;
  let opensPullRequests: boolean;
  let touch: () => void;
  let signal: (name: "SIGTERM" | "SIGINT") => void;
  let closed: number;

  beforeEach(() => {
    clock = createHandClock();
    over = false;
    runs = 0;
    clients = 0;
    opensPullRequests = false;
    closed = 0;
  });

  function run(options: Partial<EngineProcessOptions> = {}): Promise<number> {
    return runEngineProcess({
      stateFolder: state,
      version: "1.0.0",
      background: true,
      host: "127.0.0.1",
      async createEngineServer(given) {
        touch = given.touch;
        return {
          url: `http://127.0.0.1:${given.port || 1234}`,
          activeRuns: () => runs,
          clients: () => clients,
          opensPullRequests: () => opensPullRequests,
          close: async () => {
            closed++;
          },
        };
      },
      clock,
      log,
      onSignal(listener) {
        signal = listener;
        return () => {};
      },
      ...options,
    }).finally(() => {
      over = true;
    });
  }
  const listening = () => until(() => existsSync(files.record), "the record");
  /** Moves time in steps as small as the engine's own, and lets it look each time. */
  async function pass(ms: number): Promise<void> {
    for (let rest = ms; rest > 0; rest -= 5_000) {
      clock.advance(Math.min(rest, 5_000));
      await until(() => over || clock.pending() > 0, "the next look");
    }
  }

  it("says where it is as long as it is there, only to its owner", async () => {
    const end = run();
    await listening();
    expect(await readEngineRecord(state)).toEqual({
      ...(await lastingIdentity()),
      url: "http://127.0.0.1:1234",
      version: "1.0.0",
      startedAt: clock.now(),
      keyDigest: digestOfKey(await resolveEngineKey({ stateFolder: state })),
      background: true,
    });
    expect(modeOf(files.record)).toBe("600");
    signal("SIGTERM");
    expect(existsSync(files.record)).toBe(false);
    expect(await end).toBe(0);
    expect(closed).toBe(1);
    expect(readdirSync(files.folder).sort()).toEqual(["last-end.json", "port"]);
  });

  it("is drained by a request that names it, interrupts when the time is over, and ends then", async () => {
    const told: string[] = [];
    let isDone = () => {};
    const drained = new Promise<void>((resolve) => {
      isDone = resolve;
    });
    const end = run({
      async createEngineServer() {
        return {
          url: "http://127.0.0.1:1234",
          activeRuns: () => 1,
          clients: () => 0,
          async drain() {
            told.push("drain");
            await drained;
          },
          async interrupt(why) {
            told.push(why);
            isDone();
          },
          async close() {},
        };
      },
    });
    await listening();
    const own = await lastingIdentity();
    writeDrainRequest(state, { ...own, began: "another process" }, undefined);
    await pass(10_000);
    expect(told).toEqual([]);
    writeDrainRequest(state, own, clock.now() + 60_000);
    await pass(30_000);
    expect(told).toEqual(["drain"]);
    await pass(40_000);
    expect(await end).toBe(0);
    expect(told[1]).toContain("the time that was given to its runs is over");
    expect(lines.join("\n")).toContain("nothing goes on any more, and it was told to end then");
    expect(existsSync(files.drain)).toBe(false);
  });

  it("ends itself after the stated time without runs and clients, and not before", async () => {
    const end = run({ idleMs: () => 20_000 });
    await listening();
    await pass(15_000);
    touch();
    await pass(15_000);
    runs = 1;
    await pass(60_000);
    runs = 0;
    clients = 1;
    await pass(60_000);
    clients = 0;
    opensPullRequests = true;
    await pass(60_000);
    opensPullRequests = false;
    await pass(15_000);
    expect(existsSync(files.record)).toBe(true);
    await pass(10_000);
    expect(await end).toBe(0);
    expect(lines.join("\n")).toContain("no runs and no clients for 20 s");
  });

  it("does not count the time by which the clock is set, ahead or back", async () => {
    const end = run({ idleMs: () => 20_000 });
    await listening();
    clock.set(3_600_000);
    await pass(15_000);
    expect(existsSync(files.record)).toBe(true);
    clock.set(-7_200_000);
    await pass(10_000);
    expect(await end).toBe(0);
  });

  it("ends by the time that holds by now", async () => {
    let idleMs = 600_000;
    const end = run({ idleMs: () => idleMs });
    await listening();
    await pass(60_000);
    expect(existsSync(files.record)).toBe(true);
    idleMs = 20_000;
    await pass(20_000);
    expect(await end).toBe(0);
    expect(lines.join("\n")).toContain("no runs and no clients for 20 s");
  });

  it("stays for ever when no time is stated", async () => {
    const end = run();
    await listening();
    await pass(900_000);
    expect(existsSync(files.record)).toBe(true);
    signal("SIGINT");
    expect(await end).toBe(0);
  });

  it("refuses to be the second one, and says which is the first", async () => {
    const end = run();
    await listening();
    expect(await run()).toBe(3);
    expect(lines.join("\n")).toContain(
      `process ${process.pid} at http://127.0.0.1:1234. No second one was started`,
    );
    expect(await readEngineRecord(state)).toBeDefined();
    signal("SIGTERM");
    await end;
  });

  it("takes its last port again when it is free, and another one when not", async () => {
    const ports: number[] = [];
    const options: Partial<EngineProcessOptions> = {
      async createEngineServer(given) {
        ports.push(given.port);
        return createStandInServer({ version: "1.0.0" })(given);
      },
    };
    for (let round = 0; round < 2; round++) {
      const end = run(options);
      await listening();
      signal("SIGTERM");
      await end;
    }
    const port = ports[1] as number;
    expect(ports).toEqual([0, expect.any(Number)]);
    expect(port).toBeGreaterThan(0);
    const other = createServer().listen(port, "127.0.0.1");
    await once(other, "listening");
    const end = run(options);
    await listening();
    expect(ports[2]).toBe(0);
    signal("SIGTERM");
    await end;
    other.close();
  });

  it("does not open when the port that it should have is another program's", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    expect(await run({ port })).toBe(1);
    expect(await run({ port: 1, host: "no-such-host.invalid" })).toBe(1);
    other.close();
    expect(closed).toBe(0);
    expect(lines.join("\n")).toMatch(
      new RegExp(`port ${port} is in use by another program[\\s\\S]*cannot be used`),
    );
    expect(readdirSync(files.folder)).toEqual([]);
  });

  it("gives everything back when it cannot be opened", async () => {
    const createEngineServer = () => Promise.reject(new Error("the disk is full"));
    expect(await run({ createEngineServer })).toBe(1);
    expect(lines.join("\n")).toContain("could not be started: the disk is full");
    expect(readdirSync(files.folder)).toEqual([]);
  });

  it("ends, once it is open, when it was told so before", async () => {
    let open: () => void = () => {};
    const opening = new Promise<void>((resolve) => {
      open = resolve;
    });
    const end = run({
      async createEngineServer() {
        await opening;
        const close = async () => {
          closed++;
        };
        return { url: "http://127.0.0.1:1", activeRuns: () => 0, clients: () => 0, close };
      },
    });
    await until(() => existsSync(files.key), "the opening");
    signal("SIGTERM");
    open();
    expect(await end).toBe(0);
    expect(closed).toBe(1);
    expect(existsSync(files.record)).toBe(false);
  });

  const hangs: Partial<EngineProcessOptions> = {
    createEngineServer: async () => ({
      url: "http://127.0.0.1:1",
      activeRuns: () => 1,
      clients: () => 0,
      close: () => new Promise(() => {}),
    }),
  };

  it("does not wait for ever for what it has to end", async () => {
    const end = run({ ...hangs, closeLimitMs: 5_000 });
    await listening();
    signal("SIGTERM");
    await until(() => clock.pending() > 0, "the wait");
    clock.advance(5_000);
    expect(await end).toBe(1);
  });

  it("waits no longer for a person who asks twice, but does for two windows that ask", async () => {
    const end = run(hangs);
    await listening();
    signal("SIGTERM");
    signal("SIGTERM");
    expect(await Promise.race([end, delay(50, "goes on")])).toBe("goes on");
    signal("SIGINT");
    expect(await end).toBe(1);
  });

  it("says when it could not be closed", async () => {
    const end = run({
      createEngineServer: async () => ({
        ...(await (hangs.createEngineServer as EngineProcessOptions["createEngineServer"])({} as never)),
        close: () => Promise.reject(new Error("not now")),
      }),
    });
    await listening();
    signal("SIGTERM");
    expect(await end).toBe(1);
    expect(lines.join("\n")).toContain("could not be closed: not now");
  });

  it("ends when its folder is taken away, and leaves the record of another engine alone", async () => {
    const end = run();
    await listening();
    const record = readFileSync(files.record);
    rmSync(join(files.folder, "lock"), { recursive: true });
    await pass(15_000);
    expect(await end).toBe(1);
    expect(readFileSync(files.record)).toEqual(record);
  });
});

describe("finding or starting the engine", () => {
  it("starts it in a session of its own, which outlives the window", async () => {
    const [found] = await findInWindows(1);
    expect(found).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      apiKey: await resolveEngineKey({ stateFolder: state }),
      started: true,
    });
    expect(await readStatus()).toMatchObject({
      running: true,
      url: found?.url,
      version: "1.0.0",
      activeRuns: 0,
    });
    const { pid } = roll("listens")[0] as ProcessIdentity;
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // Fields 5 and 6 of proc(5): process group and session.
    expect(
      stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .slice(2, 4),
    ).toEqual([`${pid}`, `${pid}`]);
    expect(modeOf(files.log)).toBe("600");
    expect(readFileSync(files.log, "utf8")).toContain("listens on");
  });

  it.each([2, 10])(
    "gives %i windows that start at once the same one",
    async (count) => {
      const found = await findInWindows(count);
      expect(new Set(found.map(({ url, apiKey }) => `${url} ${apiKey}`)).size).toBe(1);
      expect(found.filter(({ started }) => started)).toHaveLength(1);
      expect(roll("began")).toHaveLength(1);
      expect(await find()).toEqual({ ...found[0], started: false });
      expect(readdirSync(files.folder).sort()).toEqual(["engine.json", "engine.log", "lock", "port"]);
    },
    60_000,
  );

  it("starts another one after one that was killed, at the same address", async () => {
    const { url } = await find();
    const [first] = roll("listens");
    await signalProcess(first as ProcessIdentity, "SIGKILL");
    await waitUntilEnded(first as ProcessIdentity, 10_000);
    expect(existsSync(files.record)).toBe(true);
    expect(await find()).toMatchObject({ url, started: true });
    expect(roll("listens")).toHaveLength(2);
  });

  it("is not misled by a record and a lock whose pid is another program's by now", async () => {
    const program = await startProgram();
    const own = await lastingIdentity();
    const reused = { ...program.identity, began: "1" };
    placeLock(reused, own);
    const rest = {
      url: "http://127.0.0.1:9",
      version: "1.0.0",
      startedAt: 1,
      keyDigest: "x",
      background: true,
    };
    writeEngineRecord(state, { ...reused, ...rest });
    expect(await readStatus()).toEqual({ running: false });
    expect(await stop()).toEqual({ stopped: true, message: "No engine is running." });
    expect((await find()).started).toBe(true);
    expect(await hasEnded(program.identity, own)).toBe(false);
    await program.end();
  });

  it("starts over a record that cannot be read", async () => {
    mkdirSync(files.folder, { recursive: true });
    writeFileSync(files.record, "{");
    expect((await find()).started).toBe(true);
  });

  it("does not start a second one over one that hangs, and says what to do", async () => {
    const engine = await startStandIn();
    process.kill(engine.pid, "SIGSTOP");
    const message = await failure(find({}, { timeoutMs: 500, probe: createHealthProbe(100) }));
    expect(message).toContain(`(process ${engine.pid}) does not answer`);
    expect(message).toContain("No second one was started");
    expect(message).toContain("engine stop");
    expect(roll("began")).toHaveLength(1);
    expect(
      await readEngineStatus(state, { clock: systemClock, probe: createHealthProbe(100) }),
    ).toMatchObject({
      running: true,
      problem: "It does not answer.",
    });
    process.kill(engine.pid, "SIGCONT");
    expect((await find()).started).toBe(false);
  });

  it("waits for one that is only starting or ending, and no longer than stated", async () => {
    const own = await lastingIdentity();
    const file = placeLock({ pid: process.pid }, own);
    expect(await failure(find({}, { timeoutMs: 200 }))).toContain("is starting or ending");
    expect(await readStatus()).toMatchObject({
      pid: process.pid,
      problem: expect.stringContaining("just now"),
    });
    const found = find();
    rmSync(file);
    expect((await found).started).toBe(true);
  });

  it("waits as long as stated, also when the clock is set meanwhile", async () => {
    const clock = createSkippingClock();
    const spawnEngine = async () => {
      clock.set(3_600_000);
      return spawnStandIn(worker.script, state)();
    };
    expect((await find({}, { clock, spawnEngine })).started).toBe(true);
    const bringSettings = async () => clock.set(-3_600_000);
    process.kill(roll("listens").at(-1)?.pid ?? 0, "SIGSTOP");
    const options = { clock, bringSettings, probe: createHealthProbe(100), timeoutMs: 200 };
    expect(await failure(find({}, options))).toContain("does not answer");
  });

  it("does not take the last answer of one that has just decided to end for a sign of life", async () => {
    await startStandIn();
    const probe = async () => {
      removeEngineRecord(state);
      return { version: "1.0.0", activeRuns: 0, clients: 0 };
    };
    expect((await lookAtEngine(state, { probe, now: Date.now() })).kind).toBe("unready");
  });

  it("leaves an engine alone that shares the folder from elsewhere", async () => {
    placeLock({ pid: 1, place: "elsewhere" }, await lastingIdentity());
    const bringSettings = vi.fn();
    expect(await failure(find({}, { bringSettings }))).toContain("another machine or in another container");
    expect(bringSettings).not.toHaveBeenCalled();
    expect(await stop({ force: true })).toMatchObject({ stopped: false });
    expect(await readStatus()).toMatchObject({ running: true, problem: expect.any(String) });
    expect(roll("began")).toEqual([]);
  });

  it("replaces an older one that has no runs", async () => {
    const old = await startStandIn({ version: "0.9.0" });
    expect(await find()).toMatchObject({ started: true });
    expect(await hasEnded(old, await lastingIdentity())).toBe(true);
    expect(await readStatus()).toMatchObject({ version: "1.0.0" });
    expect(roll("listens")).toHaveLength(2);
  });

  it.each([
    [
      "an older one that has runs",
      { version: "0.9.0", runs: 2 },
      "has 2 runs going on, so it is used as it is",
    ],
    [
      "an older one that a person has started",
      { version: "0.9.0", background: false },
      "A person has started it",
    ],
    ["a newer one", { version: "1.1.0" }, ""],
  ])("uses %s as it is", async (_, standIn, note) => {
    await startStandIn(standIn);
    expect((await find()).started).toBe(false);
    expect(roll("began")).toHaveLength(1);
    const warnings = lines.filter((line) => line.startsWith("[warn]"));
    expect(warnings).toEqual(note ? [expect.stringContaining(note)] : []);
  });

  it("gives up on an older one that does not end", async () => {
    const old = await startStandIn({ version: "0.9.0", deaf: true });
    expect(await failure(find({}, { timeoutMs: 300 }))).toContain("is still there");
    expect(await hasEnded(old, await lastingIdentity())).toBe(false);
  });

  it("says why one could not be started, in its own last words, and starts none again", async () => {
    const message = await failure(find({ fails: "the disk is full" }));
    expect(message).toContain("exit code 1");
    expect(message).toContain("Its last output: The engine could not be started: the disk is full");
    expect(roll("began")).toHaveLength(1);
  });

  it("says that nothing can be written in the state folder, in our words", async () => {
    const file = join(state, "file");
    writeFileSync(file, "");
    expect(await failure(find({}, { stateFolder: join(file, "state") }))).toBe(
      "The state folder cannot be written (ENOTDIR). Make it writable, or name another folder in AUTOMAGIK_WORKFLOWS_STATE_DIR",
    );
  });

  it("says when there is nothing to start", async () => {
    const spawnEngine = createSpawnEngine({
      program: join(state, "nothing"),
      args: [],
      env: {},
      cwd: state,
      stateFolder: state,
    });
    expect(await failure(find({}, { spawnEngine }))).toContain("could not be started: spawn");
  });

  it("says when one that was started does not begin to work", async () => {
    const spawnEngine = async () => ({ pid: 1, ended: new Promise<never>(() => {}), lastWords: () => "" });
    expect(await failure(find({}, { spawnEngine, timeoutMs: 200 }))).toContain("did not start within 0 s");
  });

  it("does not wait for ever for a window that hangs while it starts one", async () => {
    const program = await startProgram();
    placeLock(program.identity, await lastingIdentity(), "start-lock");
    process.kill(program.identity.pid, "SIGSTOP");
    expect((await find({}, { timeoutMs: 6_000 })).started).toBe(true);
    await program.end();
  });

  it("takes the turn of a window that has died while it started one", async () => {
    const program = await startProgram();
    placeLock(program.identity, await lastingIdentity(), "start-lock");
    await program.end();
    const began = performance.now();
    expect((await find({}, { timeoutMs: 20_000 })).started).toBe(true);
    expect(performance.now() - began).toBeLessThan(await asLongAs(9_000));
  });

  it("takes the one that was quicker, when its own loses", async () => {
    const spawnEngine = async () => {
      await startStandIn();
      return spawnStandIn(worker.script, state)();
    };
    expect((await find({}, { spawnEngine })).started).toBe(false);
    expect(roll("listens")).toHaveLength(1);
  });

  it("knows the key of one that was started with a person's key, if it is the same", async () => {
    await startStandIn({ settingsKey: "sk-of-the-person" });
    expect((await find({}, { settingsKey: "sk-of-the-person" })).apiKey).toBe("sk-of-the-person");
    expect(await failure(find({}, { settingsKey: "sk-other" }))).toContain("started with another key");
    expect(await failure(find())).not.toContain("sk-");
  });

  it("gets the engine's own key for a window that has the key of another server", async () => {
    const { apiKey } = await find({}, { settingsKey: "sk-of-a-server" });
    expect(apiKey).toBe(await resolveEngineKey({ stateFolder: state }));
  });
});

describe("an engine in the background", () => {
  it("ends itself when nobody needs it, and leaves nothing that is in the way", async () => {
    const { url } = await find({ idleMs: 400 });
    const [engine] = roll("listens");
    expect(await waitUntilEnded(engine as ProcessIdentity, 15_000)).toBe(true);
    expect(await readStatus()).toEqual({ running: false });
    expect(readFileSync(files.log, "utf8")).toContain("no runs and no clients");
    expect(await find()).toMatchObject({ url, started: true });
  });

  it("is stopped in an orderly way, and the answer comes when it is gone", async () => {
    await find();
    const [engine] = roll("listens") as [ProcessIdentity];
    expect(await stop()).toEqual({ stopped: true, message: `The engine (process ${engine.pid}) has ended.` });
    expect(await hasEnded(engine, await lastingIdentity())).toBe(true);
    expect(existsSync(files.record)).toBe(false);
    expect(await stop()).toEqual({ stopped: true, message: "No engine is running." });
  });

  it("is stopped by force only when that is asked for", async () => {
    const engine = await startStandIn({ deaf: true });
    const patient = await stop({ patienceMs: 50, limitMs: 200 });
    expect(patient.stopped).toBe(false);
    expect(patient.message).toContain("engine stop --force");
    expect(lines.join("\n")).toContain("is ending its runs");
    expect(await stop({ force: true, limitMs: 200 })).toMatchObject({ stopped: true });
    expect(await hasEnded(engine, await lastingIdentity())).toBe(true);
    expect((await find()).started).toBe(true);
  });

  it("is told to end before it is ended by force, so that it can end its agents", async () => {
    await startStandIn({ runs: 1 });
    const { stopped, message } = await stop({ force: true });
    expect(stopped).toBe(true);
    expect(message).toMatch(/^The engine \(process \d+\) has ended\.$/);
  });

  it("leaves no agent at work when it has to be ended by force", async () => {
    await startStandIn({ deaf: true, agent: true, runs: 1 });
    const [agent] = roll("agent");
    const own = await lastingIdentity();
    expect(await hasEnded(agent as ProcessIdentity, own)).toBe(false);
    const { stopped, message } = await stop({ force: true, limitMs: 200 });
    expect(stopped).toBe(true);
    expect(message).toContain("was ended by force, with its agents");
    expect(await hasEnded(agent as ProcessIdentity, own)).toBe(true);
  });

  it("is stopped while runs are going on only when the person says so, or by force", async () => {
    await startStandIn({ runs: 2 });
    const questions: string[] = [];
    const asking = (answer: boolean) => async (question: string) => {
      questions.push(question);
      return answer;
    };
    const refused = await stop();
    expect(refused.stopped).toBe(false);
    expect(refused.message).toMatch(/^2 runs are going on at the engine/);
    expect(refused.message).toContain("Nobody can be asked here, so nothing was stopped. --force");
    const nameRuns = async () => ["implement, session login"];
    const declined = await stop({ ask: asking(false), nameRuns });
    expect(declined).toEqual({ stopped: false, message: "Nothing was stopped." });
    expect(questions[0]).toMatch(
      /^2 runs are going on at the engine \(process \d+\):\n {2}implement, session login\n/,
    );
    expect((await readStatus()).running).toBe(true);
    expect((await stop({ ask: asking(true) })).stopped).toBe(true);
    await startStandIn({ runs: 2 });
    expect((await stop({ force: true, ask: asking(false) })).stopped).toBe(true);
    expect(questions).toHaveLength(2);
  });

  it("is not stopped unasked when it hangs, since it may have runs", async () => {
    const engine = await startStandIn();
    process.kill(engine.pid, "SIGSTOP");
    const refused = await stop({ probe: createHealthProbe(100) });
    expect(refused.stopped).toBe(false);
    expect(refused.message).toContain("not known whether runs are going on");
    process.kill(engine.pid, "SIGCONT");
    expect((await stop()).stopped).toBe(true);
  });

  it("is stopped by force when it hangs", async () => {
    const engine = await startStandIn();
    process.kill(engine.pid, "SIGSTOP");
    const forced = await stop({ force: true, limitMs: 200, probe: createHealthProbe(100) });
    expect(forced).toMatchObject({ stopped: true });
  });

  it("is not stopped where it may as well be another program", async () => {
    const program = await startProgram();
    // As where the system does not tell when a process began.
    const own = { ...(await lastingIdentity()), began: "0" };
    placeLock({ pid: program.identity.pid }, own);
    expect(await stop({ force: true })).toMatchObject({
      stopped: false,
      message: expect.stringContaining("Nothing was stopped"),
    });
    expect(await hasEnded(program.identity, await lastingIdentity())).toBe(false);
    await program.end();
  });

  it("gets the person's environment, without what is the window's", () => {
    const env = backgroundEnvironment(
      {
        PATH: "/bin",
        ANTHROPIC_API_KEY: "sk-ant",
        HTTPS_PROXY: "http://proxy",
        npm_config_registry: "https://registry.example",
        NODE_OPTIONS: "--max-old-space-size=100 --inspect=9229",
        AUTOMAGIK_WORKFLOWS_API_KEY: "sk-1",
        AUTOMAGIK_WORKFLOWS_V2_API_KEY: "sk-2",
        CLAUDECODE: "1",
        CLAUDE_CODE_ENTRYPOINT: "cli",
        npm_lifecycle_event: "npx",
        npm_config_local_prefix: "/elsewhere",
        INIT_CWD: "/elsewhere",
      },
      { AUTOMAGIK_WORKFLOWS_STATE_DIR: "/state" },
    );
    expect(env).toEqual({
      PATH: "/bin",
      ANTHROPIC_API_KEY: "sk-ant",
      HTTPS_PROXY: "http://proxy",
      npm_config_registry: "https://registry.example",
      NODE_OPTIONS: "--max-old-space-size=100",
      AUTOMAGIK_WORKFLOWS_STATE_DIR: "/state",
    });
  });
});

describe("the commands", () => {
  let out: string;
  let signal: () => void;
  let given: Parameters<ServeEngineOptions["createEngineServer"]>[0];

  /** What a command prints goes to `out`. */
  function print(text: string): void {
    out += text;
  }

  function engine(more: Partial<ServeEngineOptions> = {}) {
    return serveEngine({
      background: false,
      settings: readSettings(),
      stateFolder: state,
      own: { began: Date.now(), variables: {} },
      createLog: (target, secrets) => createLog({ level: "info", secrets, stderr: { write: target } }),
      stderr: write,
      onSignal(listener) {
        signal = () => listener("SIGTERM");
        return () => {};
      },
      createEngineServer(options) {
        given = options;
        return createStandInServer({ version: "1.0.0" })({ ...options, host: "127.0.0.1", port: 0 });
      },
      ...more,
    });
  }

  function status() {
    out = "";
    return showEngineStatus({
      stateFolder: state,
      home: "",
      version: VERSION,
      given: {},
      readSessions: async () => ({ sessions: [], problem: undefined }),
      json: false,
      out: print,
      width: undefined,
      paint: (text) => text,
    });
  }

  function stop(more: Partial<AskToStopOptions> = {}) {
    out = "";
    const settings = readSettings();
    return askToStopEngine({
      settings,
      stateFolder: state,
      force: false,
      ask: undefined,
      log,
      out: print,
      ...more,
    });
  }

  const settings = (flags: Record<string, string>) => ({ settings: readSettings({}, flags) });

  test("engine serves until it is told to stop, and status tells of it", async () => {
    const end = engine(settings({ "engine-port": "0" }));
    await until(() => existsSync(files.record), "the record");
    const key = await resolveEngineKey({ stateFolder: state });
    expect(given).toMatchObject({
      apiKey: key,
      host: "127.0.0.1",
      port: 0,
      allowedHosts: [],
      folder: files.folder,
    });
    expect(lines.join("\n")).toContain(`Its key is in ${files.key}`);
    expect(lines.join("\n")).not.toContain(key);
    expect(await status()).toBe(0);
    expect(out).toMatch(
      /address +http:[\s\S]*process +\d[\s\S]*version[\s\S]*since +2[\s\S]*runs going on +0/,
    );
    expect(await engine(settings({ "engine-port": "0" }))).toBe(3);
    signal();
    expect(await end).toBe(0);
    expect(await status()).toBe(1);
    expect(out).toMatch(/^No engine is running\. The last one ended 2\S+ \(\d+ s ago\): it was stopped\.\n/);
  });

  test("engine --background stays on loopback, and writes to its log", async () => {
    const end = engine({ background: true, ...settings({ "engine-host": "0.0.0.0" }) });
    await until(() => existsSync(files.record), "the record");
    expect(given).toMatchObject({ host: "127.0.0.1", port: 0 });
    expect(lines).toEqual([]);
    expect(readFileSync(files.log, "utf8")).toContain("listens on");
    signal();
    expect(await end).toBe(0);
  });

  test("engine listens beyond this machine only with the person's own key", async () => {
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "build.example", "127.0.0.1.example"]) {
      const refused = engine(settings({ "engine-host": host }));
      await expect(refused).rejects.toThrow(SettingsError);
      expect(await failure(refused)).toMatch(/^[^\n]*AUTOMAGIK_WORKFLOWS_API_KEY$/);
    }
    const short = engine(settings({ "engine-host": "0.0.0.0", "api-key": "sk-person-of-15" }));
    await expect(short).rejects.toThrow(SettingsError);
    expect(await failure(short)).toContain("a key of 16 characters or more");
    expect(await failure(short)).not.toContain("sk-person");
    const end = engine(
      settings({ "engine-host": "0.0.0.0", "engine-port": "0", "api-key": "sk-person-0123456789" }),
    );
    await until(() => existsSync(files.record), "the record");
    expect(given.apiKey).toBe("sk-person-0123456789");
    expect(given.allowedHosts).toContain("127.0.0.1");
    expect(existsSync(files.key)).toBe(false);
    expect(readFileSync(files.record, "utf8")).not.toContain("sk-person");
    signal();
    await end;
  });

  test("engine stop names the runs that are going on, and stops nothing where nobody can be asked", async () => {
    const place = engineFolder();
    let served: LocalEngine | undefined;
    const keyed = {
      settings: readSettings({ AUTOMAGIK_WORKFLOWS_API_KEY: ENGINE_KEY }, { "engine-port": "0" }),
    };
    const createEngineServer = async () => {
      served = await startLocalEngine(place.folder);
      return served;
    };
    const end = engine({ ...keyed, createEngineServer });
    await until(() => existsSync(files.record), "the record");
    const client = createContractClient({ url: served?.url ?? "", apiKey: ENGINE_KEY });
    const message = withScript("Wait", { steps: [{ ask: [QUESTION] }] });
    const { run_id } = await client.start({ message, session_name: "login" });
    expect(await stop(keyed)).toBe(1);
    expect(out).toContain(`implement, session "login", run ${run_id}`);
    expect(out).toContain("Nobody can be asked here, so nothing was stopped");
    expect(await stop({ ...keyed, ask: async () => false })).toBe(1);
    expect(out).toBe("Nothing was stopped.\n");
    expect(await status()).toBe(0);
    signal();
    await end;
    place.remove();
  });

  test("engine stop says what it did", async () => {
    await startStandIn();
    expect(await stop()).toBe(0);
    expect(out).toMatch(/^The engine \(process \d+\) has ended\.\n$/);
  });
});

test("versions are compared by their numbers", () => {
  expect(isOlder("0.9.0", "0.10.0")).toBe(true);
  expect(isOlder("0.1.0-rc.1", "0.1.1")).toBe(true);
  expect(isOlder("1.0.0", "1.0.0")).toBe(false);
  expect(isOlder("1.0.1", "1.0.0")).toBe(false);
  expect(isOlder("unknown", "1.0.0")).toBe(false);
});
