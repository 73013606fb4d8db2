import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { engineDrain } from "../src/cli/commands/engine-drain.js";
import { checkWorkers } from "../src/cli/doctor/check-workers.js";
import { askToDrain } from "../src/cli/engine/ask-to-drain.js";
import { lookAtWorkers, renderWorkers, tellWorkers, workersToJson } from "../src/cli/engine/show-workers.js";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import type { Body, ContractClient } from "./contract/upstream.js";
import { copyRepository, runGit } from "./support/git-place.js";
import { ENGINE_KEY, startLocalEngine, withScript } from "./support/local-engine.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { createPatientClient, startWorker, WORKERS_KEY } from "./support/workers.js";

// Engines of this process, which a session moves between, and what commands tell of them.

const programs = await findPostgres();
const PATIENT = { timeout: 60_000, interval: 50 };
const env = { PATH: process.env.PATH, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" };

let server: PostgresServer;

interface Place extends ContractClient {
  engine: LocalEngine;
  folder: string;
}

/** The message of a run whose agent commits this file. */
function commits(file: string, content: string): string {
  const command = `git add --all && git commit --quiet -m "Write ${file}"`;
  const write = { name: "Write", input: { file_path: file, content } };
  const steps = [
    { tools: [write] },
    { tools: [{ name: "Bash", input: { command }, run: true }] },
    { text: "Done" },
  ];
  return withScript(`Write ${file}`, { steps });
}
const QUICK = withScript("Go on", { steps: [{ text: "Gone on" }] });
const HANGS = withScript("Work", { steps: [{ text: "Working" }, { hang: true }] });

/** Engines on one database, and a repository that all may use. */
async function openPlace(moveLimitBytes = 2 ** 26) {
  const database = await server.createDatabase();
  const base = mkdtempSync(join(tmpdir(), "automagik-worker-engines-"));
  const opened: LocalEngine[] = [];
  onTestFinished(async () => {
    await Promise.all(opened.map((engine) => engine.close()));
    rmSync(base, { recursive: true, force: true });
  });
  const repository = join(base, "shop");
  copyRepository(repository);
  const shared = { database, timeoutMs: 3_000, moveAfterMs: 500, moveLimitBytes };
  const settings = { engineConcurrency: 2, engineAllowedFolders: [base] };

  async function open(name: string): Promise<Place> {
    const folder = join(base, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, ".gitconfig"), "[user]\n\tname = Agent\n\temail = agent@host.example\n");
    const engine = await startLocalEngine(folder, settings, {}, { shared });
    opened.push(engine);
    return { ...createPatientClient(engine.url, ENGINE_KEY), engine, folder };
  }
  async function run(at: ContractClient, fields: object): Promise<Body> {
    const { run_id } = await at.start({ repository_url: repository, ...fields });
    return at.ended(run_id);
  }
  return { database, repository, open, run };
}

