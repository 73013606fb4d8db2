import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { API, type ContractClient, createContractClient } from "./contract/upstream.js";
import { ENGINE_KEY, engineFolder, startLocalEngine } from "./support/local-engine.js";

let place: ReturnType<typeof engineFolder>;
let engine: LocalEngine;
let client: ContractClient;

async function open(): Promise<void> {
  engine = await startLocalEngine(place.folder);
  client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
}

function removeDatabase(): void {
  for (const suffix of ["", "-wal", "-shm"])
    rmSync(join(place.folder, `automagik.db${suffix}`), { force: true });
}

beforeEach(() => {
  place = engineFolder();
});
afterEach(async () => {
  await engine.close();
  place.remove();
});

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

describe("an engine whose database was removed", () => {
  it("keeps no place for a stream of events that it could not begin", async () => {
    await open();
    removeDatabase();
    for (let time = 0; time < 3; time++) {
      const headers = { "x-api-key": ENGINE_KEY, "last-event-id": "1" };
      const answer = await fetch(`${engine.url}${API}/events`, { headers });
      await answer.text();
    }
    await expect.poll(() => engine.clients()).toBe(0);
  });
});
