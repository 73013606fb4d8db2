import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { SimulatedApi } from "../mocks/http.js";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createEventQueue } from "../src/dashboard/event-queue.js";
import type { BoardView } from "../src/dashboard/views/board.js";
import { ACTION_HEADER } from "../src/dashboard/views/calls.js";
import type { FiguresView } from "../src/dashboard/views/figures.js";
import type { PlanDetail } from "../src/dashboard/views/plan.js";
import type { RunDetail } from "../src/dashboard/views/run.js";
import { temporaryFolder } from "./support/bin.js";
import { inviteByToken, openDashboard, pageOf } from "./support/dashboard.js";
import { COMPLETE, until } from "./support/harness.js";
import { type Http, sendPlain, startHttp } from "./support/http.js";
import { GATED } from "./support/shown-plans.js";
import { createSkippingClock } from "./support/skipping-clock.js";

// The dashboard that a server over HTTP serves beside MCP.

const TOKENS = { TOKENS: "ada=a-token-of-ada-0123456789,bob=a-token-of-bob-0123456789" };
const ADA = { authorization: "Bearer a-token-of-ada-0123456789" };

type Served = Http & { api: SimulatedApi };

async function start(options: Parameters<typeof startHttp>[0] = {}): Promise<Served> {
  const served = await serveSimulatedApi({ paceMs: "manual", describe: true, branches: true });
  onTestFinished(() => served.close());
  const http = await startHttp({ ...options, settings: { BASE_URL: served.url, ...options.settings } });
  return { ...http, api: served.api };
}

async function beginRun(http: Served, name = "auth-system-project") {
  const { call } = await http.connect();
  const { data } = await call({ ...COMPLETE, session_name: name, wait_seconds: 0 });
  const runId = data.run.run_id as string;
  return { runId, run: http.api.world.run(runId) };
}

/** Sent as no browser's fetch can: with any Host. */
const plain = async (url: string, headers: Record<string, string>, method = "GET", body?: unknown) => {
  const { status, headers: got, text } = await sendPlain(url, { method, headers, ...(body ? { body } : {}) });
  return { status, text, headers: got };
};

/** How long what was read of others' runs and of the history counts, in ms. */
const READ_MS = 5_000;

test("a link opens the dashboard once, and leaves no code in the address", async () => {
  const http = await start();
  const link = await inviteByToken(http.url);
  const first = await fetch(link, { redirect: "manual" });
  expect(first.status).toBe(303);
  expect(first.headers.get("location")).toBe("/dashboard/");
  const cookie = first.headers.get("set-cookie") ?? "";
  expect(cookie).toMatch(/; Path=\/dashboard; HttpOnly; SameSite=Strict$/);
  const again = await fetch(link, { redirect: "manual" });
  expect(again.status).toBe(401);
  expect(again.headers.get("set-cookie")).toBeNull();
  expect(await again.json()).toEqual({ error: expect.stringContaining("opened before") });
  const inBrowser = await fetch(link, { redirect: "manual", headers: { accept: "text/html" } });
  expect([inBrowser.status, inBrowser.headers.get("content-type")]).toEqual([
    401,
    expect.stringContaining("text/plain"),
  ]);
  expect(await inBrowser.text()).toMatch(/^This link was opened before/);
  const byWhoIsHere = await fetch(link, {
    redirect: "manual",
    headers: { cookie: cookie.split(";")[0] ?? "" },
  });
  expect([byWhoIsHere.status, byWhoIsHere.headers.get("location")]).toEqual([303, "/dashboard/"]);
  const page = pageOf(http.url, cookie.split(";")[0] ?? "");
  expect(await page.get("session")).toMatchObject({ caller: "local" });
});