describe.skipIf(!programs)("the work of a session, with several engines,", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string, { durable: true });
  });
  afterAll(() => server?.dispose());

  it("is looked at, taken and thrown away through any of them", async () => {
    const { repository, open, run } = await openPlace();
    const places = [await open("a"), await open("b")];
    const [taken, thrown] = [
      await run(places[0] as Place, { message: commits("login.txt", "login\n") }),
      await run(places[0] as Place, { message: commits("logout.txt", "logout\n") }),
    ];
    expect([taken.error_message, thrown.error_message]).toEqual([null, null]);
    const has = (status: Body) => places.find(({ folder }) => status.workspace_path.startsWith(folder));
    const other = (status: Body) => places.find((place) => place !== has(status)) as Place;
    const at = `/run/${taken.run_id}`;
    for (const place of places) expect((await place.get(`${at}/diff`)).body.diff).toContain("+login");
    expect((await other(taken).get(`${at}/work`)).status).toBe(200);
    const failed = await other(taken).post(`${at}/take`, { check: "test -e nothing" });
    expect(failed.body).toMatchObject({ taken: false, check: { passed: false } });
    expect((await other(taken).post(`${at}/take`, { check: "test -e login.txt" })).body.taken).toBe(true);
    expect(runGit(env, repository, "show", "main:login.txt")).toBe("login");
    expect((await other(thrown).post(`/run/${thrown.run_id}/discard`)).status).toBe(200);
    expect((await other(thrown).get(`/run/${thrown.run_id}/diff`)).status).not.toBe(200);
    // What one has left is seen, and removed, through the other one.
    const { items } = (await other(taken).get("/leftovers")).body;
    const left = items.find((item: Body) => item.session_id === taken.session_id);
    expect(left.id).toMatch(/^worker:/);
    const removed = await other(taken).post("/leftovers/remove", { id: left.id, mark: left.mark });
    expect(removed.body).toMatchObject({ errors: [] });
    const again = (await other(taken).get("/leftovers")).body.items;
    expect(again.some((item: Body) => item.session_id === taken.session_id)).toBe(false);
    const hanging = await other(taken).start({ message: HANGS });
    const working = await other(taken).until(
      hanging.run_id,
      ({ current_action }) => current_action === "Working",
    );
    const cleaned = await other(working).post(`/run/${hanging.run_id}/cleanup`, undefined, { force: "true" });
    expect(cleaned).toMatchObject({ status: 200 });
    expect((await other(working).get("/workers")).body.workers).toHaveLength(2);
    const ready = await other(working).call("GET", "root:/ready", { headers: {} });
    expect(ready.status).toBe(200);
  });

  it("goes on at another one when its own has ended, and stays there when that is back", async () => {
    const { open, run } = await openPlace();
    const a = await open("a");
    const first = await run(a, { message: commits("login.txt", "login\n"), session_name: "login" });
    const uncommitted = { name: "Write", input: { file_path: "loose.txt", content: "loose\n" } };
    await run(a, {
      message: withScript("Leave", { steps: [{ tools: [uncommitted] }, { text: "Left" }] }),
      session_id: first.session_id,
    });
    await a.engine.close();
    const b = await open("b");
    const moved = await run(b, { message: commits("logout.txt", "logout\n"), session_id: first.session_id });
    expect(moved.result.message).toMatch(/^Done/);
    expect(moved.result.message).toContain('Session "login" goes on at worker');
    const { diff } = (await b.get(`/run/${moved.run_id}/diff`)).body;
    for (const line of ["+login", "+logout"]) expect(diff).toContain(line);
    const back = await open("a");
    const last = await run(back, { message: QUICK, session_id: first.session_id });
    expect(last.workspace_path.startsWith(b.folder)).toBe(true);
    await vi.waitFor(async () => {
      const { items } = (await back.get("/leftovers")).body;
      expect(items.some((item: Body) => `${item.name} ${item.losses}`.match(/moved|gone on/))).toBe(true);
    }, PATIENT);
  });

  it("waits elsewhere while its engine is drained, which ends its agents when it is told to", async () => {
    const { open, run } = await openPlace();
    const [a, b] = [await open("a"), await open("b")];
    const { run_id: runId } = await a.start({ message: HANGS, session_name: "held" });
    const working = await a.until(runId, ({ current_action }) => current_action === "Working");
    const has = working.workspace_path.startsWith(a.folder) ? a : b;
    const other = has === a ? b : a;
    const drained = has.engine.drain();
    await vi.waitFor(async () => {
      expect((await has.call("GET", "root:/ready", { headers: {} })).status).toBe(503);
    }, PATIENT);
    // It takes on what another one begins.
    const elsewhere = await run(has, { message: QUICK });
    expect(elsewhere.workspace_path.startsWith(other.folder)).toBe(true);
    const next = await other.start({ message: QUICK, session_id: working.session_id });
    const waits = (await other.get(`/run/${next.run_id}/status`)).body;
    expect(waits).toMatchObject({ status: "pending" });
    await has.engine.interrupt("It was told to");
    await drained;
    expect(await other.ended(runId)).toMatchObject({
      error_message: expect.stringContaining("It was told to"),
    });
    const killed = await other.post(`/run/${next.run_id}/kill`, undefined, { force: "true" });
    expect(killed.status).toBe(200);
    expect(await has.ended(next.run_id)).toMatchObject({ status: "killed" });
  });

  it("is of a run that an earlier copy of the database does not know, and ends", async () => {
    const { open, database } = await openPlace();
    const a = await open("a");
    const { run_id: runId } = await a.start({ message: HANGS });
    await a.until(runId, ({ current_action }) => current_action === "Working");
    const name = new URL(database).pathname.slice(1);
    for (const table of ["runs", "parts", "events"])
      await server.query(`delete from engine_${table} where run_id = '${runId}'`, name);
    await server.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    await vi.waitFor(async () => expect((await a.get(`/run/${runId}/status`)).status).toBe(404), PATIENT);
    const next = await vi.waitFor(() => a.start({ message: QUICK }), PATIENT);
    expect(await a.ended(next.run_id)).toMatchObject({ status: "completed" });
  });

  it("ends with its agents where a copy of the engine's folder has taken its place", async () => {
    const { open, database } = await openPlace();
    const a = await open("a");
    const { run_id: runId } = await a.start({ message: HANGS });
    await a.until(runId, ({ current_action }) => current_action === "Working");
    const name = new URL(database).pathname.slice(1);
    await server.query("update workers set instance = 'another process'", name);
    const ended = await a.ended(runId);
    expect(ended.error_message).toContain("A copy of this worker's state folder has taken its place");
    expect((await a.call("GET", "root:/ready", { headers: {} })).status).toBe(503);
    await expect(open("a")).rejects.toThrow("this state folder is a copy of one that is a worker");
  });

  it("ends with its agents where the database was not reached for too long, and others may take over", async () => {
    const { open } = await openPlace();
    const a = await open("a");
    const { run_id: runId } = await a.start({ message: HANGS });
    await a.until(runId, ({ current_action }) => current_action === "Working");
    await server.kill();
    const ended = await a.ended(runId);
    expect(ended.error_message).toContain("The database was not reached for too long");
    expect((await a.call("GET", "root:/ready", { headers: {} })).status).toBe(503);
    await server.start();
    const next = await vi.waitFor(() => a.start({ message: QUICK }), PATIENT);
    expect(await a.ended(next.run_id)).toMatchObject({ status: "completed" });
  });

  it("is not asked for of an engine that does not take the question, and nothing is done", async () => {
    const { open, run, database } = await openPlace();
    const [a, b] = [await open("a"), await open("b")];
    const done = await run(a, { message: commits("login.txt", "login\n") });
    const [has, other] = done.workspace_path.startsWith(a.folder) ? [a, b] : [b, a];
    const name = new URL(database).pathname.slice(1);
    const diff = () => other.get(`/run/${done.run_id}/diff`);
    expect((await diff()).status).toBe(200);
    await has.engine.close();
    const away = await diff();
    expect(away).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining("Nothing was done.") },
    });
    // It is there again by its row, and answers nothing: what it was asked is taken back.
    await server.query("update workers set state = 'ready', seen_at = seen_at + 3600000", name);
    await vi.waitFor(async () => {
      const { workers } = (await other.get("/workers")).body;
      expect(workers.every(({ state }: Body) => state === "ready")).toBe(true);
    }, PATIENT);
    const unanswered = await diff();
    expect(unanswered).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining("is not there at the moment. Nothing was done.") },
    });
    expect(await server.query("select 1 from worker_calls", name)).toEqual([]);
  });

  it("that is too large to be kept is told so, and its session begins at its base elsewhere", async () => {
    const { open, run } = await openPlace(20_000);
    const a = await open("a");
    const noise = randomBytes(60_000).toString("base64");
    const first = await run(a, { message: commits("noise.txt", noise) });
    expect(first.result.message).toMatch(/too large to be kept in the database \(\d+ KB, at most 20 KB\)/);
    await a.engine.close();
    const b = await open("b");
    const moved = await run(b, { message: QUICK, session_id: first.session_id });
    expect(moved.result.message).toMatch(
      /goes on at worker .+ since its 1 commit exceeded the size that is kept/s,
    );
  });
});

