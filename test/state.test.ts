import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { isRecordFileName, recordFileName, upstreamFolderName } from "../src/sessions/store/file-names.js";
import { createSessionLocks } from "../src/sessions/store/session-lock.js";
import { parseRecord } from "../src/sessions/store/session-record.js";
import {
  createFolderSessionStore,
  createMemorySessionStore,
  type StoreProblem,
} from "../src/sessions/store/session-store.js";
import { resolveStateFolder } from "../src/shared/state-folder.js";
import { describeSessionStore, run, session } from "./state-workers/session-store-contract.js";
import { compileWorkers, ended, linesOf } from "./state-workers/worker-processes.js";

const UPSTREAM = "https://workflows.example.com:8881/api";
const NOW = 1_750_000_000_000;

let folder: string;
let home: string;
let problems: StoreProblem[];

beforeEach(async () => {
  // Below the given one, so that the store itself creates everything.
  folder = join(await mkdtemp(join(tmpdir(), "state-")), "automagik-workflows-mcp");
  home = join(folder, "sessions", upstreamFolderName(UPSTREAM));
  problems = [];
});
afterEach(() => rm(join(folder, ".."), { recursive: true, force: true }));

function openStore(more: { upstream?: string; clock?: { now(): number }; runsKept?: number } = {}) {
  const onProblem = (problem: StoreProblem) => problems.push(problem);
  return createFolderSessionStore({ folder, upstream: UPSTREAM, onProblem, ...more });
}
const recordPath = (key: string) => join(home, recordFileName(key));
const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
/** Everything below the state folder, without directories. */
async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
}

describeSessionStore("memory", async () => createMemorySessionStore());
describeSessionStore("a folder", async () => openStore());
describeSessionStore("a folder that cannot be written", async () => {
  await writeFile(folder, "a file where the folder should be");
  return openStore();
});

