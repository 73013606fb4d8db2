import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test, vi } from "vitest";
import type { StartInfo } from "../mocks/types.js";
import { capabilitiesOfApi } from "../src/plan-runner/api-capabilities.js";
import { createPlanJournal, type PlanJournal } from "../src/plan-runner/journal.js";
import type { PlanHolder } from "../src/plan-runner/plan-owner.js";
import type { PlanPort } from "../src/plan-runner/port.js";
import { createPlanRunner, type PlanRunner, type PlanSight } from "../src/plan-runner/runner.js";
import { checkPlanValue } from "../src/plans/language/check-plan.js";
import { describePlan, progressLine } from "../src/plans/machine/describe-plan.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { systemClock } from "../src/shared/clock.js";
import { openDatabase } from "../src/store/database.js";
import { temporaryFolder } from "./support/bin.js";
import { serveBranchingApi } from "./support/branching-api.js";
import {
  type DrivenPlans,
  decide,
  hasEnded,
  isAtGate,
  openDrivenPlans,
  scriptOf,
} from "./support/driven-plans.js";
import { silentLog } from "./support/harness.js";
import { FEATURE, planOf } from "./support/plan-place.js";

const PATIENT = { timeout: 30_000, interval: 20 };

test("a plan goes from its design over a gate that sends back to two parallel runs, their merge and a review", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const planId = await plans.begin(FEATURE);
  const first = await plans.until(planId, isAtGate);
  expect(api.runs.map(({ workflow }) => workflow)).toEqual(["architect"]);

  const sent = await plans.runner.tell(planId, decide(first, "send-back", "Use one table"));
  expect(sent?.refused).toBeUndefined();
  // The decision was about what was shown then.
  expect((await plans.runner.tell(planId, decide(first, "approve")))?.refused).toMatch(
    /waits for no decision|not what step/,
  );
  const second = await plans.until(planId, (state) => isAtGate(state) && state.steps.ok?.open?.attempt === 2);
  expect(api.runs[1]).toMatchObject({ message: expect.stringContaining("Use one table") });
  expect(api.runs[1]?.continues).toBe(first.steps.design?.attempts[0]?.sessionId);

  await plans.runner.tell(planId, decide(second, "approve"));
  const done = await plans.until(planId, hasEnded);
  const design = done.steps.design?.attempts[1]?.branch;
  const began = api.runs.map(({ workflow, from, session }) => [workflow, from, session]);
  // Parallel ones are sent at once: the API takes them in any order.
  const parallel = began.splice(2, 2).sort((a, b) => String(a[2]).localeCompare(String(b[2])));
  expect(began.toSpliced(2, 0, ...parallel)).toEqual([
    ["architect", undefined, "feature-design"],
    ["architect", undefined, "feature-design"],
    ["implement", design, "feature-build-1"],
    ["implement", design, "feature-build-2"],
    ["review", done.steps.join?.branch, "feature-review"],
  ]);
  const [one, two] = done.steps.build?.attempts.map(({ branch }) => branch) ?? [];
  expect(api.merged).toEqual([
    `${one} into ${done.steps.join?.branch}`,
    `${two} into ${done.steps.join?.branch}`,
  ]);
  expect(api.mergesAtOnce).toBe(1);
  expect(describePlan(done)).toMatchObject({ status: "completed", costUsd: 2.5, runs: { started: 5 } });

  const [listed] = await plans.runner.list();
  expect(listed).toMatchObject({ planId, status: "completed", costUsd: 2.5 });
  await vi.waitFor(() => expect(plans.runner.driven()).toEqual([]), PATIENT);
  // What was done is what the journal says.
  expect((await plans.journal.read(planId))?.state).toEqual(done);
});

