import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Progress } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createCapabilities } from "../src/api/capabilities.js";
import { createApiClient } from "../src/api/client.js";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { keepStreamOpen } from "../src/runs/run-stream.js";
import { systemClock } from "../src/shared/clock.js";
import { readEvents } from "./contract/event-reader.js";
import { API, type ContractClient, createContractClient } from "./contract/upstream.js";
import { runBin, startBin, temporaryFolder, toVariables } from "./support/bin.js";
import { createHandClock } from "./support/hand-clock.js";
import { type ClientOptions, COMPLETE, connectInMemory, silentLog, until } from "./support/harness.js";
import {
  ENGINE_KEY,
  engineFolder,
  SCRIPTED_AGENT,
  startLocalEngine,
  withScript,
} from "./support/local-engine.js";
import { asLongAs } from "./support/patient.js";
import { serveWatchedProxy } from "./support/watched-proxy.js";

const STATUS = /\/status$/;
const SETTINGS = { API_KEY: ENGINE_KEY };

let place: ReturnType<typeof engineFolder>;
let engine: LocalEngine;
let direct: ContractClient;

beforeAll(async () => {
  place = engineFolder();
  engine = await startLocalEngine(place.folder);
  direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
});
afterAll(async () => {
  await engine.close();
  place.remove();
});

/** A server that listens to the engine through a proxy. */
async function connect(options: ClientOptions = {}) {
  const proxy = await serveWatchedProxy(engine.url);
  const mcp = await connectInMemory({ ...options, settings: { ...SETTINGS, BASE_URL: proxy.url } });
  await until(() => proxy.streams() === 1, "the stream");
  return { ...mcp, proxy };
}

/** A run of so many turns, each of which says its number. */
function turns(count: number, pauseMs: number): string {
  const steps = Array.from({ length: count }, (_, index) => [
    { wait: pauseMs },
    { text: `Step ${index + 1}` },
  ]);
  return withScript("Go on", { steps: steps.flat() });
}

/** Everything that a call is told on the way, with the time of it. */
function progressLog() {
  const told: (Progress & { at: number })[] = [];
  return { told, onprogress: (progress: Progress) => void told.push({ ...progress, at: Date.now() }) };
}

const median = (values: number[]) =>
  values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

describe("a run that is pushed", () => {
  it("costs its start and nothing else", async () => {
    const { call, proxy } = await connect();
    const { told, onprogress } = progressLog();
    const answer = await call({ ...COMPLETE, message: turns(3, 600) }, { onprogress });
    expect(answer.data).toMatchObject({ outcome: "completed", run: { turn: 3, result: "Step 3" } });
    expect(told.map(({ message }) => message)).toEqual(
      expect.arrayContaining(["Started architect as auth-system-project", expect.stringMatching(/^Turn 2/)]),
    );
    expect(proxy.requests.sort()).toEqual([
      "GET /api/v1/openapi.json",
      "GET /events",
      "GET /manage",
      "POST /run/architect",
    ]);
  });

  it("reaches whoever waits within 50 ms of what happens", async () => {
    const { call, proxy } = await connect();
    const reader = await readEvents(`${engine.url}${API}/events`, { "x-api-key": ENGINE_KEY });
    const delays = await Promise.all(
      [0, 1, 2].map(async () => {
        const { run_id } = await direct.start({ message: turns(4, 1_100) });
        const { told, onprogress } = progressLog();
        await call({ action: "status", run_id, wait_seconds: 30 }, { onprogress });
        // The first notice of each turn: what follows within half a second is held back on purpose.
        return [2, 3, 4].map((turn) => {
          const event = reader.events.find(
            ({ data }) => data.run_id === run_id && data.type === "turn" && data.run.current_turn === turn,
          );
          const notice = told.find(({ progress }) => Math.floor(progress) === turn);
          return (notice?.at ?? Number.POSITIVE_INFINITY) - Date.parse(event?.data.at);
        });
      }),
    );
    expect(delays.flat()).toHaveLength(9);
    expect(median(delays.flat())).toBeLessThan(await asLongAs(50));
    // Each of them was looked at once, when the call came to it.
    expect(proxy.count(STATUS)).toBeLessThanOrEqual(3);
  });

  it("is told to the end also when its news are quicker than the answer to its start", async () => {
    const { call, proxy } = await connect();
    const reader = await readEvents(`${engine.url}${API}/events`, { "x-api-key": ENGINE_KEY });
    const ended = until(
      () => reader.events.some(({ data }) => data.type === "finished"),
      "the end of the run",
    );
    proxy.hold = { pattern: /^POST/, until: ended };
    const answer = await call({ ...COMPLETE, message: turns(1, 1) });
    expect(answer.data).toMatchObject({ outcome: "completed", run: { result: "Step 1" } });
    expect(proxy.count(STATUS)).toBeLessThanOrEqual(1);
  });

  it("is told at once to who comes after its end, and to who comes in between", async () => {
    const { call, proxy } = await connect();
    const { run_id } = await direct.start({ message: turns(2, 300) });
    await direct.until(run_id, (status) => status.current_turn === 1);
    await Promise.all(
      [1, 2].map(async () => {
        const { data } = await call({ action: "status", run_id, wait_seconds: 30 });
        expect(data).toMatchObject({ outcome: "completed", run: { turn: 2 } });
      }),
    );
    const late = await call({ action: "status", run_id, wait_seconds: 30 });
    expect(late.data.outcome).toBe("completed");
    expect(proxy.count(STATUS)).toBeLessThanOrEqual(2);
  });
});

