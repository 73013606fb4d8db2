import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { deleteHistory, exportHistory, readSince, showHistory } from "../src/cli/history/history-commands.js";
import { expectRun, stallAfter, successOf } from "../src/history/expect.js";
import { toCsv, toRow } from "../src/history/export.js";
import type { Figures } from "../src/history/figures.js";
import { createHistory } from "../src/history/history.js";
import { tellUsual } from "../src/history/tell-usual.js";
import { createPlanJournal } from "../src/plan-runner/journal.js";
import { apply } from "../src/plans/machine/apply.js";
import type { PlanChange } from "../src/plans/machine/events.js";
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import type { RunRecord } from "../src/sessions/store/session-record.js";
import { openDatabase, transaction } from "../src/store/database.js";
import { planOf } from "./support/plan-place.js";
import { createSkippingClock } from "./support/skipping-clock.js";

const UPSTREAM = "https://api.example";
const REPOSITORY = "https://host.example/team/app.git";
const NOW = Date.parse("2026-11-20T12:00:00Z");
const DAY_MS = 86_400_000;

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "history-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The store of one server process, and what it knows of the past. */
function openStore(folder: string, now = NOW) {
  const clock = { ...createSkippingClock(), now: () => now };
  const store = createDatabaseSessionStore({ folder, upstream: UPSTREAM, clock });
  onTestFinished(() => store.close());
  const read = async () => (await createHistory({ source: store, clock }).read()).figures;
  return { store, clock, read };
}

const ENDED: RunRecord = {
  runId: "run-1",
  workflowName: "fix",
  status: "completed",
  startedAt: NOW - 600_000,
  completedAt: NOW,
  turns: 9,
  costUsd: 0.4,
  task: "fix login timeout",
  updatedAt: NOW,
};

/** Writes the runs of one session down. */
const keep = (store: ReturnType<typeof openStore>["store"], ...runs: RunRecord[]) =>
  store.update("session", (current) => ({
    ...{ version: 1, key: "session", name: "login", repositoryUrl: REPOSITORY, createdAt: NOW },
    ...{ updatedAt: NOW, runs: [...(current?.runs ?? []), ...runs] },
  }));

function place(folder: string, now = NOW) {
  const told: string[] = [];
  return {
    told,
    at: {
      folder,
      days: 730,
      now,
      out: (text: string) => told.push(text),
      note: (text: string) => told.push(text),
    },
  };
}

describe("what a run has taken", () => {
  it("is kept with its end, and what nobody has told is unknown and not 0", async () => {
    const { store, read } = openStore(makeFolder());
    await keep(store, { ...ENDED, runId: "going", status: "running" }, ENDED, {
      ...ENDED,
      runId: "silent",
      status: "failed",
      turns: 0,
      costUsd: 0,
    });
    const [first, silent, ...others] = await read();
    expect(others).toEqual([]);
    expect(first).toMatchObject({
      id: "run-1",
      turns: 9,
      seconds: 600,
      costUsd: 0.4,
      repository: REPOSITORY,
    });
    expect(silent).toMatchObject({ id: "silent", outcome: "failed" });
    expect(Object.keys(silent ?? {})).not.toEqual(expect.arrayContaining(["turns"]));
    expect(silent).not.toHaveProperty("costUsd");
    expect(silent).not.toHaveProperty("tokens");
  });

  it("is corrected by later news, and once in it however often it is told", async () => {
    const { store, clock, read } = openStore(makeFolder());
    await keep(store, { ...ENDED, status: "killed", turns: 4 });
    const history = createHistory({ source: store, clock });
    const seen: Figures = {
      kind: "run",
      id: "run-1",
      outcome: "completed",
      endedAt: NOW,
      turns: 11,
      tokens: 500,
    };
    await history.note([seen]);
    await history.note([{ ...seen, outcome: "killed", turns: 2 }]);
    expect(await read()).toEqual([
      expect.objectContaining({
        outcome: "completed",
        turns: 11,
        tokens: 500,
        costUsd: 0.4,
        workflow: "fix",
      }),
    ]);
  });

  it("of before there was history is taken over from the sessions", async () => {
    const folder = makeFolder();
    const first = openStore(folder);
    await keep(first.store, ENDED);
    await first.store.close();
    const database = await openDatabase({ folder });
    await transaction(database, async (trx) => void (await trx.deleteFrom("history").execute()));
    await database.destroy();
    expect(await openStore(folder).read()).toMatchObject([{ id: "run-1", turns: 9 }]);
  });

  it("is forgotten when it is older than the setting says, and not noted any more", async () => {
    const folder = makeFolder();
    const first = openStore(folder);
    await keep(first.store, ENDED);
    await first.store.close();
    const later = openStore(folder, NOW + 800 * DAY_MS);
    const history = createHistory({ source: later.store, clock: later.clock });
    expect((await history.read()).figures).toEqual([]);
    await history.note([{ kind: "run", id: "old", outcome: "completed", endedAt: NOW }]);
    later.clock.skip(60_000);
    expect((await history.read()).figures).toEqual([]);
  });

  it("can be deleted by its repository, and comes back neither by the list nor by its session", async () => {
    const folder = makeFolder();
    const { store, clock, read } = openStore(folder);
    await keep(store, ENDED);
    const { at, told } = place(folder);
    const ask = (answer: boolean) => ({
      repository: REPOSITORY.replace(".git", "/"),
      agree: async () => answer,
    });
    expect(await deleteHistory(at, ask(false))).toBe(1);
    expect(await deleteHistory(at, { ...ask(true), agree: undefined })).toBe(1);
    expect(await read()).toHaveLength(1);
    expect(await deleteHistory(at, ask(true))).toBe(0);
    expect(told.join("")).toContain("Deleted 1 row of history");
    const history = createHistory({ source: store, clock });
    await history.note([{ kind: "run", id: "run-1", outcome: "completed", endedAt: NOW }]);
    await history.note([
      { kind: "run", id: "run-0", outcome: "completed", endedAt: NOW - 1, repository: REPOSITORY },
    ]);
    await keep(store, { ...ENDED, turns: 12 });
    expect(await read()).toEqual([]);
    await keep(store, { ...ENDED, runId: "run-2", completedAt: NOW + 1 });
    expect(await read()).toMatchObject([{ id: "run-2" }]);
  });
});

