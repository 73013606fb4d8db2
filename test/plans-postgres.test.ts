import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type ServedApi, serveSimulatedApi } from "../mocks/serve.js";
import type { PlanJournal } from "../src/plan-runner/journal.js";
import { createPlanNotices } from "../src/plan-runner/plan-notices.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { systemClock } from "../src/shared/clock.js";
import { runBin, startBin, temporaryFolder, toVariables } from "./support/bin.js";
import { serveBranchingApi } from "./support/branching-api.js";
import {
  type DrivenPlans,
  decide,
  hasEnded,
  isAtGate,
  openDrivenPlans,
  scriptOf,
} from "./support/driven-plans.js";
import { connectHttp, type ServeBin, sendPlain, startServeBin } from "./support/http.js";
import { recordingCommand } from "./support/notices.js";
import { closeWindow, endAll, processesWith } from "./support/one-machine.js";
import { findPostgres, PASSWORD, type PostgresServer, startPostgres } from "./support/postgres-server.js";
import { openStoredPlans } from "./support/stored-plans.js";

const programs = await findPostgres();
const PATIENT = { timeout: 50_000, interval: 20 };
/** So that nobody has to wait; those of the product are tried with its processes. */
const SHORT = { beatMs: 50, silentMs: 1_500 };
/** Longer than a busy machine keeps one that lives from saying so. */
const LONGER = { beatMs: 50, silentMs: 4_000 };

const TWO = {
  name: "ship",
  steps: [
    { id: "first", run: "fix", task: "Mend it" },
    { id: "second", run: "test", task: "Test it", needs: ["first"] },
  ],
};
const GATED = {
  name: "ship",
  steps: [
    { id: "first", run: "fix", task: "Mend it" },
    { id: "ok", gate: "Go on?", needs: ["first"] },
    { id: "second", run: "test", task: "Test it", needs: ["ok"] },
  ],
};

let postgres: PostgresServer;
let address: string;
let served: ServedApi;

const starts = () => served.api.posts("/run/");
const kills = () => served.api.posts("/run/*/kill");
const runs = () => served.api.world.runs();

/** The run with that number, as soon as it is there. */
async function runNumber(count: number) {
  await vi.waitFor(() => expect(runs()).toHaveLength(count), PATIENT);
  return served.api.world.run(runs()[count - 1]?.runId ?? "");
}

/** Asks the database past everything. */
const ask = <Row extends Record<string, unknown>>(sql: string) =>
  postgres.query<Row>(sql, new URL(address).pathname.slice(1));

/** The texts of all files below a folder. */
function readAll(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, "latin1"));
}

/** Waits until a look at the database past everything tells that. */
const untilStored = (sql: string) => vi.waitFor(async () => expect(await ask(sql)).toHaveLength(1), PATIENT);