test("of two processes one carries a plan out, and it goes on in the other when that lets go", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const folder = temporaryFolder();
  const [one, two] = [await openDrivenPlans(api, folder), await openDrivenPlans(api, folder)];
  one.runner.start();
  const planId = await one.begin(FEATURE);
  await vi.waitFor(() => expect(one.runner.driven()).toEqual([planId]), PATIENT);
  two.runner.start();
  const state = await two.until(planId, isAtGate);
  expect(two.runner.driven()).toEqual([]);
  await one.close();
  // Decided where nobody carries it out yet.
  expect((await two.runner.tell(planId, decide(state, "approve")))?.refused).toBeUndefined();
  await two.until(planId, hasEnded);
  expect(api.runs).toHaveLength(4);
});

test("a decision that another process writes down is carried out by the one that has the plan", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const folder = temporaryFolder();
  const [driver, window] = [await openDrivenPlans(api, folder), await openDrivenPlans(api, folder)];
  driver.runner.start();
  const planId = await driver.begin(FEATURE);
  const state = await window.until(planId, isAtGate);
  await window.runner.tell(planId, decide(state, "approve"));
  await driver.until(planId, hasEnded);
  expect(api.runs).toHaveLength(4);
});

test.each([true, false])(
  "rule 8: a start whose answer was lost is found and not sent as another run (keys: %s)",
  async (keepsKeys) => {
    const api = await serveBranchingApi({ script: scriptOf, keepsKeys });
    const plans = await openDrivenPlans(api);
    plans.runner.start();
    api.loseNextStart();
    const planId = await plans.begin({ name: "one", steps: [{ id: "only", run: "fix", task: "Mend it" }] });
    const done = await plans.until(planId, hasEnded);
    expect(api.runs).toHaveLength(1);
    expect(api.posts).toBe(keepsKeys ? 2 : 1);
    expect(done.runsStarted).toBe(1);
  },
);

test("rule 9: while the API is away nothing is lost: the plan tells why it stands still, and goes on", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const plans = await openDrivenPlans(api);
  api.away = true;
  const planId = await plans.begin({ name: "one", steps: [{ id: "only", run: "no-such", task: "Mend it" }] });
  plans.runner.start();
  await vi.waitFor(
    async () => {
      const sight = await plans.runner.look(planId);
      expect(sight?.troubles).toMatchObject([
        { step: "only", reason: expect.stringContaining("Down for maintenance") },
      ]);
    },
    { timeout: 30_000 },
  );
  api.away = false;
  // A workflow that is not there is no trouble that passes.
  const failed = await plans.until(planId, (state) => planStatus(state) === "failed");
  expect(failed.steps.only?.attempts).toHaveLength(1);
  expect(failed.runsStarted).toBe(0);
  expect(api.runs).toEqual([]);
});

test("rule 6: a merge that fails is taken back and named, and the others are merged", async () => {
  const api = await serveBranchingApi({
    script: (start) => ({
      ...scriptOf(start),
      ...(start.body.session_name === "feature-build-1" ? { take: { conflicts: ["a.ts"] } } : {}),
    }),
  });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const planId = await plans.begin(FEATURE);
  await plans.runner.tell(planId, decide(await plans.until(planId, isAtGate), "approve"));
  const state = await plans.until(planId, ({ steps }) => steps.join?.status === "blocked");
  expect(state.steps.join?.reason).toContain("conflict in a.ts");
  expect(api.merged).toHaveLength(1);
  await plans.runner.tell(planId, { type: "step-skipped", step: "join" });
  await plans.until(planId, hasEnded);
});

test("rule 10: killing a plan ends its runs and starts nothing any more", async () => {
  const api = await serveBranchingApi({ script: () => ({ manual: true }) });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const steps = [
    { id: "first", run: "fix", task: "Mend it" },
    { id: "second", run: "test", task: "Test it", needs: ["first"] },
  ];
  const planId = await plans.begin({ name: "two", steps });
  await plans.until(planId, ({ steps: now }) => now.first?.attempts[0]?.runId !== undefined);
  await plans.runner.tell(planId, { type: "kill-asked" });
  await plans.until(planId, (state) => planStatus(state) === "killed");
  expect(api.kills).toHaveLength(1);
  expect(api.runs).toHaveLength(1);
  // It stays with its process no longer than it has something to do.
  await vi.waitFor(() => expect(plans.runner.driven()).toEqual([]), PATIENT);
});

