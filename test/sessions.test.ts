import { HttpResponse, http } from "msw";
import { describe, expect, it } from "vitest";
import { createSimulatedApi } from "../mocks/http.js";
import { useSimulatedApi } from "../mocks/vitest.js";
import { bareRun } from "../src/runs/run-facts.js";
import type { ServerOptions } from "../src/server/server.js";
import { mergeSessions, selectRelated } from "../src/sessions/merge-sessions.js";
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import type { RunRecord, SessionRecord } from "../src/sessions/store/session-record.js";
import type { SessionStore } from "../src/sessions/store/session-store.js";
import { temporaryFolder } from "./support/bin.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";

/** The API's clock, an hour behind; it goes on by a second with every run that somebody else starts. */
let shift = -3_600_000;
const sim = useSimulatedApi({ paceMs: "manual", clock: { now: () => Date.now() + shift } });
const world = () => sim.api().world;
const API = `${sim.baseUrl}/api/v1/workflows/claude-code`;
const NOW = Date.parse("2026-11-25T12:00:00Z");
const reads = (path: RegExp) =>
  sim.api().requests.filter((one) => one.method === "GET" && path.test(one.path));

/** A run that somebody else has started. */
function startElsewhere(name: string, body: Record<string, string> = {}, workflow = "architect"): string {
  shift += 1_000;
  return world().start(workflow, {
    message: "Do it",
    session_name: name,
    input_format: "stream-json",
    ...body,
  }).runId;
}

function recordsOf(store: SessionStore, condition: (records: SessionRecord[]) => boolean) {
  return until(async () => {
    const records = await store.list();
    return condition(records) && records;
  }, "the index");
}

const connectWith = (store: SessionStore, more: Partial<Omit<ServerOptions, "settings">> = {}) =>
  connectInMemory({ store, ...more });