describe.skipIf(!programs)("plans in the database of several machines", () => {
  beforeAll(async () => {
    postgres = await startPostgres(programs as string, { durable: true });
  }, 60_000);
  afterAll(() => postgres.dispose());
  beforeEach(async () => {
    address = await postgres.createDatabase();
    served = await serveSimulatedApi({ describe: true, branches: true, paceMs: "manual" });
    return () => served.close();
  });

  /** A machine: with a name of its own, so that nobody looks at its process. */
  async function openMachine(more: Parameters<typeof openDrivenPlans>[2] = {}): Promise<DrivenPlans> {
    return openDrivenPlans(served, undefined, { address, times: SHORT, ...more });
  }

  /**
   * A machine that can be frozen as far as the database sees: it says no more that it lives, looks no more, and takes
   * nothing on.
   */
  async function openFreezing(more: Parameters<typeof openDrivenPlans>[2] = {}) {
    let thawed = Promise.resolve();
    let thaw = () => {};
    const held =
      <Args extends unknown[], T>(call: (...args: Args) => Promise<T>) =>
      async (...args: Args) => {
        await thawed;
        return call(...args);
      };
    const machine = await openMachine({
      journal: (journal: PlanJournal) => ({
        ...journal,
        refresh: held(journal.refresh),
        listOpen: held(journal.listOpen),
        takeOn: held(journal.takeOn),
      }),
      ...more,
    });
    return {
      ...machine,
      freeze() {
        thawed = new Promise((resolve) => {
          thaw = resolve;
        });
        onTestFinished(() => thaw());
      },
      thaw: () => thaw(),
    };
  }

  async function beginAndTakeOver(plan: object) {
    const [one, two] = [await openFreezing(), await openMachine()];
    return { one, two, ...(await takeOver(one, two, plan)) };
  }

  /** A plan that one machine has begun and that another takes over, as the first one does not know. */
  async function takeOver(one: Awaited<ReturnType<typeof openFreezing>>, two: DrivenPlans, plan: object) {
    one.runner.start();
    const planId = await one.begin(plan);
    const run = await runNumber(1);
    await one.until(planId, ({ steps }) => steps.first?.attempts[0]?.runId !== undefined);
    one.freeze();
    two.runner.start();
    await vi.waitFor(() => expect(two.runner.driven()).toEqual([planId]), PATIENT);
    return { planId, run };
  }

  test("one that says nothing any more is replaced, and starts nothing when it goes on", async () => {
    const { one, two, planId, run } = await beginAndTakeOver(TWO);
    expect(one.runner.driven()).toEqual([planId]);
    // Both see its end.
    run.complete({ result: "Done" });
    (await runNumber(2)).complete({ result: "Done" });
    await two.until(planId, hasEnded);
    // It finds out by itself, before it has looked.
    await vi.waitFor(() => expect(one.runner.driven()).toEqual([]), PATIENT);
    expect(starts()).toHaveLength(2);
    expect((await two.journal.read(planId))?.state.steps.second?.attempts).toHaveLength(1);
  });

  test("nor does it send a start again whose answer it has lost meanwhile", async () => {
    const api = await serveBranchingApi({ keepsKeys: true, script: scriptOf });
    const { url } = api;
    const [one, two] = [await openFreezing({ url }), await openMachine({ url })];
    api.loseNextStart();
    api.onActed = async () => {
      api.onActed = () => {};
      one.freeze();
      two.runner.start();
      await vi.waitFor(() => expect(two.runner.driven()).toHaveLength(1), PATIENT);
    };
    one.runner.start();
    const planId = await one.begin({ name: "one", steps: [{ id: "only", run: "fix", task: "Mend it" }] });
    await two.until(planId, hasEnded);
    one.thaw();
    await vi.waitFor(() => expect(one.runner.driven()).toEqual([]), PATIENT);
    expect([api.runs.length, api.posts]).toEqual([1, 1]);
  });

  test("it notes nothing of it for a notification: the other one does", async () => {
    const noted: string[] = [];
    const notes = (who: string) =>
      createPlanNotices(
        {
          add: (_, { id }) => void noted.push(`${who} ${id}`),
          settle: () => {},
          write: () => {},
          look: () => {},
          close: async () => {},
        },
        systemClock,
      );
    const [byOne, byTwo] = [notes("one"), notes("two")];
    const [one, two] = [
      await openFreezing({ onChange: (state, _, isReplaced) => byOne.changed(state, isReplaced) }),
      await openMachine({ onChange: (state, _, isReplaced) => byTwo.changed(state, isReplaced) }),
    ];
    const { planId, run } = await takeOver(one, two, GATED);
    run.complete({ result: "Done" });
    await vi.waitFor(
      () => expect(noted).toEqual([expect.stringContaining(`two plan/${planId}/gate/`)]),
      PATIENT,
    );
    // It sees the same.
    await one.until(planId, isAtGate);
    await two.runner.tell(planId, decide(await two.until(planId, isAtGate), "approve"));
    (await runNumber(2)).complete({ result: "Done" });
    await vi.waitFor(() => expect(noted).toHaveLength(2), PATIENT);
    await vi.waitFor(() => expect(one.runner.driven()).toEqual([]), PATIENT);
    expect(noted.filter((one) => one.startsWith("one"))).toEqual([]);
  });

  test("it ends no run either: the one that has the plan does so, once", async () => {
    const { one, two, planId } = await beginAndTakeOver(TWO);
    await one.runner.tell(planId, { type: "kill-asked" });
    await vi.waitFor(() => expect(kills()).toHaveLength(1), PATIENT);
    await vi.waitFor(() => expect(one.runner.driven()).toEqual([]), PATIENT);
    await two.until(planId, ({ steps }) => steps.first?.attempts[0]?.endedAt !== undefined);
    expect(kills()).toHaveLength(1);
  });

  test("what it has begun and not sent is left to the other, and what it lets go of is not its own any more", async () => {
    const { one, two, planId, run } = await beginAndTakeOver(TWO);
    const owner = () => ask<{ owner: string; epoch: string }>("select owner, epoch from plans");
    const before = await owner();
    one.thaw();
    await one.close();
    expect(await owner()).toEqual(before);
    expect(before[0]?.epoch).toBe("2");
    run.complete({ result: "Done" });
    (await runNumber(2)).complete({ result: "Done" });
    await two.until(planId, hasEnded);
  });

  test("one that says that it lives is not replaced, however long it has nothing to do", async () => {
    let beats = 0;
    const one = await openMachine({
      times: LONGER,
      journal: (journal) => ({
        ...journal,
        async refresh(...args) {
          await journal.refresh(...args);
          beats++;
        },
      }),
    });
    const two = await openMachine({ times: LONGER });
    one.runner.start();
    const planId = await one.begin(TWO);
    await runNumber(1);
    two.runner.start();
    const [{ began } = { began: 0 }] = await ask<{ began: number }>("select owner_seen as began from plans");
    await untilStored(`select 1 from plans where owner_seen > ${began + LONGER.silentMs + 1_000}`);
    expect(beats).toBeGreaterThan(3);
    expect([one.runner.driven(), two.runner.driven()]).toEqual([[planId], []]);
    expect(await ask("select 1 from plans where epoch = 1")).toHaveLength(1);
  });

  test("the time for which the database was down is no silence", async () => {
    const [one, two] = [await openMachine({ times: LONGER }), await openMachine({ times: LONGER })];
    one.runner.start();
    const planId = await one.begin(TWO);
    await runNumber(1);
    two.runner.start();
    await postgres.kill();
    const downSince = Date.now();
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(downSince + LONGER.silentMs), PATIENT);
    await postgres.start();
    await untilStored(`select 1 from plans where owner_seen > ${downSince + LONGER.silentMs}`);
    expect(await ask("select 1 from plans where epoch = 1")).toHaveLength(1);
    expect([one.runner.driven(), two.runner.driven()]).toEqual([[planId], []]);
  }, 60_000);

  test("a decision made elsewhere reaches the one that has the plan at once, without its looking", async () => {
    /** Its looks show nothing of what others have written. */
    const driver = await openMachine({
      journal: (journal: PlanJournal) => ({
        ...journal,
        listOpen: () => Promise.reject(new Error("Not now")),
      }),
    });
    const [window, other] = [await openMachine(), await openMachine()];
    driver.runner.start();
    await untilStored("select 1 from dbos.queues");
    // Also a plan that another machine begins.
    const planId = await window.begin(GATED);
    (await runNumber(1)).complete({ result: "Done" });
    const shown = await window.until(planId, isAtGate);
    const heard: (string | undefined)[] = [];
    onTestFinished(other.runner.onUpdate((about) => heard.push(about)));
    await vi.waitFor(() => expect(heard).toContain(undefined), PATIENT);
    heard.length = 0;
    expect((await window.runner.tell(planId, decide(shown, "approve")))?.refused).toBeUndefined();
    await runNumber(2);
    await vi.waitFor(() => expect(heard).toContain(planId), PATIENT);
  });

  test("where an earlier copy of the database is put in its place, a plan goes on as that has it", async () => {
    const keeping = { describe: true, branches: true, paceMs: "manual", keyPrefix: "db." } as const;
    served = await serveSimulatedApi(keeping);
    onTestFinished(() => served.close());
    let looks = 0;
    const machine = await openMachine({
      journal: (journal: PlanJournal) => ({
        ...journal,
        check: (...args) => {
          looks++;
          return journal.check(...args);
        },
      }),
    });
    machine.runner.start();
    const planId = await machine.begin(GATED);
    (await runNumber(1)).complete({ result: "Done" });
    const shown = await machine.until(planId, isAtGate);
    const [copied] = await ask<{ entries: number }>("select entries from plans");
    expect((await machine.runner.tell(planId, decide(shown, "approve")))?.refused).toBeUndefined();
    const second = await runNumber(2);
    const isSecondKnown = ({ steps }: PlanState) => steps.second?.attempts[0]?.runId !== undefined;
    await machine.until(planId, isSecondKnown);

    await ask(
      `with one as (delete from plan_entries where number > ${copied?.entries} returning 1),
       two as (delete from plan_acts where id like '%second%' returning 1)
       update plans set entries = ${copied?.entries}`,
    );
    // What was decided since is asked again; what was paid for is found again.
    const again = await machine.until(planId, isAtGate);
    expect((await machine.runner.tell(planId, decide(again, "approve")))?.refused).toBeUndefined();
    await machine.until(planId, isSecondKnown);
    second.complete({ result: "Done" });
    await machine.until(planId, hasEnded);
    expect(runs()).toHaveLength(2);
    expect(looks).toBeLessThan(50);
  });

  test.each([
    ["as many entries", 0, false],
    ["as many entries, the last of them in the same millisecond,", 0, true],
    ["more entries", 2, false],
  ])(
    "an earlier copy in which others have gone on is noticed, with %s by then",
    async (_what, more, atOnce) => {
      await served.close();
      const keeping = { describe: true, branches: true, paceMs: "manual", keyPrefix: "db." } as const;
      served = await serveSimulatedApi(keeping);
      onTestFinished(() => served.close());
      const [machine, window] = [await openFreezing(), await openMachine()];
      machine.runner.start();
      const planId = await machine.begin(GATED);
      (await runNumber(1)).complete({ result: "Done" });
      const shown = await machine.until(planId, isAtGate);
      const readEntries = async () =>
        Number((await ask<{ entries: number }>("select entries from plans"))[0]?.entries);
      const copied = await readEntries();
      expect((await machine.runner.tell(planId, decide(shown, "approve")))?.refused).toBeUndefined();
      const second = await runNumber(2);
      const isSecondKnown = ({ steps }: PlanState) => steps.second?.attempts[0]?.runId !== undefined;
      await machine.until(planId, isSecondKnown);
      machine.freeze();
      const known = await readEntries();
      const [lastKnown] = await ask<{ at: number }>(`select at from plan_entries where number = ${known}`);
      await ask(
        `with one as (delete from plan_entries where number > ${copied} returning 1),
       two as (delete from plan_acts where id like '%second%' returning 1)
       update plans set entries = ${copied}`,
      );
      const others = known - copied + more;
      for (let at = 0; at < others; at++) {
        const change = { type: at % 2 === 0 ? ("paused" as const) : ("resumed" as const) };
        expect((await window.runner.tell(planId, change))?.refused).toBeUndefined();
      }
      expect(await readEntries()).toBe(known + more);
      if (atOnce)
        await ask(
          `update plan_entries set at = ${lastKnown?.at}, data = jsonb_set(data::jsonb, '{at}', '${lastKnown?.at}')::text
         where number = ${known}`,
        );
      machine.thaw();
      if (others % 2 === 1) await vi.waitFor(() => machine.runner.tell(planId, { type: "resumed" }), PATIENT);
      const again = await machine.until(planId, isAtGate);
      // Until it has been noticed nothing can be decided there.
      await vi.waitFor(() => machine.runner.tell(planId, decide(again, "approve")), PATIENT);
      await machine.until(planId, isSecondKnown);
      second.complete({ result: "Done" });
      await machine.until(planId, hasEnded);
      expect(runs()).toHaveLength(2);
    },
  );

  describe("of the product's processes", () => {
    /** A machine that serves over HTTP. */
    const startReplica = (settings: Record<string, string> = {}): Promise<ServeBin> =>
      startServeBin({
        settings: { BASE_URL: served.url, DATABASE: address, LOG_LEVEL: "debug", ...settings },
      });

    const call = async (replica: ServeBin, args: Record<string, unknown>) => {
      const client = await connectHttp(replica.url);
      return client.call(args);
    };

    async function begin(replica: ServeBin, plan: object) {
      const place = { repository_url: "https://host.example/team/app.git", git_branch: "main" };
      const { data, text, isError } = await call(replica, {
        action: "plan",
        plan,
        ...place,
        wait_seconds: 0,
      });
      expect(isError, text).toBe(false);
      return (data.plan as { plan_id: string }).plan_id;
    }

    /** A plan whose first run goes on, carried out by one of two machines. */
    async function beginAt(plan: object, settings: Record<string, string> = {}) {
      const a = await startReplica(settings);
      const planId = await begin(a, plan);
      const first = await runNumber(1);
      await untilStored("select 1 from plan_entries where type = 'run-started'");
      const b = await startReplica(settings);
      return { a, b, planId, first };
    }

    interface SeenPlan {
      status: string;
      waiting_for: { question_id: string }[];
    }
    const statusAt = async (replica: ServeBin, plan_id: string) =>
      (await call(replica, { action: "status", plan_id })).data.plan as SeenPlan;

    /** Decides at the gate that is open, through the replica. */
    async function approve(replica: ServeBin, plan_id: string): Promise<void> {
      const [need] = (await statusAt(replica, plan_id)).waiting_for;
      const answer = { action: "answer", plan_id, question_id: need?.question_id, answer: "approve" };
      const { isError, text } = await call(replica, { ...answer, confirm: true, wait_seconds: 0 });
      expect(isError, text).toBe(false);
    }

    const untilCompleted = (replica: ServeBin, planId: string) =>
      vi.waitFor(async () => expect((await statusAt(replica, planId)).status).toBe("completed"), PATIENT);

    test("a plan goes on at another machine when its own is killed, no run is started twice, and its end is told once", async () => {
      const { command, titles } = recordingCommand(temporaryFolder());
      const settings = { NOTIFY: "auto", NOTIFY_COMMAND: command };
      const { a, b, planId, first } = await beginAt(TWO, settings);
      const c = await startReplica(settings);
      a.child.kill("SIGKILL");
      await a.ended();
      first.complete({ result: "Done" });
      // What DBOS would have given to the one that has died is nobody's any more.
      await untilStored("select 1 from dbos.workflow_status where status = 'CANCELLED'");
      // Nobody asks for it.
      (await runNumber(2)).complete({ result: "Done" });
      await untilStored("select 1 from notices where key like 'plan/%/ended/%'");
      // Nobody has looked, so the team is told by one of the two that are left.
      await vi.waitFor(() => expect(titles()).toEqual([expect.stringContaining("ship")]), PATIENT);
      await untilStored("select 1 from deliveries where state = 'sent'");
      expect(starts()).toHaveLength(2);
      for (const one of [b, c]) expect((await statusAt(one, planId)).status).toBe("completed");
      expect(titles()).toHaveLength(1);
    }, 60_000);

    test("one that is stopped for longer than the limit is replaced, and acts no more when it goes on", async () => {
      const { a, b, planId, first } = await beginAt(GATED);
      const owner = async () => (await ask<{ owner: string }>("select owner from plans"))[0]?.owner;
      const before = await owner();
      a.child.kill("SIGSTOP");
      onTestFinished(() => void a.child.kill("SIGCONT"));
      await vi.waitFor(async () => expect(await owner()).not.toBe(before), PATIENT);
      first.complete({ result: "Done" });
      await untilStored("select 1 from plan_entries where type = 'run-ended'");
      a.child.kill("SIGCONT");
      // It is asked itself, and answers from what the other one does.
      // What a client has sent it meanwhile it may have given up.
      await vi.waitFor(() => connectHttp(a.url), PATIENT);
      await approve(a, planId);
      (await runNumber(2)).complete({ result: "Done" });
      await untilCompleted(a, planId);
      expect(starts()).toHaveLength(2);
      expect(await ask("select 1 from plans where epoch = 2")).toHaveLength(1);
      expect(b.stderr()).not.toContain("could not");
    }, 60_000);

    test("while the database is away nothing is lost, and nothing is done twice when it is back", async () => {
      const { b, planId, first } = await beginAt(GATED);
      await postgres.kill();
      first.complete({ result: "Done" });
      const ready = async () => JSON.parse((await sendPlain(`${b.url}/ready`)).text);
      const reason = expect.stringContaining("cannot be reached");
      await vi.waitFor(async () => expect(await ready()).toEqual({ ready: false, reason }), PATIENT);
      const failed = await call(b, { action: "status", plan_id: planId });
      expect(failed.isError).toBe(true);
      expect(failed.text).toContain("cannot be reached");
      await postgres.start();
      await vi.waitFor(async () => expect(await ready()).toEqual({ ready: true }), PATIENT);
      await untilStored("select 1 from plan_entries where type = 'run-ended'");
      await vi.waitFor(() => approve(b, planId), PATIENT);
      (await runNumber(2)).complete({ result: "Done" });
      await untilCompleted(b, planId);
      expect(starts()).toHaveLength(2);
    }, 90_000);

    test("of chat windows the process in the background does so, which has the address in its memory only", async () => {
      const home = temporaryFolder();
      onTestFinished(() => endAll(processesWith(home)));
      const settings = { BASE_URL: served.url, DATABASE: address, NOTIFY: "off" };
      const window = await startBin({ stateFolder: home, settings });
      const place = { repository_url: "https://host.example/team/app.git", git_branch: "main" };
      const begun = await window.call({ action: "plan", plan: TWO, ...place, wait_seconds: 0 });
      expect(begun.isError, begun.text).toBe(false);
      const first = await runNumber(1);
      await closeWindow(window);
      const [{ owner } = { owner: "" }] = await ask<{ owner: string }>("select owner from plans");
      const { pid } = JSON.parse(owner) as { pid: number };
      expect(pid).not.toBe(window.child.pid);
      if (process.platform === "linux")
        for (const name of ["cmdline", "environ"])
          expect(readFileSync(`/proc/${pid}/${name}`, "latin1"), name).not.toContain(PASSWORD);
      for (const text of readAll(home)) expect(text).not.toContain(PASSWORD);
      // A command of a terminal, with the same setting, sees it there.
      const variables = { HOME: home, ...toVariables({ API_KEY: "test-key", STATE_DIR: home, ...settings }) };
      expect((await runBin(["plan", "list"], variables)).stdout).toContain("ship");
      expect((await runBin(["doctor"], variables)).stdout).toMatch(
        /plans +1 open, carried out by process \d+/,
      );
      first.complete({ result: "Done" });
      (await runNumber(2)).complete({ result: "Done" });
      await untilStored("select 1 from plans where status = 'completed'");
      expect(starts()).toHaveLength(2);
    }, 60_000);

    test("plans that are open in a state folder stay there, and doctor says so", async () => {
      const folder = temporaryFolder();
      const plans = await openStoredPlans(folder, served.url);
      await plans.begin({ ...TWO, name: "former" });
      const settings = { API_KEY: "test-key", BASE_URL: served.url, STATE_DIR: folder, DATABASE: address };
      const variables = { HOME: folder, ...toVariables(settings) };
      expect((await runBin(["plan", "list"], variables)).stdout).not.toContain("former");
      const { stdout } = await runBin(["doctor"], variables);
      expect(stdout).toContain('plans         1 open in the state folder: "former"');
      expect(stdout).toContain("They go on where the setting is taken off.");
    }, 30_000);

    test("plans of this machine's engine stay with it in the state folder, as its runs do", async () => {
      const folder = temporaryFolder();
      await (await openStoredPlans(folder)).begin({ ...TWO, name: "here" });
      const settings = { ENGINE: "local", STATE_DIR: folder, DATABASE: address };
      const variables = { HOME: folder, ...toVariables(settings) };
      expect((await runBin(["plan", "list"], variables)).stdout).toContain("here");
    }, 30_000);
  });
});