test("the checker says what an API cannot do", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const plans = await openDrivenPlans(api);
  expect(capabilitiesOfApi(plans.capabilities)).toEqual({
    agent: "This API does not say that a run can have another agent than its workflow's",
  });
  const cannot = capabilitiesOfApi({
    state: () => ({ isAway: true }),
    acceptsField: () => true,
    describesEndpoint: () => false,
  });
  const checked = checkPlanValue(FEATURE, { cannot });
  expect("problems" in checked && checked.problems.map(({ message }) => message)).toEqual([
    expect.stringContaining('so "from" is not possible'),
    expect.stringContaining('so "merge" is not possible'),
    expect.stringContaining('so "from" is not possible'),
  ]);
});

const TWO = {
  name: "two",
  steps: [
    { id: "first", run: "fix", task: "Mend it" },
    { id: "second", run: "test", task: "Test it", needs: ["first"] },
  ],
};

/** Does something right before what starts a run is looked at for the last time: the first one, or one that follows. */
function before(which: "first" | "second", act: (planId: string, owner: PlanHolder) => Promise<unknown>) {
  return (journal: PlanJournal): PlanJournal => ({
    ...journal,
    async write(planId, what) {
      if (which === "first" && what.acts.length > 0 && what.owner) await act(planId, what.owner);
      return journal.write(planId, what);
    },
    async check(planId, read, owner) {
      // Where the database is shared, the first one is looked at so, too.
      const isFirst = (await journal.read(planId))?.state.steps.first?.attempts[0]?.status !== "completed";
      if (which === "second" && !isFirst) await act(planId, owner);
      return journal.check(planId, read, owner);
    },
  });
}

test.each(["first", "second"] as const)(
  "rule 10: a start is not sent when a person has ended the plan right before, in another process (%s)",
  async (which) => {
    const api = await serveBranchingApi({ script: scriptOf });
    const folder = temporaryFolder();
    const window = await openDrivenPlans(api, folder);
    const driver = await openDrivenPlans(api, folder, {
      journal: before(which, (planId) => window.runner.tell(planId, { type: "kill-asked" })),
    });
    driver.runner.start();
    const planId = await driver.begin(TWO);
    const { steps } = await driver.until(planId, (state) => planStatus(state) === "killed");
    expect(steps[which]?.attempts).toMatchObject([{ status: "refused" }]);
    expect(api.posts).toBe(which === "first" ? 0 : 1);
  },
);

test.each(["first", "second"] as const)(
  "rule 8: a start is not sent by a process that has lost the plan to another one (%s)",
  async (which) => {
    const api = await serveBranchingApi({ script: scriptOf });
    const folder = temporaryFolder();
    const window = await openDrivenPlans(api, folder);
    let isTaken = false;
    const driver = await openDrivenPlans(api, folder, {
      journal: before(which, async (planId, owner) => {
        // As another process does that takes this one for dead.
        const other = { ...owner, instance: "another" };
        isTaken = (await window.journal.claim(planId, other, owner, 0)) !== undefined;
      }),
    });
    driver.runner.start();
    await driver.begin(TWO);
    await vi.waitFor(() => expect(isTaken).toBe(true), PATIENT);
    await vi.waitFor(() => expect(driver.runner.driven()).toEqual([]), PATIENT);
    expect(api.posts).toBe(which === "first" ? 0 : 1);
  },
);