describe("the folder of sessions", () => {
  it("outlives the store that wrote it", async () => {
    await openStore().update("k", () => session("k", { name: "kept" }));
    expect((await openStore().get("k"))?.name).toBe("kept");
  });

  it("creates nothing before it is used, and leaves one file per session when it has been", async () => {
    const store = openStore();
    await expect(stat(folder)).rejects.toThrow("ENOENT");
    await store.update("k", () => session("k"));
    await store.update("../up", () => session("../up"));
    expect((await filesBelow(folder)).sort()).toEqual([recordFileName("k"), recordFileName("../up")].sort());
    expect(await readdir(join(home, "locks"))).toEqual([]);
  });

  it("sees at once what another store has written", async () => {
    const [one, two] = [openStore(), openStore()];
    for (let i = 0; i < 100; i += 1) {
      await one.update("k", () => session("k", { updatedAt: i % 10 }));
      expect((await two.list())[0]?.updatedAt).toBe(i % 10);
      expect((await two.get("k"))?.updatedAt).toBe(i % 10);
    }
  });

  it("does not read files again that have not changed", async () => {
    const store = openStore();
    await store.update("k", () => session("k", { name: "aaaa" }));
    const old = new Date(Date.now() - 60_000);
    await utimes(recordPath("k"), old, old);
    await store.list();
    // Same file, size and time: only a store that reads again could see the difference.
    await writeFile(recordPath("k"), (await readFile(recordPath("k"), "utf8")).replace("aaaa", "bbbb"));
    await utimes(recordPath("k"), old, old);
    expect((await store.list())[0]?.name).toBe("aaaa");
    await utimes(recordPath("k"), new Date(), new Date());
    expect((await store.list())[0]?.name).toBe("bbbb");
  });

  it("reads a young file again although it looks the same, since two commits can share one tick", async () => {
    const store = openStore();
    await store.update("k", () => session("k", { name: "aaaa" }));
    const now = new Date();
    await utimes(recordPath("k"), now, now);
    expect((await store.list())[0]?.name).toBe("aaaa");
    await writeFile(recordPath("k"), (await readFile(recordPath("k"), "utf8")).replace("aaaa", "bbbb"));
    await utimes(recordPath("k"), now, now);
    expect((await store.list())[0]?.name).toBe("bbbb");
  });

  it("never mixes the sessions of two addresses", async () => {
    const addresses = [
      UPSTREAM,
      "https://workflows.example.com:8882/api",
      "http://workflows.example.com:8881/api",
      "https://workflows.example.com:8881/other",
      "not a url",
    ];
    for (const [i, upstream] of addresses.entries()) {
      await openStore({ upstream }).update("k", () => session("k", { name: `of ${i}` }));
    }
    for (const [i, upstream] of addresses.entries()) {
      expect((await openStore({ upstream }).list()).map((record) => record.name)).toEqual([`of ${i}`]);
    }
    expect(upstreamFolderName(UPSTREAM)).toMatch(/^workflows\.example\.com_8881-[0-9a-f]{12}$/);
  });

  it("takes spellings of one address for the same, and writes no credentials down", () => {
    const spelling = "https://user:secret@WORKFLOWS.example.com:8881/api/?key=secret#x";
    expect(upstreamFolderName(spelling)).toBe(upstreamFolderName(UPSTREAM));
  });

  it("is made again when somebody removes it while the server runs", async () => {
    const store = openStore();
    await store.update("a", () => session("a"));
    await rm(folder, { recursive: true });
    await store.update("b", () => session("b"));
    expect((await openStore().list()).map((record) => record.key)).toEqual(["b"]);
    expect(problems).toEqual([]);
  });

  it.skipIf(process.platform === "win32")("lets nobody else in, also where it did before", async () => {
    await mkdir(join(home, "locks"), { recursive: true });
    await writeFile(recordPath("old"), JSON.stringify(session("old")));
    for (const path of [folder, join(folder, "sessions"), home, join(home, "locks")])
      await chmod(path, 0o777);
    await chmod(recordPath("old"), 0o666);
    const store = openStore();
    await store.list();
    await store.update("new", () => session("new"));
    for (const path of [folder, join(folder, "sessions"), home, join(home, "locks"), join(home, "damaged")]) {
      expect(await modeOf(path), path).toBe("700");
    }
    expect(await modeOf(recordPath("old"))).toBe("600");
    expect(await modeOf(recordPath("new"))).toBe("600");
  });

  it.skipIf(process.platform === "win32")("leaves the mode of a folder that the user has named", async () => {
    const shared = join(folder, "..", "shared");
    await mkdir(shared);
    await chmod(shared, 0o755);
    await createFolderSessionStore({ folder: shared, upstream: UPSTREAM }).update("k", () => session("k"));
    expect(await modeOf(shared)).toBe("755");
    expect(await modeOf(join(shared, "sessions"))).toBe("700");
  });
});

