import { randomUUID } from "node:crypto";
import { appendFileSync, cpSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createRunStore } from "../src/engine/runs/create-run-store.js";
import type { RunChange } from "../src/engine/runs/events.js";
import { openKeeping } from "../src/engine/runs/open-keeping.js";
import type { RunRequest } from "../src/engine/runs/run.js";
import { NotResumable, NotWritten, type RunStore, type StoredEvent } from "../src/engine/runs/run-store.js";
import { openWaitingChanges, type WaitingChange } from "../src/engine/runs/waiting-changes.js";
import { systemClock } from "../src/shared/clock.js";
import { planRunKey, planRunKeyName } from "../src/shared/plan-run-key.js";
import { transaction } from "../src/store/database.js";
import { openStore } from "../src/store/open-store.js";
import { StoreError } from "../src/store/store-error.js";
import type { Body } from "./contract/upstream.js";
import { temporaryFolder } from "./support/bin.js";
import { withScript } from "./support/local-engine.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { startWorker } from "./support/workers.js";

// What agents tell while the database of several engines is away: on the disk until it is back, and then made once.

vi.setConfig({ testTimeout: 120_000 });

const programs = await findPostgres();
/** As a process opens it. */
async function openWaiting(...args: Parameters<typeof openWaitingChanges>) {
  const waiting = await openWaitingChanges(...args);
  onTestFinished(() => waiting.close());
  return waiting;
}
/** What a worker that was opened in the folder has there. */
const waitingOf = (folder: string) => openWaiting(join(folder, readdirSync(folder)[0] ?? "none"));
const folderOf = () => temporaryFolder("automagik-waiting-");

function change(
  number: number,
  text: string,
  type: "action" | "turn" = "action",
  process = 1,
): WaitingChange {
  const event = type === "turn" ? { type, turn: number, at: number } : { type, text, turn: 1, at: number };
  return { id: { process, number }, runId: "run", event };
}

describe("changes that wait", () => {
  it("are there for the next process, in the order of the processes, until the database has them", async () => {
    const folder = folderOf();
    const first = await openWaiting(folder);
    expect([first.former, first.newestProcess]).toEqual([[], 0]);
    await first.keep([change(1, "one", "action", 9), change(2, "two", "action", 9)]);
    const second = await openWaiting(folder);
    expect(second.newestProcess).toBe(9);
    await second.keep([change(1, "three", "action", 10)]);
    const third = await openWaiting(folder);
    expect(third.former).toEqual([
      change(1, "one", "action", 9),
      change(2, "two", "action", 9),
      change(1, "three", "action", 10),
    ]);
    await third.clear();
    expect((await openWaiting(folder)).former).toEqual([]);
  });

  it("are private, and leave out what was being written when the machine lost power", async () => {
    const folder = folderOf();
    const waiting = await openWaiting(folder);
    await waiting.keep([change(1, "one")]);
    const [name = ""] = readdirSync(folder);
    const path = join(folder, name);
    if (process.platform !== "win32") expect(statSync(path).mode & 0o077).toBe(0);
    appendFileSync(path, readFileSync(path, "utf8").slice(0, 20));
    expect((await openWaiting(folder)).former).toEqual([change(1, "one")]);
  });

  it("are read, however many there are", async () => {
    const folder = folderOf();
    const waiting = await openWaiting(folder);
    await waiting.keep(Array.from({ length: 200_000 }, (_, index) => change(index + 1, "step")));
    expect((await openWaiting(folder)).former).toHaveLength(200_000);
  });

  it("have a size: then first what an agent does at the moment is left out, and then it is said", async () => {
    const folder = folderOf();
    const waiting = await openWaiting(folder, { passing: 200, most: 400 });
    const long = "x".repeat(200);
    expect(await waiting.keep([change(1, long)])).toBe(true);
    expect(await waiting.keep([change(2, long), change(3, "", "turn")])).toBe(true);
    expect(await waiting.keep([change(4, "", "turn"), change(5, "", "turn"), change(6, "", "turn")])).toBe(
      true,
    );
    expect(await waiting.keep([change(7, "", "turn")])).toBe(false);
    const { former } = await openWaiting(folder);
    expect(former.map(({ id }) => id.number)).toEqual([1, 3, 4, 5, 6]);
  });
});

let server: PostgresServer;
const request = { workflowName: "implement", message: "Go", timeoutS: 60, persistent: true } as RunRequest;

