import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { nextAfterEnd } from "../src/actions/next-steps.js";
import { planRunKey, planRunKeyName } from "../src/shared/plan-run-key.js";
import { API, type Body, type ContractClient } from "./contract/upstream.js";
import { startBin, temporaryFolder } from "./support/bin.js";
import { copyRuns } from "./support/earlier-copy.js";
import { SCRIPTED_AGENT } from "./support/local-engine.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { startWorker, WORKERS_KEY, type WorkerProcess } from "./support/workers.js";

// ENGINE_RESUME=once: a run that was interrupted since its engine went away goes on once, as a new run.

vi.setConfig({ testTimeout: 120_000 });

const programs = await findPostgres();
const RESUMES = { ENGINE_RESUME: "once" };
/** An agent that goes on until it is killed, whatever it is told. */
function hangingAgent(steps: object[] = [{ text: "Working" }]): string {
  const script = JSON.stringify({ steps: [...steps, { hang: true }] });
  const path = join(temporaryFolder("automagik-agent-"), "agent");
  const text = `#!/bin/sh\nexport SCRIPTED_AGENT='${script}'\nexec "${SCRIPTED_AGENT}" "$@"\n`;
  writeFileSync(path, text, { mode: 0o755 });
  return path;
}
const hangs = () => ({ CLAUDE_PATH: hangingAgent() });
const ENDS = { CLAUDE_PATH: SCRIPTED_AGENT };
const working = ({ current_action }: Body) => current_action === "Working";

/** A run at work, of an agent that hangs. */
async function begin(at: ContractClient, fields: object = {}) {
  const { run_id, session_id } = await at.start({ message: "Build it", ...fields });
  await at.until(run_id, working);
  return { run_id: run_id as string, session_id: session_id as string };
}

async function crash(at: WorkerProcess): Promise<void> {
  at.signal("SIGKILL");
  await at.exited();
}

const statusOf = async (at: ContractClient, runId: string) => (await at.get(`/run/${runId}/status`)).body;

async function runsOf(at: ContractClient, sessionId: string): Promise<Body[]> {
  const { runs } = (await at.get("/runs")).body;
  return runs.filter((run: Body) => run.session_id === sessionId);
}

/** The run that goes on with one; waits until there is one. */
async function resumedBy(at: ContractClient, runId: string): Promise<string> {
  return (await at.until(runId, ({ resumed_by }) => resumed_by !== undefined)).resumed_by;
}

/** What an engine does by itself when it begins, it has done before a run that was asked for then is over. */
async function aWhileLater(at: ContractClient): Promise<void> {
  await at.ended((await at.start({ message: "Say hello" })).run_id);
}

async function keyPrefixOf(at: ContractClient): Promise<string> {
  const { paths } = (await at.get("root:/api/v1/openapi.json")).body;
  const { parameters } = paths[`${API}/run/{workflow_name}`].post;
  return parameters.find(({ name }: Body) => name === "idempotency-key")["x-key-prefix"];
}

/** What agents of a session were given at an engine, in order. */
function heard(at: Pick<WorkerProcess, "home">, sessionId: string): string[] {
  return JSON.parse(readFileSync(join(at.home, ".scripted-agent", `${sessionId}.json`), "utf8")).messages;
}