describe("files that are not records", () => {
  const good = JSON.stringify(session("k"));
  const damaged: Record<string, string | Buffer> = {
    "half-written": good.slice(0, 40),
    empty: "",
    binary: Buffer.from([0, 255, 254, 1, 128, 0]),
    "another program's": '{"name":"left-pad","version":"1.3.0"}',
    "of another session": JSON.stringify(session("other")),
    "of no session": "null",
    "without runs": JSON.stringify({ ...session("k"), runs: undefined }),
    "full of zeros": Buffer.alloc(5 << 20),
  };

  it.each(Object.keys(damaged))("sets aside and reports one that is %s", async (kind) => {
    await openStore().update("fine", () => session("fine"));
    await writeFile(recordPath("k"), damaged[kind] ?? "");
    const store = openStore({ clock: { now: () => NOW } });
    expect((await store.list()).map((record) => record.key)).toEqual(["fine"]);
    const aside = join(home, "damaged", `${recordFileName("k")}.damaged-${NOW}`);
    expect((await readFile(aside)).equals(Buffer.from(damaged[kind] ?? ""))).toBe(true);
    expect(problems.map((problem) => problem.kind)).toEqual(["damaged"]);
    expect(problems[0]?.message).not.toContain(folder);
    await store.list();
    expect(problems).toHaveLength(1);
    expect((await store.update("k", (current) => current ?? session("k")))?.key).toBe("k");
  });

  it("sets them aside on a look-up and on a change as well", async () => {
    await openStore().list();
    for (const key of ["a", "b"]) await writeFile(recordPath(key), "{");
    const store = openStore();
    expect(await store.get("a")).toBeUndefined();
    expect(await store.update("b", (current) => current ?? session("b"))).toMatchObject({ key: "b" });
    expect(await readdir(join(home, "damaged"))).toHaveLength(2);
    expect(problems).toHaveLength(2);
  });

  it.skipIf(process.platform === "win32")("does not follow a link or stumble over a folder", async () => {
    await openStore().list();
    const outside = join(folder, "..", "outside.json");
    await writeFile(outside, JSON.stringify(session("k", { name: "planted" })));
    await symlink(outside, recordPath("k"));
    await mkdir(recordPath("d"));
    const store = openStore();
    expect(await store.get("k")).toBeUndefined();
    expect(await store.get("d")).toBeUndefined();
    expect(await readFile(outside, "utf8")).toContain("planted");
    expect(problems.map((problem) => problem.kind)).toEqual(["damaged", "damaged"]);
  });

  it("moves files with foreign names away, but not hidden ones, and does not repeat odd names", async () => {
    await openStore().list();
    for (const name of ["notes.txt", "a\u001bb", "package.json", ".DS_Store"]) {
      await writeFile(join(home, name), '{"version":2}');
    }
    expect(await openStore().list()).toEqual([]);
    expect((await readdir(home)).sort()).toEqual([".DS_Store", "damaged", "locks"]);
    expect(problems).toHaveLength(3);
    expect(problems.map((problem) => problem.message).join()).not.toContain("\u001b");
  });

  it("does not touch a record of a newer release, and says so once", async () => {
    await openStore().update("mine", () => session("mine"));
    const text = JSON.stringify({ version: 2, key: "k", shape: ["unknown"] });
    await writeFile(recordPath("k"), text);
    const store = openStore();
    const change = vi.fn(() => session("k"));
    for (let i = 0; i < 3; i += 1) {
      expect((await store.list()).map((record) => record.key)).toEqual(["mine"]);
      expect(await store.get("k")).toBeUndefined();
      expect(await store.update("k", change)).toBeUndefined();
      await store.remove("k");
    }
    expect(change).not.toHaveBeenCalled();
    expect(await readFile(recordPath("k"), "utf8")).toBe(text);
    expect(problems.map((problem) => problem.kind)).toEqual(["newer-version"]);
  });
});

describe("a state folder that cannot be written", () => {
  it("makes the store go on in memory, and is reported once", async () => {
    await writeFile(folder, "a file where the folder should be");
    const store = openStore();
    await store.update("a", () => session("a"));
    await store.update("b", () => session("b"));
    expect(await store.list()).toHaveLength(2);
    expect(problems.map((problem) => problem.kind)).toEqual(["unwritable"]);
    expect(problems[0]?.message).not.toContain(folder);
  });

  it("still shows what was written before, with the changes on top", async () => {
    const before = openStore();
    for (const key of ["kept", "changed", "removed"]) await before.update(key, () => session(key));
    await rm(join(home, "locks"), { recursive: true });
    await writeFile(join(home, "locks"), "in the way");
    await writeFile(recordPath("torn"), "{");
    const store = openStore();
    await store.update("changed", (current) => ({ ...(current ?? session("changed")), name: "new name" }));
    await store.remove("removed");
    const names = (await store.list()).map((record) => record.name).sort();
    expect(names.filter((name) => name !== "torn")).toEqual(["kept", "new name"]);
    expect(await store.get("removed")).toBeUndefined();
    expect((await store.get("changed"))?.name).toBe("new name");
    await store.list();
    // The torn record and the file in the way.
    expect(problems.map((problem) => problem.kind).sort()).toEqual(["damaged", "damaged", "unwritable"]);
  });

  it("is noticed when it happens later on", async () => {
    const store = openStore();
    await store.update("k", () => session("k", { name: "on disk" }));
    await rename(join(home, "locks"), join(home, "..", "gone"));
    await writeFile(join(home, "locks"), "in the way");
    const after = await store.update("k", (current) => ({ ...(current ?? session("k")), gitBranch: "main" }));
    expect(after).toMatchObject({ name: "on disk", gitBranch: "main" });
    expect((await store.get("k"))?.gitBranch).toBe("main");
    expect(problems.map((problem) => problem.kind)).toEqual(["unwritable"]);
  });
});