test("a run goes on beside the turns that its workflow usually takes, on an API that tells none", async () => {
  const clock = createSkippingClock();
  const http = await start({ plansFolder: temporaryFolder(), clock });
  for (const [at, turns] of [4, 6, 8].entries()) {
    const { run } = await beginRun(http, `past-${at}`);
    for (let turn = 1; turn <= turns; turn++) run.turn(`Step ${turn}`);
    run.complete({ result: "Done" });
  }
  const page = await openDashboard(await inviteByToken(http.url));
  const live = await page.listen();
  await live.next("board", ({ ended }) => ended.length === 3);
  const { runId } = await beginRun(http, "present");
  await vi.waitFor(async () => {
    clock.skip(READ_MS);
    const { running } = await page.get<BoardView>("board");
    expect(running).toEqual([expect.objectContaining({ session: "present", expectedTurns: 6 })]);
  }, 60_000);
  expect(await page.get<RunDetail>(`runs/${runId}`)).toMatchObject({ expectedTurns: 6 });
  const { call } = await http.connect();
  const { data } = await call({ action: "list_sessions" });
  expect(data.sessions).toContainEqual(
    expect.objectContaining({ session_name: "present", expected_turns: 6 }),
  );
});

test("the board is read as soon as its link is made, and a page is shown that while the API takes its time", async () => {
  const http = await start();
  await beginRun(http, "present");
  const reads = () =>
    http.api.requests.filter(({ method, path }) => method === "GET" && path.endsWith("/runs"));
  const before = reads().length;
  const link = await inviteByToken(http.url);
  await vi.waitFor(() => expect(reads().length).toBeGreaterThan(before), 60_000);
  const page = await openDashboard(link);
  await page.get<BoardView>("board");
  http.api.fault({}, { hang: true });
  const live = await page.listen();
  await live.next("board", ({ running }) => running.some(({ session }) => session === "present"));
});

test("without the cookie nothing is told, whatever is asked for", async () => {
  const http = await start();
  const { runId } = await beginRun(http);
  for (const path of ["board", "session", `runs/${runId}`, "plans/login", "figures", "events", "nothing"]) {
    for (const headers of [{}, { cookie: "automagik_dashboard_x=guess" }] as Record<string, string>[]) {
      const answer = await fetch(`${http.url}/dashboard/api/${path}`, { headers });
      expect(answer.status, path).toBe(401);
      expect(await answer.text()).not.toContain(runId);
    }
  }
});

test("only a caller with a token gets a link", async () => {
  const http = await start({ settings: TOKENS });
  for (const headers of [{}, { authorization: "Bearer wrong" }] as Record<string, string>[])
    expect((await fetch(`${http.url}/dashboard/link`, { method: "POST", headers })).status).toBe(401);
  expect((await fetch(`${http.url}/dashboard/link`, { headers: ADA })).status).toBe(405);
  const page = await openDashboard(await inviteByToken(http.url, ADA));
  expect(await page.get("session")).toMatchObject({ caller: "ada" });
});

test("a caller with a key of its own sees what that key sees, and its server ends with its session", async () => {
  const made: string[] = [];
  const http = await start({
    settings: { ...TOKENS, CALLER_KEYS: "on" },
    onServerForKey: (key) => made.push(key),
  });
  const own = { ...ADA, "x-workflows-api-key": "test-key-of-somebody" };
  const page = await openDashboard(await inviteByToken(http.url, own));
  expect(made).toEqual(["test-key-of-somebody"]);
  // The simulated API does not know that key, and knows the server's own.
  const unread = { problem: expect.stringContaining("key"), unread: true };
  expect(await page.get<BoardView>("board")).toMatchObject(unread);
  const other = await openDashboard(await inviteByToken(http.url, ADA));
  const { problem, unread: isUnread } = await other.get<BoardView>("board");
  expect([problem, isUnread]).toEqual([undefined, undefined]);
  await page.leave();
  expect((await page.ask("board")).status).toBe(401);
});

