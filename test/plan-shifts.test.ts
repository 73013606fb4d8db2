import { DBOSClient } from "@dbos-inc/dbos-sdk";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type ServedApi, serveSimulatedApi } from "../mocks/serve.js";
import { type DrivenPlans, decide, hasEnded, isAtGate, openDrivenPlans } from "./support/driven-plans.js";
import { silentLog } from "./support/harness.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";

const programs = await findPostgres();
const PATIENT = { timeout: 50_000, interval: 20 };
/** So that nobody has to wait long. */
const SHORT = { beatMs: 50, silentMs: 1_500 };

const ONE = { name: "one", steps: [{ id: "only", run: "fix", task: "Mend it" }] };
const GATED = {
  name: "gated",
  steps: [
    { id: "first", run: "fix", task: "Mend it" },
    { id: "ok", gate: "Go on?", needs: ["first"] },
    { id: "second", run: "test", task: "Test it", needs: ["ok"] },
  ],
};

let postgres: PostgresServer;
let address: string;
let served: ServedApi;

/** The run with that number, as soon as it is there. */
async function runNumber(count: number) {
  const runs = () => served.api.world.runs();
  await vi.waitFor(() => expect(runs()).toHaveLength(count), PATIENT);
  return served.api.world.run(runs()[count - 1]?.runId ?? "");
}

/** Asks the database past everything. */
const ask = <Row extends Record<string, unknown>>(sql: string) =>
  postgres.query<Row>(sql, new URL(address).pathname.slice(1));

/** What DBOS knows of the plan's shifts, the first one first. */
const shiftsOf = (planId: string) =>
  ask<{ name: string; status: string }>(
    `select workflow_uuid as name, status from dbos.workflow_status where workflow_uuid like 'plan/${planId}/%'
     order by created_at`,
  );

/** DBOS as people and their tools use it. */
async function openDbos(): Promise<DBOSClient> {
  const client = await DBOSClient.create({
    systemDatabaseUrl: address,
    systemDatabaseIdleTransactionTimeoutMs: 0,
  });
  onTestFinished(() => client.destroy());
  return client;
}