describe("what a plan has taken", () => {
  it("is kept with its end: rejections, retries and waits for people, and whose runs are which step's", async () => {
    const folder = makeFolder();
    const database = await openDatabase({ folder });
    const journal = createPlanJournal({ database, upstream: "an API" });
    let at = NOW;
    const plan = planOf({
      name: "ship",
      steps: [
        { id: "design", run: "architect", task: "Design it" },
        { id: "ok", gate: "Build it?", needs: ["design"], back_to: { step: "design", max: 2 } },
      ],
    });
    const start = {
      type: "plan-started" as const,
      at,
      planId: "p",
      plan,
      inputs: {},
      template: "ship-feature",
    };
    let state = await journal.begin(start, { repositoryUrl: REPOSITORY });
    let entries = 0;
    let last: string | undefined;
    async function tell(seconds: number, change: PlanChange): Promise<void> {
      at += seconds * 1000;
      const event = { ...change, at };
      state = apply(state, event);
      await journal.write("p", {
        ...{ entries: entries++, last },
        events: [event],
        next: state,
        acts: [],
        owner: undefined,
        now: at,
      });
      last = journal.markOf(event);
    }
    const run = (key: string, runId: string, costUsd: number) => [
      { type: "run-started" as const, key, runId, sessionId: "s", sessionName: "design" },
      {
        type: "run-ended" as const,
        key,
        status: "completed" as const,
        turns: 5,
        costUsd,
        sessionId: "s",
        branch: "b",
      },
    ];
    const decide = (decision: "approve" | "send-back") => {
      const { open } = state.steps.ok ?? {};
      const words = decision === "send-back" ? { words: "smaller" } : {};
      return {
        type: "gate-decided" as const,
        step: "ok",
        attempt: open?.attempt ?? 0,
        commits: [...(open?.commits ?? [])],
        decision,
        ...words,
      };
    };
    for (const change of run("p/design/1", "run-a", 0.5)) await tell(10, change);
    await tell(300, decide("send-back"));
    for (const change of run("p/design/2", "run-b", 0.25)) await tell(10, change);
    await tell(60, decide("approve"));
    await database.destroy();

    const { at: where, told } = place(folder);
    await exportHistory(where, { format: "json" });
    const rows = JSON.parse(told.join(""));
    expect(rows.find((row: { kind: string }) => row.kind === "plan")).toMatchObject({
      ...{ id: "p", outcome: "completed", template: "ship-feature", runs: 2, cost_usd: 0.75, turns: 10 },
      ...{ gate_rejections: 1, questions: 2, retries: 0, waited_seconds: 360, seconds: 400, failure: null },
    });
    expect(rows.filter((row: { kind: string }) => row.kind === "run")).toMatchObject([
      { id: "run-a", plan_id: "p", step: "design", workflow: "architect", tokens: null },
      { id: "run-b", plan_id: "p", step: "design", repository: REPOSITORY },
    ]);
  });

  it("counts the runs that were started, and none of which nobody knows whether it was", async () => {
    const folder = makeFolder();
    const database = await openDatabase({ folder });
    const journal = createPlanJournal({ database, upstream: "an API" });
    const steps = ["one", "two"].map((id) => ({ id, run: "fix", task: "Mend it" }));
    const start = {
      ...{ type: "plan-started" as const, at: NOW, planId: "p" },
      ...{ plan: planOf({ name: "both", steps }), inputs: {} },
    };
    let state = await journal.begin(start, {});
    const changes: PlanChange[] = [
      { type: "run-started", key: "p/one/1", runId: "run-a" },
      { type: "run-ended", key: "p/one/1", status: "completed", branch: null },
      { type: "start-unknown", key: "p/two/1", reason: "Its answer was lost." },
      { type: "kill-asked" },
    ];
    const events = changes.map((change) => ({ ...change, at: NOW }));
    for (const event of events) state = apply(state, event);
    const write = { events, next: state, acts: [], owner: undefined, now: NOW };
    await journal.write("p", { entries: 0, last: undefined, ...write });
    await database.destroy();
    const { at: where, told } = place(folder);
    await exportHistory(where, { format: "json" });
    const rows = JSON.parse(told.join("")) as { kind: string }[];
    expect(rows.filter(({ kind }) => kind === "plan")).toMatchObject([{ outcome: "killed", runs: 1 }]);
  });
});

