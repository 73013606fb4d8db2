import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { deleteHistory, exportHistory, showHistory } from "../src/cli/history/history-commands.js";
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import { recordId } from "../src/sessions/store/file-names.js";
import type { SessionRecord } from "../src/sessions/store/session-record.js";
import type { SessionStore } from "../src/sessions/store/session-store.js";
import { createSharedSessionStore } from "../src/sessions/store/shared-session-store.js";
import { findFaultInPostgresAddress } from "../src/settings/postgres-address.js";
import type { StoreProblem } from "../src/store/store-error.js";
import { describeSessionStore, run, session } from "./state-workers/session-store-contract.js";
import { compileWorkers, ended, linesOf } from "./state-workers/worker-processes.js";
import { makeCertificate } from "./support/certificate.js";
import { findPostgres, PASSWORD, type PostgresServer, startPostgres } from "./support/postgres-server.js";

const programs = await findPostgres();

let server: PostgresServer;
let address: string;
let problems: StoreProblem[];
const upstream = "https://workflows.example.com";

type Options = Partial<Parameters<typeof createSharedSessionStore>[0]>;

function openStore(more: Options = {}): SessionStore {
  const onProblem = (problem: StoreProblem) => problems.push(problem);
  const store = createSharedSessionStore({ address, upstream, onProblem, ...more });
  onTestFinished(() => store.close());
  return store;
}

/** Asks the database of this test past the store. */
const ask = <Row extends Record<string, unknown>>(sql: string) =>
  server.query<Row>(sql, new URL(address).pathname.slice(1));

const append = (runId: string) => (current: SessionRecord | undefined) => ({
  ...(current ?? session("k")),
  runs: [...(current?.runs ?? []), run(runId)],
});

const written = async (store: SessionStore) => (await store.get("k"))?.runs.map(({ runId }) => runId) ?? [];

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
  const store = createSharedSessionStore({ address, upstream, limitMs: NEVER_MS });
  await store.update("k", () => session("k"));
  await store.close();
}

/** Resolves when the store works again. */
async function untilItWorks(store: SessionStore): Promise<void> {
  await vi.waitUntil(() => store.list().then(Boolean, () => false), { timeout: NEVER_MS });
}

const AWAY = "The PostgreSQL server cannot be reached (ECONNREFUSED).";