test("rule 8: a start that was noted and not sent when its process lets go is sent by the next one, without keys, too", async () => {
  const api = await serveBranchingApi({ script: scriptOf, keepsKeys: false });
  const folder = temporaryFolder();
  let closing: Promise<void> | undefined;
  const driver: DrivenPlans = await openDrivenPlans(api, folder, {
    journal: before("second", async () => {
      closing = driver.close();
      await vi.waitFor(() => expect(driver.runner.driven()).toEqual([]), PATIENT);
    }),
  });
  driver.runner.start();
  const planId = await driver.begin(TWO);
  await vi.waitFor(() => expect(closing).toBeDefined(), PATIENT);
  await closing;
  expect(api.posts).toBe(1);
  const next = await openDrivenPlans(api, folder);
  next.runner.start();
  await next.until(planId, hasEnded);
  expect(api.posts).toBe(2);
});

test("rule 8: so is one that a decision has noted while its process lets go", async () => {
  const api = await serveBranchingApi({ script: scriptOf, keepsKeys: false });
  const folder = temporaryFolder();
  let answer = () => {};
  let isWritten = false;
  const driver = await openDrivenPlans(api, folder, {
    journal: (journal) => ({
      ...journal,
      async write(planId, what) {
        const written = await journal.write(planId, what);
        if (what.events.some(({ type }) => type === "gate-decided")) {
          isWritten = true;
          await new Promise<void>((resolve) => (answer = resolve));
        }
        return written;
      },
    }),
  });
  driver.runner.start();
  const planId = await driver.begin({
    name: "gated",
    steps: [TWO.steps[0], { id: "ok", gate: "Go on?", needs: ["first"] }, { ...TWO.steps[1], needs: ["ok"] }],
  });
  const decided = driver.runner.tell(planId, decide(await driver.until(planId, isAtGate), "approve"));
  await vi.waitFor(() => expect(isWritten).toBe(true), PATIENT);
  const closing = driver.close();
  await vi.waitFor(() => expect(driver.runner.driven()).toEqual([]), PATIENT);
  // Whatever is done without the answer is done by now.
  for (let turn = 0; turn < 1_000; turn++) await new Promise((resolve) => setImmediate(resolve));
  answer();
  expect((await decided)?.refused).toBeUndefined();
  await closing;
  expect(api.posts).toBe(1);
  const next = await openDrivenPlans(api, folder);
  next.runner.start();
  await next.until(planId, hasEnded);
  expect(api.posts).toBe(2);
});

test("what runs do and what does not work is seen in other processes, for as long as one carries the plan out", async () => {
  const api = await serveBranchingApi({
    script: () => ({ manual: true, actions: ["Reading", "Writing the service"] }),
  });
  const folder = temporaryFolder();
  const [driver, window] = [await openDrivenPlans(api, folder), await openDrivenPlans(api, folder)];
  driver.runner.start();
  const planId = await driver.begin(TWO);
  const see = async () => (await window.runner.look(planId)) as PlanSight;
  const line = ({ state, actions }: PlanSight) => progressLine(state, (key) => actions.get(key));
  await driver.until(planId, ({ steps: now }) => now.first?.attempts[0]?.status === "running");
  const run = api.world.run(String(api.world.runs()[0]?.runId));
  run.turn();
  run.turn();
  await vi.waitFor(
    async () => expect(line(await see())).toBe("first: Turn 2/5: Writing the service"),
    PATIENT,
  );
  expect((await see()).troubles).toEqual([]);

  api.away = true;
  await window.runner.tell(planId, { type: "kill-asked" });
  await vi.waitFor(async () => {
    const { troubles, actions } = await see();
    expect(troubles).toMatchObject([
      { step: "first", reason: expect.stringContaining("Down for maintenance") },
    ]);
    expect([...actions.values()]).toEqual([expect.stringMatching(/has not answered since|does not answer/)]);
  }, PATIENT);
  await driver.close();
  expect(await see()).toMatchObject({ troubles: [], actions: new Map() });
});

test("rule 10: a plan that is ended while a start is on its way ends that run when it is known", async () => {
  const api = await serveBranchingApi({ script: () => ({ manual: true }) });
  const plans = await openDrivenPlans(api);
  let planId = "";
  api.onActed = async () => {
    await plans.runner.tell(planId, { type: "kill-asked" });
  };
  planId = await plans.begin(TWO);
  plans.runner.start();
  const state = await plans.until(planId, (now) => planStatus(now) === "killed");
  expect(state.steps.first?.attempts).toMatchObject([{ status: "killed" }]);
  expect([api.runs.length, api.kills.length]).toEqual([1, 1]);
});

