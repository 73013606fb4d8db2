import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { recordId, upstreamFolderName } from "../src/sessions/store/file-names.js";
import { createSessionStore } from "../src/sessions/store/open-session-store.js";
import { createRedisConnection } from "../src/sessions/store/redis-connection.js";
import { createRedisSessionStore } from "../src/sessions/store/redis-session-store.js";
import type { SessionRecord } from "../src/sessions/store/session-record.js";
import type { SessionStore } from "../src/sessions/store/session-store.js";
import { findFaultInRedisAddress } from "../src/settings/redis-address.js";
import type { StoreProblem } from "../src/store/store-error.js";
import { describeSessionStore, run, session } from "./state-workers/session-store-contract.js";
import { compileWorkers, ended } from "./state-workers/worker-processes.js";
import { findRedisServer, type RedisServer, startRedisServer } from "./support/redis-server.js";

const program = await findRedisServer();
const NOW = 1_750_000_000_000;

let server: RedisServer;
let upstream: string;
let problems: StoreProblem[];
let count = 0;

beforeEach(() => {
  // Every test has keys of its own on the one server.
  count += 1;
  upstream = `https://workflows.example.com/${count}`;
  problems = [];
});

type Options = Partial<Parameters<typeof createRedisSessionStore>[0]>;

function openStore(more: Options = {}): SessionStore {
  const onProblem = (problem: StoreProblem) => problems.push(problem);
  const store = createRedisSessionStore({ url: server.url, upstream, onProblem, ...more });
  onTestFinished(() => store.close());
  return store;
}

/** Talks to a server past the store. */
function openAdmin(url = server.url) {
  const { send, close } = createRedisConnection({ url, onTrouble: () => undefined });
  onTestFinished(close);
  return send;
}

const base = () => `automagik-workflows:{${upstreamFolderName(upstream)}}`;
const placeOf = (key: string) => `${base()}:session:${recordId(key)}`;

/** Puts something where a session's record belongs. */
async function plant(key: string, value: string | Buffer): Promise<void> {
  const admin = openAdmin();
  await admin("SET", placeOf(key), value);
  await admin("SADD", `${base()}:sessions`, recordId(key));
}

async function keysLike(pattern: string): Promise<string[]> {
  return (await openAdmin()<Buffer[]>("KEYS", pattern)).map(String);
}

const append = (runId: string) => (current: SessionRecord | undefined) => ({
  ...(current ?? session("k")),
  runs: [...(current?.runs ?? []), run(runId)],
});

/** How long the work took until it failed, in ms, and with what. */
async function failure(work: Promise<unknown>): Promise<{ tookMs: number; message: string }> {
  const began = performance.now();
  const error = await work.then(
    () => expect.fail("it did not fail"),
    (thrown: Error) => thrown,
  );
  return { tookMs: performance.now() - began, message: error.message };
}

/**
 * How it fails where nothing is waited for: one that waited took the whole limit each time, and a busy machine makes
 * no call quicker.
 */
async function failureAtOnce(call: () => Promise<unknown>, limitMs: number): Promise<{ message: string }> {
  for (let tries = 0; tries < 5; tries += 1) {
    const { tookMs, message } = await failure(call());
    if (tookMs < limitMs) return { message };
  }
  return expect.fail("it took the whole limit each time");
}

/** So long that nothing on a busy machine reaches it; what waits for it is seen by the test's own end. */
const NEVER_MS = 100_000;

/** Puts a session there by a store that is closed again. */
async function putSession(): Promise<void> {
  const store = createRedisSessionStore({ url: server.url, upstream, limitMs: NEVER_MS });
  await store.update("k", () => session("k"));
  await store.close();
}

/** Resolves when the store works again. */
async function untilItWorks(store: SessionStore): Promise<void> {
  await vi.waitUntil(() => store.list().then(Boolean, () => false), { timeout: NEVER_MS });
}