describe("the lock of a session", () => {
  let locks: string;
  let target: string;
  beforeEach(async () => {
    locks = join(folder, "locks");
    target = join(folder, "target");
    await mkdir(locks, { recursive: true });
  });

  it("has one owner at a time", async () => {
    let inside = 0;
    let most = 0;
    const work = async () => {
      const lock = await createSessionLocks({ folder: locks }).acquire("one");
      most = Math.max(most, ++inside);
      await readdir(locks);
      inside -= 1;
      await lock.release();
    };
    await Promise.all(Array.from({ length: 20 }, work));
    expect(most).toBe(1);
    expect(await readdir(locks)).toEqual([]);
  });

  it("does not make other sessions wait", async () => {
    const manager = createSessionLocks({ folder: locks });
    const first = await manager.acquire("one");
    const second = await manager.acquire("two");
    expect(await second.commit(target, "two")).toBe(true);
    expect(await first.commit(target, "one")).toBe(true);
  });

  it("is taken from an owner that hangs, whose late commit then changes nothing", async () => {
    const asleep = await createSessionLocks({ folder: locks }).acquire("one");
    const awake = await createSessionLocks({ folder: locks, staleAfterMs: 30 }).acquire("one");
    expect(await asleep.commit(target, "late")).toBe(false);
    expect(await awake.commit(target, "in time")).toBe(true);
    expect(await asleep.commit(target, "later still")).toBe(false);
    await asleep.release();
    expect(await readFile(target, "utf8")).toBe("in time");
  });

  it("goes to exactly one of many who take it over at once", async () => {
    for (let round = 0; round < 10; round += 1) {
      await createSessionLocks({ folder: locks }).acquire("one");
      await writeFile(target, "0");
      const work = async () => {
        const lock = await createSessionLocks({ folder: locks }).acquire("one");
        const count = Number(await readFile(target, "utf8"));
        expect(await lock.commit(target, `${count + 1}`)).toBe(true);
      };
      // An owner whose process is gone: the pid is beyond what a system gives out.
      const [name = ""] = await readdir(join(locks, "one"));
      const dead = name.replace(/^\d+-\d+/, "2147483646-1");
      await rename(join(locks, "one", name), join(locks, "one", dead));
      await Promise.all(Array.from({ length: 8 }, work));
      expect(await readFile(target, "utf8")).toBe("8");
    }
  });

  it("of a reused process id is not taken for a living owner's", async () => {
    await createSessionLocks({ folder: locks }).acquire("one");
    const [name = ""] = await readdir(join(locks, "one"));
    if (name.split("-")[1] === "0") return; // no way to know on this system: it is waited for instead
    await rename(join(locks, "one", name), join(locks, "one", name.replace(/^(\d+)-\d+/, "$1-1")));
    const lock = await createSessionLocks({ folder: locks, staleAfterMs: 600_000 }).acquire("one");
    expect(await lock.commit(target, "x")).toBe(true);
  });

  it("leaves nothing lying about for long", async () => {
    const manager = createSessionLocks({ folder: locks });
    await manager.acquire("living");
    await manager.acquire("dead");
    const [name = ""] = await readdir(join(locks, "dead"));
    await rename(join(locks, "dead", name), join(locks, "dead", name.replace(/^\d+-\d+/, "2147483646-1")));
    await mkdir(join(locks, `claimed.2147483646-1-${name.split("-")[2]}`));
    await mkdir(join(locks, "released"));
    await manager.sweep(Date.now());
    expect(await readdir(locks)).toEqual(["living"]);
    // Whoever it is on another machine, after an hour it is not working on a small file any more.
    await manager.sweep(Date.now() + 2 * 3_600_000);
    expect(await readdir(locks)).toEqual([]);
  });
});