test("rule 11: a paused plan starts nothing, and goes on when it is resumed", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const plans = await openDrivenPlans(api);
  const planId = await plans.begin(TWO);
  await plans.runner.tell(planId, { type: "paused" });
  plans.runner.start();
  await vi.waitFor(() => expect(plans.runner.driven()).toEqual([planId]), PATIENT);
  expect(planStatus((await plans.runner.look(planId))?.state as PlanState)).toBe("paused");
  expect(api.posts).toBe(0);
  await plans.runner.tell(planId, { type: "resumed" });
  await plans.until(planId, hasEnded);
  expect(api.runs.map(({ workflow }) => workflow)).toEqual(["fix", "test"]);
});

test("whatever fails outside is tried again or becomes an event, and the plan goes on", async () => {
  const database = await openDatabase({});
  onTestFinished(() => database.destroy());
  const journal = createPlanJournal({ database, upstream: "any" });
  const failures = new Map<string, number>();
  /** Fails so often, then not any more. */
  function fails(what: string, times: number): void {
    const before = failures.get(what) ?? 0;
    failures.set(what, before + 1);
    if (before < times) throw new Error(`${what} does not work`);
  }
  let runner: PlanRunner | undefined;
  const port: PlanPort = {
    noteOfStart: () => ({ sentAt: 0 }),
    async startRun(key, _order, mayStart) {
      fails(`start ${key.split("/")[1]}`, 1);
      if (!(await mayStart())) return { kind: "withdrawn" };
      return { kind: "started", runId: key, sessionId: key, branch: `b-${key.slice(-12)}` };
    },
    lookUp: async () => ({ kind: "unknown", reason: "Nobody knows." }),
    async waitForRun(runId) {
      fails(`wait ${runId.split("/")[1]}`, 1);
      const result = '```json\n{"parts": ["one", "two"]}\n```';
      return { status: "completed", result, branch: `b-${runId.slice(-12)}`, commit: "c" };
    },
    headOf: async () => undefined,
    openPullRequest: async () => ({ kind: "asked", state: "open" }),
    async openGate({ step }, state) {
      fails("gate", 2);
      const { attempt = 0, commits = [] } = state.steps[step]?.open ?? {};
      await runner?.tell(state.planId, { type: "gate-decided", step, attempt, commits, decision: "approve" });
    },
    async merge({ item }, { into }) {
      // The first is never known to be there, the second is.
      fails(`merge ${item}`, item === 0 ? 100 : 2);
      return { kind: "merged", branch: into.branch, commit: "m" };
    },
    async kill() {},
    publish: () => {},
  };
  const clock = {
    ...systemClock,
    after: (ms: number, task: () => void) => systemClock.after(Math.min(ms, 5), task),
  };
  runner = createPlanRunner({ journal, portFor: () => port, clock, log: silentLog });
  onTestFinished(() => runner?.close());
  const planId = randomUUID();
  await runner.begin({ planId, plan: planOf(FEATURE), inputs: {} }, {});
  runner.start();
  const state = await vi.waitFor(
    async () => {
      const sight = await runner?.look(planId);
      if (sight?.state.steps.join?.status !== "blocked")
        throw new Error(JSON.stringify(sight && describePlan(sight.state)));
      return sight.state;
    },
    { timeout: 30_000 },
  );
  expect(state.steps.join?.reason).toContain("1 of 2 were merged");
  expect(state.steps.join?.merges[0]).toMatchObject({ status: "failed", because: "error" });
  expect([...failures].filter(([what]) => what.startsWith("start"))).toEqual([
    ["start design", 2],
    ["start build", 3],
  ]);
});

