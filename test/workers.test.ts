import { cpSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { createRunStore } from "../src/engine/runs/create-run-store.js";
import type { RunRequest } from "../src/engine/runs/run.js";
import type { RunStore } from "../src/engine/runs/run-store.js";
import { createRunUpdates } from "../src/engine/runs/run-updates.js";
import { createBeginRules } from "../src/engine/workers/begin-rules.js";
import type { Workers } from "../src/engine/workers/workers.js";
import { systemClock } from "../src/shared/clock.js";
import type { SharedDatabase } from "../src/store/database.js";
import { openStore } from "../src/store/open-store.js";
import { API, type ContractClient } from "./contract/upstream.js";
import { temporaryFolder } from "./support/bin.js";
import { copyRuns } from "./support/earlier-copy.js";
import { createHandClock } from "./support/hand-clock.js";
import { sendPlain } from "./support/http.js";
import { ASKS, ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { createPatientClient, startWorker } from "./support/workers.js";

const programs = await findPostgres();

let server: PostgresServer;

const PATIENT = { timeout: 60_000, interval: 50 };

/** How long workers of these tests wait for one another, in ms. */
const TIMES = { timeoutMs: 3_000, moveAfterMs: 60_000, moveLimitBytes: 64 * 2 ** 20 };
/** Goes on until it is killed. */
const HANGS = withScript("Work", { steps: [{ text: "Working" }, { hang: true }] });
const QUICK = withScript("Do it", { steps: [{ text: "Done" }] });
const LISTENS = withScript("Wait for news", {
  steps: [{ text: "Listening" }, { listen: 1 }, { text: "Heard {{messages}}" }],
});

interface Place extends ContractClient {
  engine: LocalEngine;
  folder: string;
  database: string;
}

/** Several engines on one database, each with a folder of its own. */
async function openWorkers(
  count: number,
  settings: Parameters<typeof startLocalEngine>[1] = {},
  timeoutMs = TIMES.timeoutMs,
): Promise<Place[]> {
  const database = await server.createDatabase();
  const opened: Place[] = [];
  for (let index = 0; index < count; index++) {
    const { folder, remove } = engineFolder();
    const engine = await startLocalEngine(
      folder,
      { engineConcurrency: 2, ...settings },
      {},
      { shared: { database, ...TIMES, timeoutMs } },
    );
    onTestFinished(async () => {
      await engine.close();
      remove();
    });
    opened.push({ ...createPatientClient(engine.url, ENGINE_KEY), engine, folder, database });
  }
  return opened;
}

const start = (at: ContractClient, message: string, fields: object = {}) =>
  at.start({ message, ...fields }).then(({ run_id }) => run_id as string);

describe.skipIf(!programs)("several engines on one database", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  });
  afterAll(() => server?.dispose());

  it("are one API: a run that one has taken on is known to all at once, and to its end", async () => {
    const [a, b, c] = (await openWorkers(3)) as [Place, Place, Place];
    const runId = await start(a, QUICK, { session_name: "shared" });
    expect((await b.get(`/run/${runId}/status`)).status).toBe(200);
    const [ofB, ofC] = await Promise.all([b.ended(runId), c.ended(runId)]);
    expect(ofB).toMatchObject({ status: "completed", result: { message: "Done" } });
    expect(ofC).toMatchObject({ status: "completed", result: { message: "Done" } });
  });

  it("carry a run out wherever there is a place, each once", async () => {
    const [a, b] = (await openWorkers(2, { engineConcurrency: 2 })) as [Place, Place];
    const runs = await Promise.all(Array.from({ length: 4 }, () => start(a, HANGS)));
    for (const runId of runs) await b.until(runId, (status) => status.current_action === "Working");
    expect(a.engine.activeRuns() + b.engine.activeRuns()).toBe(4);
    for (const runId of runs) await a.post(`/run/${runId}/kill`, undefined, { force: "true" });
    for (const runId of runs) expect(await b.ended(runId)).toMatchObject({ status: "killed" });
  });

  it("share the places among callers, whichever has begun their runs", async () => {
    const [a, b] = (await openWorkers(2, { engineConcurrency: 1 })) as [Place, Place];
    const works = (runId: string) => a.until(runId, ({ current_action }) => current_action === "Working");
    const kill = (runId: string) => b.post(`/run/${runId}/kill`, undefined, { force: "true" });
    const [first, second] = [
      await start(a, HANGS, { user_id: "anna" }),
      await start(a, HANGS, { user_id: "anna" }),
    ];
    for (const runId of [first, second]) await works(runId);
    const [ben, later] = [
      await start(a, HANGS, { user_id: "ben" }),
      await start(a, HANGS, { user_id: "ben" }),
    ];
    const third = await start(a, HANGS, { user_id: "anna" });
    await kill(first);
    await works(ben);
    // At the worker that has not begun it, too, ben's counts.
    await kill(second);
    await works(third);
    expect((await b.get(`/run/${later}/status`)).body.status).toBe("pending");
  });

  it("count what a caller's runs at all of them cost, and show a caller its own at each", async () => {
    const [a, b] = (await openWorkers(2, { engineCostLimitPerDayAndCallerUsd: 1 })) as [Place, Place];
    const [anna, ben] = ["6b1f2f0e-5a0c-4f4e-9d0a-3d8c8f3b1c11", "7c1f2f0e-5a0c-4f4e-9d0a-3d8c8f3b1c12"];
    const dear = withScript("Spend", { steps: [{ text: "Done", cost: 1.1 }] });
    const runId = await start(a, dear, { user_id: anna, user_name: "anna" });
    await b.ended(runId);
    const more = { message: "More", input_format: "stream-json", user_id: anna };
    const refused = await b.post("/run/implement", more);
    expect(refused).toMatchObject({ status: 409, body: { error_code: "day_cost_limit" } });
    expect(await b.ended(await start(b, QUICK, { user_id: ben }))).toMatchObject({ status: "completed" });
    for (const at of [a, b])
      for (const [caller, status] of [
        [anna, 200],
        [ben, 404],
      ] as const) {
        const headers = { "x-api-key": ENGINE_KEY, "x-workflows-caller": `${caller}` };
        const answer = await sendPlain(`${at.engine.url}${API}/run/${runId}/status`, { headers });
        expect(answer.status).toBe(status);
      }
  });

  it("grant no more than the day may cost, by all and by one caller, to runs that begin at once", async () => {
    const limits = {
      engineCostLimitUsd: 1,
      engineCostLimitPerDayUsd: 5,
      engineCostLimitPerDayAndCallerUsd: 2.5,
    };
    const places = await openWorkers(3, { engineConcurrency: 3, ...limits });
    const body = { message: HANGS, input_format: "stream-json" };
    const start = async (at: Place, user_id: string) =>
      (await at.post("/run/implement", { ...body, user_id })).body.run_id as string | undefined;
    const asked = await Promise.all(
      ["anna", "ben", "carla"].flatMap((caller) => places.map((at) => start(at, caller))),
    );
    const [a] = places as [Place];
    const runs = asked.filter((runId) => runId !== undefined);
    const settled = ({ current_action, status }: { current_action: string; status: string }) =>
      current_action === "Working" || status === "failed";
    for (const runId of runs) await a.until(runId, settled);
    const granted = await server.query<{ caller: string; usd: number }>(
      `select part.data::json->>'userId' as caller, (run.state::json->>'costLimitUsd')::float as usd
       from engine_runs as run join engine_parts as part on part.run_id = run.run_id and part.kind = 'request'
       where run.started_at is not null`,
      new URL(a.database).pathname.slice(1),
    );
    const sumOf = (caller?: string) =>
      granted
        .filter((one) => caller === undefined || one.caller === caller)
        .reduce((sum, { usd }) => sum + usd, 0);
    for (const caller of ["anna", "ben", "carla"]) expect(sumOf(caller)).toBeLessThanOrEqual(2.5);
    expect(sumOf()).toBeLessThanOrEqual(5);
    // All of it is granted all the same.
    expect(sumOf()).toBeGreaterThan(4.9);
  });

  it("hand a message, an answer and a kill on to the one that has the run", async () => {
    const [a, b] = (await openWorkers(2)) as [Place, Place];
    const listening = await start(a, LISTENS);
    const asking = await start(b, ASKS);
    const hanging = await start(a, HANGS);
    for (const at of [a, b]) {
      await at.until(listening, ({ current_action }) => current_action === "Listening");
      await at.until(asking, ({ waiting_for }) => waiting_for === "question");
      await at.until(hanging, ({ current_action }) => current_action === "Working");
    }
    // Whichever of the two has it, one of these comes from the other.
    for (const [index, at] of [a, b].entries()) {
      const sent = await at.post(`/run/${listening}/add-message`, {
        content: `news ${index}`,
        message_type: "user",
      });
      expect([200, 400]).toContain(sent.status);
    }
    const { questions } = (await a.get(`/run/${asking}/questions`)).body;
    const path = `/run/${asking}/questions/${questions[0].question_id}/answer`;
    const answers = [await a.post(path, { answer: "SQLite" }), await b.post(path, { answer: "SQLite" })];
    expect(answers.map(({ status }) => status)).toEqual([200, 409]);
    expect(await b.ended(asking)).toMatchObject({ status: "completed" });
    expect((await b.ended(listening)).result.message).toContain("news 0");
    const kills = [
      await b.post(`/run/${hanging}/kill`, undefined, { force: "true" }),
      await a.post(`/run/${hanging}/kill`, undefined, { force: "true" }),
    ];
    expect(kills.map(({ status }) => status)).toEqual([200, 409]);
  });
});

