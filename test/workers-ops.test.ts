import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Body, ContractClient } from "./contract/upstream.js";
import { withScript } from "./support/local-engine.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { startWorker, type WorkerProcess } from "./support/workers.js";

const programs = await findPostgres();

let server: PostgresServer;

const HANGS = withScript("Work", { steps: [{ text: "Working" }, { hang: true }] });
const QUICK = withScript("Do it", { steps: [{ text: "Done" }] });
const LISTENS = withScript("Wait for news", {
  steps: [{ text: "Listening" }, { listen: 1 }, { text: "Heard" }],
});

async function start(at: ContractClient, message: string, name: string): Promise<string> {
  return (await at.start({ message, session_name: name })).run_id;
}

const WAIT = { timeout: 20_000 };
const working = (at: ContractClient, runId: string) =>
  at.until(runId, ({ current_action }) => current_action === "Working" || current_action === "Listening");
const seeWorkers = async (at: ContractClient): Promise<Body[]> => (await at.get("/workers")).body.workers;
const names = (runs: { session_name: string }[]) => runs.map(({ session_name }) => session_name);

/** Waits until a command has written the text. */
async function printed(command: ReturnType<WorkerProcess["command"]>, text: string): Promise<void> {
  const { child, stdout, stderr } = command;
  while (!stdout().includes(text)) {
    if (child.exitCode !== null) throw new Error(`It has ended: ${stdout()}${stderr()}`);
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, "data"), once(child, "close")]);
  }
}

/** Two workers with a place each, and which of them has the run that listens. */
async function startPair(): Promise<{
  has: WorkerProcess;
  other: WorkerProcess;
  listening: string;
  database: string;
}> {
  const database = await server.createDatabase();
  const pair = await Promise.all([1, 2].map(() => startWorker(database, { ENGINE_CONCURRENCY: "1" })));
  const [a, b] = pair as [WorkerProcess, WorkerProcess];
  await vi.waitFor(async () => expect(await seeWorkers(a)).toHaveLength(2), WAIT);
  const listening = await start(a, LISTENS, "listens");
  await working(a, listening);
  const [has, other] = a.agents().length > 0 ? [a, b] : [b, a];
  return { has, other, listening, database };
}