test("a plan that cannot be read keeps no other one from going on, and is told of once", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  let broken = "";
  let reads = 0;
  const warned: string[] = [];
  const plans = await openDrivenPlans(api, undefined, {
    log: { ...silentLog, warn: (message: string) => warned.push(message) } as unknown as typeof silentLog,
    journal: (journal) => ({
      ...journal,
      async read(planId) {
        if (planId !== broken) return journal.read(planId);
        reads++;
        throw new Error("it is damaged");
      },
    }),
  });
  broken = await plans.begin({ ...TWO, name: "damaged" });
  const planId = await plans.begin(TWO);
  plans.runner.start();
  await plans.until(planId, hasEnded);
  await vi.waitFor(() => expect(reads).toBeGreaterThan(2), { timeout: 10_000 });
  expect(warned).toEqual(["A plan could not be carried on: it is damaged"]);
});

test("rule 5: a run that gets no workspace of its own is ended and fails, and its sibling goes on", async () => {
  const isShared = ({ body }: StartInfo) => body.session_name === "feature-build-1";
  const api = await serveBranchingApi({
    script: (start) => ({
      ...scriptOf(start),
      ...(isShared(start) ? { ownWorkspace: false, manual: true } : {}),
    }),
  });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const planId = await plans.begin(FEATURE);
  await plans.runner.tell(planId, decide(await plans.until(planId, isAtGate), "approve"));
  const state = await plans.until(planId, ({ steps }) => steps.build?.status === "failed");
  expect(state.steps.build?.attempts).toMatchObject([
    { status: "failed", error: expect.stringContaining("no workspace of its own") },
    { status: "completed" },
  ]);
  expect(api.kills).toEqual([state.steps.build?.attempts[0]?.runId]);
});

test("rule 1: a decision does not count for work to which somebody has committed since it was shown", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const planId = await plans.begin(FEATURE);
  const shown = await plans.until(planId, isAtGate);
  const design = shown.steps.design?.attempts[0];
  const { headCommit, branch } = api.world.commit(String(design?.runId), "A person's own change");
  const decided = await plans.runner.tell(planId, decide(shown, "approve"));
  expect(decided?.refused).toContain(`Somebody has committed to ${branch} since this was shown.`);
  expect(decided?.refused).toContain("Nothing was decided");
  const again = await plans.until(planId, (state) => state.steps.ok?.open?.attempt === 2);
  expect(again.steps.ok?.open?.commits).toEqual([headCommit]);
  expect(api.runs).toHaveLength(1);

  api.away = true;
  const blind = await plans.runner.tell(planId, decide(again, "approve"));
  expect(blind?.refused).toMatch(/cannot be looked at now\. Nothing was decided.*maintenance/);
  api.away = false;
  expect((await plans.runner.tell(planId, decide(again, "approve")))?.refused).toBeUndefined();
  await plans.until(planId, hasEnded);
});

test("a gate that opens some time after its run shows the work as it is, not as the run has left it", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const folder = temporaryFolder();
  let committed = "";
  let laterMs = 0;
  const later = (now: () => number) => () => now() + laterMs;
  const plans = await openDrivenPlans(api, folder, {
    clock: { ...systemClock, now: later(systemClock.now), elapsed: later(systemClock.elapsed) },
    journal: (journal) => ({
      ...journal,
      async write(planId, what) {
        // Between the run's end and the opening of the gate.
        if (what.events.some(({ type }) => type === "run-ended") && !committed) {
          const runId = what.next.steps.design?.attempts[0]?.runId ?? "";
          committed = api.world.commit(runId, "In between").headCommit;
          laterMs = 11_000;
        }
        return journal.write(planId, what);
      },
    }),
  });
  plans.runner.start();
  const planId = await plans.begin(FEATURE);
  const state = await plans.until(planId, ({ steps }) => steps.ok?.open?.commits[0] === committed);
  expect((await plans.runner.tell(planId, decide(state, "approve")))?.refused).toBeUndefined();
  await plans.until(planId, hasEnded);
});
