import { expect, test, vi } from "vitest";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { type BranchingApi, serveBranchingApi } from "./support/branching-api.js";
import { decide, hasEnded, isAtGate, openDrivenPlans, scriptOf } from "./support/driven-plans.js";
import { connectInMemory } from "./support/harness.js";
import { PLACE } from "./support/plan-chat.js";
import { FEATURE, planOf } from "./support/plan-place.js";

/** What the API was asked since then, without ids and what belongs to one run: how often each. */
function requestsSince({ requests }: Pick<BranchingApi, "requests">, from: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { method, path } of requests.slice(from)) {
    const kind = `${method} ${path.replace(/^\/run\/[0-9a-f-]{36}/, "/run/ID")}`;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

async function open(clock?: Clock) {
  const api = await serveBranchingApi({ script: scriptOf });
  const plans = await openDrivenPlans(api, undefined, clock ? { clock } : {});
  plans.runner.start();
  // What a process asks once, of whatever it does later, is asked by now.
  const begun = api.requests.length;
  /** Once nothing of a plan is under way. */
  async function asked(): Promise<Record<string, number>> {
    await vi.waitFor(async () => expect((await plans.runner.lookAtWork()).isBusy).toBe(false), 60_000);
    return requestsSince(api, begun);
  }
  return { plans, asked };
}

const CHAIN = {
  steps: [
    { id: "design", run: "architect", task: "Design it" },
    { id: "build", run: "implement", needs: ["design"], continue: "design", task: "Build it" },
    { id: "test", run: "test", needs: ["build"], from: "build", task: "Test it" },
    { id: "review", run: "review", needs: ["build"], from: "build", task: "Review it" },
  ],
};

test("a plan asks the API no more than its runs do when they are started one by one", async () => {
  const { plans, asked } = await open();
  await plans.until(await plans.begin(CHAIN), hasEnded);
  const ofPlan = await asked();
  expect(ofPlan).toEqual({
    "POST /run/architect": 1,
    "POST /run/implement": 1,
    "POST /run/test": 1,
    "POST /run/review": 1,
    "GET /run/ID/status": 4,
  });

  const api = await serveBranchingApi({ script: scriptOf });
  const { call } = await connectInMemory({ settings: { BASE_URL: api.url } });
  const begun = api.requests.length;
  for (const step of planOf(CHAIN).steps) {
    if (step.kind !== "run") throw new Error("All of them are runs.");
    const { data, text } = await call({
      action: "run",
      workflow_name: step.workflow,
      message: step.task,
      session_name: step.id,
      ...PLACE,
    });
    expect(data?.outcome, text).toBe("completed");
  }
  const oneByOne = requestsSince(api, begun);
  for (const [kind, count] of Object.entries(ofPlan))
    expect(oneByOne[kind], kind).toBeGreaterThanOrEqual(count);
});

test("beside them it asks for each merge, and where a branch stands when a person decides on it", async () => {
  const { plans, asked } = await open();
  const planId = await plans.begin(FEATURE);
  const state = await plans.until(planId, isAtGate);
  // Right behind its run a gate has been told where the branch stands.
  expect(await asked()).toEqual({ "POST /run/architect": 1, "GET /run/ID/status": 1 });
  await plans.runner.tell(planId, decide(state, "approve"));
  await plans.until(planId, hasEnded);
  expect(await asked()).toEqual({
    "POST /run/architect": 1,
    "GET /run/ID/work": 1,
    "POST /run/implement": 2,
    "POST /run/ID/take": 2,
    "POST /run/review": 1,
    "GET /run/ID/status": 4,
  });
});

test.each([
  ["in the same moment asks nothing", 0, 0],
  ["a while later asks once where the branch stands", 60_000, 1],
])("a gate that opens %s", async (_when, laterMs, looks) => {
  let passedMs = 0;
  const { plans, asked } = await open({ ...systemClock, now: () => systemClock.now() + passedMs });
  const planId = await plans.begin({
    steps: [
      { id: "design", run: "architect", task: "Design it" },
      { id: "ok", gate: "Is it good?", needs: ["design"] },
      { id: "again", gate: "Is it really?", needs: ["ok"] },
    ],
  });
  const state = await plans.until(planId, ({ steps }) => steps.ok?.open !== undefined);
  passedMs = laterMs;
  await plans.runner.tell(planId, decide(state, "approve"));
  await plans.until(planId, ({ steps }) => steps.again?.open !== undefined);
  // One of them before the decision at the first gate counted.
  expect((await asked())["GET /run/ID/work"]).toBe(1 + looks);
});
