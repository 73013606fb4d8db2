import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { StartInfo } from "../mocks/types.js";
import { describePlan } from "../src/plans/machine/describe-plan.js";
import type { PlanChange } from "../src/plans/machine/events.js";
import { planStatus, waitingFor } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { temporaryFolder } from "./support/bin.js";
import { type BranchingApi, serveBranchingApi } from "./support/branching-api.js";
import { type DrivenPlans, decide, hasEnded, isAtGate, openDrivenPlans } from "./support/driven-plans.js";
import { FEATURE, planOf } from "./support/plan-place.js";

/**
 * The rules of plans, each held over a workflows API and the journal: what is counted is what the API got. How the
 * machine keeps them in every case is in plan-machine.test.ts, by the same names.
 */

const DESIGN = FEATURE.steps[0] as (typeof FEATURE.steps)[number];
const BUILD = { ...FEATURE.steps[2], needs: ["design"] };

/** Agents whose work ends when the test says so; the architect's at once, with so many parts. */
function scripted(parts: number, manual = true) {
  const list = JSON.stringify({ parts: Array.from({ length: parts }, (_, at) => `part ${at + 1}`) });
  const designed = { result: `A design.\n\`\`\`json\n${list}\n\`\`\``, costUsd: 0.5, actions: ["Designing"] };
  return ({ workflowName }: StartInfo) =>
    workflowName === "architect"
      ? designed
      : { manual, result: "Done.", costUsd: 0.5, actions: manual ? ["Working", "Ending"] : ["Working"] };
}

const workflowsOf = (api: BranchingApi) => api.runs.map(({ workflow }) => workflow);
const goingOn = ({ world }: BranchingApi) => world.runs().filter(({ completedAt }) => completedAt === null);
const isAsked = (state: PlanState) => waitingFor(state).some(({ kind }) => kind === "agreement");
const startedRuns = (state: PlanState, step: string) =>
  state.steps[step]?.attempts.filter(({ runId }) => runId !== undefined) ?? [];

/** Nothing more happens by itself, though the same process takes up another plan and carries it to its gate meanwhile. */
async function rest(plans: DrivenPlans, planId: string): Promise<PlanState> {
  const before = await plans.runner.look(planId);
  const meanwhile = await plans.begin({ name: randomUUID(), steps: [{ id: "ok", gate: "Go on?" }] });
  await plans.until(meanwhile, isAtGate);
  const after = await plans.runner.look(planId);
  expect(after?.state).toEqual(before?.state);
  return after?.state as PlanState;
}

