import { cpSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KyselyPlugin } from "kysely";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { acceptRun, apply } from "../src/engine/runs/apply.js";
import { createRunStore } from "../src/engine/runs/create-run-store.js";
import type { RunChange } from "../src/engine/runs/events.js";
import { openRunStore } from "../src/engine/runs/open-run-store.js";
import type { EngineRun, RunQuestion, RunRequest, RunStatus } from "../src/engine/runs/run.js";
import {
  KeyReused,
  NotWritten,
  type RunStore,
  type RunStoreProblem,
  type StoredEvent,
} from "../src/engine/runs/run-store.js";
import { openDatabase, type Transaction, transaction } from "../src/store/database.js";
import { StoreError } from "../src/store/store-error.js";
import { createHandClock, type HandClock } from "./support/hand-clock.js";
import { silentLog } from "./support/harness.js";

type Options = Partial<Omit<Parameters<typeof createRunStore>[0], "database" | "onProblem">> & {
  at?: string;
};

const REQUEST: RunRequest = {
  workflowName: "implement",
  message: "Add a login page",
  timeoutS: 3600,
  persistent: true,
  autoMerge: false,
  tempWorkspace: false,
};
const QUESTION: RunQuestion = {
  questionId: "q",
  kind: "question",
  askedAt: 5,
  text: "Which database?",
  choices: [{ value: "pg", title: "PostgreSQL" }],
  multiSelect: false,
};
const message = (id: string) => ({ id, type: "user" as const, content: `Use ${id}\0`, addedAt: 4 });
const FULL = new StoreError("The disk is full.", "SQLITE_FULL", "full");

let folder: string;
let clock: HandClock;
let problems: RunStoreProblem[];
let stores: RunStore[];

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "engine-runs-")), "state");
  clock = createHandClock();
  problems = [];
  stores = [];
});
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await rm(join(folder, ".."), { recursive: true, force: true });
});

