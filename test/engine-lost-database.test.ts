import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { acceptRequest } from "../src/engine/accept-run.js";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { createRunStore } from "../src/engine/runs/create-run-store.js";
import { systemClock } from "../src/shared/clock.js";
import { openDatabase } from "../src/store/database.js";
import { readEvents } from "./contract/event-reader.js";
import { API, type ContractClient, createContractClient } from "./contract/upstream.js";
import { COMPLETE, connectInMemory, silentLog, until } from "./support/harness.js";
import {
  ENGINE_KEY,
  engineFolder,
  SCRIPTED_AGENT,
  startLocalEngine,
  withScript,
} from "./support/local-engine.js";
import { serveWatchedProxy } from "./support/watched-proxy.js";

let place: ReturnType<typeof engineFolder>;
let engine: LocalEngine;
let client: ContractClient;

async function open(): Promise<void> {
  engine = await startLocalEngine(place.folder, { claudePath: join(place.folder, "agent") });
  client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
}

function removeDatabase(): void {
  for (const suffix of ["", "-wal", "-shm"])
    rmSync(join(place.folder, `automagik.db${suffix}`), { force: true });
}

/** How many agents have been started so far, by all engines. */
function agents(): number {
  const file = join(place.folder, "agents");
  return existsSync(file) ? readFileSync(file, "utf8").length : 0;
}

beforeEach(() => {
  place = engineFolder();
  const counted = [
    "#!/bin/sh",
    `[ "$1" != -p ] || printf "|" >> '${join(place.folder, "agents")}'`,
    `exec '${SCRIPTED_AGENT}' "$@"`,
  ];
  writeFileSync(join(place.folder, "agent"), counted.join("\n"), { mode: 0o755 });
});
afterEach(async () => {
  await engine.close();
  place.remove();
});

const start = (key: string) =>
  client.call("POST", "/run/fix", {
    headers: { "x-api-key": ENGINE_KEY, "idempotency-key": key },
    body: { message: "Go", input_format: "stream-json" },
  });

async function readPrefix(): Promise<string> {
  const { body } = await client.get("root:/api/v1/openapi.json");
  const { parameters } = body.paths[`${API}/run/{workflow_name}`].post;
  return parameters.find(({ name }: { name: string }) => name === "idempotency-key")["x-key-prefix"];
}

