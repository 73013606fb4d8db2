import { delimiter } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { chooseChannels } from "../src/notices/choose-channels.js";
import { endKey } from "../src/notices/notice.js";
import { createNotifier } from "../src/notices/notifier.js";
import { systemClock } from "../src/shared/clock.js";
import { startBin, temporaryFolder, toVariables } from "./support/bin.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory, type InMemoryOptions, silentLog, until } from "./support/harness.js";
import { connectHttp, startServeBin } from "./support/http.js";
import {
  ENGINE_KEY,
  engineFolder,
  QUESTION,
  SCRIPTED_AGENT,
  startLocalEngine,
  withScript,
} from "./support/local-engine.js";
import { recordingCommand, recordingDesktop, storedNotices } from "./support/notices.js";
import { closeWindow, createMachine } from "./support/one-machine.js";

const NO_FORMS = { repository_url: "", git_branch: "" };
const PERMISSION = { tools: [{ name: "Bash", input: { command: "npm publish" }, run: false }] };

/** A window on a simulated API whose runs do what the test says; its notices are told when the clock is moved. */
async function openWindow(options: InMemoryOptions = {}) {
  const folder = temporaryFolder();
  // The window notes by its own clock.
  const clock = createHandClock(Date.now());
  const recorded = recordingCommand(folder);
  const { channels } = chooseChannels(
    { notify: "auto", notifyCommand: recorded.command },
    { env: { PATH: process.env.PATH }, platform: "linux", home: folder },
  );
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
  onTestFinished(() => served.close());
  const notifier = createNotifier({ folder, channels, clock, log: silentLog });
  const mcp = await connectInMemory({ ...options, settings: { BASE_URL: served.url }, notifier });
  const { world } = served.api;
  const stored = () => storedNotices(folder);
  return {
    ...mcp,
    ...recorded,
    world,
    stored,
    /** Starts a run that no call follows. */
    async start(session_name: string) {
      const { data } = await mcp.call({ ...COMPLETE, session_name, wait_seconds: 0 });
      return { runId: data.run.run_id as string, run: world.run(data.run.run_id) };
    },
    /** Moves the clock on until a notice of that title was told. */
    async untilTold(title: string) {
      await until(() => {
        if (!recorded.titles().includes(title)) clock.advance(1_000);
        return recorded.titles().includes(title);
      }, title);
    },
  };
}

test("with an API elsewhere, the window tells of runs that no call follows, and of no others", async () => {
  const { call, start, world, stored, untilTold, told, titles } = await openWindow();
  const followed = call({ ...COMPLETE, session_name: "followed" });
  await until(() => world.runs().length === 1, "the run");
  const followedId = world.runs()[0]?.runId ?? "";
  const left = await start("left");
  const broken = await start("broken");
  const killed = await start("killed");
  world.run(followedId).complete();
  expect((await followed).data.outcome).toBe("completed");
  killed.run.turn("Thinking");
  await call({ action: "kill", run_id: killed.runId, confirm: true });
  broken.run.fail("The build is broken");
  left.run.turn("Designing");
  left.run.complete({ result: "Done" });
  await until(() => endKey(left.runId) in stored() && endKey(broken.runId) in stored(), "the notices");
  await untilTold("left: finished");
  await until(() => titles().length === 2, "the other notice");
  expect(titles().sort()).toEqual([expect.stringMatching(/^broken failed/), "left: finished"]);
  expect(told().find(({ event }) => event === "finished")?.run).toMatchObject({
    run_id: left.runId,
    session_name: "left",
    workflow_name: "architect",
    status: "completed",
    turns: 1,
  });
  expect(stored()[endKey(followedId)]?.state).toBe("settled");
  expect(stored()[endKey(killed.runId)]).toBeUndefined();
});