describe("the index of our own", () => {
  it("holds what a run was started with and how it ended, though nobody waited for it", async () => {
    const store = createMemorySessionStore();
    const { call } = await connectWith(store);
    const place = { repository_url: "https://host.example/team/app.git", git_branch: "main" };
    const { run_id } = (await call({ ...COMPLETE, ...place, wait_seconds: 0 })).data.run;
    world().run(run_id).turn("Reading the code");
    const { sessionId } = world().run(run_id).complete({ costUsd: 0.25 });
    const records = await recordsOf(store, ([one]) => one?.runs[0]?.status === "completed");
    expect(records).toMatchObject([
      {
        name: "auth-system-project",
        sessionId,
        repositoryUrl: place.repository_url,
        gitBranch: "main",
        runs: [{ runId: run_id, workflowName: "architect", turns: 1, costUsd: 0.25, sessionId }],
      },
    ]);
  });

  it("keeps the runs of one conversation together, in order", async () => {
    const store = createMemorySessionStore();
    const { call } = await connectWith(store);
    for (const workflow_name of ["architect", "implement", "test"]) {
      const conversation = workflow_name === "architect" ? {} : { continue_session: COMPLETE.session_name };
      const answer = await call({ ...COMPLETE, ...conversation, workflow_name, wait_seconds: 0 });
      world().run(answer.data.run.run_id).turn();
      world().run(answer.data.run.run_id).complete();
      await recordsOf(store, ([one]) => one?.runs.at(-1)?.status === "completed");
    }
    const records = await store.list();
    expect(records).toHaveLength(1);
    expect(records[0]?.runs.map((run) => run.workflowName)).toEqual(["architect", "implement", "test"]);
    expect(new Set(records[0]?.runs.map((run) => run.sessionId)).size).toBe(1);
  });

  it("writes down a run that somebody else has started as soon as it is followed here", async () => {
    const store = createMemorySessionStore();
    const { call } = await connectWith(store);
    const run_id = startElsewhere("their-project", { repository_url: "https://host.example/their/app" });
    await call({ action: "status", run_id, wait_seconds: 0.3 });
    expect(await store.list()).toMatchObject([
      {
        name: "their-project",
        sessionId: world().run(run_id).state.sessionId,
        repositoryUrl: "https://host.example/their/app",
        runs: [{ runId: run_id, status: "running" }],
      },
    ]);
  });

  it("takes no password from an address that somebody else has used, and shows none", async () => {
    const store = createMemorySessionStore();
    const { call } = await connectWith(store);
    const repository_url = "https://someone:secret-token@host.example/their/app";
    const run_id = startElsewhere("their-project", { repository_url });
    const status = await call({ action: "status", run_id, detailed: true });
    const list = await call({ action: "list_sessions" });
    expect(status.data.run.repository_url).toBe("https://host.example/their/app");
    expect(JSON.stringify([await store.list(), status, list])).not.toContain("secret-token");
  });

  it("makes one record of a run that shows a new id before its start has found its record", async () => {
    const inner = createMemorySessionStore();
    let release = () => {};
    let held: Promise<void> | undefined;
    const slow: SessionStore = {
      ...inner,
      list: async () => {
        await held;
        return inner.list();
      },
    };
    const { call } = await connectWith(slow);
    const first = await call({ ...COMPLETE, wait_seconds: 0 });
    const { sessionId } = world().run(first.data.run.run_id).complete();
    await recordsOf(inner, ([one]) => one?.runs[0]?.status === "completed");
    // The agent gives the continued conversation an id of its own, as some do.
    sim.server.use(
      http.get(`${API}/run/:id/status`, async ({ request }) => {
        const body = (await (await sim.api().handle(request)).json()) as object;
        return HttpResponse.json({ ...body, session_id: "new-id", claude_session_id: "new-id" });
      }),
    );
    world().script(() => {
      held = new Promise((resolve) => {
        release = resolve;
      });
      return { paceMs: 0, actions: ["One"] };
    });
    const second = await call({ ...COMPLETE, session_id: sessionId, wait_seconds: 10 });
    expect(second.data).toMatchObject({ outcome: "completed", run: { session_id: "new-id" } });
    release();
    const records = await recordsOf(inner, ([one]) => one?.sessionId === "new-id");
    expect(records).toHaveLength(1);
    expect(records[0]?.runs.map((run) => run.sessionId)).toEqual([sessionId, "new-id"]);
  });

  it("is complete when the server has closed, however slow the disk", async () => {
    const inner = createMemorySessionStore();
    const written: string[] = [];
    const slow: SessionStore = {
      ...inner,
      list: async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return inner.list();
      },
      update: async (key, change) => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        const record = await inner.update(key, change);
        written.push(record?.name ?? "");
        return record;
      },
    };
    const { call, server } = await connectWith(slow);
    await call({ ...COMPLETE, wait_seconds: 0 });
    await server.close(0);
    expect(written).toContain("auth-system-project");
  });

  it("goes on without a disk that fails, and tries again with the next news", async () => {
    const inner = createMemorySessionStore();
    let isFull = true;
    let updates = 0;
    const failing: SessionStore = {
      ...inner,
      update: async (key, change) => {
        updates++;
        if (isFull) throw new Error("no space left");
        return inner.update(key, change);
      },
    };
    const { call } = await connectWith(failing);
    const { run_id } = (await call({ ...COMPLETE, wait_seconds: 0 })).data.run;
    await until(() => updates >= 2, "the start and the first look to be lost");
    expect(await inner.list()).toEqual([]);
    isFull = false;
    // The same picture again, which would not be written a second time.
    await call({ action: "status", run_id });
    expect(await inner.list()).toMatchObject([
      { name: "auth-system-project", runs: [{ status: "running" }] },
    ]);
  });

  it("is shared by servers of one address and by no others", async () => {
    const folder = temporaryFolder();
    const elsewhere = createSimulatedApi({ paceMs: "manual" });
    const base = "http://localhost:28882";
    sim.server.use(http.all(`${base}/*`, ({ request }) => elsewhere.handle(request)));
    const open = (upstream: string) =>
      connectInMemory({
        settings: { BASE_URL: upstream },
        store: createDatabaseSessionStore({ folder, upstream }),
      });
    const here = await open(sim.baseUrl);
    const { run_id } = (await here.call({ ...COMPLETE, wait_seconds: 0 })).data.run;
    world().run(run_id).turn();
    const other = await open(base);
    const same = await open(sim.baseUrl);
    const list = { action: "list_sessions", active_only: false };
    expect((await other.call(list)).data.sessions).toEqual([]);
    expect((await same.call(list)).data.sessions).toMatchObject([{ session_name: "auth-system-project" }]);
  });
});