describe.skipIf(!programs)("on a PostgreSQL server", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  }, 60_000);
  afterAll(() => server.dispose());
  beforeEach(async () => {
    // Every test has a database of its own on the one server.
    address = await server.createDatabase();
    problems = [];
  });

  describeSessionStore("PostgreSQL", async () =>
    createSharedSessionStore({ address, upstream, limitMs: NEVER_MS }),
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
      for (let i = 0; i < 50; i += 1) {
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
      expect(JSON.stringify(await ask("select * from sessions"))).not.toContain("secret");
    });

    it("with names of any letters are stored and found as in the state folder", async () => {
      const folder = await mkdtemp(join(tmpdir(), "state-"));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const embedded = createDatabaseSessionStore({ folder, upstream });
      onTestFinished(() => embedded.close());
      const shared = openStore();
      const names = [
        "a\0b",
        "half \ud83d",
        "\udc00",
        "👩‍👩‍👧 und 🚀",
        "ÄÖÜß".repeat(125),
        "x".repeat(500),
        "a'\";--",
      ];
      for (const store of [embedded, shared]) {
        for (const name of names)
          await store.update(name, () => session(name, { name, sessionId: `id of ${name}` }));
      }
      expect(await shared.list()).toEqual(await embedded.list());
      for (const name of names) {
        for (const query of [{ names: [name] }, { ids: [`id of ${name}`] }, { names, ids: names }])
          expect(await shared.find(query)).toEqual(await embedded.find(query));
        expect((await shared.get(name))?.key).toBe(name);
      }
      for (const name of ["a\0b", "👩‍👩‍👧 und 🚀", "a'\";--"])
        expect(await shared.find({ names: [name] })).toMatchObject([{ key: name }]);
    });

    it("are all listed when there are many, and a second list reads only what has changed", async () => {
      const [store, other] = [openStore(), openStore()];
      const keys = Array.from({ length: 450 }, (_, i) => `k${i}`);
      await Promise.all(keys.map((key) => store.update(key, () => session(key))));
      expect((await other.list()).map((record) => record.key).sort()).toEqual(keys.sort());
      await ask("update sessions set record = null where changed <= 400");
      await store.update("k449", () => session("k449", { name: "changed" }));
      const again = await other.list();
      expect(again).toHaveLength(450);
      expect(again.find(({ key }) => key === "k449")?.name).toBe("changed");
    });

    it("bring the figures of their ended runs into the history, which every server sees", async () => {
      const [one, two] = [openStore(), openStore()];
      await one.readHistory();
      const done = { status: "completed", startedAt: 1_000, completedAt: Date.now(), turns: 7, costUsd: 0.5 };
      await one.update("k", () => session("k", { repositoryUrl: "https://host/a", runs: [run("r1", done)] }));
      const { figures, cursor } = await two.readHistory();
      expect(figures).toMatchObject([{ kind: "run", id: "r1", turns: 7, costUsd: 0.5 }]);
      await one.noteFigures([{ ...(figures[0] as (typeof figures)[0]), id: "seen on the API" }]);
      expect((await two.readHistory(cursor)).figures.map(({ id }) => id)).toEqual(["seen on the API"]);
    });

    it("have a history that the commands for it show, export and delete", async () => {
      const now = Date.now();
      const done = {
        status: "completed",
        startedAt: now - 9_000,
        completedAt: now - 1_000,
        turns: 7,
        costUsd: 0.5,
      };
      const repositoryUrl = "https://host/team/a.git";
      await openStore().update("k", () => session("k", { repositoryUrl, runs: [run("r1", done)] }));
      const told: string[] = [];
      const out = (text: string) => void told.push(text);
      // The state folder has nothing to do with it.
      const place = { folder: "/absent", address, days: 730, now, out, note: out };
      expect(await exportHistory(place, { format: "json" })).toBe(0);
      expect(JSON.parse(told.pop() ?? "")).toMatchObject([{ id: "r1", turns: 7, cost_usd: 0.5, task: null }]);
      await showHistory(place, { json: false, width: 100 });
      expect(told.pop()).toMatch(/^genie +1 /m);
      expect(await deleteHistory(place, { repository: repositoryUrl, agree: async () => true })).toBe(0);
      expect(told.pop()).toContain("Deleted 1 row of history");
      expect((await openStore().readHistory()).figures).toEqual([]);
    });

    it("are no longer connected to after close()", async () => {
      const store = openStore();
      await Promise.all([store.list(), store.update("k", () => session("k"))]);
      const own = () =>
        ask<{ n: string }>(
          "select count(*) as n from pg_stat_activity where application_name = 'automagik-workflows'",
        );
      expect(Number((await own())[0]?.n)).toBeGreaterThan(0);
      await store.close();
      await vi.waitUntil(async () => Number((await own())[0]?.n) === 0, { timeout: NEVER_MS });
    });
  });

  describe("a row that somebody has damaged", () => {
    it("is left out, and a change makes a record of it again", async () => {
      const store = openStore();
      for (const key of ["fine", "k"]) await store.update(key, () => session(key));
      await ask(`update sessions set record = '{"half' where key = '${recordId("k")}'`);
      expect((await openStore().list()).map((record) => record.key)).toEqual(["fine"]);
      expect(await store.get("k")).toBeUndefined();
      expect((await store.update("k", (current) => current ?? session("k")))?.key).toBe("k");
      expect(await openStore().list()).toHaveLength(2);
    });
  });

  describe("a database that cannot be used", () => {
    it("because a newer release has changed it stays as it is, which is said once", async () => {
      await putSession();
      await ask("insert into schema_migrations (name, release, applied_at) values ('999-later', '9.9.9', 0)");
      const store = openStore();
      for (let i = 0; i < 2; i += 1) {
        const { message } = await failure(store.update("k", append("r1")));
        expect(message).toMatch(
          /^The PostgreSQL database was changed by version 9\.9\.9 .*name another database in AUTO/,
        );
      }
      expect(problems.map(({ kind }) => kind)).toEqual(["newer-version"]);
      expect(await ask("select changed from sessions")).toHaveLength(1);
    });

    it("because of its rights says so, and works when they are given, without the user's name", async () => {
      await putSession();
      await server.query(`create role reader login password '${PASSWORD}'`);
      await ask("grant select on all tables in schema public to reader");
      const store = openStore({ address: address.replace(/user_\d+/, "reader"), limitMs: NEVER_MS });
      expect(await store.list()).toHaveLength(1);
      const { message } = await failure(store.update("k", append("r1")));
      expect(message).toBe(
        "The PostgreSQL server does not give its user the right to read, write and create tables (42501).",
      );
      expect(problems.map(({ kind }) => kind)).toEqual(["unwritable"]);
      expect(JSON.stringify(problems)).not.toMatch(/reader|sessions"/);
      await ask("grant all on all tables in schema public to reader");
      expect((await store.update("k", append("r1")))?.runs).toHaveLength(1);
    });

    it("because of the password or its name says so at once, without them", async () => {
      const faults: [string, string][] = [
        ["user_", "nobody_"],
        ["/team_", "/absent_"],
      ];
      for (const [from, to] of faults) {
        const store = openStore({ address: address.replace(from, to), limitMs: NEVER_MS });
        const { message, tookMs } = await failure(store.list());
        expect(message).toMatch(
          /does not accept the user, password or database.*AUTOMAGIK_WORKFLOWS_DATABASE/,
        );
        expect(tookMs).toBeLessThan(NEVER_MS);
        expect(JSON.stringify([message, problems])).not.toMatch(/nobody|absent|4711|127\.0/);
      }
    });

    it("because it has no TLS, which was asked for, says so at once", async () => {
      const { message } = await failure(
        openStore({ address: `${address}?sslmode=verify-full`, limitMs: NEVER_MS }).list(),
      );
      expect(message).toBe("The PostgreSQL server has no TLS, which sslmode in its address asks for.");
    });

    it("because its certificate is not one of those that are trusted says so; with a trusted one it is used", async () => {
      const { folder, cert, key, remove } = makeCertificate();
      onTestFinished(remove);
      const secure = await startPostgres(programs as string, {
        files: { "server.crt": cert, "server.key": key },
        settings: ["ssl=on"],
      });
      onTestFinished(() => secure.dispose());
      const plain = await secure.createDatabase();
      const strange = openStore({ address: `${plain}?sslmode=verify-full`, limitMs: NEVER_MS });
      expect((await failure(strange.list())).message).toMatch(
        /^The certificate of the PostgreSQL server is not accepted \([A-Z_]+\)\.$/,
      );
      const store = openStore({
        address: `${plain}?sslmode=verify-full&sslrootcert=${join(folder, "cert.pem")}`,
        limitMs: NEVER_MS,
      });
      await store.update("k", () => session("k"));
      const encrypted = await secure.query<{ ssl: boolean }>(
        "select ssl from pg_stat_ssl natural join pg_stat_activity where application_name = 'automagik-workflows'",
      );
      expect(encrypted.length).toBeGreaterThan(0);
      expect(encrypted.every(({ ssl }) => ssl)).toBe(true);
    });

    it("because a file for TLS is not there says so without its path", async () => {
      const { message } = await failure(
        openStore({
          address: `${address}?sslmode=verify-full&sslrootcert=/absent/ca.pem`,
          limitMs: NEVER_MS,
        }).list(),
      );
      expect(message).toBe("A file that AUTOMAGIK_WORKFLOWS_DATABASE names for TLS cannot be read (ENOENT).");
    });
  });

  describe("several writers", () => {
    let workers: ReturnType<typeof compileWorkers>;
    beforeAll(() => {
      workers = compileWorkers();
    }, 60_000);
    afterAll(() => workers.dispose());

    function start(prefix: string, count: number) {
      const worker = workers.start("append-runs", [address, upstream, "k", prefix, `${count}`]);
      onTestFinished(() => void worker.kill("SIGKILL"));
      return worker;
    }
    const expected = (prefixes: string[], each: number) =>
      prefixes.flatMap((prefix) => Array.from({ length: each }, (_, i) => `${prefix}-${i}`)).sort();

    it("begin on an empty database, 8 at once, append to one session and lose nothing", async () => {
      const prefixes = [..."abcdefgh"];
      const all = prefixes.map((prefix) => start(prefix, 25));
      for (const worker of all) worker.stdout.resume();
      expect(await Promise.all(all.map(ended))).toEqual(prefixes.map(() => 0));
      expect((await written(openStore({ limitMs: NEVER_MS }))).sort()).toEqual(expected(prefixes, 25));
    }, 120_000);

    it("lose nothing that was acknowledged when one is killed, and the others go on", async () => {
      const victim = start("victim", 10_000);
      const other = start("other", 30);
      other.stdout.resume();
      const told: string[] = [];
      const lines = linesOf(victim);
      while (told.length < 20) told.push((await lines.next()).value);
      victim.kill("SIGKILL");
      expect(await ended(victim)).toBeNull();
      for (let line = await lines.next(); !line.done; line = await lines.next()) told.push(line.value);
      expect(await ended(other)).toBe(0);
      const kept = await written(openStore({ limitMs: NEVER_MS }));
      expect(told.filter((runId) => !kept.includes(runId))).toEqual([]);
      expect(kept).toEqual(expect.arrayContaining(expected(["other"], 30)));
    }, 120_000);

    it("wait for one that takes longer, again and again, and nobody is told of it", async () => {
      await putSession();
      const holder = new pg.Client(address);
      await holder.connect();
      onTestFinished(() => holder.end());
      await holder.query("begin; select pg_advisory_xact_lock(5273194802)");
      const store = openStore();
      const change = store.update("k", append("r1"));
      const ended = "select xact_rollback as n from pg_stat_database where datname = current_database()";
      const tries = async () => Number((await ask<{ n: string }>(ended))[0]?.n);
      const before = await tries();
      await vi.waitUntil(async () => (await tries()) > before, { timeout: NEVER_MS });
      expect(await written(store)).toEqual([]);
      await holder.query("commit");
      expect((await change)?.runs).toHaveLength(1);
      expect(problems).toEqual([]);
    });

    it("are not held up by one that stands still in the middle of a change, which makes it again later", async () => {
      const victim = start("victim", 500);
      const lines = linesOf(victim);
      await lines.next();
      const idle = "select 1 from pg_stat_activity where state like 'idle in transaction%'";
      for (;;) {
        victim.kill("SIGSTOP");
        await vi.waitUntil(
          async () => (await ask("select 1 from pg_stat_activity where state = 'active'")).length === 1,
        );
        if ((await ask(idle)).length > 0) break;
        victim.kill("SIGCONT");
        await lines.next();
      }
      const store = openStore({ limitMs: NEVER_MS });
      expect((await store.update("k", append("other")))?.runs.map(({ runId }) => runId)).toContain("other");
      victim.kill("SIGCONT");
      victim.stdout.resume();
      expect(await ended(victim)).toBe(0);
      expect((await written(store)).sort()).toEqual(["other", ...expected(["victim"], 500)].sort());
    }, 120_000);

    it("lose nothing and write nothing twice when the server is killed and started again", async () => {
      const durable = await startPostgres(programs as string, { durable: true });
      onTestFinished(() => durable.dispose());
      address = await durable.createDatabase();
      const store = openStore({ limitMs: NEVER_MS });
      const all = ["a", "b"].map((prefix) => start(prefix, 150));
      for (const worker of all) worker.stdout.resume();
      for (const enough of [30, 90, 150, 210]) {
        await vi.waitUntil(async () => (await written(store)).length >= enough, {
          timeout: 60_000,
          interval: 10,
        });
        await durable.kill();
        await durable.start();
      }
      expect(await Promise.all(all.map(ended))).toEqual([0, 0]);
      expect((await written(store)).sort()).toEqual(expected(["a", "b"], 150));
      expect(problems).toEqual([]);
    }, 180_000);

    it("make a change once whose answer was lost, also when another has written since", async () => {
      const proxy = await openProxy(server.port);
      const other = openStore();
      const store = openStore({ address: proxy.address(address) });
      await store.update("k", append("before"));
      proxy.swallowNextAnswerTo("commit", async () => {
        await other.update("k", append("between"));
      });
      let changes = 0;
      await store.update("k", (current) => {
        changes += 1;
        return append("once")(current);
      });
      expect(await written(other)).toEqual(["before", "once", "between"]);
      expect(changes).toBe(1);
      expect(proxy.swallowed()).toBe(1);
    });

    it("make a change again that was lost with the connection before it was committed", async () => {
      const store = openStore();
      await putSession();
      let changes = 0;
      await store.update("k", (current) => {
        changes += 1;
        return append(`try ${changes}`)(current);
      });
      const cut =
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'automagik-workflows'";
      const cutting = ask(cut);
      await Promise.all([
        cutting,
        ...Array.from({ length: 20 }, (_, i) => store.update("k", append(`r${i}`))),
      ]);
      expect(await written(store)).toHaveLength(21);
      expect(problems).toEqual([]);
    });
  });
});