describe("what other engines have written", () => {
  it("is looked for at once, and what comes soon after that once for all of it", () => {
    const clock = createHandClock();
    let tellOthers: (writer?: string) => void = () => {};
    let looks = 0;
    const updates = createRunUpdates({
      shared: {
        listen(_channel, onNotice) {
          tellOthers = onNotice;
          return () => {};
        },
      } as SharedDatabase,
      clock,
      onUpdate: () => looks++,
    });
    tellOthers("another engine");
    expect(looks).toBe(1);
    for (let count = 0; count < 50; count++) tellOthers("another engine");
    expect(looks).toBe(1);
    clock.advance(20);
    expect(looks).toBe(2);
    clock.advance(500);
    expect(looks).toBe(2);
    tellOthers("another engine");
    expect(looks).toBe(3);
    updates.close();
    expect(clock.pending()).toBe(0);
  });
});

describe.skipIf(!programs)("while their database is away, several engines", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string, { durable: true });
  });
  afterAll(() => server?.dispose());

  it("refuse what cannot be written, and neither begin nor end a run that waits", async () => {
    const [a, b] = (await openWorkers(2, { engineConcurrency: 1 }, 60_000)) as [Place, Place];
    const hanging = await Promise.all([start(a, HANGS), start(a, HANGS)]);
    for (const at of [a, b])
      for (const runId of hanging) await at.until(runId, (status) => status.current_action === "Working");
    const waiting = [await start(a, QUICK), await start(b, QUICK)] as const;
    for (const at of [a, b]) for (const runId of waiting) await at.until(runId, () => true);
    await server.kill();
    expect(await a.post(`/run/${waiting[0]}/kill`, undefined, { force: "true" })).toMatchObject({
      status: 503,
      body: { detail: expect.stringMatching(/Nothing was done\.$/) },
    });
    expect(await b.get("/run/not-known-here/status")).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining("cannot be reached") },
    });
    // Whichever of the two each of them has: its agent is ended, its place is free, and nothing begins in it.
    const kills = await Promise.all(
      [a, b].flatMap((at) =>
        hanging.map((runId) => at.post(`/run/${runId}/kill`, undefined, { force: "true" })),
      ),
    );
    expect(kills.filter(({ body }) => /^.+Its agent was ended\./.test(body.detail))).toHaveLength(2);
    await server.start();
    const look = async () => expect((await b.get("/run/not-known-here/status")).status).toBe(404);
    await vi.waitFor(look, PATIENT);
    for (const at of [a, b]) {
      for (const runId of hanging) expect(await at.ended(runId)).toMatchObject({ status: "killed" });
      for (const runId of waiting) expect(await at.ended(runId)).toMatchObject({ status: "completed" });
    }
  });
});