it("the engine's description tells all that the server makes use of", async () => {
  const { call } = await connect();
  const { data } = await call({ action: "list_workflows", detailed: true });
  expect(data.api.description).toMatchObject({
    read: true,
    missing: [],
    pushed_events: true,
    questions: true,
    max_turns: "1 to 200",
  });
  expect(data.api.description).not.toHaveProperty("not_taken");
});

describe("a stream that breaks", () => {
  it("goes on where it broke, without a gap and without a doublet", async () => {
    const proxy = await serveWatchedProxy(engine.url);
    const api = createApiClient({
      baseUrl: proxy.url,
      apiKey: ENGINE_KEY,
      requestTimeoutMs: 10_000,
      maxRetries: 0,
      clock: systemClock,
      random: Math.random,
    });
    const heard: string[] = [];
    const gaps: boolean[] = [];
    let isOpen = false;
    const closing = new AbortController();
    void keepStreamOpen(
      {
        capabilities: createCapabilities({ api, clock: systemClock, log: silentLog }),
        api: {
          streamRuns: (options) =>
            api.streamRuns({
              ...options,
              onRun(id, run) {
                heard.push(id);
                options.onRun(id, run);
              },
            }),
        },
        clock: systemClock,
        log: silentLog,
      },
      closing.signal,
      {
        onOpen(gap) {
          isOpen = true;
          gaps.push(gap);
        },
        onRun() {},
        onBreak() {
          isOpen = false;
        },
      },
    );
    await until(() => isOpen, "the stream");
    const reader = await readEvents(`${engine.url}${API}/events`, { "x-api-key": ENGINE_KEY });
    // Before the first event, and in mid-run.
    proxy.breakStreams();
    const { run_id } = await direct.start({ message: turns(8, 60) });
    for (const turn of [2, 5]) {
      await direct.until(run_id, (status) => status.current_turn >= turn);
      await until(() => isOpen, "the stream");
      proxy.breakStreams();
    }
    await direct.ended(run_id);
    const all = () => reader.events.slice(1).map(({ id }) => String(id));
    await until(() => heard.at(-1) === all().at(-1), "the last event");
    closing.abort();
    expect(heard).toEqual(all());
    expect(gaps.slice(0, 4)).toEqual([true, false, false, false]);
    expect(proxy.resumed.slice(0, 1)).toEqual([undefined]);
    expect(proxy.resumed.slice(1).every((id) => /^\d+$/.test(id ?? ""))).toBe(true);
  });

  it("is not noticed by who follows a run", async () => {
    const { call, proxy } = await connect();
    const { told, onprogress } = progressLog();
    const running = call({ ...COMPLETE, message: turns(4, 600) }, { onprogress });
    await until(() => told.some(({ message }) => message?.startsWith("Turn 2") === true), "the second turn");
    proxy.breakStreams();
    await until(() => proxy.resumed.length === 2 && proxy.streams() === 1, "the next stream");
    expect((await running).data).toMatchObject({ outcome: "completed", run: { turn: 4, result: "Step 4" } });
    expect(told.map(({ message }) => message).join("\n")).not.toMatch(/does not answer/);
    // What might have been missed was asked for, once.
    expect(proxy.count(STATUS)).toBeLessThanOrEqual(2);
  });

  it("for good leaves polling, and the end of the run is still told", async () => {
    const { call, proxy } = await connect();
    const { told, onprogress } = progressLog();
    const running = call({ ...COMPLETE, message: turns(4, 500) }, { onprogress });
    await until(() => told.some(({ message }) => message?.startsWith("Turn 1") === true), "the first turn");
    proxy.refuseStreams = true;
    proxy.breakStreams();
    expect((await running).data).toMatchObject({ outcome: "completed", run: { turn: 4, result: "Step 4" } });
    expect(told.map(({ message }) => message).join("\n")).toMatch(/Turn 3/);
    expect(proxy.count(STATUS)).toBeGreaterThan(3);
  });

  it("at once each time is opened again more and more slowly", async () => {
    const clock = createHandClock();
    let opened = 0;
    const closing = new AbortController();
    void keepStreamOpen(
      {
        capabilities: {
          refresh: async () => ({ isAway: false }),
          describesEndpoint: () => true,
          onChange: () => () => {},
        },
        api: {
          async streamRuns({ onOpen }) {
            opened++;
            onOpen(false, "7");
          },
        },
        clock,
        log: silentLog,
      },
      closing.signal,
      { onOpen() {}, onRun() {}, onBreak() {} },
    );
    for (let second = 0; second < 60; second++) {
      for (let step = 0; step < 10; step++) {
        await new Promise((resolve) => setImmediate(resolve));
        clock.advance(100);
      }
    }
    closing.abort();
    expect(opened).toBeGreaterThan(4);
    expect(opened).toBeLessThan(12);
  });
});