describe("several processes", () => {
  let workers: ReturnType<typeof compileWorkers>;
  beforeAll(() => {
    workers = compileWorkers();
  }, 60_000);
  afterAll(() => workers.dispose());

  it("append to one session 500 times each and lose nothing, while a reader sees no torn file", async () => {
    const store = openStore({ runsKept: 5_000 });
    await store.list();
    const both = ["a", "b"].map((prefix) =>
      ended(workers.start("append-runs", [folder, UPSTREAM, "shared", prefix, "500"])),
    );
    let running = true;
    const finished = Promise.all(both).finally(() => {
      running = false;
    });
    let [reads, longest] = [0, 0];
    while (running) {
      const text = await readFile(recordPath("shared"), "utf8").catch(() => undefined);
      if (text !== undefined) {
        const parsed = parseRecord(text);
        if (parsed.kind !== "record") throw new Error(`torn after ${reads} reads: ${text.slice(0, 80)}`);
        expect(parsed.record.runs.length).toBeGreaterThanOrEqual(longest);
        longest = parsed.record.runs.length;
        reads += 1;
      }
      await store.list();
    }
    expect(await finished).toEqual([0, 0]);
    const runs = (await store.get("shared"))?.runs.map((each) => each.runId);
    const expected = ["a", "b"].flatMap((prefix) => Array.from({ length: 500 }, (_, i) => `${prefix}-${i}`));
    expect(runs).toHaveLength(1_000);
    expect(new Set(runs)).toEqual(new Set(expected));
    expect(reads).toBeGreaterThan(50);
    expect(problems).toEqual([]);
    expect(await readdir(join(home, "locks"))).toEqual([]);
  }, 120_000);

  it("killed in the middle of writing 200 times leave every committed write and an index that works", async () => {
    const LANES = 4;
    const store = openStore();
    await store.list();
    let interrupted = 0;
    let slowest = 0;

    const lane = async (number: number) => {
      const key = `lane ${number}`;
      for (let round = 0; round < 200 / LANES; round += 1) {
        const worker = workers.start("write-until-killed", [folder, UPSTREAM, key]);
        const lines = linesOf(worker);
        let acknowledged = 0;
        const enough = 1 + Math.floor(Math.random() * 8);
        for (let seen = 0; seen < enough; seen += 1) acknowledged = Number((await lines.next()).value);
        worker.kill("SIGKILL");
        await ended(worker);
        // What it had still told before it died counts as well.
        for (let rest = await lines.next(); !rest.done; rest = await lines.next())
          acknowledged = Number(rest.value);

        const left = (await readdir(join(home, "locks"))).filter((name) => isLockOf(name, key));
        if (left.length > 0) interrupted += 1;
        // A new store, as after a restart: it opens, and has what was committed.
        const reopened = openStore();
        const counted = (await reopened.list()).find((record) => record.key === key)?.runs.at(-1)?.turns ?? 0;
        expect(counted - acknowledged, key).toBeGreaterThanOrEqual(0);
        expect(counted - acknowledged, key).toBeLessThanOrEqual(1);
        const began = performance.now();
        const after = await reopened.update(
          key,
          (current) => current && { ...current, gitBranch: `r${round}` },
        );
        slowest = Math.max(slowest, performance.now() - began);
        expect(after).toMatchObject({ gitBranch: `r${round}` });
      }
    };
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));

    expect(problems).toEqual([]);
    // The test is worth something only if the kills hit writes.
    expect(interrupted).toBeGreaterThan(50);
    // Waiting for staleness by age would take 5 s.
    expect(slowest).toBeLessThan(3_000);
    await openStore().list();
    expect(await readdir(join(home, "locks"))).toEqual([]);
    expect((await filesBelow(home)).every(isRecordFileName)).toBe(true);
  }, 120_000);

  it("wait for a living owner and no longer", async () => {
    const locks = join(home, "locks");
    await openStore().list();
    const worker = workers.start("hold-lock", [locks, lockNameOf("k")]);
    const lines = linesOf(worker);
    expect((await lines.next()).value).toBe("held");
    const order: string[] = [];
    const update = openStore()
      .update("k", () => session("k", { runs: [run("r1")] }))
      .then(() => order.push("updated"));
    // The waiter's claim shows that it has come as far as the lock.
    await vi.waitUntil(async () => (await readdir(locks)).length === 2);
    const second = openStore();
    await second.update("another", () => session("another"));
    worker.stdin.write("release\n");
    order.push(String((await lines.next()).value));
    await update;
    expect(order).toEqual(["releasing", "updated"]);
    expect(await ended(worker)).toBe(0);
  });

  it("get on at once when an owner is killed, before they came or while they wait", async () => {
    const locks = join(home, "locks");
    await openStore().list();
    for (const waitFirst of [false, true]) {
      const worker = workers.start("hold-lock", [locks, lockNameOf("k")]);
      expect((await linesOf(worker).next()).value).toBe("held");
      let update: Promise<unknown> | undefined;
      if (waitFirst) {
        update = openStore().update("k", () => session("k"));
        await vi.waitUntil(async () => (await readdir(locks)).length === 2);
      }
      worker.kill("SIGKILL");
      await ended(worker);
      const began = performance.now();
      // The store that opens now may also have swept the lock away; both are fine.
      update ??= openStore().update("k", () => session("k"));
      await update;
      expect(performance.now() - began).toBeLessThan(2_000);
    }
  });
});