describe("rule 1: a gate's decision", () => {
  it("is kept when all processes end, and neither another plan nor another opening takes it over", async () => {
    const api = await serveBranchingApi({ script: scripted(1, false) });
    const folder = temporaryFolder();
    const steps = [...FEATURE.steps.slice(0, 2), { id: "go", run: "fix", task: "Go", needs: ["ok"] }];
    const before = await openDrivenPlans(api, folder);
    before.runner.start();
    const [one, other] = [
      await before.begin({ name: "one", steps }),
      await before.begin({ name: "two", steps }),
    ];
    const shown = await before.until(one, isAtGate);
    await before.until(other, isAtGate);
    await before.close();
    // Written down while nobody carries the plans out.
    const window = await openDrivenPlans(api, folder);
    await window.runner.tell(one, decide(shown, "approve"));
    await window.close();
    expect(workflowsOf(api)).toEqual(["architect", "architect"]);

    const after = await openDrivenPlans(api, folder);
    after.runner.start();
    const done = await after.until(one, hasEnded);
    expect(done.steps.ok?.decisions).toMatchObject([{ attempt: 1, decision: "approve" }]);
    const waits = await after.until(other, isAtGate);
    const refused = await after.runner.tell(other, decide(shown, "approve"));
    expect(refused?.refused).toMatch(/decide anew/);
    expect(waits.steps.ok?.decisions).toEqual([]);
    expect((await after.runner.tell(one, decide(shown, "approve")))?.refused).toMatch(
      /waits for no decision/,
    );
    expect(workflowsOf(api)).toEqual(["architect", "architect", "fix"]);
  });

  it("that two windows give at the same moment counts once", async () => {
    const api = await serveBranchingApi({ script: scripted(1, false) });
    const folder = temporaryFolder();
    const [driver, window] = [await openDrivenPlans(api, folder), await openDrivenPlans(api, folder)];
    driver.runner.start();
    const planId = await driver.begin(FEATURE);
    const shown = await driver.until(planId, isAtGate);
    const told = await Promise.all([
      driver.runner.tell(planId, decide(shown, "send-back", "Smaller")),
      window.runner.tell(planId, decide(shown, "approve")),
    ]);
    expect(told.filter((one) => one?.refused === undefined)).toHaveLength(1);
    const [decision] = (await driver.runner.look(planId))?.state.steps.ok?.decisions ?? [];
    const isSentBack = decision?.decision === "send-back";
    const state = await driver.until(planId, (now) =>
      isSentBack ? isAtGate(now) && now.steps.ok?.open?.attempt === 2 : hasEnded(now),
    );
    expect(state.steps.ok?.decisions).toHaveLength(1);
    expect(workflowsOf(api)).toEqual(
      isSentBack ? ["architect", "architect"] : ["architect", "implement", "review"],
    );
  });

  it("to stop starts nothing any more, here and with the next process", async () => {
    const api = await serveBranchingApi({ script: scripted(2, false) });
    const folder = temporaryFolder();
    const plans = await openDrivenPlans(api, folder);
    plans.runner.start();
    const planId = await plans.begin(FEATURE);
    await plans.runner.tell(planId, decide(await plans.until(planId, isAtGate), "stop"));
    await plans.until(planId, (state) => planStatus(state) === "killed");
    await plans.close();
    const next = await openDrivenPlans(api, folder);
    next.runner.start();
    expect(planStatus(await rest(next, planId))).toBe("killed");
    expect(api.posts).toBe(1);
  });
});

describe("rule 2: sending back", () => {
  it("runs everything downstream of the rework again, tests included, from the first step as well", async () => {
    const api = await serveBranchingApi({ script: scripted(1, false) });
    const plans = await openDrivenPlans(api);
    plans.runner.start();
    const planId = await plans.begin({
      name: "rework",
      steps: [
        DESIGN,
        { id: "test", run: "test", task: "Test it", needs: ["design"], from: "design" },
        { id: "ok", gate: "Take it?", needs: ["test"], back_to: { step: "design", max: 1 } },
      ],
    });
    await plans.runner.tell(
      planId,
      decide(await plans.until(planId, isAtGate), "send-back", "Use one table"),
    );
    const again = await plans.until(planId, (state) => state.steps.ok?.open?.attempt === 2);
    expect(workflowsOf(api)).toEqual(["architect", "test", "architect", "test"]);
    expect(api.runs[2]).toMatchObject({
      message: expect.stringContaining("Use one table"),
      continues: again.steps.design?.attempts[0]?.sessionId,
    });
    expect(api.runs[3]?.from).toBe(again.steps.design?.attempts[1]?.branch);
    expect((await plans.runner.tell(planId, decide(again, "send-back")))?.refused).toMatch(/as often as it/);
    await plans.runner.tell(planId, decide(again, "approve"));
    await plans.until(planId, hasEnded);
    expect(api.posts).toBe(4);
  });
});

describe("rule 3: a large fan-out", () => {
  it.each([true, false])(
    "sends nothing before the person has answered, and then as they say (%s)",
    async (agreed) => {
      const api = await serveBranchingApi({ script: scripted(3, false) });
      const folder = temporaryFolder();
      const first = await openDrivenPlans(api, folder);
      first.runner.start();
      const planId = await first.begin(
        { name: "large", steps: [DESIGN, BUILD] },
        { agreeAbove: { runs: 2 } },
      );
      await first.until(planId, isAsked);
      await first.close();
      const plans = await openDrivenPlans(api, folder);
      plans.runner.start();
      const asked = await rest(plans, planId);
      expect(asked.steps.build?.agreement).toMatchObject({ runs: 3 });
      expect(api.posts).toBe(1);
      const answer: PlanChange = { type: "fan-out-answered", step: "build", attempt: 1, runs: 3, agreed };
      expect((await plans.runner.tell(planId, { ...answer, runs: 2 }))?.refused).toMatch(/does not ask/);
      await plans.runner.tell(planId, answer);
      if (agreed) await plans.until(planId, hasEnded);
      else expect(planStatus(await rest(plans, planId))).toBe("blocked");
      expect(api.posts).toBe(agreed ? 4 : 1);
    },
  );
});