test("a call that tells the end just after it keeps the person from a second telling", async () => {
  const { call, start, stored, untilTold, titles } = await openWindow();
  const looked = await start("looked");
  looked.run.complete();
  await until(() => endKey(looked.runId) in stored(), "the notice");
  await call({ action: "status", run_id: looked.runId });
  await until(() => stored()[endKey(looked.runId)]?.state === "settled", "the notice to be settled");
  const left = await start("left");
  left.run.complete();
  await untilTold("left: finished");
  expect(titles()).toEqual(["left: finished"]);
});

test("a run that had ended before anybody has seen it go on is no news", async () => {
  const { call, start, world, stored, untilTold, titles } = await openWindow();
  const { runId } = world.start("fix", { message: "Fix it", input_format: "stream-json" });
  world.run(runId).complete();
  expect((await call({ action: "status", run_id: runId, wait_seconds: 5 })).data.outcome).toBe("completed");
  const left = await start("left");
  left.run.complete();
  await untilTold("left: finished");
  expect(stored()[endKey(runId)]).toBeUndefined();
  expect(titles()).toEqual(["left: finished"]);
});

test("the engine tells of ends, failures and questions, once beside a window that watches the same runs", async () => {
  const { folder, remove } = engineFolder();
  const { command, told, titles } = recordingCommand(folder);
  const engine = await startLocalEngine(folder, { notify: "auto", notifyCommand: command });
  onTestFinished(async () => {
    await engine.close();
    remove();
  });
  const window = createNotifier({
    folder,
    channels: chooseChannels(
      { notify: "auto", notifyCommand: command },
      { env: { PATH: process.env.PATH }, platform: "linux", home: folder },
    ).channels,
    clock: systemClock,
    log: silentLog,
  });
  // The API is reached by its address, as one elsewhere: so the window tells, too.
  const { call } = await connectInMemory({
    settings: { API_KEY: ENGINE_KEY, BASE_URL: engine.url },
    notifier: window,
  });
  const start = async (session_name: string, ...steps: object[]) => {
    const message = withScript("Go", { steps });
    const { data } = await call({ ...COMPLETE, session_name, message, wait_seconds: 0 });
    return data.run.run_id as string;
  };
  const done = await start("done", { text: "All is done" });
  await start("broken", { result: { subtype: "error_during_execution", is_error: true } });
  await start("asking", { ask: [QUESTION] });
  const permission = await start("permission", PERMISSION);
  const killed = await start("killed", { hang: true });
  await call({ action: "kill", run_id: killed, confirm: true });
  const answered = await start("answered", { ask: [QUESTION] }, { hang: true });
  await vi.waitFor(
    async () => {
      const { data } = await call({ action: "answer", run_id: answered, answer: "SQLite" });
      expect(data).toMatchObject({ outcome: "ok" });
    },
    { timeout: 60_000, interval: 100 },
  );
  await until(() => titles().length >= 4, "four notices");
  expect(titles().sort()).toEqual([
    `asking needs you: ${QUESTION.question}`,
    expect.stringMatching(/^broken failed: /),
    "done: finished",
    "permission needs you: architect wants to run `npm publish`",
  ]);
  const byRun = Object.fromEntries(told().map((notice) => [notice.run?.session_name, notice]));
  expect(byRun.done).toMatchObject({
    event: "finished",
    id: endKey(done),
    body: "1 turn, $0.01. To see the result, ask for the status of done in a chat window.",
    run: { run_id: done, workflow_name: "architect", turns: 1, cost_usd: 0.01, result: "All is done" },
  });
  expect(byRun.permission).toMatchObject({
    event: "needs_you",
    body: "The run waits for your permission. To give it, ask for the status of permission in a chat window.",
    run: { run_id: permission },
    question: { kind: "permission", text: "architect wants to run `npm publish`" },
  });
  const states = Object.values(storedNotices(folder)).map(({ state }) => state);
  expect(states.sort()).toEqual(["released", "released", "released", "released", "settled"]);
}, 120_000);