describe.skipIf(!programs)("a PostgreSQL server that fails", () => {
  beforeEach(async () => {
    server = await startPostgres(programs as string, { durable: true });
    address = await server.createDatabase();
    problems = [];
  }, 60_000);
  afterEach(() => server.dispose());

  it("is waited for while it starts again, without an error", async () => {
    const store = openStore({ limitMs: NEVER_MS });
    await store.update("k", () => session("k"));
    await server.kill();
    const work = [store.update("k", append("r1")), store.get("k"), store.list()];
    await server.start();
    await Promise.all(work);
    expect(await written(store)).toEqual(["r1"]);
    expect(problems).toEqual([]);
  });

  it("and comes back without its last changes is read anew, by who has read those, too", async () => {
    const [store, other] = [openStore({ limitMs: NEVER_MS }), openStore({ limitMs: NEVER_MS })];
    for (const key of ["kept", "lost", "lost too"]) await other.update(key, () => session(key));
    expect(await store.list()).toHaveLength(3);
    expect((await store.readHistory()).figures).toEqual([]);
    await ask("delete from sessions where changed > 1");
    await server.kill();
    await server.start();
    await other.update("new", () => session("new"));
    expect((await store.list()).map(({ key }) => key).sort()).toEqual(["kept", "new"]);
    expect(problems).toEqual([]);
  });

  it("makes calls fail within the limit, then at once, until it is back; that is told once", async () => {
    const limitMs = 1_500;
    const store = openStore({ limitMs });
    await putSession();
    await untilItWorks(store);
    problems.length = 0;
    await server.kill();
    expect((await failure(store.get("k"))).message).toBe(AWAY);
    for (const call of [
      () => store.get("k"),
      () => store.list(),
      () => store.update("k", append("r1")),
      () => store.remove("k"),
      () => store.readHistory(),
    ]) {
      expect((await failureAtOnce(call, limitMs)).message).toBe(AWAY);
    }
    expect(store.isForgetful()).toBe(false);
    expect(problems.map((problem) => problem.kind)).toEqual(["unwritable"]);
    expect(problems[0]?.message).toBe(`${AWAY} Sessions are not remembered until that is over.`);

    await server.start();
    await untilItWorks(store);
    expect(await written(store)).toEqual([]);
    expect(problems).toHaveLength(1);
    await server.kill();
    await failure(store.list());
    expect(problems).toHaveLength(2);
  }, 60_000);

  it("that was never there is bounded as well, and closing does not hang", async () => {
    await server.kill();
    const store = openStore();
    const all = [store.list(), store.update("k", append("r1")), store.update("k", append("r2"))].map(failure);
    await store.close();
    for (const { message } of await Promise.all(all)) expect(message).toBe(AWAY);
  });

  it("that hangs is given up within the limit, and found again when it goes on", async () => {
    const limitMs = 3_000;
    const store = openStore({ limitMs });
    await putSession();
    await untilItWorks(store);
    await server.signal("SIGSTOP");
    const calls = [store.get("k"), store.update("k", append("r1")), store.list(), store.readHistory()];
    // Twice as long would be to wait for the end of a change that was never begun.
    for (const { message, tookMs } of await Promise.all(calls.map(failure))) {
      expect(message).toMatch(/^The PostgreSQL server (does not answer|cannot be reached)\.$/);
      expect(tookMs).toBeLessThan(limitMs * 2);
    }
    await failureAtOnce(() => store.list(), limitMs);
    await server.signal("SIGCONT");
    await untilItWorks(store);
    expect((await store.update("k", append("r1")))?.runs).toHaveLength(1);
  }, 60_000);

  it("is not taken for one because this process was too busy to look", async () => {
    // Short enough to be outlasted below, and long enough for a busy machine.
    const store = openStore({ limitMs: 1_500 });
    await putSession();
    await untilItWorks(store);
    problems.length = 0;
    const reading = store.get("k");
    // The query is written in the first of these.
    for (let i = 0; i < 2; i += 1) await new Promise(setImmediate);
    const until = performance.now() + 2_500;
    while (performance.now() < until);
    expect((await reading)?.key).toBe("k");
    expect(problems).toEqual([]);
  });

  it("and takes the answer to a change along: it is said that nobody knows of it, and it is there at most once", async () => {
    const proxy = await openProxy(server.port);
    const store = openStore({ address: proxy.address(address), limitMs: 1_500 });
    await store.update("k", append("before"));
    proxy.swallowNextAnswerTo("commit", () => server.kill());
    const { message } = await failure(store.update("k", append("unknown")));
    expect(message).toMatch(/ It is not known whether the last change was stored\.$/);
    expect(problems.map(({ kind }) => kind)).toEqual(["unwritable"]);
    await server.start();
    await untilItWorks(store);
    await store.update("k", append("after"));
    // The server had said that it is stored, and only the answer was lost.
    expect(await written(store)).toEqual(["before", "unknown", "after"]);
  }, 60_000);

  it("that has no connection to spare is tried again", async () => {
    await putSession();
    await server.query(`alter database ${new URL(address).pathname.slice(1)} connection limit 0`);
    const proxy = await openProxy(server.port);
    const store = openStore({ address: proxy.address(address), limitMs: NEVER_MS });
    const reading = store.get("k");
    await vi.waitUntil(() => proxy.answers().includes("C53300"), { timeout: NEVER_MS });
    await server.query(`alter database ${new URL(address).pathname.slice(1)} connection limit 50`);
    expect((await reading)?.key).toBe("k");
    expect(problems).toEqual([]);
  });
});

