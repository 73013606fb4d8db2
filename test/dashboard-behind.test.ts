import { expect, onTestFinished, test, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createContractClient } from "./contract/upstream.js";
import { inviteByToken, openDashboard } from "./support/dashboard.js";
import { COMPLETE, until } from "./support/harness.js";
import { startHttp } from "./support/http.js";
import { ENGINE_KEY, openEngine, QUESTION, withScript } from "./support/local-engine.js";
import { statusThat } from "./support/patient.js";
import { createSkippingClock } from "./support/skipping-clock.js";
import { serveWatchedProxy } from "./support/watched-proxy.js";

// A page of the dashboard does not stay behind: what was missed for a moment, for whatever reason, is made up for.

/** A log that nobody looks at is let go after this time, in ms. */
const KEPT_MS = 30_000;

/** A run at the engine whose agent waits for a word, and the dashboard of a server that reaches the engine by a proxy. */
async function openRun(...steps: object[]) {
  const engine = await openEngine();
  const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  const message = withScript("Design it", { steps: [{ listen: 1 }, ...steps] });
  const { run_id: runId } = await direct.start({ message });
  await statusThat(direct, runId, ({ status }) => status === "running");
  const proxy = await serveWatchedProxy(engine.url);
  const http = await startHttp({ settings: { BASE_URL: proxy.url, API_KEY: ENGINE_KEY } });
  const page = await openDashboard(await inviteByToken(http.url));
  await until(() => proxy.streams() === 1, "the stream");
  const log = new RegExp(`^GET /run/${runId}/events$`);
  return { direct, runId, proxy, page, log, goOn: () => direct.product.addMessage(runId, "user", "Go on") };
}

test("a question that is asked while the log of its run is still being read stands on the run's page", async () => {
  const { direct, runId, proxy, page, log, goOn } = await openRun({ ask: [QUESTION] }, { text: "Settled" });
  let release = () => {};
  proxy.hold = { pattern: log, until: new Promise<void>((resolve) => (release = resolve)) };
  const live = await page.listen(`?run=${runId}`);
  // The run itself has been read by then.
  await until(() => proxy.count(log) === 1, "the log to be asked for");
  await goOn();
  await statusThat(direct, runId, ({ questions }) => questions?.length > 0);
  release();
  const { needs } = await live.next("run", (run) => run.needs.length > 0);
  expect(needs).toMatchObject([{ title: QUESTION.question, runId }]);
});

test("the log of a run goes on, and tells nothing twice, when the connection to the API breaks", async () => {
  const { runId, proxy, page, log, goOn } = await openRun({ text: "Here I am again" });
  const live = await page.listen(`?run=${runId}`);
  const { log: before } = await live.next("run");
  expect(before.length).toBeGreaterThan(0);
  proxy.breakLogs();
  await until(() => proxy.count(log) === 2, "the log to be asked for again");
  await goOn();
  await live.next("log", ({ entries }) => entries.some(({ kind }) => kind === "end"));
  const told = live.all.flatMap(({ event, data }) => (event === "log" ? (data as LogData).entries : []));
  expect(told.map(({ text }) => text)).toContain("Here I am again");
  const keys = [...before, ...told].map(({ key }) => key);
  expect(keys).toEqual([...new Set(keys)].sort((one, other) => one - other));
});

test("the log of a run that nobody has looked at for a while goes on behind what a page has of it", async () => {
  const served = await serveSimulatedApi({ paceMs: "manual", describe: true });
  onTestFinished(() => served.close());
  const clock = createSkippingClock();
  const http = await startHttp({ settings: { BASE_URL: served.url }, clock });
  const { call } = await http.connect();
  const { data } = await call({ ...COMPLETE, wait_seconds: 0 });
  const runId = data.run.run_id as string;
  const run = served.api.world.run(runId);
  const page = await openDashboard(await inviteByToken(http.url));
  const keyOf = async (live: Awaited<ReturnType<typeof page.listen>>, wanted: string) => {
    const { entries } = await live.next("log", (log) => log.entries.some(({ text }) => text === wanted));
    return entries.find(({ text }) => text === wanted)?.key ?? 0;
  };
  const first = await page.listen(`?run=${runId}`);
  await first.next("run");
  for (const action of ["Reads", "Writes"]) {
    run.turn(action);
    clock.skip(1_000);
    await keyOf(first, action);
  }
  const key = await keyOf(first, "Writes");
  first.close();
  const later = await vi.waitFor(async () => {
    clock.skip(KEPT_MS);
    const live = await page.listen(`?run=${runId}`);
    const { log } = await live.next("run");
    if (log.length > 0) live.close();
    expect(log).toEqual([]);
    return live;
  }, 60_000);
  run.turn("Tests");
  clock.skip(1_000);
  expect(await keyOf(later, "Tests")).toBeGreaterThan(key);
});

test("a run that could not be read at first is told as soon as it can be", async () => {
  const served = await serveSimulatedApi({ paceMs: "manual", describe: true });
  onTestFinished(() => served.close());
  const http = await startHttp({ settings: { BASE_URL: served.url } });
  const { call } = await http.connect();
  const { data } = await call({ ...COMPLETE, wait_seconds: 0 });
  const runId = data.run.run_id as string;
  const page = await openDashboard(await inviteByToken(http.url));
  const mend = served.api.fault({ path: `/run/${runId}/status` }, { status: 403, body: { detail: "No" } });
  const live = await page.listen(`?run=${runId}`);
  await live.next("gone", ({ id }) => id === runId);
  mend();
  expect(await live.next("run")).toMatchObject({ runId, session: COMPLETE.session_name });
  expect(live.all.filter(({ event }) => event === "gone")).toHaveLength(1);
});

test("a board that could not be read at first says so, and is told as soon as it can be", async () => {
  const served = await serveSimulatedApi({ paceMs: "manual", describe: true });
  onTestFinished(() => served.close());
  const mend = served.api.fault({ path: "/runs" }, { status: 403, body: { detail: "No" } });
  const clock = createSkippingClock();
  const http = await startHttp({ settings: { BASE_URL: served.url }, clock });
  const page = await openDashboard(await inviteByToken(http.url));
  const live = await page.listen();
  const board = await live.next("board");
  expect(board).toMatchObject({ unread: true, problem: expect.stringMatching(/\S/) });
  mend();
  const read = live.next("change", (change) => change.unread === false);
  clock.skip(60_000);
  expect(await read).toMatchObject({ problem: "" });
});

type LogData = { entries: { key: number; text: string }[] };