describe("what is usual", () => {
  const run = (turns: number, more: Partial<Figures> = {}): Figures => ({
    ...{
      kind: "run",
      id: `${turns}-${JSON.stringify(more)}`,
      outcome: "completed",
      workflow: "fix",
      endedAt: NOW,
    },
    ...{ turns, seconds: turns * 60, costUsd: turns / 10 },
    ...more,
  });
  const usual = (figures: Figures[], repository?: string, task?: string) =>
    expectRun(figures, { workflow: "fix", repository, task, now: NOW });

  it("is not said of two runs, and of three it is the median with how many there are", () => {
    expect(usual([run(8), run(10)])).toEqual({ of: "workflow" });
    const three = usual([run(8), run(10), run(30)]);
    expect(three.turns).toEqual({ median: 10, p90: 30, n: 3 });
    expect(three.costUsd).toEqual({ median: 1, p90: 3, n: 3 });
    expect([three.maxTurns, three.timeoutS]).toEqual([45, 3600]);
  });

  it("counts neither what has failed, was killed or cut off, nor what is old or another workflow's", () => {
    const others = [
      run(90, { outcome: "failed" }),
      run(91, { outcome: "killed" }),
      run(92, { failure: "turn_limit" }),
      run(93, { endedAt: NOW - 91 * DAY_MS }),
      run(94, { workflow: "test" }),
    ];
    expect(usual([run(8), run(10), run(12), ...others]).turns).toEqual({ median: 10, p90: 12, n: 3 });
  });

  it("is that of tasks about as long from five of them on, there before everywhere", () => {
    const [short, long] = ["Fix the typo", "Rework the whole export. ".repeat(20).slice(0, 299)];
    const tasks = [1, 2, 3, 4, 5].flatMap((at) => [
      run(at, { task: short, id: `short-${at}` }),
      run(at * 10, { task: long, id: `long-${at}` }),
    ]);
    expect(usual(tasks, undefined, "Mend the link")).toMatchObject({
      size: "short",
      turns: { median: 3, n: 5 },
    });
    expect(usual(tasks, undefined, long)).toMatchObject({ size: "long", turns: { median: 30, n: 5 } });
    const medium = usual(tasks, undefined, "x".repeat(150));
    expect([medium.size, medium.turns?.n]).toEqual([undefined, 10]);
    expect(usual(tasks).size).toBeUndefined();
    const there = [7, 7, 7, 7, 7].map((turns, at) =>
      run(turns, { task: long, id: `there-${at}`, repository: REPOSITORY }),
    );
    // Five runs there, none of them short: the repository says more than the length.
    expect(usual([...tasks, ...there], REPOSITORY, short)).toMatchObject({
      of: "repository",
      turns: { n: 5 },
    });
    expect(tellUsual(usual([...tasks, ...there], REPOSITORY, long))).toBe(
      "usually 7 turns, 7 min, about $0.70 (5 runs of long tasks in this repository)",
    );
  });

  it("is the repository's own from five runs there on", () => {
    const there = [1, 2, 3, 4].map((turns) => run(turns, { repository: REPOSITORY }));
    const elsewhere = [40, 41, 42, 43, 44].map((turns) => run(turns));
    expect(usual([...there, ...elsewhere], REPOSITORY).of).toBe("workflow");
    const enough = usual([...there, run(5, { repository: `${REPOSITORY}/` }), ...elsewhere], REPOSITORY);
    expect([enough.of, enough.turns]).toEqual(["repository", { median: 3, p90: 5, n: 5 }]);
  });

  it("makes a silence long after twice what such runs are silent, between five minutes and an hour", () => {
    const longAfter = (quietS: number[]) =>
      stallAfter(usual(quietS.map((one, i) => run(i + 1, { quietS: one }))));
    expect(longAfter([])).toBe(300_000);
    expect(longAfter([10, 20, 30])).toBe(300_000);
    expect(longAfter([300, 400, 600])).toBe(1_200_000);
    expect(longAfter([9_000, 9_000, 9_000])).toBe(3_600_000);
  });

  it("leaves out of the success rate what a person has killed", () => {
    const ended = [run(1), run(2), run(3, { outcome: "failed" }), run(4, { outcome: "killed" })];
    expect(successOf(ended)).toEqual({ succeeded: 2, n: 3 });
    expect(successOf(ended.slice(0, 2))).toBeUndefined();
  });
});