test("on one machine, the engine tells what a killed window has left, and not what another window follows", async () => {
  const folder = temporaryFolder();
  const { command, titles } = recordingCommand(folder);
  const desktop = recordingDesktop(folder);
  const machine = createMachine({
    claudePath: SCRIPTED_AGENT,
    env: {
      PATH: `${desktop.path}${delimiter}${process.env.PATH}`,
      DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere",
      ...toVariables({ NOTIFY: "desktop", NOTIFY_COMMAND: command }),
    },
  });
  const message = withScript("Go", { steps: [{ text: "Listening" }, { listen: 1 }, { text: "Done" }] });
  const task = { ...COMPLETE, ...NO_FORMS, message };
  const one = await machine.openWindow();
  const other = await machine.openWindow();
  const lost = one.call({ ...task, session_name: "lost" }).catch(() => "cut off");
  const followed = other.call({ ...task, session_name: "followed" });
  const goesOn = (session_name: string) =>
    vi.waitFor(
      async () => {
        const { data } = await other.call({ action: "status", session_name });
        expect(data.run).toMatchObject({ status: "running", turn: 1 });
      },
      { timeout: 60_000, interval: 100 },
    );
  await goesOn("lost");
  await goesOn("followed");
  one.child.kill("SIGKILL");
  await one.ended();
  await one.client.close();
  expect(await lost).toBe("cut off");
  await other.call({ action: "feedback", session_name: "followed", message: "Go on" });
  expect((await followed).data.outcome).toBe("completed");
  await other.call({ action: "feedback", session_name: "lost", message: "Go on", wait_seconds: 0 });
  await until(() => titles().length > 0 && desktop.shown().length > 0, "the notices");
  expect(titles()).toEqual(["lost: finished"]);
  expect(desktop.shown().map((args) => args.slice(1, 3))).toEqual([["--", "lost: finished"]]);
  expect(
    Object.values(storedNotices(machine.home))
      .map(({ state }) => state)
      .sort(),
  ).toEqual(["released", "settled"]);
  await closeWindow(other);
  expect(await machine.engine("stop")).toMatchObject({ code: 0 });
}, 120_000);

test("`serve` tells nobody, and a window does", async () => {
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: 5 });
  onTestFinished(() => served.close());
  const settings = { BASE_URL: served.url, NOTIFY: "auto", NOTIFY_COMMAND: "cat" };
  const stateFolder = temporaryFolder();
  const http = await startServeBin({ settings: { ...settings, STATE_DIR: stateFolder } });
  const window = await startBin({ url: served.url, settings });
  const run = { ...COMPLETE, wait_seconds: 0 };
  for (const { call } of [await connectHttp(http.url), window]) {
    const { data } = await call({ ...run, session_name: "left" });
    const { run_id } = data.run;
    await vi.waitFor(() => expect(served.api.world.run(run_id).state.status).toBe("completed"));
    await call({ action: "status", run_id });
  }
  await until(() => Object.keys(storedNotices(window.stateFolder)).length > 0, "the window's notice");
  http.child.kill("SIGTERM");
  expect(await http.ended()).toBe(0);
  expect(storedNotices(stateFolder)).toEqual({});
});

test("the engine tells once that a run has used four fifths of what it may cost", async () => {
  const { folder, remove } = engineFolder();
  const { command, told } = recordingCommand(folder);
  const engine = await startLocalEngine(folder, {
    ...{ notify: "auto", notifyCommand: command },
    // The scripted agent says that a turn has cost $0.01.
    engineCostLimitUsd: 0.012,
  });
  onTestFinished(async () => {
    await engine.close();
    remove();
  });
  const { call } = await connectInMemory({ settings: { API_KEY: ENGINE_KEY, BASE_URL: engine.url } });
  const message = withScript("Go", { steps: [{ text: "All is done" }] });
  const { data } = await call({ ...COMPLETE, session_name: "dear", message, wait_seconds: 0 });
  const runId = data.run.run_id as string;
  await until(() => told().length >= 2, "both notices");
  expect(
    told()
      .map(({ event, id }) => `${event} ${id}`)
      .sort(),
  ).toEqual([`finished ${endKey(runId)}`, `limit_near ${runId}/limit`]);
});