describe.skipIf(!programs)("what engines tell of one another's runs", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  });
  afterAll(() => server?.dispose());

  it("is every event once, with the run as it was at one moment, however fast others write", async () => {
    const database = await server.createDatabase();
    const problems: string[] = [];
    async function open(): Promise<RunStore> {
      const db = await openStore({ folder: "", address: database, clock: systemClock });
      const onProblem = ({ message }: { message: string }) => problems.push(message);
      const store = await createRunStore({ database: db, clock: systemClock, onProblem });
      onTestFinished(() => store.close());
      return store;
    }
    const [here, there] = [await open(), await open()];
    const told: number[] = [];
    there.subscribe(({ id }, { questions, request }) => {
      told.push(id);
      expect([request, ...questions]).not.toContain(null);
    });
    const message = "Ask a lot";
    const request = { workflowName: "implement", message, timeoutS: 60, persistent: true } as RunRequest;
    await here.accept({ runId: "r", sessionId: "s", sessionName: "s", request });
    await here.record("r", { type: "started" }, "now");
    const asked = { kind: "question" as const, text: "?", choices: [], multiSelect: false, askedAt: 1 };
    let isOver = false;
    const looking = (async () => {
      while (!isOver) await there.refresh();
    })();
    for (let number = 0; number < 100; number++) {
      const questionId = `q${number}`;
      await here.record("r", { type: "question-asked", question: { ...asked, questionId } }, "now");
      await here.record("r", { type: "question-closed", questionId, by: "person", answer: "yes" }, "now");
    }
    isOver = true;
    await looking;
    await there.refresh();
    expect(problems).toEqual([]);
    const { events } = await here.eventsAfter(0);
    expect(told).toEqual(events.map(({ id }) => id));
    expect(there.get("r")).toEqual(here.get("r"));
  });
});