const FORMER = {
  request: {
    workflowName: "implement",
    message: "Add a login page",
    timeoutS: 3600,
    persistent: true,
    autoMerge: false,
    tempWorkspace: false,
  },
  status: "pending",
  sessionName: "login",
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
const NUMBERS = { lastEventId: 1, droppedThrough: 0, eventBytes: 0 };

/** A run that an earlier version has left, which had not begun. */
function leaveRun(runId: string, name = runId, changes: object = {}): void {
  mkdirSync(join(place.folder, "runs"), { recursive: true, mode: 0o700 });
  const run = { ...FORMER, runId, sessionId: `session-${runId}`, createdAt: Date.now(), ...changes };
  writeFileSync(
    join(place.folder, "runs", `${name}.jsonl`),
    `${JSON.stringify({ v: 1, run, ...NUMBERS })}\n`,
  );
}

const A = "9b2f7c1e-7a61-4b8e-9d55-000000000001";

describe("the runs of an earlier version", () => {
  it("are not carried out a second time when the database is lost afterwards", async () => {
    leaveRun(A);
    await open();
    expect((await client.ended(A)).status).toBe("completed");
    await engine.close();
    removeDatabase();
    await open();
    expect(await client.ended(A)).toMatchObject({ status: "failed", current_turn: 0 });
  });

  it("that are there twice or cannot be read do not keep the engine from starting", async () => {
    leaveRun(A);
    leaveRun(A, `${A} copy`);
    leaveRun("9b2f7c1e-7a61-4b8e-9d55-000000000002", "odd", { queue: null });
    await open();
    expect((await client.get("/runs")).body.total_count).toBe(1);
  });
});

describe("an engine whose database is removed while it runs", () => {
  it("goes on with a new one, which gets the runs and their keys, and tells of a gap in the events", async () => {
    await open();
    const prefix = await readPrefix();
    const done = await start(`${prefix}one`);
    await client.ended(done.body.run_id);
    const message = withScript("Wait", { steps: [{ text: "Waiting" }, { hang: true }] });
    const { run_id } = await client.start({ message });
    await client.until(run_id, ({ current_turn }) => current_turn === 1);
    const { body: known } = await client.get("/runs");
    removeDatabase();

    const next = await start(`${prefix}two`);
    expect(next.status).toBe(200);
    await client.ended(next.body.run_id);
    const headers = { "x-api-key": ENGINE_KEY, "last-event-id": "1" };
    const events = await readEvents(`${engine.url}${API}/events`, headers);
    expect((await events.count(1))[0]).toMatchObject({ event: "open", data: { gap: true } });
    await client.post(`/run/${run_id}/kill`);
    await engine.close();

    await open();
    expect(await readPrefix()).toBe(prefix);
    const { body: kept } = await client.get("/runs");
    expect(kept.total_count).toBe(known.total_count + 1);
    expect(await client.ended(run_id)).toMatchObject({ status: "killed", current_turn: 1 });
    expect((await start(`${prefix}one`)).body).toEqual(done.body);
    expect((await start(`${prefix}two`)).body).toEqual(next.body);
    expect(agents()).toBe(3);
  });

  it("starts nothing where somebody else's database was put in its place, and says what to do", async () => {
    await open();
    const other = engineFolder();
    onTestFinished(other.remove);
    await (await startLocalEngine(other.folder)).close();
    removeDatabase();
    copyFileSync(join(other.folder, "automagik.db"), join(place.folder, "automagik.db"));
    expect(await start("key")).toMatchObject({
      status: 503,
      body: { started: false, detail: expect.stringMatching(/Another database.*Start the engine again/) },
    });
    expect(agents()).toBe(0);
  });

  it("keeps no place for a stream of events that it could not begin", async () => {
    await open();
    removeDatabase();
    mkdirSync(join(place.folder, "automagik.db"));
    for (let time = 0; time < 3; time++) {
      const headers = { "x-api-key": ENGINE_KEY, "last-event-id": "1" };
      const answer = await fetch(`${engine.url}${API}/events`, { headers });
      await answer.text();
    }
    await expect.poll(() => engine.clients()).toBe(0);
  });
});

describe("a start whose database was lost after it", () => {
  async function openWithoutDatabase(): Promise<void> {
    await engine.close();
    removeDatabase();
    await open();
  }

  it("is refused under the same key, and nothing is started", async () => {
    await open();
    const prefix = await readPrefix();
    const first = await start(`${prefix}one`);
    await client.ended(first.body.run_id);
    await engine.close();
    await open();
    expect(await readPrefix()).toBe(prefix);
    expect((await start(`${prefix}one`)).body).toEqual(first.body);

    await openWithoutDatabase();
    expect(await readPrefix()).not.toBe(prefix);
    expect(await start(`${prefix}one`)).toMatchObject({
      status: 409,
      body: {
        error_code: "key_of_another_database",
        started: false,
        detail: expect.stringMatching(/Nothing was started/),
      },
    });
    expect((await client.get("/runs")).body.total_count).toBe(0);
    expect(agents()).toBe(1);
    for (const key of [`${await readPrefix()}one`, "a-key-of-another-client"]) {
      const { status, body } = await start(key);
      expect(status).toBe(200);
      await client.ended(body.run_id);
    }
    expect(agents()).toBe(3);
  });

  it("is refused under the same key also by an engine that keeps its runs in memory", async () => {
    await open();
    const key = `${await readPrefix()}one`;
    const runs = await createRunStore({
      database: await openDatabase({}),
      inMemory: true,
      clock: systemClock,
    });
    onTestFinished(() => runs.close());
    const options = { runs, log: silentLog, refuse: () => {} } as unknown as Parameters<
      typeof acceptRequest
    >[2];
    await expect(acceptRequest(FORMER.request, key, options)).rejects.toMatchObject({
      status: 409,
      errorCode: "key_of_another_database",
    });
    expect(runs.all()).toEqual([]);
  });

  /** A server that reaches the engine through a proxy, and has read its description. */
  async function connect() {
    await open();
    const proxy = await serveWatchedProxy(engine.url);
    const mcp = await connectInMemory({ settings: { API_KEY: ENGINE_KEY, BASE_URL: proxy.url } });
    await expect.poll(() => proxy.count(/openapi/)).toBe(1);
    await expect.poll(() => proxy.streams()).toBe(1);
    return { call: mcp.call, proxy };
  }

  it("is not sent again when its answer was lost as well, but looked for and left open", async () => {
    const { call, proxy } = await connect();
    proxy.lose = /^POST/;
    proxy.beforeLoss = async () => {
      await expect.poll(agents).toBe(1);
      await openWithoutDatabase();
      proxy.target = engine.url;
    };
    const message = withScript("Go", { steps: [{ hang: true }] });
    const { data } = await call({ ...COMPLETE, message, wait_seconds: 0 });
    expect(data.outcome).toBe("unknown");
    expect(proxy.count(/^POST/)).toBe(1);
    expect(agents()).toBe(1);
  }, 20_000);

  it("is not sent to another kind of server that has taken the engine's place", async () => {
    const other = await serveSimulatedApi({ apiKey: ENGINE_KEY });
    onTestFinished(() => other.close());
    const { call, proxy } = await connect();
    proxy.lose = /^POST/;
    proxy.beforeLoss = async () => {
      proxy.target = other.url;
    };
    const { data } = await call({ ...COMPLETE, wait_seconds: 0 });
    expect(data.outcome).toBe("unknown");
    expect(proxy.count(/^POST/)).toBe(1);
  }, 20_000);

  it("keeps nobody from starting a run who has read the former database's prefix", async () => {
    const { call, proxy } = await connect();
    // The stream breaks with the engine, and the description is read again with the next one.
    const sent = until(() => proxy.count(/^POST/) > 0, "the start");
    proxy.hold = { pattern: /openapi/, until: sent };
    await openWithoutDatabase();
    proxy.target = engine.url;
    const { data } = await call({ ...COMPLETE, session_name: "afterwards" });
    expect(data.outcome).toBe("completed");
    expect(proxy.count(/^POST/)).toBe(2);
    expect((await client.get("/runs")).body.total_count).toBe(1);
    expect(agents()).toBe(1);
  });
});