describe("rule 4: limits", () => {
  it("hold at the API: no more runs at once, and none beyond their number, whichever step wants one", async () => {
    const api = await serveBranchingApi({ script: scripted(4) });
    const plans = await openDrivenPlans(api);
    plans.runner.start();
    const planId = await plans.begin({
      name: "limited",
      limits: { parallel: 2, runs: 6 },
      steps: [
        DESIGN,
        { ...BUILD, retry: 1 },
        { id: "side", run: "document", task: "Write", needs: ["design"] },
      ],
    });
    const ended = new Set<string>();
    let most = 0;
    for (let count = 1; count <= 5; count++) {
      const state = await plans.until(planId, () => goingOn(api).some(({ runId }) => !ended.has(runId)));
      expect(state.runsStarted).toBeLessThanOrEqual(6);
      most = Math.max(most, goingOn(api).length);
      const run = goingOn(api).find(({ runId }) => !ended.has(runId));
      ended.add(String(run?.runId));
      // The first one fails: trying it again would be the seventh run.
      api.world.run(String(run?.runId))[count === 1 ? "fail" : "complete"]();
    }
    const state = await plans.until(planId, (now) => planStatus(now) === "blocked");
    expect(most).toBeLessThanOrEqual(2);
    expect(api.posts).toBeLessThanOrEqual(6);
    expect(waitingFor(state)[0]?.what).toContain("All 6 runs that the plan may have were started.");
  });

  it("count a cost that the API does not tell as unknown, and the others bind all the same", async () => {
    const api = await serveBranchingApi({ script: () => ({ costUsd: 0, actions: ["Working"] }) });
    const plans = await openDrivenPlans(api);
    plans.runner.start();
    const steps = ["one", "two", "three"].map((id, at, ids) => ({
      ...{ id, run: "fix", task: "Mend it" },
      needs: ids.slice(Math.max(0, at - 1), at),
    }));
    const planId = await plans.begin({ name: "limits", limits: { runs: 3, cost_usd: 1 }, steps });
    const state = await plans.until(planId, hasEnded);
    expect(state).toMatchObject({ spentUsd: 0, unknownCosts: 3 });
    // What each might have cost stays reserved.
    expect(state.heldUsd).toBeGreaterThan(0.8);
    expect(describePlan(state)).not.toHaveProperty("costUsd");
    await plans.runner.tell(planId, { type: "step-redone", step: "three" });
    const again = await plans.until(planId, (now) => planStatus(now) === "blocked");
    expect(again.steps.three?.reason).toContain("All 3 runs");
    expect(api.posts).toBe(3);
  });
});