describe.skipIf(!program)("on a Redis server", () => {
  beforeAll(async () => {
    server = await startRedisServer(program as string);
  });
  afterAll(() => server.dispose());

  describeSessionStore("Redis", async () =>
    createRedisSessionStore({ url: server.url, upstream, limitMs: NEVER_MS }),
  );

  describe("the sessions", () => {
    it("outlive the store that wrote them", async () => {
      const store = openStore();
      await store.update("k", () => session("k", { name: "kept" }));
      await store.close();
      expect((await openStore().get("k"))?.name).toBe("kept");
    });

    it("are seen at once by another store", async () => {
      const [one, two] = [openStore(), openStore()];
      for (let i = 0; i < 100; i += 1) {
        await one.update("k", () => session("k", { updatedAt: i % 10 }));
        expect((await two.list())[0]?.updatedAt).toBe(i % 10);
        expect((await two.get("k"))?.updatedAt).toBe(i % 10);
      }
      await one.remove("k");
      expect(await two.list()).toEqual([]);
    });

    it("of two addresses never meet, and spellings of one address are the same", async () => {
      await openStore().update("k", () => session("k"));
      expect(await openStore({ upstream: `${upstream}/other` }).list()).toEqual([]);
      const spelling = `${upstream.replace("https://workflows", "https://user:secret@WORKFLOWS")}/?key=secret`;
      expect(await openStore({ upstream: spelling }).list()).toHaveLength(1);
      expect((await keysLike("*")).join()).not.toContain("secret");
    });

    it("have keys under the product's name, and no expiry", async () => {
      await openStore().update("k", () => session("k"));
      const keys = await keysLike(`*{${upstreamFolderName(upstream)}}*`);
      expect(keys.filter((key) => !key.includes(":written:")).sort()).toEqual(
        [placeOf("k"), `${base()}:sessions`].sort(),
      );
      for (const key of keys) {
        const left = await openAdmin()<number>("PTTL", key);
        if (key.includes(":written:")) expect(left).toBeGreaterThan(0);
        else expect(left).toBe(-1);
      }
    });

    it("expire where that is asked for, counted from the last change", async () => {
      const store = openStore({ expireAfterS: 60 });
      const admin = openAdmin();
      await store.update("k", () => session("k"));
      await admin("PEXPIRE", placeOf("k"), "1000");
      await store.update("k", append("r1"));
      expect(await admin("PTTL", placeOf("k"))).toBeGreaterThan(50_000);
      expect(await admin("PTTL", placeOf("k"))).toBeLessThanOrEqual(60_000);
    });

    it("that the server has dropped are gone, from the set as well", async () => {
      const store = openStore();
      for (const key of ["kept", "dropped"]) await store.update(key, () => session(key));
      await openAdmin()("DEL", placeOf("dropped"));
      expect((await store.list()).map((record) => record.key)).toEqual(["kept"]);
      expect(await openAdmin()("SCARD", `${base()}:sessions`)).toBe(1);
      expect(problems).toEqual([]);
    });

    it("are all listed when there are many, a hundred with one command", async () => {
      const store = openStore();
      const keys = Array.from({ length: 250 }, (_, i) => `k${i}`);
      await Promise.all(keys.map((key) => store.update(key, () => session(key))));
      await openAdmin()("CONFIG", "RESETSTAT");
      expect((await store.list()).map((record) => record.key).sort()).toEqual(keys.sort());
      const stats = String(await openAdmin()<Buffer>("INFO", "commandstats"));
      expect(stats).toContain("cmdstat_mget:calls=3,");
      expect(stats).not.toContain("cmdstat_get:");
    });

    it("are no longer connected to after close()", async () => {
      const admin = openAdmin();
      const store = openStore();
      await store.list();
      const connections = async () =>
        String(await admin<Buffer>("CLIENT", "LIST"))
          .split("\n")
          .filter(Boolean);
      const before = (await connections()).length;
      await store.close();
      await vi.waitUntil(async () => (await connections()).length === before - 1, { timeout: NEVER_MS });
    });
  });

  describe("values that are not records", () => {
    const good = JSON.stringify(session("k"));
    const damaged: Record<string, string | Buffer> = {
      "half-written": good.slice(0, 40),
      empty: "",
      binary: Buffer.from([0, 255, 254, 1, 128, 0]),
      "another program's": '{"name":"left-pad","version":"1.3.0"}',
      "of another session": JSON.stringify(session("other")),
      "of no session": "null",
      "full of zeros": Buffer.alloc(5 << 20),
    };

    it.each(Object.keys(damaged))("are set aside and reported when they are %s", async (kind) => {
      const value = damaged[kind] ?? "";
      await openStore().update("fine", () => session("fine"));
      await plant("k", value);
      const store = openStore({ clock: { now: () => NOW } });
      expect((await store.list()).map((record) => record.key)).toEqual(["fine"]);
      const aside = await openAdmin()<Buffer>("GET", `${base()}:damaged:${recordId("k")}:${NOW}`);
      expect(aside.equals(Buffer.from(value))).toBe(true);
      expect(problems.map((problem) => problem.kind)).toEqual(["damaged"]);
      await store.list();
      expect(problems).toHaveLength(1);
      expect((await store.update("k", (current) => current ?? session("k")))?.key).toBe("k");
      expect(await store.list()).toHaveLength(2);
    });

    it("are set aside on a look-up and on a change as well, also what is no text", async () => {
      await plant("a", "{");
      await plant("b", "{");
      const admin = openAdmin();
      for (const key of ["c", "d"]) {
        await admin("RPUSH", placeOf(key), "a list");
        await admin("SADD", `${base()}:sessions`, recordId(key));
      }
      const store = openStore();
      expect(await store.get("a")).toBeUndefined();
      expect(await store.update("b", (current) => current ?? session("b"))).toMatchObject({ key: "b" });
      expect(await store.update("c", (current) => current ?? session("c"))).toMatchObject({ key: "c" });
      expect((await store.list()).map((record) => record.key).sort()).toEqual(["b", "c"]);
      expect(await keysLike(`${base()}:damaged:*`)).toHaveLength(4);
      expect(problems.map((problem) => problem.kind)).toEqual(Array(4).fill("damaged"));
    });

    it("are reported by one of many who find them", async () => {
      await plant("k", "{");
      const stores = Array.from({ length: 5 }, () => openStore());
      for (const found of await Promise.all(stores.map((store) => store.list()))) expect(found).toEqual([]);
      expect(problems).toHaveLength(1);
    });

    it("stay, and are left out, where the account may only read", async () => {
      await plant("k", "{");
      await plant("fine", JSON.stringify(session("fine")));
      await openAdmin()("ACL", "SETUSER", "reader", "on", ">only-read", "~*", "+@read");
      const store = openStore({ url: server.url.replace("//", "//reader:only-read@") });
      for (let i = 0; i < 2; i += 1) {
        expect((await store.list()).map((record) => record.key)).toEqual(["fine"]);
        expect(await store.get("k")).toBeUndefined();
      }
      const { message } = await failure(store.update("fine", append("r1")));
      expect(message).toBe("The Redis server that keeps the sessions refused a command (NOPERM).");
      expect(message).not.toMatch(/reader|only-read/);
      expect(problems.map((problem) => problem.kind).sort()).toEqual(["damaged", "unwritable"]);
    });

    it("are left as they are when a newer release wrote them, which is said once", async () => {
      await openStore().update("mine", () => session("mine"));
      const text = JSON.stringify({ version: 2, key: "k", shape: ["unknown"] });
      await plant("k", text);
      const store = openStore();
      const change = vi.fn(() => session("k"));
      for (let i = 0; i < 3; i += 1) {
        expect((await store.list()).map((record) => record.key)).toEqual(["mine"]);
        expect(await store.get("k")).toBeUndefined();
        expect(await store.update("k", change)).toBeUndefined();
        await store.remove("k");
      }
      expect(change).not.toHaveBeenCalled();
      expect(String(await openAdmin()<Buffer>("GET", placeOf("k")))).toBe(text);
      expect(problems.map((problem) => problem.kind)).toEqual(["newer-version"]);
    });
  });

  describe("several writers", () => {
    let workers: ReturnType<typeof compileWorkers>;
    beforeAll(() => {
      workers = compileWorkers();
    }, 60_000);
    afterAll(() => workers.dispose());

    const both = (url: string, each: number) =>
      Promise.all(
        ["a", "b"].map((prefix) =>
          ended(workers.start("append-runs", [url, upstream, "k", prefix, `${each}`])),
        ),
      );
    const expected = (each: number) =>
      ["a", "b"].flatMap((prefix) => Array.from({ length: each }, (_, i) => `${prefix}-${i}`)).sort();
    const written = async (store: SessionStore) =>
      (await store.get("k"))?.runs.map(({ runId }) => runId) ?? [];

    it("append to one session 500 times each from two processes and lose nothing", async () => {
      expect(await both(server.url, 500)).toEqual([0, 0]);
      expect((await written(openStore())).sort()).toEqual(expected(500));
    }, 120_000);

    it("lose nothing and write nothing twice when the server is killed and started again", async () => {
      const durable = await startRedisServer(program as string, [
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
      ]);
      onTestFinished(() => durable.dispose());
      const store = openStore({ url: durable.url });
      const working = both(durable.url, 250);
      for (const enough of [50, 150, 250, 350]) {
        await vi.waitUntil(async () => (await written(store)).length >= enough, {
          timeout: 60_000,
          interval: 10,
        });
        await durable.kill();
        await durable.start();
      }
      expect(await working).toEqual([0, 0]);
      expect((await written(store)).sort()).toEqual(expected(250));
      expect(problems).toEqual([]);
    }, 120_000);

    it("make a change once whose answer was lost, also when another has written since", async () => {
      const proxy = await openProxy(server.port);
      const [store, other] = [openStore({ url: proxy.url }), openStore()];
      await store.update("k", append("before"));
      proxy.swallowNextAnswerTo("EVAL", async () => {
        await other.update("k", append("between"));
      });
      await store.update("k", append("once"));
      expect(await written(other)).toEqual(["before", "once", "between"]);
      expect(proxy.swallowed()).toBe(1);
    });
  });
});