describe("the place of the sessions", () => {
  it("is the database in the folder without an address, and the library for PostgreSQL is not even loaded", async () => {
    const folder = await mkdtemp(join(tmpdir(), "state-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    // A process of its own, since this one has loaded it for other tests.
    const source = fileURLToPath(new URL("../src/sessions/store/open-session-store.ts", import.meta.url));
    const script = `
      import { createRequire } from "node:module";
      const { createSessionStore } = await import(${JSON.stringify(source)});
      const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => /node_modules.pg./.test(path));
      const options = { folder: ${JSON.stringify(folder)}, upstream: "http://localhost" };
      await createSessionStore(options).list();
      const before = loaded();
      const shared = createSessionStore({ ...options, address: "postgres://user@127.0.0.1:1/team" });
      const created = loaded();
      const listing = shared.list().catch(() => undefined);
      await shared.close();
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
    "postgres://localhost/team",
    "postgresql://user:p%40ss@db.example.com:6432/team?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "postgres://[::1]:5432/team",
    "postgres://user:secret@localhost/team?host=/var/run/postgresql",
  ])("may be %s", (one) => {
    expect(findFaultInPostgresAddress(one)).toBeUndefined();
  });

  it.each([
    ["http://:secret@localhost/team", "is not the address of a PostgreSQL database"],
    ["localhost:5432/secret", "is not the address of a PostgreSQL database"],
    ["postgres://", "names no host"],
    ["postgres://user:secret@localhost", "names no database"],
    ["postgres://user:se#cret@localhost/team", "is not the address of a PostgreSQL database"],
    ["postgres://user:1#secret@localhost/team", "has a fragment"],
    ["postgres://user:1?secret@localhost/team", "names no database"],
    ["postgres://user:1/secret@localhost/team", "names no database, or an impossible one"],
    ["postgres://user@localhost/team?secret=1", "has an unknown option"],
    ["postgres://user@localhost/team?sslmode=secret", "has an unknown sslmode"],
    ["postgres://user:100%secret@localhost/team", "has a part that is not percent-encoded"],
  ])("is refused when it is %s, without being quoted", (one, reason) => {
    const fault = findFaultInPostgresAddress(one);
    expect(fault).toContain(reason);
    expect(fault).not.toContain("secret");
  });
});

/** A way to the server on which one answer can be lost together with the connection. */
async function openProxy(port: number) {
  let command: string | undefined;
  let meanwhile: () => Promise<void>;
  let swallowed = 0;
  let answers = "";
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
      answers += data;
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
    /** The same database by this way. */
    address: (direct: string) => direct.replace(`:${port}`, `:${(proxy.address() as AddressInfo).port}`),
    answers: () => answers,
    swallowNextAnswerTo: (name: string, work: () => Promise<void>) => {
      command = name;
      meanwhile = work;
    },
    swallowed: () => swallowed,
  };
}
