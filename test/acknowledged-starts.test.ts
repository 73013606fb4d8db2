import { afterAll, expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import type { SessionStore } from "../src/sessions/store/session-store.js";
import { createSharedSessionStore } from "../src/sessions/store/shared-session-store.js";
import { startBin, temporaryFolder } from "./support/bin.js";
import { COMPLETE, connectInMemory, type TestClient } from "./support/harness.js";
import { connectHttp, startServeBin } from "./support/http.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";

const programs = await findPostgres();
let postgres: PostgresServer | undefined;
afterAll(() => postgres?.dispose());

async function serveApi(): Promise<string> {
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
  onTestFinished(() => served.close());
  return served.url;
}

/** Starts runs all at once and kills the process in the moment of the given answer; gives the runs that were told. */
async function startAndKill(
  { call, client }: TestClient,
  process: { kill(signal: "SIGKILL"): boolean },
  names: string[],
  killAt: number,
): Promise<string[]> {
  const told: string[] = [];
  await Promise.allSettled(
    names.map(async (session_name) => {
      const { data } = await call({ ...COMPLETE, session_name, wait_seconds: 0 });
      expect(data.outcome).toBe("started");
      told.push(data.run.run_id);
      if (told.length !== killAt) return;
      process.kill("SIGKILL");
      // Over HTTP the client would ask for its answers again and again.
      await client.close();
    }),
  );
  return told;
}

async function runsOf(store: SessionStore): Promise<string[]> {
  const records = await store.list();
  await store.close();
  return records.flatMap((record) => record.runs.map((run) => run.runId));
}

const names = (round: number, count: number) =>
  Array.from({ length: count }, (_, one) => `job-${round}-${one}`);

it("a start that was told is in the index, whenever the serving process is killed", async () => {
  const url = await serveApi();
  const folder = temporaryFolder();
  const told: string[] = [];
  for (const [round, killAt] of [1, 40, 60].entries()) {
    const settings = { BASE_URL: url, STATE_DIR: folder, HTTP_MAX_CALLS: "64" };
    const bin = await startServeBin({ settings });
    const client = await connectHttp(bin.url);
    told.push(...(await startAndKill(client, bin.child, names(round, 60), killAt)));
    expect(await bin.ended()).toBe("SIGKILL");
  }
  expect(told.length).toBeGreaterThan(100);
  const kept = await runsOf(createDatabaseSessionStore({ folder, upstream: url }));
  expect(told.filter((runId) => !kept.includes(runId))).toEqual([]);
}, 60_000);

it("so it is for a server on stdin that is killed after each of its answers", async () => {
  const url = await serveApi();
  const folder = temporaryFolder();
  const told: string[] = [];
  for (let round = 0; round < 5; round++) {
    const bin = await startBin({ url, stateFolder: folder });
    told.push(...(await startAndKill(bin, bin.child, names(round, 1), 1)));
    await bin.ended();
  }
  expect(told).toHaveLength(5);
  const kept = await runsOf(createDatabaseSessionStore({ folder, upstream: url }));
  expect(told.filter((runId) => !kept.includes(runId))).toEqual([]);
});

it.skipIf(!programs)(
  "so it is where sessions are kept in PostgreSQL",
  async () => {
    postgres ??= await startPostgres(programs as string);
    const address = await postgres.createDatabase();
    const url = await serveApi();
    const told: string[] = [];
    for (const [round, killAt] of [1, 25].entries()) {
      const settings = { BASE_URL: url, DATABASE: address, HTTP_MAX_CALLS: "64" };
      const bin = await startServeBin({ settings });
      const client = await connectHttp(bin.url);
      told.push(...(await startAndKill(client, bin.child, names(round, 25), killAt)));
      await bin.ended();
    }
    const kept = await runsOf(createSharedSessionStore({ address, upstream: url }));
    expect(told.length).toBeGreaterThanOrEqual(26);
    expect(told.filter((runId) => !kept.includes(runId))).toEqual([]);
  },
  60_000,
);

it("a start that cannot be written down is told with that", async () => {
  const api = await serveApi();
  const memory = createMemorySessionStore();
  const failing = { ...memory, update: () => Promise.reject(new Error("The disk is full.")) };
  const forgetful = { ...memory, isForgetful: () => true };
  for (const store of [failing, forgetful]) {
    const { call } = await connectInMemory({ store, settings: { BASE_URL: api } });
    const answer = await call({ ...COMPLETE, wait_seconds: 0 });
    expect(answer.data.outcome).toBe("started");
    expect(answer.text).toContain("It could not be saved where sessions are kept");
  }
  const { call } = await connectInMemory({ settings: { BASE_URL: api } });
  expect((await call({ ...COMPLETE, wait_seconds: 0 })).text).not.toContain("could not be saved");
});