test("a foreign Host or Origin is refused, and a link may be followed from anywhere", async () => {
  const http = await start({ settings: { HTTP_ORIGINS: "https://chat.example" } });
  const { cookie, url } = await openDashboard(await inviteByToken(http.url));
  const board = `${url}/dashboard/api/board`;
  const refused: Record<string, string>[] = [
    { host: "evil.example" },
    { origin: "https://evil.example" },
    // Listed for MCP, which is no page of ours.
    { origin: "https://chat.example" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate" },
  ];
  for (const headers of refused)
    expect(await plain(board, { cookie, ...headers }), JSON.stringify(headers)).toMatchObject({
      status: 403,
    });
  const followed = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
  const link = await inviteByToken(http.url);
  expect((await plain(link, { ...followed, host: "evil.example" })).status).toBe(403);
  expect((await plain(link, { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" })).status).toBe(
    403,
  );
  expect((await plain(link, followed)).status).toBe(303);
});

test("an action is taken from the page itself only", async () => {
  const http = await start();
  const { runId, run } = await beginRun(http);
  const { cookie, url } = await openDashboard(await inviteByToken(http.url));
  const good = { cookie, origin: url, "content-type": "application/json", [ACTION_HEADER]: "1" };
  const body = {
    id: "an-id-of-the-page-1",
    action: "feedback",
    arguments: { run_id: runId, message: "Use sessions" },
  };
  const send = (headers: Record<string, string>, sent: unknown = body) =>
    plain(`${url}/dashboard/api/actions`, headers, "POST", sent);
  const without = (name: string) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));
  expect((await send(without("origin"))).status).toBe(403);
  expect((await send(without(ACTION_HEADER))).status).toBe(403);
  expect((await send({ ...good, origin: "https://evil.example" })).status).toBe(403);
  expect((await send({ ...good, "content-type": "text/plain" })).status).toBe(415);
  expect((await send(without("cookie"))).status).toBe(401);
  expect((await send(good, { ...body, action: "run" })).status).toBe(400);
  expect((await send(good, { ...body, arguments: { ...body.arguments, confirm: true } })).status).toBe(400);
  expect((await send(good, "{")).status).toBe(400);
  expect(http.api.posts()).toHaveLength(1);
  const sent = send(good);
  await until(() => http.api.posts().length === 2, "the message");
  run.turn("Read it");
  expect((await sent).status).toBe(200);
});

test("a message that is sent twice by one click reaches the run once", async () => {
  const http = await start();
  const { runId, run } = await beginRun(http);
  const page = await openDashboard(await inviteByToken(http.url));
  const click = () =>
    page.act("feedback", { run_id: runId, message: "Use sessions" }, "one-click-of-the-page");
  const clicks = Promise.all([click(), click()]);
  await until(() => http.api.posts().some(({ path }) => path.endsWith("/add-message")), "the message");
  run.turn("Read it");
  const answers = await clicks;
  expect(answers[0]).toMatchObject({ state: "done", outcome: "ok" });
  expect(answers[1]).toEqual(answers[0]);
  expect(http.api.posts().filter(({ path }) => path.endsWith("/add-message"))).toHaveLength(1);
});

test("a form's answer that is sent again while what was agreed to is being done is not told to have changed nothing", async () => {
  const http = await start();
  const { runId, run } = await beginRun(http);
  run.turn("Writing");
  const page = await openDashboard(await inviteByToken(http.url));
  const asked = await page.act("kill", { run_id: runId });
  http.api.fault({ path: "/kill" }, { delayMs: 500 }, 1);
  const first = page.say(asked, { confirm: "yes" });
  await until(() => http.api.posts().some(({ path }) => path.endsWith("/kill")), "the kill");
  const answers = await Promise.all([first, page.say(asked, { confirm: "yes" })]);
  expect(answers[1]).toEqual(answers[0]);
  expect(answers[0]).toMatchObject({ state: "done", outcome: "killed" });
  expect(http.api.posts().filter(({ path }) => path.endsWith("/kill"))).toHaveLength(1);
});

test("a run is killed only after the person has agreed to what the form says", async () => {
  const http = await start();
  const { runId, run } = await beginRun(http);
  run.turn("Writing");
  const kills = () => http.api.posts().filter(({ path }) => path.endsWith("/kill"));
  const page = await openDashboard(await inviteByToken(http.url));
  const asked = await page.act("kill", { run_id: runId });
  expect(asked).toMatchObject({
    state: "form",
    form: {
      message: expect.stringMatching(/^Kill session "auth-system-project" \(turn 1/),
      fields: [{ name: "confirm" }],
    },
  });
  expect(await page.say(asked)).toMatchObject({ state: "done", outcome: "declined" });
  const vague = await page.act("kill", { run_id: runId });
  expect(await page.say(vague, { confirm: "perhaps" })).toMatchObject({ outcome: "input_required" });
  expect(kills()).toHaveLength(0);
  const last = await page.act("kill", { run_id: runId });
  expect(await page.say(last, { confirm: "yes" })).toMatchObject({ outcome: "killed" });
  expect(kills()).toHaveLength(1);
  // The form was for one kill.
  expect(await page.say(last, { confirm: "yes" })).toMatchObject({ outcome: "killed" });
  expect(kills()).toHaveLength(1);
});

test("a form that was not asked by this session agrees to nothing", async () => {
  const http = await start();
  const { runId } = await beginRun(http);
  const page = await openDashboard(await inviteByToken(http.url));
  const other = await openDashboard(await inviteByToken(http.url));
  const asked = await page.act("kill", { run_id: runId });
  await expect(other.say(asked, { confirm: "yes" })).rejects.toThrow("404");
  expect(http.api.posts().filter(({ path }) => path.endsWith("/kill"))).toHaveLength(0);
});

test("each change of a run reaches the page within a moment, and what is missed is made up for", async () => {
  const http = await start();
  const { runId, run } = await beginRun(http);
  const page = await openDashboard(await inviteByToken(http.url));
  const board = await page.get<BoardView>("board");
  expect(board.running).toEqual([expect.objectContaining({ runId, session: "auth-system-project" })]);
  const live = await page.listen(`?after=${board.at}&run=${runId}`);
  await live.next("run");
  run.turn("Writing the test");
  const isTold = (change: object) => JSON.stringify(change).includes("Writing the test");
  await live.next("change", isTold);
  // Nothing was missed, so that the whole board need not be told.
  expect(live.all.filter(({ event }) => event === "board")).toHaveLength(0);
  await live.next("log", ({ entries }) => entries.some(({ text }) => text === "Writing the test"));
  const { id } = live.all.filter(({ event }) => event === "change").at(-1) ?? {};
  live.close();
  run.complete({ result: "Done" });
  const back = await page.listen("", { "last-event-id": id ?? "" });
  await back.next("change", ({ ended }) => ended?.set[0]?.runId === runId);
  expect(back.all[0]?.event).toBe("change");
  const stranger = await page.listen("?after=nobody.7");
  expect((await stranger.next("board")).ended).toHaveLength(1);
});

test("a run that others have begun appears by itself", async () => {
  const clock = createSkippingClock();
  const http = await start({ clock });
  const page = await openDashboard(await inviteByToken(http.url));
  const live = await page.listen();
  expect((await live.next("board")).running).toEqual([]);
  http.api.world.start("implement", { message: "Do it", session_name: "of-others" });
  clock.skip(READ_MS);
  await live.next(
    "change",
    ({ running }) => running?.set.some(({ session }) => session === "of-others") === true,
  );
});

test("a run that is not there is told plainly", async () => {
  const http = await start();
  const page = await openDashboard(await inviteByToken(http.url));
  const id = "00000000-0000-4000-8000-000000000000";
  const answer = await page.ask(`runs/${id}`);
  expect(answer.status).toBe(404);
  expect(await answer.json()).toEqual({ error: expect.stringContaining(`does not know the run ${id}`) });
  expect((await page.ask("plans/nothing")).status).toBe(404);
  const live = await page.listen(`?run=${id}`);
  expect(await live.next("gone")).toMatchObject({ kind: "run", id });
});

test("an approval at a gate lets the plan go on, and the plan tells who has decided what", async () => {
  const http = await start({ plansFolder: temporaryFolder() });
  const { call } = await http.connect();
  const plan = { action: "plan", plan: GATED, repository_url: "", git_branch: "", wait_seconds: 0 };
  await call({ ...plan, session_name: "login" });
  const page = await openDashboard(await inviteByToken(http.url));
  const live = await page.listen("?plan=login");
  const runs = () => http.api.world.runs();
  await until(() => runs().length === 1, "the design");
  http.api.world.run(runs()[0]?.runId ?? "").complete({ result: "<b>A design</b>" });
  const { needs } = await live.next("plan", ({ status }) => status === "waiting");
  expect(needs).toEqual([
    expect.objectContaining({ kind: "gate", title: "Build this design?", step: "ok", plan: "login" }),
  ]);
  const [need] = (await page.get<BoardView>("board")).needs;
  expect(need?.detail).toMatch(
    /^Decided on:\n- \w{7,10} on \S+\n\ndesign, its agent's words:\n> <b>A design<\/b>$/,
  );
  const ended = (await page.get<BoardView>("board")).ended;
  // Its result, where that was seen.
  expect(["<b>A design</b>", "Design the login"]).toContain(ended[0]?.about);
  expect(need?.choices.map(({ value }) => value)).toEqual(["approve", "send back: ", "stop"]);
  const asked = await page.act("answer", { ...need?.call?.arguments, answer: "approve" });
  // What an agent has said is shown as it is, as text.
  expect(asked).toMatchObject({ form: { message: expect.stringContaining("<b>A design</b>") } });
  expect(runs()).toHaveLength(1);
  expect(await page.say(asked, { confirm: "yes" })).toMatchObject({
    outcome: "ok",
    // How the plan stands is on the page, and newer.
    summary: expect.stringMatching(/^Approved at gate ok\.[^\n]*$/),
  });
  await until(() => runs().length === 2, "the build");
  const again = await page.act("answer", { ...need?.call?.arguments, answer: "approve" });
  expect(again).toMatchObject({ state: "failed", message: expect.stringContaining("Nothing was decided") });
  await live.next("plan", ({ nodes }) =>
    nodes.some(({ id, status }) => id === "build" && status === "running"),
  );
  const detail = await page.get<PlanDetail>("plans/login");
  expect(detail.gates).toEqual([
    expect.objectContaining({ step: "ok", decision: "approve", decider: "in the dashboard", attempt: 1 }),
  ]);
  expect(detail.edges).toContainEqual({ from: "ok", to: "design", kind: "back" });
  expect(detail.timeline.map(({ step, status, kind }) => [step, kind, status])).toEqual([
    ["design", "run", "completed"],
    ["ok", "gate", "approve"],
    ["build", "run", "running"],
  ]);
  expect(detail.nodes.find(({ id }) => id === "ok")?.outcome).toBe("approved in the dashboard");
  const [design, gate, build] = detail.timeline;
  expect(design?.to).toBe(gate?.from);
  expect(gate?.to).toBeLessThanOrEqual(build?.from ?? 0);
  const board = await page.get<BoardView>("board");
  expect(board.running).toEqual([expect.objectContaining({ plan: "login", step: "build" })]);
  const paused = await page.act("plan", { plan_id: detail.planId, change: "pause" });
  expect(paused).toMatchObject({ outcome: "ok", summary: expect.stringContaining("Paused") });
  await live.next("plan", ({ status, may }) => status === "paused" && may.includes("resume"));
});

test("of a plan that was ended a lost start is told, and nothing offered that the plan would refuse", async () => {
  const http = await start({ plansFolder: temporaryFolder() });
  http.api.fault({ method: "POST", path: /\/run\// }, { drop: "before" }, 1);
  const { call } = await http.connect();
  const steps = [{ id: "notes", run: "architect", task: "Write the notes" }];
  const begun = await call({
    ...{ action: "plan", plan: { name: "notes", steps }, session_name: "notes", wait_seconds: 0 },
    ...{ repository_url: "", git_branch: "" },
  });
  const { plan_id } = begun.data.plan;
  const page = await openDashboard(await inviteByToken(http.url));
  const live = await page.listen("?plan=notes");
  const isLost = ({ needs }: PlanDetail) => needs.some(({ kind }) => kind === "lost");
  expect((await live.next("plan", isLost)).needs).toMatchObject([
    {
      detail: "It would be a run of the session notes-notes.",
      change: { step: "notes", may: ["skip", "redo"], takesWords: true },
    },
  ]);
  const killed = await page.act("kill", { plan_id });
  await page.say(killed, { confirm: "yes" });
  const { needs } = await live.next("plan", (plan) => plan.status === "killed" && isLost(plan));
  expect(needs).toHaveLength(1);
  expect(needs[0]).not.toHaveProperty("change");
  const late = await page.act("plan", { plan_id, change: "skip", step: "notes" });
  expect(late).toMatchObject({ outcome: "failed", summary: expect.stringContaining("Nothing was changed.") });
});

test("a plan that has failed is not offered to be paused", async () => {
  const http = await start({ plansFolder: temporaryFolder() });
  const { call } = await http.connect();
  const steps = [{ id: "notes", run: "architect", task: "Write the notes" }];
  await call({
    ...{ action: "plan", plan: { name: "notes", steps }, session_name: "notes", wait_seconds: 0 },
    ...{ repository_url: "", git_branch: "" },
  });
  const page = await openDashboard(await inviteByToken(http.url));
  const live = await page.listen("?plan=notes");
  const goes = await live.next("plan", ({ nodes }) => nodes.some(({ runId }) => runId !== undefined));
  expect(goes.may).toEqual(["pause", "kill"]);
  http.api.world.run(goes.nodes[0]?.runId ?? "").fail("No idea");
  expect((await live.next("plan", ({ status }) => status === "failed")).may).toEqual(["kill"]);
});

test("figures group what ended runs have taken, and lead to the runs behind them", async () => {
  const clock = createSkippingClock();
  const http = await start({ plansFolder: temporaryFolder(), clock });
  for (const name of ["one", "two", "three", "four"]) {
    const { run } = await beginRun(http, name);
    run.turn("Working");
    run.complete({ result: "Done", costUsd: 0.5 });
  }
  const page = await openDashboard(await inviteByToken(http.url));
  await page.get<BoardView>("board");
  const live = await page.listen();
  await live.next("board", ({ ended }) => ended.length === 4);
  await vi.waitFor(async () => {
    clock.skip(READ_MS);
    const { total } = await page.get<{ total: { runs: number } }>("figures?by=workflow");
    expect(total.runs).toBe(4);
  }, 60_000);
  const figures = await page.get("figures?by=workflow&since=0");
  expect(figures).toMatchObject({
    groups: [{ key: "architect", label: "architect", runs: 4, succeeded: 4, failed: 0, costUsd: 2 }],
  });
  // Three began when three had ended, the last one of the first four among them.
  for (const [name, costUsd] of [["five", 1.25] as const, ["six", 1.25] as const]) {
    const { run } = await beginRun(http, name);
    run.complete({ result: "Done", costUsd });
  }
  await vi.waitFor(async () => {
    clock.skip(READ_MS);
    const { total } = await page.get<FiguresView>("figures?by=workflow");
    expect(total).toMatchObject({ runs: 6, expected: { n: 3, costUsd: 0.5, costActualUsd: 1 } });
  }, 60_000);
  const { rows } = await page.get<{ rows: unknown[] }>("figures/rows?by=workflow&key=architect");
  expect(rows).toHaveLength(6);
  expect((await page.ask("figures?by=nothing")).status).toBe(400);
});

test("the files of the page are those of its folder, and none besides", async () => {
  const dashboardFolder = temporaryFolder();
  writeFileSync(join(dashboardFolder, "index.html"), "<!doctype html><title>Board</title>");
  writeFileSync(join(dashboardFolder, "app.js"), "export {};");
  writeFileSync(join(dashboardFolder, "secret.key"), "secret");
  mkdirSync(join(dashboardFolder, "inner.js"));
  const http = await start({ dashboardFolder });
  const page = await fetch(`${http.url}/dashboard/`);
  expect(await page.text()).toContain("Board");
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';/);
  for (const none of ["unsafe", "http:", "*"]) expect(policy).not.toContain(none);
  expect(page.headers.get("x-content-type-options")).toBe("nosniff");
  expect(page.headers.get("referrer-policy")).toBe("no-referrer");
  const script = await fetch(`${http.url}/dashboard/app.js`);
  expect(script.headers.get("content-type")).toContain("text/javascript");
  const etag = script.headers.get("etag") ?? "";
  const known = await fetch(`${http.url}/dashboard/app.js`, { headers: { "if-none-match": etag } });
  expect(known.status).toBe(304);
  for (const path of [
    "secret.key",
    "inner.js",
    "..%2fpackage.json",
    "%2e%2e%2fpackage.json",
    "nothing.js",
    "a/b",
  ])
    expect((await plain(`${http.url}/dashboard/${path}`, {})).status, path).toBe(404);
});

test("a reader that is too slow is let go of what waits for it, and told the whole when it reads on", () => {
  const queue = createEventQueue(() => {}, 1_000);
  queue.add("board", "x".repeat(2_000), { id: "e.1" });
  // The whole has to go out, however long it is; what comes behind it does not wait without end.
  expect(queue.isBehind).toBe(false);
  for (let number = 0; number < 50; number++) queue.add("change", { number });
  expect(queue.isBehind).toBe(true);
  expect(queue.take()).toBeUndefined();
  queue.restart();
  queue.add("plan", { version: 1 }, { replaces: true });
  queue.add("plan", { version: 2 }, { replaces: true });
  expect(queue.take()).toBe('event: plan\ndata: {"version":2}\n\n');
  expect(queue.take()).toBeUndefined();
});

test("a board of a thousand runs is told whole, and its changes are small", async () => {
  const http = await start({ settings: { MAX_CONCURRENT_RUNS: "50" } });
  const { world } = http.api;
  for (let number = 0; number < 1_000; number++)
    world.start("implement", { message: `Do ${number}`, session_name: `session-${number}` });
  const page = await openDashboard(await inviteByToken(http.url));
  const board = await page.get<BoardView>("board");
  expect(board.running).toHaveLength(1_000);
  const live = await page.listen(`?after=${board.at}`);
  world.run(board.running[0]?.runId ?? "").turn("Only this one");
  const change = await live.next("change", (one) => JSON.stringify(one).includes("Only this one"));
  expect(JSON.stringify(change).length).toBeLessThan(60_000);
});

test("a detail of a run has what the person may do with it", async () => {
  const http = await start();
  const { runId, run } = await beginRun(http);
  const page = await openDashboard(await inviteByToken(http.url));
  expect((await page.get<RunDetail>(`runs/${runId}`)).may).toEqual(["feedback", "kill", "diff"]);
  run.complete({ result: "Done" });
  const ended = await page.get<RunDetail>(`runs/${runId}`);
  expect(ended).toMatchObject({ status: "completed", result: "Done", about: "Done" });
  expect(ended.may).not.toContain("kill");
});