describe.skipIf(!programs)("a worker that begins a run", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  });
  afterAll(() => server?.dispose());

  /** Two workers on a database that has heard of `a` a moment ago; `b` takes it for gone. */
  async function openTwo(instanceOfA = "a") {
    const address = await server.createDatabase();
    const seen = { name: "", version: "", places: 1, busy: 0, state: "ready", timeout_ms: TIMES.timeoutMs };
    let gone: { id: string; state: string; seenAt: number } | undefined;
    async function open(id: string): Promise<RunStore> {
      const database = await openStore({ folder: "", address, clock: systemClock });
      const shared = database.shared as SharedDatabase;
      if (id === "a") {
        const seenAt = await shared.readNow(database);
        const row = { ...seen, worker_id: id, instance: instanceOfA, began_at: seenAt, seen_at: seenAt };
        await database.insertInto("workers").values(row).execute();
        gone = { id, state: "gone", seenAt };
      }
      const get = (other: string) => (other === gone?.id && id !== other ? gone : undefined);
      const workers = { own: { id, instance: id, name: id }, isDraining: () => false, get };
      const { guard } = createBeginRules(() => workers as unknown as Workers, TIMES, {
        ...{ shared, limits: {}, clock: systemClock },
      });
      const store = await createRunStore({ database, clock: systemClock, guard });
      onTestFinished(() => store.close());
      return store;
    }
    const [a, b] = [await open("a"), await open("b")];
    const request = { workflowName: "implement", message: "Go", timeoutS: 60 } as RunRequest;
    await a.accept({ runId: "r", sessionId: "s", sessionName: "s", request });
    await b.refresh();
    return { a, b };
  }

  it("at the last moment is not taken for gone by one that has looked before", async () => {
    const { a, b } = await openTwo();
    expect((await a.record("r", { type: "started", worker: "a" }, "written")).happened).toBe(true);
    const end = { type: "ended", status: "interrupted", leftBehind: true } as const;
    expect((await b.record("r", end, "written")).happened).toBe(false);
    expect(b.get("r")).toMatchObject({ status: "running", worker: "a" });
  });

  it("begins none once another process is that worker", async () => {
    const { a, b } = await openTwo("its next process");
    expect((await a.record("r", { type: "started", worker: "a" }, "written")).happened).toBe(false);
    expect((await b.record("r", { type: "started", worker: "b" }, "written")).happened).toBe(true);
  });
});