describe("a run whose engine was killed", () => {
  const open = (settings: Record<string, string> = RESUMES) => startWorker("", { ...hangs(), ...settings });

  it("goes on once when the engine is back: in its session, told so, and known by both runs", async () => {
    const first = await open();
    const { run_id, session_id } = await begin(first, { user_id: "anna", max_turns: 9 });
    await crash(first);
    const engine = await first.restart(ENDS);
    const by = await resumedBy(engine, run_id);
    expect(await engine.ended(by)).toMatchObject({
      status: "completed",
      session_id,
      user_id: "anna",
      max_turns: 9,
      resumes: run_id,
    });
    expect(await statusOf(engine, run_id)).toMatchObject({
      status: "failed",
      error_code: "interrupted",
      error_message: expect.stringMatching(
        new RegExp(`and the run is to be resumed once by itself\\. It goes on as run ${by}\\.$`),
      ),
    });
    expect(heard(engine, session_id)[1]).toMatch(
      /^The run before this one was interrupted at 20\S+Z: the engine or the machine went away\./,
    );
    // Not again with the next one.
    await crash(engine);
    const next = await engine.restart();
    await aWhileLater(next);
    expect(await runsOf(next, session_id)).toHaveLength(2);
  });

  it("is not to be continued as well: a chat is told as which run it goes on", async () => {
    const first = await open();
    const { run_id } = await begin(first);
    await crash(first);
    const engine = await first.restart(ENDS);
    const by = await resumedBy(engine, run_id);
    const run = await engine.product.getRun(run_id);
    expect(nextAfterEnd(run)).toMatchObject({ next: { action: "status", arguments: { run_id: by } } });
  });

  it("can be kept from that by a kill, as while there is no agent that could go on with it", async () => {
    const first = await open();
    const { run_id, session_id } = await begin(first);
    await crash(first);
    const waits = await first.restart({ CLAUDE_PATH: "/nowhere/claude" });
    expect(await statusOf(waits, run_id)).toMatchObject({ to_be_resumed: true });
    const window = await startBin({
      settings: { BASE_URL: waits.url, API_KEY: WORKERS_KEY },
    });
    const { text, data } = await window.call({ action: "kill", run_id, confirm: true });
    expect(data.outcome, text).toBe("killed");
    expect(text).toContain("was interrupted before. It does not go on by itself any more.");
    await crash(waits);
    const next = await waits.restart(ENDS);
    await aWhileLater(next);
    expect(await runsOf(next, session_id)).toHaveLength(1);
    expect((await statusOf(next, run_id)).error_message).toMatch(
      /It was not resumed. A person has ended it.$/,
    );
  });

  it("cannot be kept from it any more when it has gone on: a chat is told which run to end", async () => {
    const first = await open();
    const { run_id } = await begin(first);
    await crash(first);
    const engine = await first.restart();
    const by = await resumedBy(engine, run_id);
    const window = await startBin({ settings: { BASE_URL: engine.url, API_KEY: WORKERS_KEY } });
    const { data, text } = await window.call({ action: "kill", run_id, confirm: true });
    expect(data, text).toMatchObject({
      outcome: "ok",
      next_step: { arguments: { action: "kill", run_id: by } },
    });
  });

  it("is not resumed when it has resumed another one itself", async () => {
    const first = await open();
    const { run_id, session_id } = await begin(first);
    await crash(first);
    const second = await first.restart();
    const by = await resumedBy(second, run_id);
    await second.until(by, working);
    await crash(second);
    const third = await second.restart(ENDS);
    expect((await statusOf(third, by)).error_message).toMatch(/: continue the session to go on\.$/);
    await aWhileLater(third);
    expect(await runsOf(third, session_id)).toHaveLength(2);
  });

  it("is not resumed without the setting", async () => {
    const first = await open({});
    const { run_id, session_id } = await begin(first);
    await crash(first);
    const second = await first.restart(ENDS);
    const status = await statusOf(second, run_id);
    expect(status.error_message).toMatch(/The conversation is kept: continue the session to go on\.$/);
    // Nor later, when it is there.
    await crash(second);
    const third = await second.restart(RESUMES);
    await aWhileLater(third);
    expect(await runsOf(third, session_id)).toHaveLength(1);
  });

  it("is not resumed where a plan goes on with it by itself", async () => {
    const first = await open();
    const prefix = await keyPrefixOf(first);
    const body = { message: "Build it", input_format: "stream-json" };
    const key = `${prefix}${planRunKeyName(planRunKey(randomUUID(), "build", 1))}`;
    const headers = { "x-api-key": WORKERS_KEY, "idempotency-key": key };
    const started = await first.call("POST", "/run/implement", { body, headers });
    const { run_id, session_id } = started.body;
    await first.until(run_id, working);
    await crash(first);
    const second = await first.restart(ENDS);
    expect(await statusOf(second, run_id)).toMatchObject({ error_code: "interrupted" });
    await aWhileLater(second);
    expect(await runsOf(second, session_id)).toHaveLength(1);
  });

  it("is not resumed when the day's limit is reached, and says so", async () => {
    const dear = hangingAgent([{ text: "Working", cost: 1.1 }, { text: "Working" }]);
    const notices = join(temporaryFolder("automagik-notices-"), "told");
    const tells = { NOTIFY: "auto", NOTIFY_COMMAND: `cat >> "${notices}"` };
    const first = await open({ ...RESUMES, ...tells, CLAUDE_PATH: dear });
    const { run_id, session_id } = await begin(first);
    await first.until(run_id, ({ metrics }) => metrics.cost_usd > 1);
    await crash(first);
    const second = await first.restart({ ENGINE_COST_LIMIT_PER_DAY: "1" });
    const status = await second.until(run_id, ({ to_be_resumed }) => to_be_resumed === undefined);
    expect(status.error_message).toMatch(
      /It was not resumed\. The cost limit of the day is reached\. Today's runs have cost \$1\.1\d of the \$1\.00/,
    );
    expect(await runsOf(second, session_id)).toHaveLength(1);
    const told = await vi.waitFor(
      () => {
        const lines = readFileSync(notices, "utf8").trim().split("\n");
        expect(lines).toHaveLength(2);
        return lines.map((line) => JSON.parse(line).run.error);
      },
      { timeout: 30_000 },
    );
    expect(told).toEqual([
      expect.stringMatching(/is to be resumed once by itself\.$/),
      expect.stringContaining("It was not resumed."),
    ]);
  });

  it("is not resumed when it was ended in an orderly way", async () => {
    const first = await open();
    const { run_id, session_id } = await begin(first);
    first.signal("SIGTERM");
    await first.exited();
    const second = await first.restart(ENDS);
    await aWhileLater(second);
    expect(await statusOf(second, run_id)).toMatchObject({ error_code: "interrupted" });
    expect(await runsOf(second, session_id)).toHaveLength(1);
  });
});