describe("what the API lists", () => {
  const listAll = { action: "list_sessions", active_only: false, limit: 200 };

  it("is read until a short page, whatever has_next and total_count say", async () => {
    for (let number = 1; number <= 250; number++) startElsewhere(`project-${number}`);
    sim.server.use(
      http.get(`${API}/runs`, async ({ request }) => {
        const body = (await (await sim.api().handle(request)).json()) as object;
        return HttpResponse.json({ ...body, has_next: false, total_count: 0 });
      }),
    );
    const { call } = await connectInMemory();
    const answer = await call({ ...listAll, limit: 5 });
    expect(answer.data.summary).toMatch(/^250 sessions/);
    expect(answer.data.sessions).toHaveLength(5);
  });

  it("is read once for questions in a row, then only where it has news", async () => {
    for (let number = 1; number <= 250; number++)
      world()
        .run(startElsewhere(`project-${number}`))
        .complete();
    const clock = createHandClock();
    const { call } = await connectInMemory({ clock });
    await call(listAll);
    const cold = reads(/^\/runs$/).length;
    await call({ action: "status", session_name: "project-7" });
    await call(listAll);
    expect(reads(/^\/runs$/)).toHaveLength(cold);
    clock.advance(5_000);
    startElsewhere("brand-new");
    const answer = await call({ action: "list_sessions" });
    expect(answer.data.sessions.map((one: { session_name: string }) => one.session_name)).toEqual([
      "brand-new",
    ]);
    expect(reads(/^\/runs$/)).toHaveLength(cold + 1);
  });

  it("is read on to what is known when more than a page is new", async () => {
    for (let number = 1; number <= 120; number++)
      world()
        .run(startElsewhere(`old-${number}`))
        .complete();
    const clock = createHandClock();
    const { call } = await connectInMemory({ clock });
    await call(listAll);
    for (let number = 1; number <= 150; number++) startElsewhere(`new-${number}`);
    clock.advance(5_000);
    expect((await call(listAll)).data.summary).toMatch(/^270 sessions/);
  });

  it("ends at once on a server that gives the same page again and again", async () => {
    for (let number = 1; number <= 100; number++) startElsewhere(`project-${number}`);
    sim.server.use(
      http.get(`${API}/runs`, ({ request }) => {
        const url = new URL(request.url);
        url.searchParams.set("page", "1");
        return sim.api().handle(new Request(url, request));
      }),
    );
    const { call } = await connectInMemory();
    expect((await call(listAll)).data.summary).toMatch(/^100 sessions/);
    expect(reads(/^\/runs$/).length).toBeLessThan(5);
  });

  it("does not leave an old run running that has ended behind the pages read", async () => {
    const old = startElsewhere("long-haul");
    for (let number = 1; number <= 120; number++)
      world()
        .run(startElsewhere(`project-${number}`))
        .complete();
    const clock = createHandClock(Date.now());
    const { call } = await connectInMemory({ clock });
    await call(listAll);
    const looks = () => reads(new RegExp(`^/run/${old}/status$`)).length;
    clock.advance(5_000);
    expect((await call({ action: "list_sessions" })).data.sessions).toHaveLength(1);
    expect(looks()).toBe(1);
    clock.advance(5_000);
    world().run(old).complete();
    await call({ action: "list_sessions" });
    expect(looks()).toBe(1);
    clock.advance(30_000);
    expect((await call({ action: "list_sessions" })).data.sessions).toEqual([]);
  });

  it("counts a run as over that the API has forgotten", async () => {
    const store = createMemorySessionStore();
    await store.update("gone", () =>
      record("gone", "lost-project", [{ ...RUN, runId: "gone", status: "running" }]),
    );
    const { call } = await connectWith(store);
    expect((await call({ action: "list_sessions" })).data.sessions).toEqual([]);
    expect((await call(listAll)).data.sessions).toMatchObject([
      { session_name: "lost-project", status: "lost", can_continue: true },
    ]);
  });

  it("is not missed silently: the index alone is shown with the reason", async () => {
    const store = createMemorySessionStore();
    await store.update("one", () => record("one", "known-project", [RUN]));
    sim.api().fault({ path: "/runs" }, { status: 500 });
    const { call } = await connectWith(store);
    const answer = await call(listAll);
    expect(answer.data.sessions).toMatchObject([{ session_name: "known-project" }]);
    expect(answer.text).toMatch(/could not be read just now.*HTTP 500/);
    const missing = await call({ action: "status", session_name: "another-project" });
    expect(missing.isError).toBe(true);
    expect(missing.text).toContain("HTTP 500");
    expect(missing.text).not.toContain("There is no session");
  });

  it("is an error when there is nothing else", async () => {
    sim.api().fault({ path: "/runs" }, { status: 500 });
    const { call } = await connectInMemory();
    expect(await call(listAll)).toMatchObject({ isError: true, text: expect.stringContaining("HTTP 500") });
  });
});