async function open({ at = folder, ...options }: Options = {}): Promise<RunStore> {
  const store = await createRunStore({
    database: await openDatabase({ folder: at }),
    clock,
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  stores.push(store);
  return store;
}

/** A store on a copy of the files as they are now: what a killed engine leaves. */
function openAfterKill(): Promise<RunStore> {
  const at = `${folder}-after-kill-${stores.length}`;
  cpSync(folder, at, { recursive: true });
  return open({ at });
}

const accept = (store: RunStore, runId: string, key?: { key: string; digest: string }) =>
  store.accept({ runId, sessionId: `session-of-${runId}`, sessionName: "login", request: REQUEST }, key);

/** Takes a run on and lets all that happen to it. */
async function run(store: RunStore, runId: string, ...changes: RunChange[]): Promise<EngineRun> {
  await accept(store, runId);
  for (const change of changes) await store.record(runId, change, "now");
  return store.get(runId) as EngineRun;
}

const turn = (number: number): RunChange => ({ type: "turn", turn: number });
const idsOf = (events: StoredEvent[]) => events.map((event) => event.id);

/** The disk as it is told to be. */
function disk() {
  const state = { fails: false, failsLate: false, transactions: 0 };
  const transact: typeof transaction = (database, work) =>
    transaction(database, async (trx) => {
      state.transactions++;
      if (state.fails) throw FULL;
      const done = await work(trx);
      if (state.failsLate) throw FULL;
      return done;
    });
  return Object.assign(state, { transact });
}

describe("a run", () => {
  const accepted = acceptRun({
    type: "accepted",
    at: 1,
    runId: "r",
    sessionId: "s",
    sessionName: "n",
    request: REQUEST,
  });
  const happened = (...changes: RunChange[]) =>
    changes.reduce((before, change, index) => apply(before, { ...change, at: index + 2 }), accepted);
  const STARTED: RunChange = { type: "started" };
  const ASKED: RunChange = { type: "question-asked", question: QUESTION };
  const KILL: RunChange = { type: "kill-asked", force: false };
  const DONE: RunChange = { type: "ended", status: "completed" };
  const STATES: Record<RunStatus, EngineRun> = {
    pending: accepted,
    running: happened(STARTED),
    waiting: happened(STARTED, ASKED),
    completed: happened(STARTED, DONE),
    failed: happened(STARTED, { type: "ended", status: "failed", error: "No" }),
    killed: happened(KILL),
    interrupted: happened(STARTED, { type: "ended", status: "interrupted" }),
  };

  it.each([
    ["started", STARTED, ["pending"]],
    ["killed", KILL, ["pending", "running", "waiting"]],
    ["given a message", { type: "message-added", message: message("m") }, ["pending", "running", "waiting"]],
    ["ended", DONE, ["pending", "running", "waiting"]],
    ["asked something", { ...ASKED, question: { ...QUESTION, questionId: "p" } }, ["running", "waiting"]],
    ["given an answer", { type: "question-closed", questionId: "q", by: "person" }, ["waiting"]],
    ["heard of", turn(1), ["running", "waiting"]],
    [
      "cleaned up",
      { type: "cleaned-up", removed: { workspace: true, worktree: false, tempFiles: false } },
      ["completed", "failed", "killed", "interrupted"],
    ],
  ] as [string, RunChange, RunStatus[]][])("can be %s in some states only", (_name, change, states) => {
    for (const [status, before] of Object.entries(STATES)) {
      expect(before.status).toBe(status);
      const copy = structuredClone(before);
      const next = apply(before, { ...change, at: 9 });
      expect(next !== before, `${change.type} in ${status}`).toBe(states.includes(status as RunStatus));
      expect(before).toEqual(copy);
    }
  });

  it("waits for a person as long as a question is open", () => {
    const second: RunChange = { ...ASKED, question: { ...QUESTION, questionId: "p" } } as RunChange;
    const answer = (questionId: string): RunChange => ({
      type: "question-closed",
      questionId,
      by: "person",
      answer: "pg",
    });
    expect(happened(STARTED, ASKED, second, answer("q")).status).toBe("waiting");
    expect(happened(STARTED, ASKED, second, answer("q"), answer("p")).status).toBe("running");
    expect(happened(STARTED, ASKED, DONE).questions[0]).toMatchObject({ answeredBy: "ended" });
  });

  it("ends as killed when that was asked for, however it comes to its end", () => {
    expect(happened(STARTED, KILL, DONE)).toMatchObject({ status: "killed", killedAt: 4 });
    expect(happened(STARTED, KILL, { type: "ended", status: "interrupted" }).status).toBe("killed");
    expect(happened(KILL, STARTED).status).toBe("killed");
  });

  it("takes no answer any more when it is to be ended", () => {
    const late: RunChange = { type: "question-closed", questionId: "q", by: "person", answer: "pg" };
    const asked = happened(STARTED, ASKED, KILL);
    expect(apply(asked, { ...late, at: 9 })).toBe(asked);
    expect(happened(STARTED, ASKED, KILL, late, DONE).questions[0]).toMatchObject({ answeredBy: "ended" });
  });

  it("takes no message when its input is closed, which one that waits prevents", () => {
    const added: RunChange = { type: "message-added", message: message("m") };
    const closed: RunChange = { type: "input-closed" };
    expect(happened(STARTED, closed, added).queue.added).toBe(0);
    expect(happened(STARTED, KILL, added).queue.added).toBe(0);
    expect(happened(STARTED, added, closed)).not.toHaveProperty("inputClosed");
    expect(happened(STARTED, added, { ...closed, anyway: true }).inputClosed).toBe(true);
    const taken: RunChange = { type: "message-taken", messageId: "m" };
    expect(happened(STARTED, added, taken, taken, closed)).toMatchObject({
      inputClosed: true,
      queue: { added: 1, consumed: 1, waiting: [] },
    });
  });

  it("keeps the first names of tools and phases, however many its agent makes up", () => {
    const named = (name: string): RunChange[] => [
      { type: "tool", name },
      { type: "phase", name },
    ];
    const names = Array.from({ length: 3_000 }, (_, at) => `name ${at + 1}`);
    const run = happened(STARTED, ...names.flatMap(named));
    expect(run.toolsUsed).toEqual(names.slice(0, 200));
    expect(run.phasesCompleted).toEqual(names.slice(0, 200));
  });

  it("cannot be changed by those who have it", () => {
    const { queue, request } = happened(STARTED, { type: "message-added", message: message("m") });
    expect(() => Object.assign(queue, { added: 7 })).toThrow(TypeError);
    expect(() => (queue.waiting as unknown[]).push("x")).toThrow(TypeError);
    expect(() => Object.assign(request, { message: "x" })).toThrow(TypeError);
  });
});

describe("the runs' store", () => {
  it("gives a run back whole after a restart and after a kill", async () => {
    const store = await open();
    const full = await run(
      store,
      "../../etc/passwd",
      { type: "message-added", message: message("a") },
      { type: "message-added", message: message("b") },
      { type: "started" },
      { type: "workspace-ready", path: "/work/a", branch: "Main" },
      { type: "agent-started", process: { pid: 7, startedAt: "123" } },
      { type: "message-taken", messageId: "a" },
      { type: "message-added", message: message("c") },
      { type: "question-asked", question: QUESTION },
      { type: "question-closed", questionId: "q", by: "person", answer: "pg" },
      { type: "question-asked", question: { ...QUESTION, questionId: "p" } },
      { type: "result", ok: true, text: "Überarbeitung 🚀\0\nfertig", costUsd: 0.25 },
      { type: "tool", name: "Bash" },
    );
    expect(full).toMatchObject({ status: "waiting", queue: { added: 3, consumed: 1 } });
    expect(full.queue.waiting.map(({ id }) => id)).toEqual(["b", "c"]);
    expect((await openAfterKill()).get(full.runId)).toEqual(full);
    await store.close();
    expect((await open()).get(full.runId)).toEqual(full);
    expect(problems).toEqual([]);
  });

  it("has the last answer as its result, none where that was without words, and else the one before", async () => {
    const store = await open();
    const said = (text?: string): RunChange => ({
      type: "result",
      ok: true,
      ...(text === undefined ? {} : { text }),
    });
    const resultOf = async (id: string, ...changes: RunChange[]) =>
      (await run(store, id, { type: "started" }, ...changes)).result;
    expect(await resultOf("a", said("One"), said("Two"))).toBe("Two");
    expect(await resultOf("b", said("One"), said())).toBe("One");
    expect(await resultOf("c", said("One"), said(""))).toBeUndefined();
  });

  it("lists the newest run first, before and after a restart", async () => {
    const store = await open();
    for (const runId of ["a", "b"]) await accept(store, runId);
    clock.advance(1);
    await accept(store, "c");
    const names = (of: RunStore) => of.all().map(({ runId }) => runId);
    expect(names(store)).toEqual(["c", "b", "a"]);
    await store.close();
    expect(names(await open())).toEqual(["c", "b", "a"]);
  });

  it("shows a change to readers and listeners when it is in the database, and not before", async () => {
    const store = await open();
    await run(store, "r", { type: "started" });
    const told: unknown[] = [];
    const other = await openDatabase({ folder });
    const stop = store.subscribe((event, { turn }) => {
      const stored = other.selectFrom("engine_events").select("type").where("id", "=", event.id).execute();
      told.push([event.type, turn, store.get("r")?.turn, stored.then((rows) => rows.length)]);
    });
    const recording = store.record("r", turn(3), "now");
    expect(store.get("r")?.turn).toBe(0);
    expect((await recording).run.turn).toBe(3);
    expect(await Promise.all((told as unknown[][]).flat())).toEqual(["turn", 3, 3, 1]);
    stop();
    await store.record("r", turn(4), "now");
    expect(told).toHaveLength(1);
    await other.destroy();
  });

  it("tells every listener everything, whatever one of them does", async () => {
    const store = await open();
    await run(store, "r", { type: "started" });
    store.subscribe(() => {
      throw new Error("not my day");
    });
    const seen: string[] = [];
    store.subscribe((event) => {
      seen.push(event.type);
      if (event.type === "turn") void store.record("r", { type: "phase", name: "Read" }, "now");
    });
    await store.record("r", turn(1), "now");
    await expect.poll(() => seen).toEqual(["turn", "phase"]);
    expect(problems[0]).toEqual({
      kind: "listener",
      message: "A listener for events failed: not my day",
    });
  });

  it("writes progress in groups, in the order of the calls, and what is acknowledged at once", async () => {
    const counted = disk();
    const store = await open({ transact: counted.transact });
    await run(store, "r", { type: "started" });
    counted.transactions = 0;
    const soon = Array.from({ length: 20 }, (_, index) => store.record("r", turn(index), "soon"));
    await new Promise(setImmediate);
    expect(counted.transactions).toBe(0);
    clock.advance(50);
    await Promise.all(soon);
    expect(counted.transactions).toBe(1);
    const [first, second] = [store.record("r", turn(20), "soon"), store.record("r", turn(21), "now")];
    expect((await second).run.turn).toBe(21);
    await first;
    expect(counted.transactions).toBe(2);
    const { events } = await store.eventsAfter(0, "r");
    expect(events.slice(2).map(({ data }) => data.turn)).toEqual(Array.from({ length: 22 }, (_, i) => i));
    expect(events.slice(0, 2).map(({ type }) => type)).toEqual(["accepted", "started"]);
  });

  it("changes nothing after it was closed, and closing writes the rest", async () => {
    const store = await open();
    await run(store, "r", { type: "started" });
    const last = store.record("r", turn(5), "soon");
    await Promise.all([store.close(), store.close()]);
    expect((await last).run.turn).toBe(5);
    await expect(async () => store.record("r", turn(6), "now")).rejects.toThrow("closed");
    expect(store.get("r")?.turn).toBe(5);
    expect((await open()).get("r")?.turn).toBe(5);
  });
});

describe("events", () => {
  it("are numbered upwards over all runs and over restarts, and can be resumed after each", async () => {
    let store = await open();
    for (const runId of ["a", "b"]) await run(store, runId, { type: "started" });
    for (let restart = 0; restart < 3; restart++) {
      for (const runId of ["a", "b", "a"]) await store.record(runId, turn(restart), "now");
      await store.close();
      clock.advance(10);
      store = await open();
    }
    const { events } = await store.eventsAfter(0);
    const ids = idsOf(events);
    expect(ids).toHaveLength(13);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
    for (const [index, id] of ids.entries()) {
      expect(await store.eventsAfter(id)).toEqual({ events: events.slice(index + 1), gap: false });
      expect(await store.eventsAfter(id, "a")).toEqual({
        events: events.slice(index + 1).filter(({ runId }) => runId === "a"),
        gap: false,
      });
    }
  });

  it("hold what happened, when, to which run, and how it stood then", async () => {
    const store = await open();
    await run(store, "r", { type: "started" });
    await store.record("r", { type: "question-asked", question: QUESTION }, "now");
    const event = (await store.eventsAfter(0)).events.at(-1);
    expect(event).toMatchObject({
      runId: "r",
      at: clock.now(),
      type: "question-asked",
      status: "waiting",
      data: { question: QUESTION },
    });
    expect(() => Object.assign(event?.data ?? {}, { question: 1 })).toThrow(TypeError);
  });

  it("after a number that was never given are a gap, and no number is given twice", async () => {
    const store = await open();
    await run(store, "r", { type: "started" });
    const last = store.newestEventId();
    expect((await store.eventsAfter(last)).gap).toBe(false);
    expect((await store.eventsAfter(last + 1)).gap).toBe(true);
    clock.advance(60_000);
    const next = await openAfterKill();
    expect((await next.eventsAfter(last)).gap).toBe(false);
    // Told to a client while the disk had failed, and lost with the engine.
    expect((await next.eventsAfter(last + 5)).gap).toBe(true);
    await next.record("r", turn(1), "now");
    expect(next.newestEventId()).toBeGreaterThan(last + 5);
  });

  it("are given to a client that resumes up to a limit, and more of them are a gap", async () => {
    const store = await open({ limits: { eventsAtOnce: 3 } });
    await run(store, "r", { type: "started" }, turn(1), turn(2), turn(3));
    const all = await store.eventsAfter(0);
    expect([all.events.map(({ data }) => data.turn), all.gap]).toEqual([[1, 2, 3], true]);
    const [first] = all.events;
    expect((await store.eventsAfter((first?.id ?? 0) - 1)).gap).toBe(false);
  });
});

describe("a disk that fails", () => {
  it.each(["fails", "failsLate"] as const)("takes no new run and no message (%s)", async (how) => {
    const full = disk();
    const store = await open({ transact: full.transact });
    await run(store, "known", { type: "started" });
    full[how] = true;
    await expect(accept(store, "r", { key: "k", digest: "d" })).rejects.toThrow(NotWritten);
    await expect(
      store.record("known", { type: "message-added", message: message("m") }, "written"),
    ).rejects.toThrow("could not be written: The disk is full.");
    expect(store.get("r")).toBeUndefined();
    expect(store.get("known")?.queue.added).toBe(0);
    expect((await openAfterKill()).all().map(({ runId }) => runId)).toEqual(["known"]);
    full[how] = false;
    expect((await accept(store, "r", { key: "k", digest: "d" })).happened).toBe(true);
  });

  it("lets a known run go on, is told once, and gets everything when it works again", async () => {
    const full = disk();
    const store = await open({ transact: full.transact });
    await run(store, "r", { type: "started" });
    const heard: number[] = [];
    store.subscribe((event) => heard.push(event.id));
    full.fails = true;
    await store.record("r", turn(1), "now");
    await store.record("r", { type: "tool", name: "Bash" }, "now");
    const ended = await store.record("r", { type: "ended", status: "completed" }, "now");
    expect(ended).toMatchObject({ happened: true, run: { status: "completed", turn: 1 } });
    expect((await store.record("r", turn(2), "now")).happened).toBe(false);
    expect(store.get("r")?.status).toBe("completed");
    const told = await store.eventsAfter(heard[0] ?? 0);
    expect([idsOf(told.events), told.gap]).toEqual([heard.slice(1), false]);
    expect(told.events.map(({ status }) => status)).toEqual(["running", "completed"]);
    expect(problems).toEqual([
      {
        kind: "unwritable",
        message:
          "The runs cannot be written: The disk is full. They go on, but would be lost if the engine ended now.",
      },
    ]);
    expect((await openAfterKill()).get("r")?.turn).toBe(0);
    // Nobody changes anything any more.
    full.fails = false;
    clock.advance(2_000);
    await expect.poll(async () => (await openAfterKill()).get("r")?.status).toBe("completed");
    const after = await openAfterKill();
    expect(after.get("r")).toEqual(store.get("r"));
    expect(idsOf((await after.eventsAfter(0)).events).slice(-3)).toEqual(heard);
  });

  it("is tried every 2 s and for what has to be written, not for everything that happens", async () => {
    const full = disk();
    const store = await open({ transact: full.transact });
    await run(store, "r", { type: "started" });
    full.fails = true;
    await store.record("r", turn(1), "now");
    const tried = full.transactions;
    for (let number = 2; number < 50; number++) await store.record("r", turn(number), "now");
    expect([store.get("r")?.turn, full.transactions]).toEqual([49, tried]);
    full.fails = false;
    expect((await accept(store, "s")).happened).toBe(true);
    expect((await openAfterKill()).get("r")).toEqual(store.get("r"));
  });

  it("keeps so many events in memory, tells of those it let go as a gap, and loses nothing of the run", async () => {
    const full = disk();
    const store = await open({ transact: full.transact, limits: { eventsAtOnce: 3 } });
    await run(store, "r", { type: "started" });
    const before = store.newestEventId();
    full.fails = true;
    for (let number = 1; number <= 5; number++) await store.record("r", turn(number), "now");
    await store.record("r", { type: "ended", status: "completed" }, "now");
    const last = store.newestEventId();
    for (const restart of [false, true]) {
      full.fails = false;
      if (restart) await store.close();
      const of = restart ? await open({ limits: { eventsAtOnce: 3 } }) : store;
      expect(of.get("r")).toMatchObject({ status: "completed", turn: 5 });
      expect((await of.eventsAfter(before)).gap).toBe(true);
      const { events, gap } = await of.eventsAfter(last - 3);
      expect([events.map(({ type }) => type), gap]).toEqual([["turn", "turn", "ended"], false]);
    }
  });

  it("that is really full takes nothing, and takes it when there is room", async () => {
    const database = await openDatabase({ folder });
    const store = await createRunStore({ database, clock });
    stores.push(store);
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(database);
    const allow = (pages: number) =>
      transaction(database, (trx) => sql.raw(`pragma max_page_count = ${pages}`).execute(trx));
    await allow(rows[0]?.page_count ?? 0);
    const request = { ...REQUEST, message: "x".repeat(500_000) };
    const start = () => store.accept({ runId: "r", sessionId: "s", sessionName: "n", request });
    await expect(start()).rejects.toThrow("The run could not be written: The disk is full");
    expect((await openAfterKill()).all()).toEqual([]);
    await allow(1_000_000);
    expect((await start()).run.request.message).toHaveLength(500_000);
  });

  it("is tried once more when the store is closed", async () => {
    const full = disk();
    const store = await open({ transact: full.transact });
    await run(store, "r", { type: "started" });
    full.fails = true;
    await store.record("r", { type: "ended", status: "killed" }, "now");
    full.fails = false;
    await store.close();
    expect((await open()).get("r")?.status).toBe("killed");
  });
});

describe("a database that is removed", () => {
  it("is made anew from what is known, also when somebody has only looked for events", async () => {
    const database = await openDatabase({ folder });
    const store = await createRunStore({ database, clock, reopen: () => openDatabase({ folder }) });
    stores.push(store);
    const key = { key: "k", digest: "d" };
    await accept(store, "r", key);
    for (const change of [{ type: "started" }, turn(1), { type: "message-added", message: message("m") }])
      await store.record("r", change as RunChange, "now");
    await run(store, "done", { type: "ended", status: "completed" });
    for (const suffix of ["", "-wal", "-shm"]) await rm(join(folder, `automagik.db${suffix}`));

    await expect(store.eventsAfter(1)).rejects.toThrow("removed");
    await vi.waitFor(async () => expect(await store.eventsAfter(1)).toEqual({ events: [], gap: true }));
    const next = await openAfterKill();
    expect(next.all()).toEqual(store.all());
    expect([next.keyPrefix, next.findByKey("k")?.digest]).toEqual([store.keyPrefix, "d"]);
    await store.record("r", turn(2), "now");
    expect((await openAfterKill()).get("r")).toMatchObject({ turn: 2, queue: { waiting: [message("m")] } });
    expect(await store.eventsAfter(store.newestEventId() - 1)).toMatchObject({
      events: [{ type: "turn" }],
      gap: false,
    });
  });

  it("gets all parts of the runs also where an earlier copy of it was put back", async () => {
    const database = await openDatabase({ folder });
    const store = await createRunStore({ database, clock, reopen: () => openDatabase({ folder }) });
    stores.push(store);
    await run(store, "r", { type: "started" }, { type: "message-added", message: message("before") });
    cpSync(folder, `${folder}-copy`, { recursive: true });
    const ASKED: RunChange = { type: "question-asked", question: QUESTION };
    for (const change of [{ type: "message-added", message: message("since") }, ASKED] as RunChange[])
      await store.record("r", change, "now");
    await rm(folder, { recursive: true });
    cpSync(`${folder}-copy`, folder, { recursive: true });
    await store.record("r", turn(1), "now");
    expect((await openAfterKill()).all()).toEqual(store.all());
    expect(store.get("r")).toMatchObject({
      turn: 1,
      queue: { waiting: [message("before"), message("since")] },
    });
  });

  it("knows the keys of its runs from the first start on that comes to the new one", async () => {
    const database = await openDatabase({ folder });
    const store = await createRunStore({ database, clock, reopen: () => openDatabase({ folder }) });
    stores.push(store);
    await accept(store, "r", { key: "k", digest: "d" });
    for (const suffix of ["", "-wal", "-shm"]) await rm(join(folder, `automagik.db${suffix}`));
    const [again, other, fresh] = await Promise.allSettled([
      accept(store, "again", { key: "k", digest: "d" }),
      accept(store, "other", { key: "k", digest: "another" }),
      accept(store, "new", { key: "new", digest: "d" }),
    ]);
    expect(again).toMatchObject({ value: { run: { runId: "r" }, happened: false } });
    expect(other).toMatchObject({ reason: { name: "KeyReused" } });
    expect(fresh).toMatchObject({ value: { happened: true } });
    expect((await openAfterKill()).all().map(({ runId }) => runId)).toEqual(["new", "r"]);
  });
});

describe("two processes on one database", () => {
  it("never both start a run, nor start one that the other has killed", async () => {
    const [one, other] = [await open(), await open()];
    for (const change of [{ type: "started" }, { type: "kill-asked", force: false }] as RunChange[]) {
      const runId = `run to be ${change.type}`;
      await accept(one, runId);
      const done = await Promise.all([
        one.record(runId, { type: "started" }, "written"),
        other.record(runId, change, "written"),
      ]);
      // A kill that comes after the start is noted, one that comes before it ends the run.
      const started = done[0].happened && change.type !== "started" ? 2 : 1;
      expect(done.filter(({ happened }) => happened)).toHaveLength(started);
      expect((await one.record(runId, { type: "started" }, "written")).happened).toBe(false);
    }
  });

  it("both add messages, and each sees those of the other", async () => {
    const [one, other] = [await open(), await open()];
    await run(one, "r", { type: "started" });
    const add = (store: RunStore, id: string) =>
      store.record("r", { type: "message-added", message: message(id) }, "written");
    await Promise.all([add(one, "a"), add(other, "b"), add(one, "c")]);
    const { run: last } = await add(other, "d");
    expect(last.queue.waiting.map(({ id }) => id).sort()).toEqual(["a", "b", "c", "d"]);
    expect(idsOf((await one.eventsAfter(0)).events)).toHaveLength(6);
  });

  it("take one run on for one key, and refuse the key with another request", async () => {
    const [one, other] = [await open(), await open()];
    const key = { key: "k", digest: "d" };
    const all = await Promise.all([
      accept(one, "a", key),
      accept(one, "also a", key),
      accept(other, "b", key),
    ]);
    expect(new Set(all.map(({ run: { runId } }) => runId)).size).toBe(1);
    expect(all.filter(({ happened }) => happened)).toHaveLength(1);
    await expect(accept(one, "c", { key: "k", digest: "other" })).rejects.toThrow(KeyReused);
    expect((await openAfterKill()).all()).toHaveLength(1);
    expect(await (await openAfterKill()).findByKey("k")).toMatchObject({ digest: "d" });
  });
});

describe("pruning", () => {
  const day = 24 * 60 * 60 * 1000;
  const DONE: RunChange = { type: "ended", status: "completed" };

  async function pruneDaily(store: RunStore, from: number, through: number): Promise<string[]> {
    const removed: string[] = [];
    for (let number = from; number <= through; number++) removed.push(...(await store.prune(number * day)));
    return removed;
  }

  it("removes nothing that ended today when the clock is set ahead, and what is old when it is right again", async () => {
    let store = await open();
    await run(store, "today", DONE);
    const today = Math.floor(clock.now() / day);
    await store.prune(today * day);
    for (const ahead of [31, 400, 10_000]) {
      expect(await store.prune((today + ahead) * day)).toEqual([]);
      await store.close();
      store = await open();
    }
    expect(await pruneDaily(store, today, today + 26)).toEqual([]);
    expect(await pruneDaily(store, today + 27, today + 27)).toEqual(["today"]);
  });

  it("are all kept that have cost something today: the limit of a day counts them", async () => {
    const store = await open({ limits: { endedRuns: 1 } });
    const cost: RunChange = { type: "result", ok: true, costUsd: 0.2 };
    await run(store, "dear", { type: "started" }, cost, DONE);
    for (const runId of ["free", "newest"]) await run(store, runId, { type: "started" }, DONE);
    expect(await store.prune(clock.now())).toEqual(["free"]);
    expect(await store.prune(clock.now() + 2 * 24 * 60 * 60 * 1000)).toEqual(["dear"]);
  });

  it("asks the database no more for many runs than for a few", async () => {
    let asked = 0;
    const counting: KyselyPlugin = {
      transformQuery({ node }) {
        asked++;
        return node;
      },
      transformResult: async ({ result }) => result,
    };
    const transact: typeof transaction = (database, work) =>
      transaction(database, (trx) => work(trx.withPlugin(counting) as Transaction));
    const store = await open({ transact, limits: { endedRuns: 0 } });
    const counts: number[] = [];
    for (const count of [2, 40]) {
      const ids = Array.from({ length: count }, (_, index) => `${count}-${index}`);
      for (const runId of ids) await run(store, runId, DONE);
      asked = 0;
      expect(await store.prune(clock.now())).toHaveLength(count);
      counts.push(asked);
    }
    expect(counts[1]).toBeLessThanOrEqual(counts[0] as number);
  });

  it("keeps the newest ended runs and all that have not ended, and removes all that belongs to the others", async () => {
    const store = await open({ limits: { endedRuns: 2 } });
    await run(store, "running", { type: "started" });
    await run(store, "pending");
    const extra: RunChange[] = [
      { type: "message-added", message: message("m") },
      { type: "started" },
      { type: "question-asked", question: QUESTION },
    ];
    for (const runId of ["a", "b", "c"]) await run(store, runId, ...extra, DONE);
    expect(await store.prune(clock.now())).toEqual(["a"]);
    const left = ["b", "c", "pending", "running"];
    const names = (of: RunStore) =>
      of
        .all()
        .map(({ runId }) => runId)
        .sort();
    expect(names(store)).toEqual(left);
    expect(names(await openAfterKill())).toEqual(left);
    const database = await openDatabase({ folder });
    for (const table of ["engine_events", "engine_parts", "engine_runs"] as const) {
      const rows = await database.selectFrom(table).select("run_id").where("run_id", "=", "a").execute();
      expect(rows, table).toEqual([]);
    }
    await database.destroy();
  });

  it("is told as a gap to those who have not seen the events, also of runs that are there", async () => {
    const store = await open({ limits: { eventsKept: 4 } });
    await run(store, "old", DONE);
    await run(store, "new", { type: "started" }, turn(1), turn(2), turn(3));
    const { events } = await store.eventsAfter(0);
    const today = Math.floor(clock.now() / day);
    expect(await pruneDaily(store, today, today + 30)).toEqual(["old"]);
    for (const of of [store, await openAfterKill()]) {
      const gaps = await Promise.all(events.map(async ({ id }) => (await of.eventsAfter(id)).gap));
      expect(gaps).toEqual([true, true, false, false, false, false, false].map((_, index) => index < 2));
    }
  });
});

describe("the logs of earlier versions", () => {
  const NUMBERS = { lastEventId: 1, droppedThrough: 0, eventBytes: 0 };
  const former = {
    runId: "9b2f7c1e-7a61-4b8e-9d55-000000000001",
    request: REQUEST,
    status: "pending",
    sessionId: "s",
    sessionName: "login",
    createdAt: 1_000,
    turn: 0,
    toolsUsed: [],
    tokens: { input: 0, output: 0 },
    costUsd: 0,
    phasesCompleted: [],
    workspaceRemoved: false,
    filesChanged: [],
    commits: [],
    queue: { added: 0, consumed: 0, waiting: [] },
    questions: [],
  };

  it("are taken over once, and left where they are", async () => {
    const runs = join(folder, "engine", "runs");
    await mkdir(runs, { recursive: true, mode: 0o700 });
    const lines = [
      { v: 1, confirmed: false, run: former, ...NUMBERS },
      { confirmed: true },
      {
        set: [
          [["status"], "running"],
          [["currentAction"], "Edit"],
          [["startedAt"], 1_100],
        ],
      },
      {
        set: [
          [["queue", "added"], 1],
          [["queue", "waiting", 0], { ...message("m"), writtenAt: 7 }],
        ],
      },
      { set: [[["currentAction"]], [["turn"], 3], [["questions", 0], QUESTION]] },
    ];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    await writeFile(join(runs, `${former.runId}.jsonl`), `${text}{"set":[[["turn"`);
    await writeFile(
      join(runs, "unconfirmed.jsonl"),
      `${JSON.stringify({ ...lines[0], run: { ...former, runId: "u" } })}\n`,
    );
    await writeFile(join(runs, "damaged.jsonl"), "not a run\n");
    const options = { stateFolder: folder, folder: join(folder, "engine"), clock, log: silentLog };
    const store = await openRunStore(options);
    stores.push(store);
    expect(store.all()).toEqual([
      {
        ...former,
        status: "running",
        startedAt: 1_100,
        turn: 3,
        queue: { added: 1, consumed: 0, waiting: [message("m")] },
        questions: [QUESTION],
      },
    ]);
    await store.record(former.runId, { type: "ended", status: "interrupted" }, "now");
    await store.close();
    const again = await openRunStore(options);
    stores.push(again);
    expect(again.all()).toMatchObject([{ runId: former.runId, status: "interrupted" }]);
    expect((await readdir(runs)).length).toBe(3);
    expect(await readFile(join(runs, `${former.runId}.jsonl`), "utf8")).toContain(text);
  });
});