describe.skipIf(!programs)("an engine's runs in a shared database", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string, { durable: true });
  });
  afterAll(() => server?.dispose());

  /** A worker whose disk is a folder; `fault` is thrown by a change once it is made, and nothing is made while `isAway`. */
  async function open(
    folder: string,
    database: string,
    fault: () => Error | undefined = () => undefined,
    isAway = () => false,
  ) {
    const db = await openStore({ folder: "", address: database, clock: systemClock });
    const keeping = await openKeeping(folder, { database: db, workerId: "w", onFull: () => {} });
    const store = await createRunStore({
      ...{ database: db, clock: systemClock, keeping, limits: { retryAfterMs: 50 } },
      async transact(at, work) {
        if (isAway()) throw new StoreError("It is away.");
        const made = await transaction(at, work);
        const error = fault();
        if (error) throw error;
        return made;
      },
    });
    onTestFinished(() => store.close());
    return store;
  }
  async function begin(store: RunStore): Promise<void> {
    await store.accept({ runId: "r", sessionId: "s", sessionName: "s", request });
    await store.record("r", { type: "started", worker: "w" }, "written");
  }
  const act = (store: RunStore, text: string) => store.record("r", { type: "action", text, turn: 1 }, "now");
  const texts = (events: readonly StoredEvent[]) =>
    events.flatMap(({ type, data }) => (type === "action" ? [data.text] : []));
  const lost = () => new StoreError("The answer was lost.", undefined, "unknown");

  it("have a change once whose answer was lost, whether it is made again by this process or the next", async () => {
    const [folder, database] = [folderOf(), await server.createDatabase()];
    let isLost = false;
    const first = await open(folder, database, () => (isLost ? lost() : undefined));
    await begin(first);
    isLost = true;
    await act(first, "one");
    isLost = false;
    await act(first, "two");
    const written = async () => texts((await first.eventsAfter(0)).events);
    await vi.waitFor(async () => expect(await written()).toEqual(["one", "two"]));
    isLost = true;
    await act(first, "three");
    await act(first, "four");
    await first.close();
    const next = await open(folder, database);
    await next.refresh();
    expect(texts((await next.eventsAfter(0)).events)).toEqual(["one", "two", "three", "four"]);
    expect((await waitingOf(folder)).former).toEqual([]);
    const last = await open(folder, database);
    expect(last.get("r")).toEqual(next.get("r"));
  });

  it("have nothing of what was refused, since whoever asked was told so", async () => {
    const [folder, database] = [folderOf(), await server.createDatabase()];
    let isAway = false;
    const away = () => new StoreError("It is away.");
    const db = await openStore({ folder: "", address: database, clock: systemClock });
    const keeping = await openKeeping(folder, { database: db, workerId: "w", onFull: () => {} });
    const store = await createRunStore({
      ...{ database: db, clock: systemClock, keeping },
      transact: (at, work) => (isAway ? Promise.reject(away()) : transaction(at, work)),
    });
    onTestFinished(() => store.close());
    await begin(store);
    isAway = true;
    const message = { id: "m", type: "user", content: "Hello", addedAt: 1 } as const;
    await expect(store.record("r", { type: "message-added", message }, "written")).rejects.toThrow(
      NotWritten,
    );
    await act(store, "one");
    const { former } = await waitingOf(folder);
    expect(former.map(({ event }) => event.type)).toEqual(["action"]);
  });

  it("are left where they wait for another database, or are another worker's, which is told", async () => {
    const [folder, database, another] = [
      folderOf(),
      await server.createDatabase(),
      await server.createDatabase(),
    ];
    let isAway = false;
    const first = await open(folder, database, undefined, () => isAway);
    await begin(first);
    isAway = true;
    await act(first, "one");
    await first.close();
    const copy = folderOf();
    cpSync(folder, copy, { recursive: true });
    for (const [at, address, workerId] of [
      [folder, another, "w"],
      [copy, database, "copy"],
      [folder, database, "w"],
    ] as const) {
      const isOwn = at === folder && address === database;
      const db = await openStore({ folder: "", address, clock: systemClock });
      const onOthers = vi.fn();
      const keeping = await openKeeping(at, { database: db, workerId, onFull: () => {}, onOthers });
      const store = await createRunStore({ database: db, clock: systemClock, keeping });
      await store.refresh();
      expect(texts((await store.eventsAfter(0)).events)).toEqual(isOwn ? ["one"] : []);
      expect(onOthers).toHaveBeenCalledTimes(isOwn ? 0 : 1);
      await store.close();
    }
  });

  it("are made once also where the original of a copied folder comes back and writes", async () => {
    const [folder, copied, database] = [folderOf(), folderOf(), await server.createDatabase()];
    const original = await open(folder, database);
    await begin(original);
    await act(original, "one");
    cpSync(folder, copied, { recursive: true });
    let isLost = false;
    const copy = await open(copied, database, () => (isLost ? lost() : undefined));
    isLost = true;
    await act(copy, "two");
    await act(original, "three");
    await copy.close();
    const next = await open(copied, database);
    await next.refresh();
    expect(texts((await next.eventsAfter(0)).events)).toEqual(["one", "two", "three"]);
  });

  it("end when no more can be kept, which is said once", async () => {
    const [folder, database] = [folderOf(), await server.createDatabase()];
    let isAway = false;
    const onFull = vi.fn();
    const db = await openStore({ folder: "", address: database, clock: systemClock });
    const whole = await openKeeping(folder, { database: db, workerId: "w", onFull });
    const disk = await openWaiting(folder, { passing: 50, most: 100 });
    const store = await createRunStore({
      ...{ database: db, clock: systemClock, keeping: { ...whole, disk } },
      transact: (at, work) =>
        isAway ? Promise.reject(new StoreError("It is away.")) : transaction(at, work),
    });
    onTestFinished(() => store.close());
    await begin(store);
    isAway = true;
    for (let turn = 1; turn <= 6; turn++) await store.record("r", { type: "turn", turn }, "now");
    expect(onFull).toHaveBeenCalledTimes(1);
    // What counts in memory does so all the same.
    expect(store.get("r")?.turn).toBe(6);
  });

  it("take in thousands that have waited, in order and each once", async () => {
    const [folder, database] = [folderOf(), await server.createDatabase()];
    const first = await open(folder, database);
    await begin(first);
    const waiting = await waitingOf(folder);
    const changes = Array.from({ length: 2_500 }, (_, index) => ({
      ...change(index + 1, `step ${index}`, "action", 7),
      runId: "r",
    }));
    await waiting.keep(changes);
    const next = await open(folder, database);
    await next.refresh();
    const { events } = await next.eventsAfter(0, "r");
    expect(texts(events)).toEqual(changes.map((_, index) => `step ${index}`));
  });

  /** How a worker that was cut off had ended its run, which another one has taken for interrupted and has resumed. */
  const CUT_OFF: [how: string, end: Extract<RunChange, { type: "ended" }>, told: RegExp | undefined][] = [
    ["killed", { type: "ended", status: "killed" }, /had been killed/],
    ["completed", { type: "ended", status: "completed" }, /had completed/],
    ["stopped", { type: "ended", status: "interrupted" }, /had been stopped, and was not to go on by itself/],
    ["cut off itself", { type: "ended", status: "interrupted", toResume: true }, undefined],
  ];

  it.each(CUT_OFF)(
    "begin nothing that goes on by itself with one that was %s, once that is known",
    async (_, end, told) => {
      const gone = { type: "ended", status: "interrupted", leftBehind: true, toResume: true } as const;
      for (const isResumed of [true, false]) {
        const database = await server.createDatabase();
        let isAway = false;
        const here = await open(folderOf(), database, undefined, () => isAway);
        const other = await open(folderOf(), database);
        await begin(here);
        isAway = true;
        await here.record("r", end, "now");
        await other.record("r", gone, "written");
        const next = { runId: "next", sessionId: "s", sessionName: "s", request, resumes: "r" };
        if (isResumed) await other.accept(next);
        isAway = false;
        await act(here, "looks");
        await vi.waitFor(async () => {
          await other.refresh();
          expect(here.get("r")).toEqual(other.get("r"));
          expect(here.knownUntil()).toBeUndefined();
        });
        expect(other.get("r")?.status).toBe("interrupted");
        const run = other.get(isResumed ? "next" : "r");
        if (!told) expect(isResumed ? run?.status : run?.toResume).toBe(isResumed ? "pending" : true);
        else if (isResumed)
          expect(run).toMatchObject({
            status: "failed",
            neverStarted: true,
            error: expect.stringMatching(told),
          });
        else {
          expect(run).toMatchObject({ error: expect.stringMatching(told) });
          await expect(other.accept(next)).rejects.toThrow(NotResumable);
        }
      }
    },
  );

  it.each([false, true].flatMap((asksLater) => CUT_OFF.map((one) => [...one, asksLater] as const)))(
    "let no run of a plan begin that goes on with one that was %s, once that is known",
    async (_, end, told, asksLater) => {
      const database = await server.createDatabase();
      let isAway = false;
      const here = await open(folderOf(), database, undefined, () => isAway);
      const other = await open(folderOf(), database);
      const keyOf = (number: number) => {
        const name = planRunKeyName(planRunKey(randomUUID(), "build", number));
        return { key: `${here.keyPrefix}${name}~caller`, digest: "" };
      };
      await here.accept({ runId: "r", sessionId: "s", sessionName: "s", request }, keyOf(1));
      await here.record("r", { type: "started", worker: "w" }, "written");
      isAway = true;
      await here.record("r", end, "now");
      await other.record("r", { type: "ended", status: "interrupted", leftBehind: true }, "written");
      const next = { runId: "next", sessionId: "s", sessionName: "s", request };
      // While it is paused a plan asks for nothing.
      if (!asksLater) await other.accept(next, keyOf(2));
      await other.accept({ runId: "else", sessionId: "else", sessionName: "else", request }, keyOf(1));
      isAway = false;
      await act(here, "looks");
      await vi.waitFor(async () => {
        await other.refresh();
        expect(here.get("r")).toEqual(other.get("r"));
        expect(here.knownUntil()).toBeUndefined();
      });
      if (asksLater) await other.accept(next, keyOf(2));
      expect(other.get("else")?.status).toBe("pending");
      // A plan goes on with whatever was interrupted.
      const isToEnd = told && end.status !== "interrupted";
      const ended = { status: "failed", neverStarted: true, errorCode: "already_ended" };
      expect(other.get("next")).toMatchObject(
        isToEnd ? { ...ended, error: expect.stringMatching(told) } : { status: "pending" },
      );
      if (!isToEnd || !asksLater) return;
      expect(other.get("r")?.error).toMatch(told);
      // A person who wants it all the same has it done again.
      await other.accept({ ...next, runId: "again" }, keyOf(3));
      expect(other.get("again")?.status).toBe("pending");
    },
  );

  it("are told in parts of what others have written for long, each event once", async () => {
    const [folder, database] = [folderOf(), await server.createDatabase()];
    const here = await open(folder, database);
    await begin(here);
    const known = here.newestEventId();
    await server.query(
      `insert into engine_events (id, run_id, at, type, status, data)
       select ${known} + n, 'r', 1, 'action', 'running', '{"text":"x","turn":1}' from generate_series(1, 3500) as n`,
      new URL(database).pathname.slice(1),
    );
    const told: number[] = [];
    const parts = new Set<number>();
    here.subscribe(({ id }) => {
      told.push(id);
      parts.add(here.newestEventId() - known);
    });
    await act(here, "own");
    expect(told).toEqual(Array.from({ length: 3_501 }, (_, index) => known + 1 + index));
    expect([...parts]).toEqual([1000, 2000, 3000, 3500, 3501]);
  });
});