describe.skipIf(!programs)("what a day may cost", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  });
  afterAll(() => server?.dispose());

  it("is granted in the order in which runs begin, whatever their workers have granted them before that", async () => {
    const address = await server.createDatabase();
    const limits = { costLimitUsd: 1, costLimitPerDayUsd: 3.5, costLimitPerDayAndCallerUsd: 1.5 };
    async function open(id: string): Promise<RunStore> {
      const database = await openStore({ folder: "", address, clock: systemClock });
      const shared = database.shared as SharedDatabase;
      const own = { id, instance: id, name: id };
      const alone = { own, isDraining: () => false, get: () => undefined } as unknown as Workers;
      const { guard } = createBeginRules(() => alone, TIMES, { shared, limits, clock: systemClock });
      const store = await createRunStore({ database, clock: systemClock, guard });
      onTestFinished(() => store.close());
      return store;
    }
    const [a, b] = [await open("a"), await open("b")];
    const request = { workflowName: "implement", message: "Go", timeoutS: 60 } as RunRequest;
    const accept = (runId: string, userId: string) =>
      a.accept({ runId, sessionId: runId, sessionName: runId, request: { ...request, userId } });
    const begins = async (at: RunStore, runId: string, costLimitUsd = 1) =>
      (await at.record(runId, { type: "started", costLimitUsd, worker: at === a ? "a" : "b" }, "written"))
        .happened;
    for (const runId of ["1", "2", "3"]) await accept(runId, "anna");
    for (const runId of ["4", "5", "6", "7"]) await accept(runId, runId);
    expect(await begins(a, "1")).toBe(true);
    // Granted before that one was known there.
    expect(await begins(b, "2")).toBe(false);
    expect(await begins(b, "2", 0.5)).toBe(true);
    // Written in one transaction: what the one has, the other one has not.
    expect(await Promise.all([begins(a, "4"), begins(a, "5")])).toEqual([true, true]);
    expect(await Promise.all([begins(b, "6"), begins(a, "7")])).toEqual([false, false]);
    // What a run that has ended did not need is left.
    await a.record("4", { type: "cost", usd: 0.25 }, "now");
    await a.record("4", { type: "ended", status: "completed" }, "written");
    expect(await begins(b, "6")).toBe(false);
    expect(await begins(b, "6", 0.75)).toBe(true);
    expect(await begins(b, "3", 0.1)).toBe(false);
  });
});