describe.skipIf(!program)("a Redis server that fails", () => {
  const PASSWORD = "correct-horse-%/@#";
  beforeEach(async () => {
    server = await startRedisServer(program as string);
  });
  afterEach(() => server.dispose());

  it("is waited for while it starts again, without an error", async () => {
    const store = openStore({ limitMs: NEVER_MS });
    await store.update("k", () => session("k"));
    await server.kill();
    const update = store.update("k", append("r1"));
    await server.start();
    expect((await update)?.runs).toHaveLength(1);
    expect(problems).toEqual([]);
  });

  it("makes calls fail within the limit, then at once, until it is back; that is told once", async () => {
    const limitMs = 1_500;
    const store = openStore({ limitMs });
    await putSession();
    await untilItWorks(store);
    problems.length = 0;
    await server.kill();
    const first = await failure(store.get("k"));
    expect(first.message).toBe("The Redis server that keeps the sessions cannot be reached (ECONNREFUSED).");
    for (const call of [
      () => store.get("k"),
      () => store.list(),
      () => store.update("k", append("r1")),
      () => store.remove("k"),
    ]) {
      expect((await failureAtOnce(call, limitMs)).message).toBe(first.message);
    }
    expect(problems.map((problem) => problem.kind)).toEqual(["unwritable"]);
    expect(problems[0]?.message).not.toContain(`${server.port}`);

    await server.start();
    await untilItWorks(store);
    expect(problems).toHaveLength(1);
    await server.kill();
    await failure(store.list());
    expect(problems).toHaveLength(2);
  });

  it("that was never there is bounded as well, and closing does not hang", async () => {
    await server.kill();
    const store = openStore();
    const all = [store.list(), store.update("k", append("r1")), store.update("k", append("r2"))].map(failure);
    await store.close();
    await Promise.all(all);
  });

  it("that hangs is given up within the limit, and found again when it goes on", async () => {
    const limitMs = 500;
    const store = openStore({ limitMs });
    await putSession();
    await untilItWorks(store);
    server.signal("SIGSTOP");
    const { message } = await failure(store.get("k"));
    expect(message).toBe("The Redis server that keeps the sessions does not answer.");
    await failureAtOnce(() => store.list(), limitMs);
    server.signal("SIGCONT");
    await untilItWorks(store);
  });

  it("is not taken for one because this process was too busy to look", async () => {
    // Short enough to be outlasted below, and long enough for a busy machine.
    const store = openStore({ limitMs: 1_500 });
    await putSession();
    await untilItWorks(store);
    problems.length = 0;
    const reading = store.get("k");
    // The command is written in the first of these.
    for (let i = 0; i < 2; i += 1) await new Promise(setImmediate);
    const until = performance.now() + 2_500;
    while (performance.now() < until);
    expect((await reading)?.key).toBe("k");
    expect(problems).toEqual([]);
  });

  it("that is a replica for a while is tried again", async () => {
    const admin = openAdmin();
    const store = openStore({ limitMs: NEVER_MS });
    await store.update("k", () => session("k"));
    await admin("REPLICAOF", "127.0.0.1", "1");
    const update = store.update("k", append("r1"));
    await vi.waitUntil(async () => String(await admin<Buffer>("INFO", "errorstats")).includes("READONLY"), {
      timeout: NEVER_MS,
    });
    await admin("REPLICAOF", "NO", "ONE");
    expect((await update)?.runs).toHaveLength(1);
    expect(problems).toEqual([]);
  });

  it("that wants another password says so at once, without the password, and takes it when it is right", async () => {
    await openAdmin()("CONFIG", "SET", "requirepass", PASSWORD);
    const without = await failure(openStore({ limitMs: NEVER_MS }).list());
    expect(without.message).toMatch(/does not accept the user, password or database \(NOAUTH\)/);

    const wrong = "hunter2-hunter2";
    const store = openStore({ url: server.url.replace("//", `//:${wrong}@`), limitMs: NEVER_MS });
    const { message, tookMs } = await failure(store.list());
    expect(message).toMatch(
      /does not accept the user, password or database \(WRONGPASS\).*AUTOMAGIK_WORKFLOWS_STATE/,
    );
    expect(tookMs).toBeLessThan(NEVER_MS);
    const said = JSON.stringify([message, problems]);
    expect(said).not.toContain("hunter2");
    expect(said).not.toContain("127.0.0.1");

    const right = server.url.replace("//", `//:${encodeURIComponent(PASSWORD)}@`);
    expect(await openStore({ url: right, limitMs: NEVER_MS }).list()).toEqual([]);
    // The store with the other one gets in as soon as that is the right one.
    await openAdmin(right)("CONFIG", "SET", "requirepass", wrong);
    expect(await store.list()).toEqual([]);
  });

  it("whose database does not exist says so at once", async () => {
    const { message, tookMs } = await failure(
      openStore({ url: `${server.url}/9999`, limitMs: NEVER_MS }).update("k", append("r1")),
    );
    expect(message).toMatch(/does not accept the user, password or database \(ERR\)/);
    expect(await openAdmin()("DBSIZE")).toBe(0);
    expect(tookMs).toBeLessThan(NEVER_MS);
    expect(await openStore({ url: `${server.url}/3`, limitMs: NEVER_MS }).list()).toEqual([]);
  });
});