describe.skipIf(!programs)("in a terminal", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  });
  afterAll(() => server?.dispose());

  it("a time that is none is refused before anything is drained", async () => {
    const asked = { flags: {}, "interrupt-after": "soon" } as never;
    await expect(engineDrain(asked)).rejects.toThrow("--interrupt-after: the value is not allowed");
  });

  it("a worker is drained with its runs named, and the workers are told by it and without it", async () => {
    const database = await server.createDatabase();
    const worker = await startWorker(database, { ENGINE_CONCURRENCY: "1" });
    const message = withScript("Wait", { steps: [{ text: "Listening" }, { listen: 1 }, { text: "Heard" }] });
    const { run_id: runId } = await worker.start({ message, session_name: "to end" });
    await worker.until(runId, ({ current_action }) => current_action === "Listening");
    await worker.start({ message: QUICK, session_name: "to wait" });
    const place = { settingsKey: WORKERS_KEY, database };
    const seen = await lookAtWorkers(worker.home, place);
    if (!seen || "problem" in seen) throw new Error("The workers are not told");
    expect(tellWorkers(seen)).toMatch(/^1 is there, [01] of 1 slots taken, 1 run waits$/);
    expect(workersToJson(seen)).toMatchObject({
      workers: [{ state: "ready", places: 1 }],
      workers_waiting: 1,
    });

    const told: string[] = [];
    const draining = askToDrain({
      stateFolder: worker.home,
      settingsKey: WORKERS_KEY,
      interruptAfterS: 600,
      out: (text) => told.push(text),
    });
    await vi.waitFor(
      () => expect(told.join("")).toContain("begins nothing more. 1 run goes on there"),
      PATIENT,
    );
    const shown = told.join("");
    expect(shown).toContain(`session "to end", run ${runId}`);
    expect(shown).toContain("1 run waits and stays for the next engine.");
    expect(shown).toContain("What still goes on in 600 s is interrupted");
    const sent = await worker.post(`/run/${runId}/add-message`, { content: "go", message_type: "user" });
    expect(sent.status).toBe(200);
    expect(await draining).toBe(0);
    expect(told.at(-1)).toMatch(/^The engine \(process \d+\) has ended\.\n$/);
    expect(
      await askToDrain({
        stateFolder: worker.home,
        settingsKey: WORKERS_KEY,
        interruptAfterS: undefined,
        out: () => {},
      }),
    ).toBe(0);

    const stored = await lookAtWorkers(worker.home, place);
    if (!stored || "problem" in stored) throw new Error("The workers are not told");
    expect(renderWorkers(stored, 100)).toMatch(/ended +0 of 1 taken/);
    const options = { stateFolder: worker.home, engine: { running: false } as never, limitMs: 2_000 };
    expect(await checkWorkers(database, options)).toMatchObject({
      message: expect.stringContaining("none is there"),
    });
    await server.kill();
    expect(tellWorkers((await lookAtWorkers(worker.home, place)) as never)).toMatch(/^could not be read: /);
    expect(JSON.stringify(await checkWorkers(database, options))).toContain("the database cannot be used");
  });
});