describe.skipIf(!programs)("workers", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string, { durable: true });
  }, 60_000);
  afterAll(() => server?.dispose());

  it("tell their slots, what goes on at each, and the slots of all to whoever waits", async () => {
    const { has, other, listening } = await startPair();
    const hanging = await start(has, HANGS, "hangs");
    await working(has, hanging);
    const waiting = await start(has, QUICK, "waits");
    for (const at of [has, other]) {
      expect((await at.get(`/run/${waiting}/status`)).body).toMatchObject({
        current_action: expect.stringMatching(
          /^Waiting for a free slot, position 1 \(2 of 2 busy: (listens, hangs|hangs, listens)\)/,
        ),
        waits_for_slot: { position: 1, slots: 2 },
      });
      const { slots, busy, waiting: next } = (await at.get("/slots")).body;
      expect({ slots, busy: names(busy).sort(), next: names(next) }).toEqual({
        slots: 2,
        busy: ["hangs", "listens"],
        next: ["waits"],
      });
      const seen = await seeWorkers(at);
      expect(seen.find(({ answers }) => answers)).toMatchObject({ state: "ready", places: 1, busy: 1 });
      expect(seen.map(({ runs }) => names(runs).join()).sort()).toEqual(["hangs", "listens"]);
      expect((await at.get("/workers")).body.waiting).toBe(1);
    }
    await other.post(`/run/${hanging}/kill`, undefined, { force: "true" });
    expect(await other.ended(waiting)).toMatchObject({ status: "completed" });
    await has.post(`/run/${listening}/kill`, undefined, { force: "true" });
    await has.ended(listening);
    for (const at of [has, other]) expect(at.log()).not.toMatch(/\[(error|warn)\]/);
  });

  it("are shown in a terminal: by engine status, also as JSON, and by doctor", async () => {
    const { has, other, database } = await startPair();
    const run = async (at: WorkerProcess, ...words: string[]) => {
      const command = at.command(...words);
      const code = await command.ended();
      return { code, text: command.stdout() };
    };
    const workersLine = (text: string) => text.split("\n").find((line) => / workers {2}/.test(line));
    for (const at of [has, other]) {
      const { code, text } = await run(at, "engine", "status");
      expect(code).toBe(0);
      expect(text).toContain("workers        2 are there, 1 of 2 slots taken\n");
      expect(text).toMatch(/\nWORKER +STATE +SLOTS +VERSION\n(\S+ +ready +[01] of 1 taken +\S+\n){2}/);
    }
    const { workers, workers_waiting } = JSON.parse((await run(has, "engine", "status", "--json")).text);
    expect(workers_waiting).toBe(0);
    expect(workers.map(({ busy }: Body) => busy).sort()).toEqual([0, 1]);
    expect(workers[0]).toMatchObject({ state: "ready", places: 1, silent_seconds: expect.any(Number) });
    // What is taken stands there with the next beat.
    await vi.waitFor(async () => {
      const { text } = await run(other, "doctor");
      expect(workersLine(text)).toMatch(
        /^ok +workers +2 workers \(\S+, \S+\), 1 of 2 slots taken, version \S+; this machine is one of them$/,
      );
    }, WAIT);

    const name = new URL(database).pathname.slice(1);
    await server.query(
      `insert into workers (worker_id, instance, name, version, places, busy, state, began_at, seen_at, timeout_ms)
      select 'x', 'y', 'newer.example', '9.9.9', 4, 0, 'ready', seen_at, seen_at + 60000, timeout_ms from workers limit 1`,
      name,
    );
    expect(workersLine((await run(has, "doctor")).text)).toMatch(
      /^warn +workers +3 workers .*; of different versions: .*newer\.example 9\.9\.9.* → Bring the upgrade to its end/,
    );
    await server.query("update workers set seen_at = seen_at - 3600000 where worker_id = 'x'", name);
    expect(workersLine((await run(has, "doctor")).text)).toMatch(
      /^warn +workers +2 workers .*; silent: newer\.example for 59 min → Start it again there/,
    );
    await server.query("delete from workers where worker_id = 'x'", name);
    // Another engine of this machine, which is none of them.
    const apart = await startWorker("");
    const doctor = apart.command("doctor", "--database", database);
    await doctor.ended();
    expect(workersLine(doctor.stdout() + doctor.stderr())).toMatch(
      /^warn +workers .*; the engine of this machine \(process \d+\) is none of them → Start it again with/,
    );
    // Without one that answers, the database tells.
    has.signal("SIGKILL");
    await has.exited();
    const left = await run(has, "engine", "status");
    expect(left.code).toBe(1);
    expect(left.text).toMatch(/\n {2}workers +[12] (is|are) there, /);
  });

  it("have a command that tells what the runs of all of them have cost, whichever it is asked at", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database, { ENGINE_CONCURRENCY: "1" });
    const spend = (usd: number) => withScript("Spend", { steps: [{ text: "Done", cost: usd }] });
    await a.ended(await start(a, spend(1.25), "first"));
    const b = await startWorker(database, { ENGINE_CONCURRENCY: "1" });
    // Its own place is taken, so that the other one has the next.
    await working(a, await start(a, LISTENS, "listens"));
    await b.ended(await start(b, spend(0.5), "second"));
    for (const at of [a, b]) {
      const asked = at.command("engine", "cost", "--days", "1", "--json");
      await asked.ended();
      const told = JSON.parse(asked.stdout());
      expect(told).toMatchObject({ all_engines: true, runs: 3 });
      expect(told.cost_usd).toBeGreaterThan(1.74);
    }
    const shown = b.command("engine", "cost");
    await shown.ended();
    expect(shown.stdout()).toMatch(/^What runs of all engines of the database have cost, by list prices/);
    const status = b.command("engine", "status", "--json");
    await status.ended();
    expect(JSON.parse(status.stdout()).cost_today_usd).toBeGreaterThan(1.74);
  });

  it("that are to be stopped name what goes on there, and not what goes on or waits elsewhere", async () => {
    const { has, other, listening } = await startPair();
    const hanging = await start(has, HANGS, "hangs");
    await working(has, hanging);
    await start(has, QUICK, "waits");
    const stop = has.command("engine", "stop");
    expect(await stop.ended()).toBe(1);
    expect(stop.stdout()).toMatch(
      /^1 run is going on at the engine \(process \d+\):\n {2}\w+, session "listens", run \S+, running\nRuns at work/,
    );
    await other.post(`/run/${listening}/kill`, undefined, { force: "true" });
    await other.post(`/run/${hanging}/kill`, undefined, { force: "true" });
    await has.ended(listening);
  });

  it("that do not reach the database say that no request should come, until it is back", async () => {
    const { has, other } = await startPair();
    await server.kill();
    for (const at of [has, other]) {
      await vi.waitFor(
        async () =>
          expect(await at.get("root:/ready")).toMatchObject({ status: 503, body: { started: false } }),
        WAIT,
      );
      expect((await at.get("root:/ready")).body.detail).toBe("The database is away. It is looked for again.");
      expect((await at.get("root:/health")).status).toBe(200);
    }
    await server.start();
    for (const at of [has, other])
      await vi.waitFor(async () => expect((await at.get("root:/ready")).status).toBe(200), WAIT);
  });

  it("that are drained begin nothing more, let what goes on come to its end, and end by themselves", async () => {
    const { has, other, listening } = await startPair();
    const hanging = await start(has, HANGS, "hangs");
    await working(has, hanging);
    const waiting = await start(has, QUICK, "waits");
    const drain = has.command("engine", "drain");
    await printed(drain, "Ctrl+C ends this command only.");
    expect(drain.stdout()).toMatch(
      /^The engine \(process \d+\) begins nothing more\. 1 run goes on there; then it ends by itself\.\n {2}\w+, session "listens", run \S+\n1 run waits and begins at another worker\.\n/,
    );
    expect(await has.get("root:/ready")).toMatchObject({ status: 503 });
    expect((await has.get("root:/health")).body.status).toBe("healthy");
    expect(await other.get("root:/ready")).toMatchObject({ status: 200, body: { status: "ready" } });
    // It serves on, and what it takes on begins elsewhere.
    const later = await start(has, QUICK, "later");
    await vi.waitFor(
      async () =>
        expect((await other.get(`/run/${later}/status`)).body.current_action).toBe(
          "Waiting for a free slot, position 2 (2 of 2 busy: listens, hangs)",
        ),
      WAIT,
    );
    await other.post(`/run/${hanging}/kill`, undefined, { force: "true" });
    for (const runId of [waiting, later])
      expect(await other.ended(runId)).toMatchObject({ status: "completed" });
    expect(drain.child.exitCode).toBeNull();
    await other.post(`/run/${listening}/add-message`, { content: "news", message_type: "user" });
    expect(await other.ended(listening)).toMatchObject({ status: "completed" });
    expect(await has.exited()).toBe(0);
    expect(await drain.ended()).toBe(0);
    expect(drain.stdout()).toMatch(/\nThe engine \(process \d+\) has ended\.\n$/);
    await vi.waitFor(async () => {
      const states = (await seeWorkers(other)).map(({ state }) => state);
      expect(states.sort()).toEqual(["ended", "ready"]);
    }, WAIT);
    // The next one on the same folder is a worker as any other.
    const again = await has.restart();
    expect(await again.get("root:/ready")).toMatchObject({ status: 200 });
  });

  it("that are drained with a limit interrupt then what still goes on", async () => {
    const { has, other, listening } = await startPair();
    const drain = has.command("engine", "drain", "--interrupt-after", "0");
    expect(await drain.ended()).toBe(0);
    expect(await has.exited()).toBe(0);
    expect(await other.ended(listening)).toMatchObject({
      error_code: "interrupted",
      error_message: expect.stringContaining("The engine was told to end, and the time"),
    });
  });

  it("of an older version go on with a database that a newer one has only added to, events that they do not know included", async () => {
    const { has, other, listening, database } = await startPair();
    const name = new URL(database).pathname.slice(1);
    const ask = (statement: string) => server.query(statement, name);
    const insert = "insert into schema_migrations (name, release, applied_at, older_may_go_on) values";
    await ask(`alter table engine_runs add column later text; alter table workers add column later bigint default 3;
      ${insert} ('900-later', '9.1.0', 0, 1)`);
    // An event of a kind that only the newer one knows.
    await ask(`insert into engine_events (id, run_id, at, type, status, data)
      select max(id) + 1, '${listening}', 0, 'of-later', 'running', '{"x":1}' from engine_events`);
    await other.post(`/run/${listening}/add-message`, { content: "news", message_type: "user" });
    for (const at of [has, other])
      expect(await at.ended(listening)).toMatchObject({ status: "completed", result: { message: "Heard" } });
    // One that begins now goes on with it, too.
    has.signal("SIGTERM");
    expect(await has.exited()).toBe(0);
    const again = await has.restart();
    expect(await again.ended(await start(again, QUICK, "again"))).toMatchObject({ status: "completed" });
    const doctor = again.command("doctor");
    await doctor.ended();
    expect(doctor.stdout()).toMatch(
      /warn +\S+ .*tables were set up by version 9\.1\.0 of this product, which is later than this one/,
    );

    // What a newer one asks of it that it does not know.
    await ask(`insert into worker_calls (id, worker_id, instance, asked_at, call)
      select worker_id, worker_id, instance, seen_at, '{"method":"ofLater","args":[]}' from workers`);
    await vi.waitFor(async () => {
      const answered = "select answer from worker_calls where answer is not null and id = worker_id";
      const rows = await server.query<{ answer: string }>(answered, name);
      expect(rows).toHaveLength(2);
      for (const { answer } of rows)
        expect(JSON.parse(answer).refusal).toMatchObject({
          status: 503,
          message: "The worker that has the session is of another version. Nothing was done.",
        });
    }, WAIT);

    await ask(`${insert} ('901-other', '9.2.0', 0, 0)`);
    again.signal("SIGTERM");
    expect(await again.exited()).toBe(0);
    await expect(again.restart()).rejects.toThrow(
      /was changed by version 9\.2\.0 of this product, .* Update this one, .* Nothing in it was changed\./,
    );
    // Whoever has it open serves on.
    expect(await other.get("root:/ready")).toMatchObject({ status: 200 });
  });
});

describe("an engine with a database of its own that is drained", () => {
  it("starts nothing more, says so, and leaves what waits to the next one", async () => {
    const engine = await startWorker("", { ENGINE_CONCURRENCY: "1" });
    const listening = await start(engine, LISTENS, "listens");
    await working(engine, listening);
    const waiting = await start(engine, QUICK, "waits");
    const drain = engine.command("engine", "drain");
    await printed(drain, "1 run waits and stays for the next engine.");
    expect(
      await engine.post("/run/implement", { message: QUICK, input_format: "stream-json" }),
    ).toMatchObject({
      status: 503,
      body: {
        started: false,
        detail: expect.stringMatching(/^The engine begins nothing more: .* Nothing was started\./),
      },
    });
    await engine.post(`/run/${listening}/add-message`, { content: "news", message_type: "user" });
    expect(await engine.exited()).toBe(0);
    expect(await drain.ended()).toBe(0);
    const next = await engine.restart();
    expect(await next.ended(waiting)).toMatchObject({ status: "completed" });
    expect((await next.get(`/run/${listening}/status`)).body).toMatchObject({ status: "completed" });
    expect(await seeWorkers(next)).toMatchObject([{ state: "ready", places: 1, busy: 0, answers: true }]);
  });
});
