import { execFileSync } from "node:child_process";
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
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Libsql from "libsql";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import { recordFileName, upstreamFolderName } from "../src/sessions/store/file-names.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import { resolveStateFolder } from "../src/shared/state-folder.js";
import type { StoreProblem } from "../src/store/store-error.js";
import { describeSessionStore, run, session } from "./state-workers/session-store-contract.js";
import { compileWorkers, ended, linesOf } from "./state-workers/worker-processes.js";

const UPSTREAM = "https://workflows.example.com:8881/api";

let folder: string;
let file: string;
/** Where releases before the database kept a file for each session. */
let home: string;
let problems: StoreProblem[];
const mounted: string[] = [];

beforeEach(async () => {
  // Below the given one, so that the store itself creates everything.
  folder = join(await mkdtemp(join(tmpdir(), "state-")), "automagik-workflows-mcp");
  file = join(folder, "automagik.db");
  home = join(folder, "sessions", upstreamFolderName(UPSTREAM));
  problems = [];
});
afterEach(async () => {
  for (const path of mounted.splice(0).reverse()) execFileSync("umount", ["--lazy", path]);
  await rm(join(folder, ".."), { recursive: true, force: true });
});

function openStore(more: Partial<Parameters<typeof createDatabaseSessionStore>[0]> = {}) {
  const onProblem = (problem: StoreProblem) => problems.push(problem);
  return createDatabaseSessionStore({ folder, upstream: UPSTREAM, onProblem, ...more });
}
async function keysOf(store: ReturnType<typeof openStore>): Promise<string[]> {
  return (await store.list()).map(({ key }) => key).sort();
}
const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

describeSessionStore("memory", async () => createMemorySessionStore());
describeSessionStore("a database", async () => openStore());
describeSessionStore("a folder that cannot be written", async () => {
  await writeFile(folder, "a file where the folder should be");
  return openStore();
});

describe("the database of sessions", () => {
  it("outlives the store that wrote it", async () => {
    await openStore().update("k", () => session("k", { name: "kept" }));
    expect((await openStore().get("k"))?.name).toBe("kept");
  });

  it("creates nothing before it is used", async () => {
    const store = openStore();
    await expect(stat(folder)).rejects.toThrow("ENOENT");
    await store.update("k", () => session("k"));
    expect((await readdir(folder)).filter((name) => !name.startsWith("automagik.db"))).toEqual([]);
  });

  it("sees at once what another store has written", async () => {
    const [one, two] = [openStore(), openStore()];
    for (let i = 0; i < 100; i += 1) {
      await one.update("k", () => session("k", { updatedAt: i % 10 }));
      expect((await two.list())[0]?.updatedAt).toBe(i % 10);
      expect((await two.get("k"))?.updatedAt).toBe(i % 10);
    }
  });

  it("keeps the order of runs that began at the same time", async () => {
    const store = openStore();
    const ids = ["z", "a", "m", "b"];
    for (const runId of ids) {
      await store.update("k", (current) => ({
        ...(current ?? session("k")),
        runs: [...(current?.runs ?? []), run(runId, { startedAt: 5 })],
      }));
    }
    expect((await openStore().get("k"))?.runs.map(({ runId }) => runId)).toEqual(ids);
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
      const store = openStore({ upstream });
      expect((await store.list()).map((record) => record.name)).toEqual([`of ${i}`]);
      expect(await store.find({ names: ["of 0", "of 1", "of 2", "of 3", "of 4"] })).toHaveLength(1);
    }
  });

  it("takes spellings of one address for the same, and writes no credentials down", async () => {
    await openStore().update("k", () => session("k"));
    const spelling = "https://user:secret@WORKFLOWS.example.com:8881/api/?key=secret#x";
    expect(await keysOf(openStore({ upstream: spelling }))).toEqual(["k"]);
    expect(upstreamFolderName(spelling)).toMatch(/^workflows\.example\.com_8881-[0-9a-f]{12}$/);
  });

  it("is made again when somebody removes it while the server runs", async () => {
    const store = openStore();
    await store.update("a", () => session("a"));
    await rm(folder, { recursive: true });
    await store.update("b", () => session("b"));
    expect(await keysOf(openStore())).toEqual(["b"]);
    expect(problems).toEqual([]);
  });

  it.skipIf(process.platform === "win32")("lets nobody else in, also where it did before", async () => {
    await openStore().update("old", () => session("old"));
    await chmod(folder, 0o777);
    await chmod(file, 0o666);
    await openStore().update("new", () => session("new"));
    expect(await modeOf(folder)).toBe("700");
    for (const name of await readdir(folder)) expect(await modeOf(join(folder, name)), name).toBe("600");
  });

  it.skipIf(process.platform === "win32")("leaves the mode of a folder that the user has named", async () => {
    const shared = join(folder, "..", "shared");
    await mkdir(shared);
    await chmod(shared, 0o755);
    await openStore({ folder: shared }).update("k", () => session("k"));
    expect(await modeOf(shared)).toBe("755");
    for (const name of await readdir(shared)) expect(await modeOf(join(shared, name)), name).toBe("600");
  });
});