describe.skipIf(!programs)("a worker that", () => {
  beforeAll(async () => {
    // Else what was acknowledged is lost with it: an earlier copy of itself.
    server = await startPostgres(programs as string, { durable: true });
  });
  afterAll(() => server?.dispose());

  it("dies leaves its run interrupted, and its waiting ones to the others", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database, { ENGINE_CONCURRENCY: "1" });
    const running = await start(a, HANGS, { session_name: "left" });
    await a.until(running, ({ current_action }) => current_action === "Working");
    const b = await startWorker(database, { ENGINE_CONCURRENCY: "1" });
    a.signal("SIGKILL");
    const waiting = await start(b, QUICK);
    expect(await b.ended(waiting)).toMatchObject({ status: "completed" });
    const left = await b.ended(running);
    expect(left.error_message).toMatch(
      /^The worker that carried it out \(.+\) was not heard of for [3-9] s\./,
    );
    // The agent noticed the end of its input, or is ended by whoever comes back.
    const again = await a.restart();
    expect(await again.ended(running)).toMatchObject({ status: left.status });
    expect(again.agents()).toEqual([]);
  });

  it("is killed takes its agents and what they have started along, also those that would go on", async () => {
    const { signal, agents, exited, ...a } = await startWorker("");
    // One that has ended is none to be ended.
    await start(a, QUICK).then(a.ended);
    const lasting = { steps: [{ spawn: "group" }, { text: "Working" }, { hang: true }], linger: true };
    for (const one of ["one", "two"]) {
      const runId = await start(a, withScript("Work", lasting), { session_name: one });
      await a.until(runId, ({ current_action }) => current_action === "Working");
    }
    expect(agents()).toHaveLength(4);
    signal("SIGKILL");
    await exited();
    await vi.waitFor(() => expect(agents()).toEqual([]), PATIENT);
  });

  it("was only slow finds its run interrupted, and ends the agent", async () => {
    const database = await server.createDatabase();
    // Long enough for the one that is not stopped: what is slow without a reason must not be taken for gone.
    const settings = { ENGINE_WORKER_TIMEOUT: "12" };
    const [a, b] = await Promise.all([startWorker(database, settings), startWorker(database, settings)]);
    const runId = await start(a, HANGS);
    await b.until(runId, ({ current_action }) => current_action === "Working");
    const [has, other] = a.agents().length > 0 ? [a, b] : [b, a];
    has.signal("SIGSTOP");
    expect(await other.ended(runId)).toMatchObject({
      error_message: expect.stringContaining("was not heard of"),
    });
    // The other one has no place left: what comes next is for the one that comes back.
    for (const _ of [1, 2])
      await other.until(await start(other, HANGS), (run) => run.current_action === "Working");
    const slowest = "SELECT worker_id, seen_at FROM workers ORDER BY seen_at";
    const client = new pg.Client({ connectionString: database });
    await client.connect();
    onTestFinished(() => client.end());
    const [{ worker_id: silent }, { seen_at: seen }] = (await client.query(slowest)).rows;
    // What it says of itself is held up, as on a machine that is still busy.
    await client.query("BEGIN");
    await client.query("SELECT FROM workers WHERE worker_id = $1 FOR UPDATE", [silent]);
    has.signal("SIGCONT");
    await vi.waitFor(() => expect(has.agents()).toEqual([]), PATIENT);
    const runId2 = await vi.waitFor(() => start(has, LISTENS), PATIENT);
    // The other one has looked around twice since, and takes it for gone.
    for (let last = seen, times = 0; times < 3; times++)
      last = await vi.waitFor(async () => {
        const [, { seen_at: next }] = (await client.query(slowest)).rows;
        expect(next).not.toBe(last);
        return next;
      }, PATIENT);
    expect((await other.get(`/run/${runId2}/status`)).body).toMatchObject({ status: "pending" });
    await client.query("COMMIT");
    await has.until(runId2, ({ current_action }) => current_action === "Listening");
    await has.post(`/run/${runId2}/add-message`, { content: "so", message_type: "user" });
    expect(await has.ended(runId2)).toMatchObject({ status: "completed" });
  });

  it("cannot reach the database goes on, and tells all of it when that is back", async () => {
    const database = await server.createDatabase();
    const settings = { ENGINE_WORKER_TIMEOUT: "60" };
    const [a, b] = await Promise.all([startWorker(database, settings), startWorker(database, settings)]);
    const steps = [{ text: "One" }, { listen: 1 }, { text: "Two" }, { wait: 1_000 }, { text: "Three" }];
    const runId = await start(a, withScript("Work", { steps: [...steps, { listen: 2 }, { text: "Four" }] }));
    const say = () => a.post(`/run/${runId}/add-message`, { content: "go on", message_type: "user" });
    const is = (action: string) => (status: { current_action: string }) => status.current_action === action;
    await Promise.all([a, b].map((at) => at.until(runId, is("One"))));
    const [has, other] = a.agents().length > 0 ? [a, b] : [b, a];
    expect((await say()).status).toBe(200);
    await other.until(runId, is("Two"));
    await server.kill();
    // Told from memory, by the agent that goes on; the other one says of when it is what it knows.
    await has.until(runId, is("Three"));
    const told = await other.until(runId, (status) => status.current_action !== "Two");
    expect(told.current_action).toMatch(
      /^As of [\d:]+ UTC, since when the engine's database cannot be reached: Two$/,
    );
    const body = { message: QUICK, input_format: "stream-json" };
    const refused = await a.call("POST", "/run/implement", { body });
    expect(refused).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining("Nothing was started.") },
    });
    await server.start();
    await other.until(runId, is("Three"));
    await vi.waitFor(async () => expect((await say()).status).toBe(200), PATIENT);
    for (const at of [a, b])
      expect(await at.ended(runId)).toMatchObject({ status: "completed", result: { message: "Four" } });
  });

  it("stood still does not do later what somebody has asked of it who is gone", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database);
    const runId = await start(a, HANGS);
    await a.until(runId, ({ current_action }) => current_action === "Working");
    const ask = (sql: string) => server.query<{ at: number }>(sql, new URL(database).pathname.slice(1));
    await ask(
      `insert into worker_calls (id, worker_id, instance, asked_at, call)
       select 'old', worker_id, instance, extract(epoch from clock_timestamp()) * 1000 - 60000,
         '{"method":"kill","args":["${runId}",true]}' from workers`,
    );
    await vi.waitFor(async () => expect(await ask("select 1 as at from worker_calls")).toEqual([]), PATIENT);
    expect((await a.get(`/run/${runId}/status`)).body).toMatchObject({ status: "running" });
    expect(a.agents()).not.toEqual([]);
  });

  it("finds an earlier copy of its database ends what that does not know, and goes on", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database);
    const runId = await start(a, HANGS);
    await a.until(runId, ({ current_action }) => current_action === "Working");
    const [name = "", tables] = [new URL(database).pathname.slice(1), ["runs", "parts", "events"]];
    for (const table of tables)
      await server.query(`delete from engine_${table} where run_id = '${runId}'`, name);
    await server.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    await vi.waitFor(async () => expect((await a.get(`/run/${runId}/status`)).status).toBe(404), PATIENT);
    await vi.waitFor(() => expect(a.agents()).toEqual([]), PATIENT);
    expect(a.log()).toContain("The database lacks what was written last");
    const next = await vi.waitFor(() => start(a, QUICK), PATIENT);
    expect(await a.ended(next)).toMatchObject({ status: "completed" });
  });

  it("finds an earlier copy in which others have gone on notices it all the same", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database);
    const known = await start(a, QUICK);
    await a.ended(known);
    const copy = await copyRuns(server, database);
    const runId = await start(a, HANGS);
    await a.until(runId, ({ current_action }) => current_action === "Working");
    // Their events have the numbers of those that were lost, and more.
    for (const ahead of [0, 1_000])
      await copy.change(
        `insert into copy_events select id + ${ahead}, '${known}', at, 'cleaned-up', 'completed', '{"removed":{}}'
         from engine_events where run_id = '${runId}'`,
      );
    await copy.putInPlace();
    await vi.waitFor(async () => expect((await a.get(`/run/${runId}/status`)).status).toBe(404), PATIENT);
    await vi.waitFor(() => expect(a.agents()).toEqual([]), PATIENT);
    expect(a.log()).toContain("The database lacks what was written last");
  });

  it("finds an earlier copy that knows a run as going on which is over ends it, and claims nothing else of it", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database, { ENGINE_RESUME: "once" });
    const steps = [{ text: "Working" }, { listen: 1 }, { text: "Done" }];
    const runId = await start(a, withScript("Work", { steps }));
    const { session_id } = await a.until(runId, ({ current_action }) => current_action === "Working");
    const copy = await copyRuns(server, database);
    await a.post(`/run/${runId}/add-message`, { content: "go on", message_type: "user" });
    expect(await a.ended(runId)).toMatchObject({ status: "completed" });
    await copy.putInPlace();
    const ended = await a.until(runId, ({ status }) => status === "failed");
    expect(ended).toMatchObject({
      error_code: "interrupted",
      error_message: expect.stringContaining("which does not know how this run has ended"),
    });
    expect(ended.to_be_resumed).toBeUndefined();
    // Its session is free.
    const { run_id } = await vi.waitFor(() => a.start({ message: QUICK, session_id }), PATIENT);
    expect(await a.ended(run_id)).toMatchObject({ status: "completed" });
  });

  it("finds an earlier copy begins what waits in it, and nothing that it knows to have begun or to be killed", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database, { ENGINE_CONCURRENCY: "1" });
    const listens = await start(a, LISTENS);
    await a.until(listens, ({ current_action }) => current_action === "Listening");
    const b = await startWorker(database, { ENGINE_CONCURRENCY: "1" });
    const hangs = await start(b, HANGS);
    await b.until(hangs, ({ current_action }) => current_action === "Working");
    const [over, goesOn, waits] = [await start(a, QUICK), await start(a, HANGS), await start(b, QUICK)];
    const killed = await start(b, QUICK);
    const copy = await copyRuns(server, database);
    await b.post(`/run/${killed}/kill`);
    await a.post(`/run/${listens}/add-message`, { content: "so", message_type: "user" });
    for (const at of [a, b]) {
      expect(await at.ended(over)).toMatchObject({ status: "completed" });
      await at.until(goesOn, ({ current_action }) => current_action === "Working");
    }
    await copy.putInPlace();
    for (const at of [a, b]) {
      expect(await at.until(over, ({ status }) => status === "failed")).toMatchObject({
        error_code: "interrupted",
        error_message: expect.stringContaining("It had begun before, and is not begun a second time"),
      });
      expect(await at.ended(waits)).toMatchObject({ status: "completed" });
      expect(await at.ended(killed)).toMatchObject({ status: "killed" });
      for (const runId of [listens, hangs, goesOn])
        expect(await at.ended(runId)).toMatchObject({ error_code: "interrupted" });
    }
    expect(a.agents().concat(b.agents())).toEqual([]);
  });

  it("was begun on a copy of another one's folder does not begin, whether the original is there or was begun since", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database);
    const runId = await start(a, HANGS);
    await a.until(runId, ({ current_action }) => current_action === "Working");
    const copy = temporaryFolder();
    cpSync(join(a.home, "engine", "worker-id"), join(copy, "engine", "worker-id"));
    await expect(startWorker(database, {}, copy)).rejects.toThrow(
      /another engine is the worker of this state/,
    );
    expect((await a.get(`/run/${runId}/status`)).body).toMatchObject({ status: "running" });
    a.signal("SIGKILL");
    const again = await a.restart();
    await expect(startWorker(database, {}, copy)).rejects.toThrow(
      /this state folder is a copy of one that is/,
    );
    expect(await again.ended(await start(again, QUICK))).toMatchObject({ status: "completed" });
  });

  it("is told to end says so, and its runs are interrupted at once", async () => {
    const database = await server.createDatabase();
    const [a, b] = await Promise.all([startWorker(database), startWorker(database)]);
    const runId = await start(a, HANGS);
    await b.until(runId, ({ current_action }) => current_action === "Working");
    const [has, other] = a.agents().length > 0 ? [a, b] : [b, a];
    has.signal("SIGTERM");
    expect(await has.exited()).toBe(0);
    expect(await other.ended(runId)).toMatchObject({
      error_message: expect.stringContaining("The engine was stopped"),
    });
  });
});