describe("the place of the sessions", () => {
  it("is the database in the folder without an address, and the library for Redis is not even loaded", async () => {
    const folder = await mkdtemp(join(tmpdir(), "state-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    // A process of its own, since this one has loaded it for other tests.
    const source = fileURLToPath(new URL("../src/sessions/store/open-session-store.ts", import.meta.url));
    const script = `
      import { createRequire } from "node:module";
      const { createSessionStore } = await import(${JSON.stringify(source)});
      const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => /redis/.test(path));
      const options = { folder: ${JSON.stringify(folder)}, upstream: "http://localhost" };
      await createSessionStore(options).list();
      const before = loaded();
      const onRedis = createSessionStore({ ...options, state: "redis://127.0.0.1:1" });
      const created = loaded();
      const listing = onRedis.list().catch(() => undefined);
      await onRedis.close();
      console.log(JSON.stringify([before, created, loaded()]));
    `;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "-e", script],
      { timeout: NEVER_MS, cwd: fileURLToPath(new URL("..", import.meta.url)) },
    );
    expect(JSON.parse(stdout)).toEqual([false, false, true]);
    expect((await readdir(folder)).filter((name) => !name.startsWith("automagik.db"))).toEqual([]);
  });

  it.each([
    "redis://localhost",
    "rediss://user:p%40ss@redis.example.com:6380/2",
    "redis://[::1]:6379",
    "redis://:secret@10.0.0.1/0",
  ])("may be %s", (address) => {
    expect(findFaultInRedisAddress(address)).toBeUndefined();
  });

  it.each([
    ["http://:secret@localhost", "is not the address of a Redis server"],
    ["localhost:6379", "is not the address of a Redis server"],
    ["redis://", "is not the address of a Redis server"],
    ["redis://user:se#cret@localhost", "is not the address of a Redis server"],
    ["redis://user:1?secret@localhost", "has a query or a fragment"],
    ["redis://user:1/secret@localhost", "names a database that is not a number"],
    ["redis://user:100%secret@localhost", "has credentials that are not percent-encoded"],
  ])("is refused when it is %s, without being quoted", (address, reason) => {
    const open = () => createSessionStore({ state: address, folder: "/nowhere", upstream: "u" });
    expect(open).toThrow(TypeError);
    expect(open).toThrow(reason);
    expect(open).not.toThrow("secret");
  });
});

/** A way to the server on which one answer can be lost together with the connection. */
async function openProxy(port: number) {
  let command: string | undefined;
  let meanwhile: () => Promise<void>;
  let swallowed = 0;
  const sockets = new Set<Socket>();
  const proxy: Server = createServer((client) => {
    const upstreamSocket = connect(port, "127.0.0.1");
    let losing = false;
    client.on("data", (data) => {
      if (command && data.includes(command)) {
        command = undefined;
        losing = true;
      }
      upstreamSocket.write(data);
    });
    upstreamSocket.on("data", (data) => {
      if (!losing) return void client.write(data);
      swallowed += 1;
      void meanwhile().then(() => client.destroy());
    });
    for (const socket of [client, upstreamSocket]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
    client.on("close", () => upstreamSocket.destroy());
    upstreamSocket.on("close", () => client.destroy());
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => proxy.once("listening", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  return {
    url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    swallowNextAnswerTo: (name: string, work: () => Promise<void>) => {
      command = name;
      meanwhile = work;
    },
    swallowed: () => swallowed,
  };
}