describe("session files of an earlier release", () => {
  const path = (key: string) => join(home, recordFileName(key));
  async function writeSession(key: string, text = JSON.stringify(session(key, { runs: [run(`${key}-1`)] }))) {
    await mkdir(home, { recursive: true });
    await writeFile(path(key), text);
  }

  it("are taken over once and stay as they are", async () => {
    for (const key of ["a", "../b"]) await writeSession(key);
    const before = await readFile(path("a"), "utf8");
    const store = openStore();
    expect(await keysOf(store)).toEqual(["../b", "a"]);
    expect(await store.get("a")).toEqual(session("a", { runs: [run("a-1")] }));
    await store.update("a", (current) => current && { ...current, name: "changed" });
    await store.remove("../b");
    await store.close();
    // What a server of that release still writes is not seen.
    await writeSession("later");
    const again = openStore();
    expect(await keysOf(again)).toEqual(["a"]);
    expect((await again.get("a"))?.name).toBe("changed");
    expect(await readFile(path("a"), "utf8")).toBe(before);
    expect((await readdir(home)).length).toBe(3);
    expect(problems).toEqual([]);
  });

  it("are taken over to the end after a process that was killed, and replace nothing", async () => {
    for (const key of ["changed", "removed"]) await writeSession(key);
    const store = openStore();
    await store.update("changed", (current) => current && { ...current, name: "new name" });
    await store.remove("removed");
    await store.close();
    const db = new Libsql(file);
    db.exec("delete from taken_over; pragma wal_checkpoint(truncate)");
    db.close();
    await writeSession("not there yet");
    const again = openStore();
    expect((await again.list()).map(({ name }) => name).sort()).toEqual(["new name", "not there yet"]);
    expect(await again.find({ ids: ["removed-1"] })).toEqual([]);
    expect(await again.find({ ids: ["not there yet-1"] })).toHaveLength(1);
  });

  it("are taken over whole by several at once", async () => {
    const keys = Array.from({ length: 450 }, (_, i) => `k${String(i).padStart(3, "0")}`);
    for (const key of keys) await writeSession(key);
    const all = await Promise.all([openStore(), openStore(), openStore()].map(keysOf));
    for (const one of all) expect(one).toEqual(keys);
    expect(problems).toEqual([]);
  });

  it("with one run twice are taken over with its last state", async () => {
    const runs = [run("r"), { ...run("r"), status: "completed" }];
    await writeSession("k", JSON.stringify(session("k", { runs })));
    const store = openStore();
    expect((await store.get("k"))?.runs.map(({ status }) => status)).toEqual(["completed"]);
  });

  it("of all addresses are taken over", async () => {
    await writeSession("k");
    await openStore({ upstream: "http://another.test" }).list();
    expect(await keysOf(openStore())).toEqual(["k"]);
  });

  it("that are none, or of a newer release, or not ours, are left and counted", async () => {
    const good = JSON.stringify(session("k"));
    await writeSession("fine");
    await writeSession("half", good.slice(0, 40));
    await writeSession("of another", JSON.stringify(session("other")));
    await writeSession("newer", '{"version":2}');
    await writeSession("huge", " ".repeat(5 << 20));
    const outside = join(folder, "..", "outside.json");
    await writeFile(outside, JSON.stringify(session("link", { name: "planted" })));
    await symlink(outside, path("link"));
    await writeFile(join(home, "notes.txt"), "not ours");
    const store = openStore();
    expect(await keysOf(store)).toEqual(["fine"]);
    await store.list();
    expect(problems.map(({ kind }) => kind)).toEqual(["damaged"]);
    expect(problems[0]?.message).toMatch(/ 5 could not be read and were not taken over/);
    expect(problems[0]?.message).not.toContain(folder);
    expect(await readdir(home)).toHaveLength(7);
  });
});