describe("list_sessions", () => {
  it("lists the active ones unless told otherwise, newest first, with what people want to know", async () => {
    const { call } = await connectInMemory();
    const done = startElsewhere("finished-project", {}, "fix");
    world().run(done).turn();
    world().run(done).complete({ costUsd: 0.5 });
    const open = startElsewhere("open-project", { git_branch: "main" });
    world().run(open).turn();
    const active = await call({ action: "list_sessions" });
    expect(active.data.sessions).toMatchObject([
      {
        session_name: "open-project",
        session_id: world().run(open).state.sessionId,
        can_continue: false,
        workflow_name: "architect",
        status: "running",
        run_id: open,
        runs: 1,
        turns: 1,
        age_s: expect.any(Number),
        git_branch: "main",
      },
    ]);
    expect(active.text).toContain("1 more has ended");
    const all = await call({ action: "list_sessions", active_only: false });
    expect(all.data.sessions.map((one: { session_name: string }) => one.session_name)).toEqual([
      "open-project",
      "finished-project",
    ]);
    expect(all.data.sessions[1]).toMatchObject({ can_continue: true, status: "completed", cost_usd: 0.5 });
  });

  it("filters by a part of the name and keeps to the limit", async () => {
    const { call } = await connectInMemory();
    for (const name of ["auth-one", "AUTH-two", "billing"]) startElsewhere(name);
    const filtered = await call({ action: "list_sessions", session_name: "auth" });
    expect(filtered.data.sessions).toHaveLength(2);
    const limited = await call({ action: "list_sessions", limit: 1 });
    expect(limited.data.sessions).toHaveLength(1);
    expect(limited.data.summary).toContain("3 active sessions, the 1 newest of them listed");
  });

  it("does not make a session the newest because somebody looked at it", async () => {
    const { call } = await connectInMemory();
    const old = startElsewhere("older");
    world().run(old).complete();
    world().run(startElsewhere("newer")).complete();
    await call({ action: "status", run_id: old });
    const list = await call({ action: "list_sessions", active_only: false });
    expect(list.data.sessions.map((one: { session_name: string }) => one.session_name)).toEqual([
      "newer",
      "older",
    ]);
  });
});

describe("status", () => {
  it("takes a session's name or id or a run's id, in any of its arguments", async () => {
    const { call } = await connectInMemory();
    const first = startElsewhere("their-project");
    const { sessionId } = world().run(first).complete();
    const second = startElsewhere("their-project", { session_id: sessionId }, "implement");
    const cases: [Record<string, string>, string][] = [
      [{ session_name: "their-project" }, second],
      [{ session_name: "Their-Project" }, second],
      [{ session_id: sessionId }, second],
      [{ session_name: sessionId }, second],
      [{ run_id: first }, first],
      [{ session_name: first }, first],
      [{ session_id: first }, first],
    ];
    for (const [target, runId] of cases) {
      const answer = await call({ action: "status", ...target });
      expect([target, answer.data.run?.run_id]).toEqual([target, runId]);
    }
  });

  it("names what is nearest when there is no such session", async () => {
    const { call } = await connectInMemory();
    startElsewhere("auth-system-project");
    const answer = await call({ action: "status", session_name: "auth-sistem-project" });
    expect(answer.isError).toBe(true);
    expect(answer.text).toContain("nearest: auth-system-project");
  });

  it("tells everything when asked for detail, the queue included", async () => {
    const { call } = await connectInMemory();
    const run_id = startElsewhere("their-project", { git_branch: "main" });
    world().addMessage(run_id, "user", "Mind the tests");
    world().run(run_id).turn("Reading");
    world().run(run_id).turn("Writing");
    world()
      .run(run_id)
      .complete({ costUsd: 0.1, toolsUsed: ["Read"], filesChanged: ["a.ts"], commits: ["abc123"] });
    const answer = await call({ action: "status", session_name: "their-project", detailed: true });
    expect(answer.data).toMatchObject({
      outcome: "completed",
      run: {
        phases_completed: ["Reading", "Writing"],
        tokens: { total: expect.any(Number) },
        tools_used: ["Read"],
        cost_usd: 0.1,
        files_changed: ["a.ts"],
        commits: ["abc123"],
        git_branch: "main",
      },
      queue: { waiting: 0, added: 1, consumed: 1 },
    });
  });

  it("tells why a run has failed", async () => {
    const { call } = await connectInMemory();
    const run_id = startElsewhere("their-project");
    world().run(run_id).fail("the disk is full");
    const answer = await call({ action: "status", run_id });
    expect(answer.data).toMatchObject({ outcome: "failed", run: { error: "the disk is full" } });
  });

  it("shows by a run's id what only the index remembers", async () => {
    const store = createMemorySessionStore();
    const run_id = startElsewhere("x");
    await store.update(run_id, () =>
      record(run_id, "named-here", [{ ...RUN, runId: run_id }], { gitBranch: "feature/x" }),
    );
    const { call } = await connectWith(store);
    const answer = await call({ action: "status", run_id, detailed: true });
    expect(answer.data.run).toMatchObject({ run_id, git_branch: "feature/x" });
  });
});