describe("history in a terminal", () => {
  it("is a table of figures for each workflow, with how many there are", async () => {
    const folder = makeFolder();
    const { at, told } = place(folder);
    const all = { json: false, width: undefined };
    expect(await showHistory(at, all)).toBe(0);
    const { store } = openStore(folder);
    const runs = [9, 11, 20].map((turns, index) => ({ ...ENDED, runId: `run-${index}`, turns }));
    await keep(
      store,
      ...runs,
      { ...ENDED, runId: "bad", status: "failed" },
      { ...ENDED, runId: "t", workflowName: "test" },
    );
    await showHistory(at, all);
    expect(told[0]).toBe("There is no history yet: no run or plan has ended.\n");
    const lines = (told[1] ?? "").split("\n").map((line) => line.split(/\s{2,}/));
    expect(lines.slice(0, 3)).toEqual([
      ["WORKFLOW", "N", "SUCCEEDED", "TURNS", "TIME", "COST"],
      ["fix", "4", "3 of 4", "11 to 20", "10 min", "$0.40"],
      ["test", "1", "-", "-", "-", "-"],
    ]);
    await showHistory(at, { ...all, since: NOW + 1, json: true });
    expect(JSON.parse(told[2] ?? "")).toEqual([]);
  });

  it("is exported as CSV in which nothing is a formula, times are UTC and unknown is empty", () => {
    const task = '=HYPERLINK("http://evil.example")';
    const csv = toCsv([
      toRow({ api: "@api", kind: "run", id: "-1", outcome: "completed", endedAt: NOW, task }),
    ]);
    const [heading, line, end] = csv.split("\r\n");
    expect(end).toBe("");
    expect(heading).toMatch(/^api,kind,id,started_at,ended_at,outcome,/);
    expect(line).toBe(
      `"'@api",run,"'-1",,2026-11-20T12:00:00.000Z,completed,${",".repeat(22)}"'=HYPERLINK(""http://evil.example"")"`,
    );
  });

  it("takes a day, a moment or an age for --since, and nothing else", () => {
    expect(readSince("2d", NOW)).toBe(NOW - 2 * DAY_MS);
    expect(readSince("2026-11-01", NOW)).toBe(Date.parse("2026-11-01T00:00:00Z"));
    expect(readSince("2026-11-01T08:30:00Z", NOW)).toBe(Date.parse("2026-11-01T08:30:00Z"));
    for (const wrong of ["yesterday", "2026-13-01", "2026-11-01T08:00"])
      expect(() => readSince(wrong, NOW)).toThrow("--since: a day as 2026-11-01");
  });
});