describe("a database that cannot be used", () => {
  it("for a while, because another process holds it when it is opened, is used afterwards", async () => {
    await mkdir(folder, { mode: 0o700 });
    const other = new Libsql(file);
    other.exec("pragma journal_mode = wal; begin immediate");
    const store = openStore({ giveUpAfterMs: 20 });
    await expect(store.update("a", () => session("a"))).rejects.toMatchObject({ kind: "busy" });
    other.exec("rollback");
    other.close();
    await store.update("a", () => session("a"));
    expect(await keysOf(openStore())).toEqual(["a"]);
  });

  it("any more, because it was removed, is made anew once for all calls that come then", async () => {
    const store = openStore();
    await store.update("before", () => session("before"));
    for (const name of await readdir(folder)) await rm(join(folder, name));
    const keys = Array.from({ length: 20 }, (_, i) => `k${String(i).padStart(2, "0")}`);
    await Promise.all(keys.map((key) => store.update(key, () => session(key))));
    expect(await keysOf(store)).toEqual(keys);
    expect(await keysOf(openStore())).toEqual(keys);
    expect(store.isForgetful()).toBe(false);
  });

  it("makes the store go on in memory, and is reported once", async () => {
    await writeFile(folder, "a file where the folder should be");
    const store = openStore();
    await Promise.all([store.update("a", () => session("a")), store.update("b", () => session("b"))]);
    expect(await store.list()).toHaveLength(2);
    expect(store.isForgetful()).toBe(true);
    expect(problems.map((problem) => problem.kind)).toEqual(["unwritable"]);
    expect(problems[0]?.message).toMatch(/remembered only until this server ends\.$/);
    expect(problems[0]?.message).not.toContain(folder);
  });

  it("because a newer release has changed it is left as it is, and what to do is said once", async () => {
    const before = openStore();
    await before.update("k", () => session("k"));
    await before.close();
    const db = new Libsql(file);
    db.exec(
      "insert into schema_migrations (name, release, applied_at) values ('900-later', '9.1.0', 1); pragma wal_checkpoint(truncate)",
    );
    db.close();
    const bytes = await readFile(file);
    const store = openStore();
    await store.update("new", () => session("new"));
    expect(await keysOf(store)).toEqual(["new"]);
    expect(problems.map(({ kind }) => kind)).toEqual(["newer-version"]);
    expect(problems[0]?.message).toContain("version 9.1.0");
    expect((await readFile(file)).equals(bytes)).toBe(true);
  });

  it("any more, because another thing is in its place, is noticed", async () => {
    const store = openStore();
    await store.update("a", () => session("a"));
    await rename(file, join(folder, "moved.db"));
    await mkdir(file);
    await store.update("b", () => session("b"));
    expect(await store.get("b")).toBeDefined();
    expect(problems.map(({ kind }) => kind)).toEqual(["unwritable"]);
  });

  it("because somebody else has put a link in its place is not read either", async () => {
    const theirs = openStore();
    await theirs.update("planted", () => session("planted"));
    await theirs.close();
    await rename(file, join(folder, "theirs.db"));
    await symlink(join(folder, "theirs.db"), file);
    expect(await keysOf(openStore())).toEqual([]);
    expect(problems.map(({ kind }) => kind)).toEqual(["unwritable"]);
  });

  it("because it is damaged is set aside for a new one", async () => {
    await mkdir(folder, { mode: 0o700 });
    await writeFile(file, "not a database, only a long text\n".repeat(500));
    const store = openStore();
    await store.update("k", () => session("k"));
    expect(await keysOf(openStore())).toEqual(["k"]);
    expect(store.isForgetful()).toBe(false);
    expect(problems.map(({ kind }) => kind)).toEqual(["damaged"]);
  });

  it.runIf(canMount())(
    "because it is read-only still shows what was written before, with the changes on top",
    async () => {
      // By another process: this one would keep files open that let it read on.
      const workers = compileWorkers();
      for (const key of ["kept", "changed", "removed"])
        await ended(workers.start("append-runs", [folder, UPSTREAM, key, "run", "1"]));
      workers.dispose();
      mount("--bind", folder, folder);
      mount("-o", "remount,ro,bind", folder);
      const store = openStore();
      expect(await keysOf(store)).toEqual(["changed", "kept", "removed"]);
      await store.update("changed", (current) => ({ ...(current ?? session("changed")), name: "new name" }));
      await store.remove("removed");
      expect((await store.list()).map(({ name }) => name).sort()).toEqual(["kept", "new name"]);
      expect(await store.get("removed")).toBeUndefined();
      expect(problems.map(({ kind }) => kind)).toEqual(["unwritable"]);
    },
  );

  it.runIf(canMount())("because the disk is full goes on in memory with all that was stored", async () => {
    await mkdir(folder);
    mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", folder);
    const store = openStore();
    const filling = (key: string) =>
      session(key, { runs: Array.from({ length: 100 }, (_, i) => run(`${key}-${i}`)) });
    let stored = 0;
    while (!store.isForgetful() && stored < 100) {
      const key = `k${stored}`;
      expect((await store.update(key, () => filling(key)))?.runs).toHaveLength(100);
      stored += 1;
    }
    expect(problems.map(({ kind }) => kind)).toEqual(["unwritable"]);
    expect(problems[0]?.message).toContain("The disk is full");
    expect(await store.list()).toHaveLength(stored);
    expect((await openStore().list()).length).toBe(stored - 1);
  });

  it("for a while, because its folder cannot be made, is used afterwards, with what was changed meanwhile", async () => {
    await writeFile(folder, "a file where the folder should be");
    const store = openStore({ retryAfterMs: 0 });
    await store.update("kept", () => session("kept"));
    await store.update("removed", () => session("removed"));
    expect(store.isForgetful()).toBe(true);
    await rm(folder);
    await openStore().update("of another", () => session("of another"));
    await store.remove("removed");
    await store.update("kept", (current) => current && { ...current, name: "new name" });
    await expect.poll(async () => (await store.list()) && store.isForgetful()).toBe(false);
    expect(await keysOf(store)).toEqual(["kept", "of another"]);
    const another = openStore();
    expect((await another.get("kept"))?.name).toBe("new name");
    expect(await another.get("removed")).toBeUndefined();
    await store.update("later", () => session("later"));
    expect(await another.get("later")).toBeDefined();
    expect(problems.map(({ kind }) => kind)).toEqual(["unwritable"]);
  });

  it.runIf(canMount())("because the disk is full is used again when there is room", async () => {
    await mkdir(folder);
    mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", folder);
    const store = openStore({ retryAfterMs: 0 });
    const runs = Array.from({ length: 100 }, (_, i) => run(`run-${i}`));
    let stored = 0;
    for (; !store.isForgetful() && stored < 100; stored += 1) {
      const key = `k${stored}`;
      await store.update(key, () => session(key, { runs }));
    }
    execFileSync("mount", ["-o", "remount,size=4m", folder]);
    await expect.poll(async () => (await store.list()) && store.isForgetful()).toBe(false);
    expect(await store.list()).toHaveLength(stored);
    expect(await openStore().list()).toHaveLength(stored);
    expect(problems.map(({ kind }) => kind)).toEqual(["unwritable"]);
  });
});