let server: PostgresServer;

describe.skipIf(!programs)("a run whose worker was killed", () => {
  beforeAll(async () => {
    server = await startPostgres(programs as string, { durable: true });
  });
  afterAll(() => server?.dispose());

  it("goes on once at one of the others, when its session does", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database, { ...RESUMES, ...hangs() });
    const { run_id, session_id } = await begin(a);
    const others = [await startWorker(database, RESUMES), await startWorker(database, RESUMES)] as const;
    await crash(a);
    const by = await resumedBy(others[0], run_id);
    expect(await others[1].ended(by)).toMatchObject({ status: "completed", resumes: run_id });
    const told = others.flatMap((at) => {
      try {
        return heard(at, session_id);
      } catch {
        return [];
      }
    });
    // One agent, once.
    expect(told).toEqual([expect.stringMatching(/Build it[\s\S]*The run before this one was interrupted/)]);
    const back = await a.restart();
    for (const at of [back, ...others]) expect(await runsOf(at, session_id)).toHaveLength(2);
  });

  it("goes on where it was, when its worker is back before its session moves", async () => {
    const database = await server.createDatabase();
    const settings = { ...RESUMES, ENGINE_MOVE_AFTER: "3600" };
    const a = await startWorker(database, { ...settings, ...hangs() });
    const { run_id, session_id } = await begin(a);
    const b = await startWorker(database, settings);
    await crash(a);
    const by = await resumedBy(b, run_id);
    await b.until(by, ({ current_action }) =>
      /Waiting for the machine that has this session \(\S+\), which is not there/.test(current_action),
    );
    const back = await a.restart(ENDS);
    expect(await b.ended(by)).toMatchObject({ status: "completed" });
    expect(heard(back, session_id)).toHaveLength(2);
    expect(await runsOf(b, session_id)).toHaveLength(2);
  });

  it("waits for the one that has its workflow, where the others do not", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database, { ...RESUMES, ...hangs() });
    const own = join(a.home, "automagik-workflows-mcp", "workflows", "mine");
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, "workflow.json"), JSON.stringify({ description: "Mine", allowedTools: [] }));
    writeFileSync(join(own, "prompt.md"), "Do it.\n");
    const { body } = await a.call("POST", "/run/mine", {
      body: { message: "Build it", input_format: "stream-json" },
    });
    const { run_id, session_id } = body as Body;
    await a.until(run_id, working);
    const b = await startWorker(database, RESUMES);
    await crash(a);
    await b.until(run_id, ({ to_be_resumed }) => to_be_resumed === true);
    // It tries all that it knows before it has done this.
    await aWhileLater(b);
    expect(await statusOf(b, run_id)).toMatchObject({ to_be_resumed: true });
    const back = await a.restart(ENDS);
    const by = await resumedBy(b, run_id);
    expect(await back.ended(by)).toMatchObject({ status: "completed", session_id });
  });

  it("is not resumed when a person has killed it at another one meanwhile", async () => {
    const database = await server.createDatabase();
    const settings = { ...RESUMES, ENGINE_WORKER_TIMEOUT: "20" };
    const a = await startWorker(database, { ...settings, ...hangs() });
    const { run_id, session_id } = await begin(a);
    const b = await startWorker(database, settings);
    await crash(a);
    expect(await b.post(`/run/${run_id}/kill`, undefined, { force: "true" })).toMatchObject({
      status: 503,
      body: { detail: expect.stringMatching(/^The run is to end, and that is written down; its worker \(/) },
    });
    const back = await a.restart(ENDS);
    expect(await b.ended(run_id)).toMatchObject({ status: "killed" });
    await aWhileLater(back);
    expect(await runsOf(back, session_id)).toHaveLength(1);
  });

  it("is not resumed once more where the database becomes an earlier copy, which knows it as to be resumed", async () => {
    const database = await server.createDatabase();
    const first = await startWorker(database, { ...RESUMES, ...hangs() });
    const { run_id, session_id } = await begin(first);
    await crash(first);
    const a = await first.restart(ENDS);
    const by = await resumedBy(a, run_id);
    await a.ended(by);
    const copy = await copyRuns(server, database);
    await copy.change(`delete from copy_runs where run_id = '${by}'`);
    await copy.change(`delete from copy_events where run_id = '${by}' or type = 'resumed'`);
    await copy.change(`update copy_runs set version = version - 1,
      state = ((state::jsonb - 'resumedBy') || '{"toResume": true}')::text where run_id = '${run_id}'`);
    await copy.putInPlace();
    const known = await a.until(run_id, ({ resumed_by, to_be_resumed }) => !resumed_by && !to_be_resumed);
    expect(known.error_message).toMatch(
      /It was not resumed\. It had been resumed before, which the database/,
    );
    await aWhileLater(a);
    expect(await runsOf(a, session_id)).toHaveLength(1);
  });

  it("is resumed once where all are killed at whatever moment, and come back at once", async () => {
    const database = await server.createDatabase();
    const a = await startWorker(database, { ...RESUMES, ...hangs() });
    const { run_id, session_id } = await begin(a);
    const [b, c] = [await startWorker(database, RESUMES), await startWorker(database, RESUMES)];
    await crash(a);
    // Whichever of them was about to.
    await b.until(run_id, ({ error_code }) => error_code === "interrupted");
    await Promise.all([crash(b), crash(c)]);
    const killedAt = Date.now();
    const [at] = await Promise.all([a.restart(ENDS), b.restart(), c.restart()]);
    const again = await at.ended(await resumedBy(at, run_id));
    // One that one of them had begun was killed with it, and what was resumed once is not resumed again.
    const hadBegun = Date.parse(again.started_at) < killedAt;
    expect(again).toMatchObject(hadBegun ? { error_code: "interrupted" } : { status: "completed" });
    expect(await runsOf(at, session_id)).toHaveLength(2);
  });
});