describe("rule 7: a state says what it means", () => {
  it("a passing failure is tried again, one that would fail the same way is not, and what stands behind is blocked", async () => {
    const api = await serveBranchingApi({
      script: ({ workflowName }) => ({
        outcome: workflowName === "test" ? "failed" : "completed",
        error: "The tests are red.",
        actions: ["Working"],
      }),
    });
    const plans = await openDrivenPlans(api);
    plans.runner.start();
    const planId = await plans.begin({
      name: "states",
      steps: [
        { id: "red", run: "test", task: "Test it", retry: 1 },
        { id: "gone", run: "no-such", task: "Work", retry: 2 },
        { id: "behind", run: "fix", task: "Mend it", needs: ["red"] },
        {
          id: "maybe",
          run: "fix",
          task: "Mend it",
          needs: ["gone"],
          join: "all_done",
          when: "${steps.gone.outcome} == succeeded",
        },
        { id: "fine", run: "document", task: "Write" },
        { id: "ok", gate: "Go on?", needs: ["fine"] },
      ],
    });
    const state = await plans.until(planId, (now) => isAtGate(now) && now.steps.red?.status === "failed");
    const { steps } = describePlan(state);
    expect(steps.map(({ id, status, attempt }) => `${id} ${status} ${attempt}`)).toEqual([
      "red failed 2",
      "gone failed 1",
      "behind blocked 0",
      "maybe skipped 0",
      "fine succeeded 1",
      "ok waiting 1",
    ]);
    for (const { status, reason } of steps)
      if (status !== "succeeded" && status !== "waiting") expect(reason).toMatch(/[.!]$/);
    expect(steps.find(({ id }) => id === "gone")?.reason).toContain("no-such");
    expect(workflowsOf(api).filter((workflow) => workflow === "test")).toHaveLength(2);
    // The person's no is another state than a failure.
    await plans.runner.tell(planId, decide(state, "stop"));
    await plans.until(planId, (now) => planStatus(now) === "killed");
  });
});

describe("rule 9: whatever needs a person", () => {
  it("stands in what lists and looks of every process tell, until it is settled", async () => {
    const api = await serveBranchingApi({ script: scripted(3) });
    const folder = temporaryFolder();
    const [driver, window] = [await openDrivenPlans(api, folder), await openDrivenPlans(api, folder)];
    driver.runner.start();
    const planId = await driver.begin(
      { ...FEATURE, steps: [...FEATURE.steps.slice(0, 2), { ...FEATURE.steps[2], parallel: 1 }] },
      { agreeAbove: { runs: 2 } },
    );
    const kinds = async (wanted: string[]) =>
      (
        await window.untilListed(
          planId,
          (one) => one.waitingFor.map(({ kind }) => kind).join() === wanted.join(),
        )
      ).waitingFor;
    expect(await kinds(["gate"])).toMatchObject([{ step: "ok", what: "Build this?" }]);
    await window.runner.tell(planId, decide(await window.until(planId, isAtGate), "approve"));
    expect(await kinds(["agreement"])).toMatchObject([
      { step: "build", what: expect.stringContaining("3 runs") },
    ]);
    await window.runner.tell(planId, {
      type: "fan-out-answered",
      step: "build",
      attempt: 1,
      runs: 3,
      agreed: true,
    });
    await driver.until(planId, (state) => startedRuns(state, "build").length === 1);
    api.asks.set("feature-build-1", "Which database?");
    api.world.run(String(goingOn(api)[0]?.runId)).turn();
    const [question] = await kinds(["question"]);
    expect(question).toMatchObject({ step: "build", what: "Which database?", runId: goingOn(api)[0]?.runId });
    expect((await window.runner.list())[0]?.status).toBe("waiting");
    api.asks.set("feature-build-1", "");
    api.world.run(String(goingOn(api)[0]?.runId)).turn();
    await kinds([]);
    expect((await window.runner.list())[0]?.status).toBe("running");
  });
});