describe("the place of the state folder", () => {
  const cases = [
    ["linux", {}, "/home/u/.local/state/automagik-workflows-mcp"],
    ["linux", { XDG_STATE_HOME: "/x" }, "/x/automagik-workflows-mcp"],
    ["linux", { XDG_STATE_HOME: "relative" }, "/home/u/.local/state/automagik-workflows-mcp"],
    ["linux", { XDG_STATE_HOME: "" }, "/home/u/.local/state/automagik-workflows-mcp"],
    ["freebsd", {}, "/home/u/.local/state/automagik-workflows-mcp"],
    ["darwin", { XDG_STATE_HOME: "/x" }, "/home/u/Library/Application Support/automagik-workflows-mcp"],
    ["win32", { LOCALAPPDATA: "D:\\Local" }, "D:\\Local\\automagik-workflows-mcp"],
    ["win32", {}, "C:\\u\\AppData\\Local\\automagik-workflows-mcp"],
  ] as const;
  it.each(cases)("is the system's own on %s with %o", (platform, env, expected) => {
    const where = platform === "win32" ? "C:\\u" : "/home/u";
    expect(resolveStateFolder({ env, platform, home: where })).toBe(expected);
  });

  it.each([
    ["/srv/state", "/srv/state"],
    ["~/state", "/home/u/state"],
    ["~", "/home/u"],
    ["state/here", "/home/u/state/here"],
    ["  ", "/home/u/.local/state/automagik-workflows-mcp"],
  ])("is what the user says where he says %j", (override, expected) => {
    expect(resolveStateFolder({ override, env: {}, platform: "linux", home: "/home/u" })).toBe(expected);
  });
});

/** The lock of a key, as the folder store names it. */
function lockNameOf(key: string): string {
  return recordFileName(recordFileName(key)).replace(".json", "");
}
function isLockOf(name: string, key: string): boolean {
  return name.split(".")[0] === lockNameOf(key);
}