const RUN: RunRecord = {
  runId: "run-1",
  workflowName: "architect",
  status: "completed",
  startedAt: NOW - 60_000,
  completedAt: NOW - 30_000,
  sessionId: "id-1",
  updatedAt: NOW - 30_000,
};

function record(
  key: string,
  name: string,
  runs: RunRecord[],
  more: Partial<SessionRecord> = {},
): SessionRecord {
  return {
    version: 1,
    key,
    name,
    ...(runs[0]?.sessionId ? { sessionId: runs[0].sessionId } : {}),
    createdAt: NOW,
    updatedAt: NOW,
    runs,
    ...more,
  };
}

describe("what index, list and watcher say together", () => {
  const listed = (status: string, more = {}) => [
    { ...bareRun("run-1"), workflowName: "architect", status, startedAt: NOW - 60_000, ...more },
  ];
  const statusOf = (
    stored: string | undefined,
    list: string | undefined,
    live: string | undefined,
  ): string | undefined =>
    mergeSessions(
      stored ? [record("k", "n", [{ ...RUN, status: stored }])] : [],
      list ? listed(list) : [],
      (runId) => (live ? { ...bareRun(runId), status: live } : undefined),
    )[0]?.runs[0]?.status;

  it.each([
    ["running", "completed", undefined, "completed"],
    // Another process has seen the end after our list was read.
    ["completed", "running", undefined, "completed"],
    // The watcher has kept a picture from before it stopped watching.
    [undefined, "completed", "running", "completed"],
    ["running", "running", "failed", "failed"],
    // The public server lets a killed run complete.
    ["killed", "completed", "killed", "completed"],
    [undefined, "running", "killed", "killed"],
    [undefined, "running", "unknown", "running"],
    [undefined, "queued", undefined, "queued"],
  ])("index %s, list %s, watcher %s: %s", (stored, list, live, expected) => {
    expect(statusOf(stored, list, live)).toBe(expected);
  });

  it("two records of one conversation are one session", () => {
    const second = { ...RUN, runId: "run-2", startedAt: NOW - 10_000 };
    const sessions = mergeSessions([record("a", "auth", [RUN]), record("b", "auth", [second])], []);
    expect(sessions).toHaveLength(1);
    expect(sessions[0]?.runs.map((run) => run.runId)).toEqual(["run-1", "run-2"]);
  });

  it("conversations of one name are sessions of their own", () => {
    const other = { ...RUN, runId: "run-2", sessionId: "id-2" };
    expect(mergeSessions([record("a", "auth", [RUN]), record("b", "auth", [other])], [])).toHaveLength(2);
  });

  it("the id of the newest run goes on, where every run has its own", () => {
    const second = { ...RUN, runId: "run-2", sessionId: "id-2", startedAt: NOW - 10_000 };
    expect(mergeSessions([record("a", "auth", [second, RUN])], [])[0]?.sessionId).toBe("id-2");
  });

  it("a record that had only a run's id for a name takes the listed one", () => {
    const sessions = mergeSessions(
      [record("run-1", "run-1", [RUN])],
      listed("completed", { sessionName: "auth" }),
    );
    expect(sessions).toMatchObject([{ name: "auth", sessionId: "id-1" }]);
  });

  it("a run belongs to the session that it continues before it has shown its conversation, whoever began that", () => {
    const { sessionId: _unseen, ...unseen } = RUN;
    const next = { ...unseen, runId: "run-2", status: "pending", startedAt: NOW - 10_000, resumes: "id-1" };
    const own = record("run-2", "auth", [next]);
    const expected = [{ name: "auth", sessionId: "id-1", runs: [{ runId: "run-1" }, { runId: "run-2" }] }];
    const beginnings = listed("completed", { sessionName: "auth", sessionId: "id-1" });
    expect(mergeSessions([own], beginnings)).toMatchObject(expected);
    // The older record may be read last.
    for (const createdAt of [NOW - 1, NOW + 1])
      expect(mergeSessions([own, record("run-1", "auth", [RUN], { createdAt })], [])).toMatchObject(expected);
    const related = selectRelated("auth", [own], beginnings);
    expect(related.ids).toContain("id-1");
    expect(mergeSessions(related.records, related.listed)).toEqual(mergeSessions([own], beginnings));
  });

  it("an id that the start's answer only claimed is none", () => {
    const [session] = mergeSessions([], listed("pending", { sessionId: "random", sessionClaimed: true }));
    expect(session?.sessionId).toBeUndefined();
  });
});