describe("rule 10: one of several runs", () => {
  it("that fails leaves its siblings to their own end", async () => {
    const api = await serveBranchingApi({ script: scripted(3) });
    const plans = await openDrivenPlans(api);
    plans.runner.start();
    const planId = await plans.begin({ name: "siblings", steps: [DESIGN, BUILD] });
    await plans.until(planId, (state) => startedRuns(state, "build").length === 3);
    const [first, ...others] = goingOn(api);
    api.world.run(String(first?.runId)).fail();
    await plans.until(planId, (state) => state.steps.build?.attempts[0]?.status === "failed");
    expect(goingOn(api)).toHaveLength(2);
    for (const { runId } of others) api.world.run(runId).complete();
    const state = await plans.until(planId, (now) => now.steps.build?.status === "failed");
    expect(state.steps.build?.reason).toContain("1 of 3 have not succeeded");
    expect([api.kills, api.posts]).toEqual([[], 4]);
  });

  it("and the plan with all of them is ended, and what they have left is named", async () => {
    const api = await serveBranchingApi({ script: scripted(3) });
    const plans = await openDrivenPlans(api);
    plans.runner.start();
    const planId = await plans.begin({ name: "ended", limits: { parallel: 2 }, steps: [DESIGN, BUILD] });
    const going = await plans.until(planId, (state) => startedRuns(state, "build").length === 2);
    api.world.run(String(startedRuns(going, "build")[0]?.runId)).complete();
    await plans.until(planId, (state) => startedRuns(state, "build").length === 3);
    await plans.runner.tell(planId, { type: "kill-asked" });
    const state = await plans.until(planId, (now) => planStatus(now) === "killed");
    expect(new Set(api.kills)).toEqual(
      new Set(
        startedRuns(state, "build")
          .slice(1)
          .map(({ runId }) => runId),
      ),
    );
    const build = describePlan(state).steps.find(({ id }) => id === "build");
    expect(build?.runs).toMatchObject([
      { item: "part 1", status: "completed", branch: expect.stringMatching(/^automagik\//) },
      { item: "part 2", status: "killed", sessionName: "ended-build-2" },
      { item: "part 3", status: "killed", sessionName: "ended-build-3" },
    ]);
    expect(goingOn(api)).toEqual([]);
  });
});

describe("rule 11: a plan that goes on", () => {
  it("is changed by another process, step by step, and what was done stays as it was", async () => {
    const api = await serveBranchingApi({ script: scripted(1) });
    const folder = temporaryFolder();
    const [driver, window] = [await openDrivenPlans(api, folder), await openDrivenPlans(api, folder)];
    driver.runner.start();
    const first = { id: "first", run: "fix", task: "Mend it" };
    const second = { id: "second", run: "test", task: "Test it", needs: ["first"] };
    const raw = { name: "changed", limits: { runs: 3 }, steps: [first, second] };
    const planId = await driver.begin(raw);
    await driver.until(planId, (state) => startedRuns(state, "first").length === 1);

    const edit = (steps: object[], runs: number): PlanChange => ({
      type: "plan-edited",
      plan: planOf({ ...raw, limits: { runs }, steps }),
    });
    const rewritten = await window.runner.tell(planId, edit([{ ...first, task: "Other" }, second], 3));
    expect(rewritten?.refused).toMatch(/Step first has begun/);
    const third = { id: "third", run: "document", task: "Write it down", needs: ["first"] };
    const last = { id: "last", run: "review", task: "Look at it", needs: ["third"] };
    await window.runner.tell(planId, edit([first, third, last], 5));
    await window.runner.tell(planId, { type: "step-skipped", step: "last" });
    api.world.run(String(goingOn(api)[0]?.runId)).complete();
    await driver.until(planId, (state) => startedRuns(state, "third").length === 1);
    api.world.run(String(goingOn(api)[0]?.runId)).complete();
    const done = await window.until(planId, hasEnded);
    expect(done).toMatchObject({ version: 2, plan: { limits: { runs: 5 } } });
    expect(done.earlier.map(({ version, plan }) => [version, plan.steps.map(({ id }) => id)])).toEqual([
      [1, ["first", "second"]],
    ]);

    // It had ended, and a step of it is done again.
    await window.runner.tell(planId, { type: "step-redone", step: "first", words: "Once more" });
    await driver.until(planId, (state) => startedRuns(state, "first").length === 2);
    expect(workflowsOf(api)).toEqual(["fix", "document", "fix"]);
    expect(api.runs[2]?.message).toContain("Once more");
    const now = (await window.runner.look(planId))?.state.steps.first;
    expect(now?.attempts[0]).toEqual(done.steps.first?.attempts[0]);
  });
});

it("each rule has a test that bears its number", () => {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  const files = readdirSync(folder).filter((name) => /^plan.*\.test\.ts$/.test(name));
  const texts = files.map((name) => readFileSync(join(folder, name), "utf8"));
  const numbers = texts.flatMap((text) =>
    [...text.matchAll(/"rule (\d+): /g)].map(([, number]) => Number(number)),
  );
  expect([...new Set(numbers)].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});