it("an API without events is polled as before, and never asked for a stream", async () => {
  const served = await serveSimulatedApi({ paceMs: 300 });
  const proxy = await serveWatchedProxy(served.url);
  const { call } = await connectInMemory({ settings: { BASE_URL: proxy.url } });
  const answer = await call(COMPLETE);
  await served.close();
  expect(answer.data.outcome).toBe("completed");
  expect(proxy.count(STATUS)).toBeGreaterThan(2);
  expect(proxy.count(/events/)).toBe(0);
});

it("a start whose answer is lost is asked for again under its key, and is one run", async () => {
  const { call, proxy } = await connect();
  const before = (await direct.get("/runs")).body.total_count;
  proxy.lose = /^POST/;
  const { data } = await call({ ...COMPLETE, session_name: "lost answer", message: turns(1, 1) });
  expect(data).toMatchObject({ outcome: "completed", run: { result: "Step 1" } });
  expect(proxy.count(/^POST \/run\/architect/)).toBe(2);
  expect((await direct.get("/runs")).body.total_count).toBe(before + 1);
});

it("a call learns how its run ended when the engine is killed in mid-run", async () => {
  const stateFolder = temporaryFolder();
  const settings = { ENGINE: "local", API_KEY: "", CLAUDE_PATH: SCRIPTED_AGENT, ENGINE_IDLE_TIMEOUT: "10" };
  const bin = await startBin({ stateFolder, settings });
  try {
    const { told, onprogress } = progressLog();
    const message = withScript("Hang", { steps: [{ text: "At work" }, { hang: true }] });
    const running = bin.call({ ...COMPLETE, message }, { onprogress, timeoutMs: 30_000 });
    await until(
      () => told.some((one) => one.message?.startsWith("Turn 1") === true),
      "the first turn",
      20_000,
    );
    const { pid } = JSON.parse(readFileSync(join(stateFolder, "engine", "engine.json"), "utf8"));
    process.kill(pid, "SIGKILL");
    const { data, text } = await running;
    expect(data.outcome).toBe("failed");
    expect(text).toMatch(/The engine stopped while the run was going on.*continue the session/s);
    const next = await bin.call({
      workflow_name: "fix",
      message: "Go on",
      continue_session: COMPLETE.session_name,
    });
    expect(next.data).toMatchObject({
      outcome: "completed",
      run: { session_id: data.run.session_id, result: expect.stringContaining("Hang") },
    });
  } finally {
    await runBin(["engine", "stop"], { HOME: stateFolder, ...toVariables({ STATE_DIR: stateFolder }) });
  }
});