/** Whether this process may mount, as root may outside of most containers. */
function canMount(): boolean {
  try {
    execFileSync("unshare", ["--mount", "true"], { stdio: "ignore" });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

/** Mounts until the test is over; its last argument is where. */
function mount(...args: string[]): void {
  execFileSync("mount", args);
  if (!args.includes("remount,ro,bind")) mounted.push(args.at(-1) as string);
}

describe("several processes", () => {
  let workers: ReturnType<typeof compileWorkers>;
  beforeAll(() => {
    workers = compileWorkers();
  }, 60_000);
  afterAll(() => workers.dispose());

  it("append to one session 200 times each and lose nothing, while a reader sees every state whole", async () => {
    const store = openStore({ runsKept: 5_000 });
    await store.list();
    const both = ["a", "b"].map((prefix) =>
      ended(workers.start("append-runs", [folder, UPSTREAM, "shared", prefix, "200"])),
    );
    let running = true;
    const finished = Promise.all(both).finally(() => {
      running = false;
    });
    let [reads, longest] = [0, 0];
    while (running) {
      const record = await store.get("shared");
      if (record) {
        // Each update has set the session's time with its run.
        expect(record.runs.map(({ updatedAt }) => updatedAt)).toContain(record.updatedAt);
        expect(record.runs.length).toBeGreaterThanOrEqual(longest);
        longest = record.runs.length;
        reads += 1;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await finished).toEqual([0, 0]);
    const runs = (await store.get("shared"))?.runs.map((each) => each.runId);
    const expected = ["a", "b"].flatMap((prefix) => Array.from({ length: 200 }, (_, i) => `${prefix}-${i}`));
    expect(runs).toHaveLength(400);
    expect(new Set(runs)).toEqual(new Set(expected));
    expect(reads).toBeGreaterThan(50);
    expect(problems).toEqual([]);
  }, 120_000);

  it("killed in the middle of writing 24 times leave every committed write and an index that works", async () => {
    const LANES = 4;
    const store = openStore();
    await store.list();
    const lane = async (number: number) => {
      const key = `lane ${number}`;
      for (let round = 0; round < 24 / LANES; round += 1) {
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

        // A new store, as after a restart: it opens, and has what was committed.
        const reopened = openStore();
        const counted = (await reopened.list()).find((record) => record.key === key)?.runs.at(-1)?.turns ?? 0;
        expect(counted - acknowledged, key).toBeGreaterThanOrEqual(0);
        expect(counted - acknowledged, key).toBeLessThanOrEqual(1);
        const after = await reopened.update(
          key,
          (current) => current && { ...current, gitBranch: `r${round}` },
        );
        expect(after).toMatchObject({ gitBranch: `r${round}` });
        await reopened.close();
      }
    };
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    expect(problems).toEqual([]);
  }, 120_000);

  it("take session files over once when several open at the same time", async () => {
    await mkdir(home, { recursive: true });
    const old = session("shared", { runs: [run("old", { startedAt: -1 })] });
    await writeFile(join(home, recordFileName("shared")), JSON.stringify(old));
    const all = ["a", "b", "c", "d", "e"].map((prefix) =>
      ended(workers.start("append-runs", [folder, UPSTREAM, "shared", prefix, "5"])),
    );
    expect(await Promise.all(all)).toEqual([0, 0, 0, 0, 0]);
    const runs = (await openStore().get("shared"))?.runs.map((each) => each.runId) ?? [];
    expect(runs).toHaveLength(26);
    expect(runs[0]).toBe("old");
  }, 60_000);
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