describe.skipIf(!programs)("what an agent has told while the database was away", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string, { durable: true });
  });
  afterAll(() => server?.dispose());

  const is = (action: string) => (status: Body) => status.current_action === action;
  const STEPS = [{ text: "One" }, { wait: 1_500 }, { text: "Two", cost: 0.5 }, { text: "Three", cost: 0.25 }];
  const WORK = withScript("Work", { steps: [...STEPS, { hang: true }] });

  async function toldOf(database: string, runId: string): Promise<string[]> {
    const rows = await server.query<{ text: string }>(
      `select data::json->>'text' as text from engine_events where run_id = '${runId}' and type = 'action' order by id`,
      new URL(database).pathname.slice(1),
    );
    return rows.map(({ text }) => text).filter((text) => /^(One|Two|Three|Four|Five)$/.test(text));
  }

  it("is in it once when that is back, though the worker was killed meanwhile", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database, { ENGINE_WORKER_TIMEOUT: "20" });
    const { run_id } = await a.start({ message: WORK });
    await a.until(run_id, is("One"));
    await server.kill();
    const before = await a.until(run_id, is("Three"));
    a.signal("SIGKILL");
    await a.exited();
    await server.start();
    expect(await toldOf(database, run_id)).toEqual(["One"]);
    const again = await a.restart();
    expect(await again.ended(run_id)).toMatchObject({
      error_code: "interrupted",
      current_turn: before.current_turn,
      metrics: { cost_usd: before.metrics.cost_usd },
    });
    expect(await toldOf(database, run_id)).toEqual(["One", "Two", "Three"]);
    again.signal("SIGKILL");
    await again.exited();
    await (await again.restart()).ended(run_id);
    expect(await toldOf(database, run_id)).toEqual(["One", "Two", "Three"]);
  });

  it("is in it, too, when others have ended the run before its worker is back", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database, { ENGINE_WORKER_TIMEOUT: "12" });
    const { run_id } = await a.start({ message: WORK });
    await a.until(run_id, is("One"));
    const b = await startWorker(database, { ENGINE_WORKER_TIMEOUT: "12" });
    await server.kill();
    const before = await a.until(run_id, is("Three"));
    a.signal("SIGKILL");
    await a.exited();
    await server.start();
    const ended = await b.ended(run_id);
    expect(ended.error_message).toContain("was not heard of");
    await a.restart();
    const late = await b.until(run_id, ({ metrics }) => metrics.cost_usd === before.metrics.cost_usd);
    expect(late).toMatchObject({ error_message: ended.error_message, current_turn: before.current_turn });
    expect(await toldOf(database, run_id)).toEqual(["One", "Two", "Three"]);
  });
});