/** DBOS brings plans of a shared database to those who carry them out, and messages to whoever has a plan. */
describe.skipIf(!programs)("shifts of plans", () => {
  beforeAll(async () => {
    postgres = await startPostgres(programs as string);
  }, 60_000);
  afterAll(() => postgres.dispose());
  beforeEach(async () => {
    address = await postgres.createDatabase();
    served = await serveSimulatedApi({ describe: true, branches: true, paceMs: "manual" });
    return () => served.close();
  });

  const openMachine = (more: Parameters<typeof openDrivenPlans>[2] = {}): Promise<DrivenPlans> =>
    openDrivenPlans(served, undefined, { address, times: SHORT, ...more });

  /** A machine that carries plans out already. */
  async function openCarrier(more: Parameters<typeof openDrivenPlans>[2] = {}): Promise<DrivenPlans> {
    const machine = await openMachine(more);
    machine.runner.start();
    await vi.waitFor(async () => expect(await ask("select 1 from dbos.queues")).toHaveLength(1), PATIENT);
    return machine;
  }

  /** A plan that somebody else has begun, and of which the shift waits: the one that would take it on has ended. */
  async function beginWaiting(): Promise<string> {
    await (await openCarrier()).close();
    const planId = await (await openMachine()).begin(ONE);
    expect(await shiftsOf(planId)).toEqual([{ name: `plan/${planId}/1`, status: "ENQUEUED" }]);
    return planId;
  }

  async function untilCompleted(machine: DrivenPlans, planId: string): Promise<void> {
    (await runNumber(1)).complete({ result: "Done" });
    await machine.until(planId, hasEnded);
    expect(served.api.posts("/run/")).toHaveLength(1);
  }

  test("a plan that was begun before there were any of DBOS's tables is found by who comes", async () => {
    const planId = await (await openMachine()).begin(ONE);
    expect(await ask("select 1 from pg_namespace where nspname = 'dbos'")).toEqual([]);
    await untilCompleted(await openCarrier(), planId);
  });

  test("two that begin at once on an empty database both get to carry plans out", async () => {
    const warned: unknown[] = [];
    const log = {
      ...silentLog,
      warn: (message: unknown) => warned.push(message),
    } as unknown as typeof silentLog;
    const machines = await Promise.all([openMachine({ log }), openMachine({ log }), openMachine({ log })]);
    for (const { runner } of machines) runner.start();
    const registered = "select 1 from dbos.application_versions, dbos.queues";
    await vi.waitFor(async () => expect(await ask(registered)).toHaveLength(1), PATIENT);
    // Each of them alone is left to carry out what is begun then.
    for (const [at, machine] of machines.entries()) {
      const planId = await machine.begin({ ...ONE, name: `plan ${at}` });
      (await runNumber(at + 1)).complete({ result: "Done" });
      await machine.until(planId, hasEnded);
      await machine.close();
    }
    expect(warned).toEqual([]);
  });

  test("one of which the shift is not there any more goes on", async () => {
    const planId = await beginWaiting();
    await ask("delete from dbos.workflow_status");
    await untilCompleted(await openCarrier(), planId);
  });

  test("one of which the shift was given to a process that has died before it took the plan on goes on", async () => {
    const planId = await beginWaiting();
    await ask("update dbos.workflow_status set status = 'PENDING', executor_id = 'gone'");
    await untilCompleted(await openCarrier(), planId);
    await vi.waitFor(
      async () => expect(await shiftsOf(planId)).toMatchObject([{ status: "SUCCESS" }]),
      PATIENT,
    );
  });

  test("one of which the shift has failed gets another one", async () => {
    const planId = await beginWaiting();
    await ask("update dbos.workflow_status set status = 'ERROR', error = '{}'");
    await untilCompleted(await openCarrier(), planId);
    await vi.waitFor(
      async () => expect(await shiftsOf(planId)).toMatchObject([{ status: "ERROR" }, { status: "SUCCESS" }]),
      PATIENT,
    );
  });

  test("a message that is delivered twice is taken once", async () => {
    const machine = await openCarrier();
    const planId = await machine.begin(GATED);
    const run = await runNumber(1);
    const dbos = await openDbos();
    const entries = 100;
    for (let times = 0; times < 2; times++)
      await dbos.send(`plan/${planId}/1`, { entries }, "entries", `entries ${entries}`);
    // One of another key is taken as well, behind it.
    await dbos.send(`plan/${planId}/1`, { entries }, "entries", "entries 101");
    const taken = async () =>
      (await dbos.listWorkflowSteps(`plan/${planId}/1`))?.filter(({ name }) => name === "DBOS.recv");
    await vi.waitFor(async () => expect(await taken()).toHaveLength(2), PATIENT);
    run.complete({ result: "Done" });
    await machine.until(planId, isAtGate);
    expect(await taken()).toHaveLength(2);
  });

  test("what is decided while nobody has the plan is carried out by who takes it on, once", async () => {
    const one = await openCarrier();
    const planId = await one.begin(GATED);
    (await runNumber(1)).complete({ result: "Done" });
    await one.until(planId, isAtGate);
    await one.close();
    const window = await openMachine();
    const shown = await window.until(planId, isAtGate);
    expect((await window.runner.tell(planId, decide(shown, "approve")))?.refused).toBeUndefined();
    expect(await shiftsOf(planId)).toMatchObject([{ status: "SUCCESS" }, { status: "ENQUEUED" }]);
    const two = await openCarrier();
    (await runNumber(2)).complete({ result: "Done" });
    await two.until(planId, hasEnded);
    expect(served.api.posts("/run/")).toHaveLength(2);
    // It is over, and so is its shift; when it goes on after all it gets another one.
    await vi.waitFor(
      async () =>
        expect(await shiftsOf(planId)).toMatchObject([{ status: "SUCCESS" }, { status: "SUCCESS" }]),
      PATIENT,
    );
    await window.runner.tell(planId, { type: "step-redone", step: "second" });
    (await runNumber(3)).complete({ result: "Done" });
    await two.until(planId, hasEnded);
    expect(await shiftsOf(planId)).toHaveLength(3);
  });

  test("what was done outside is seen in DBOS's list of steps, without what anybody has written", async () => {
    const machine = await openCarrier();
    const planId = await machine.begin(GATED);
    (await runNumber(1)).complete({ result: "Secret words" });
    await machine.until(planId, isAtGate);
    const steps = await vi.waitFor(async () => {
      const found = (await (await openDbos()).listWorkflowSteps(`plan/${planId}/1`)) ?? [];
      expect(found.map(({ name }) => name)).toContain("open-gate ok/1");
      return found;
    }, PATIENT);
    const done = steps.filter(({ name }) => !name.startsWith("DBOS."));
    expect(done.map(({ name, output, error }) => [name, output, error])).toEqual([
      ["take on", { epoch: 1, by: expect.any(String) }, null],
      [`start ${planId}/first/1`, "started", null],
      ["open-gate ok/1", "done", null],
    ]);
    expect(JSON.stringify(steps)).not.toContain("Secret words");
  });

  test("a shift in which much was recorded is followed by another one, and nothing is started again", async () => {
    const carrier = await openCarrier();
    const planId = await carrier.begin(ONE);
    const run = await runNumber(1);
    const window = await openMachine();
    for (let times = 0; (await shiftsOf(planId)).length < 2; times++) {
      expect(times).toBeLessThan(400);
      await window.runner.tell(planId, { type: times % 2 === 0 ? "paused" : "resumed" });
    }
    await window.runner.tell(planId, { type: "resumed" });
    await vi.waitFor(() => expect(carrier.runner.driven()).toEqual([planId]), PATIENT);
    run.complete({ result: "Done" });
    await carrier.until(planId, hasEnded);
    expect(served.api.posts("/run/")).toHaveLength(1);
  });

  test("a shift that somebody has ended with DBOS's tools is not gone on with, and the plan is", async () => {
    const carrier = await openCarrier();
    const planId = await carrier.begin(GATED);
    const run = await runNumber(1);
    await vi.waitFor(() => expect(carrier.runner.driven()).toEqual([planId]), PATIENT);
    await (await openDbos()).cancelWorkflow(`plan/${planId}/1`);
    run.complete({ result: "Done" });
    const shown = await carrier.until(planId, isAtGate);
    expect((await carrier.runner.tell(planId, decide(shown, "approve")))?.refused).toBeUndefined();
    (await runNumber(2)).complete({ result: "Done" });
    await carrier.until(planId, hasEnded);
    expect(served.api.posts("/run/")).toHaveLength(2);
  });

  test("one that ends while the database hangs does not wait for it, nor does one that is about to begin", async () => {
    const carrier = await openCarrier();
    const planId = await carrier.begin(ONE);
    await runNumber(1);
    await carrier.until(planId, ({ steps }) => steps.only?.attempts[0]?.runId !== undefined);
    const other = await openMachine();
    await postgres.signal("SIGSTOP");
    onTestFinished(() => postgres.signal("SIGCONT"));
    other.runner.start();
    const began = performance.now();
    await Promise.all([carrier.close(), other.close()]);
    expect(performance.now() - began).toBeLessThan(8_000);
  });

  test("shifts that ended long ago are removed, with all that was recorded of them; others stay", async () => {
    const carrier = await openCarrier();
    const ended = await carrier.begin(ONE);
    await untilCompleted(carrier, ended);
    await vi.waitFor(
      async () => expect(await shiftsOf(ended)).toMatchObject([{ status: "SUCCESS" }]),
      PATIENT,
    );
    const planId = await carrier.begin(GATED);
    await runNumber(2);
    const { shifts } = carrier.journal;
    await shifts?.prune();
    expect(await shiftsOf(ended)).toHaveLength(1);
    const before = Date.now() - 8 * 24 * 60 * 60_000;
    await ask(
      `update dbos.workflow_status set created_at = ${before}, completed_at = completed_at - ${Date.now() - before}`,
    );
    await shifts?.prune();
    expect(await shiftsOf(ended)).toEqual([]);
    expect(
      await ask(`select 1 from dbos.operation_outputs where workflow_uuid like 'plan/${ended}/%'`),
    ).toEqual([]);
    expect(await shiftsOf(planId)).toMatchObject([{ status: "PENDING" }]);
  });
});
