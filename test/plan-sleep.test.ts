import { expect, test, vi } from "vitest";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { serveBranchingApi } from "./support/branching-api.js";
import { openDrivenPlans } from "./support/driven-plans.js";
import { createSkippingClock } from "./support/skipping-clock.js";

// The minutes that a plan's runs may be at work, on a machine that sleeps meanwhile.

const MINUTE = 60_000;

const TWO = {
  name: "two",
  limits: { minutes: 10 },
  steps: [
    { id: "first", run: "implement", task: "Begin" },
    { id: "second", run: "review", task: "Look at it", needs: ["first"] },
  ],
};

/** A plan whose first run goes on until the test ends it. */
async function beginTwo() {
  const api = await serveBranchingApi({
    script: ({ workflowName }) => (workflowName === "implement" ? { manual: true } : { result: "Done" }),
  });
  const clock = createSkippingClock();
  let looks = 0;
  const plans = await openDrivenPlans(api, undefined, {
    clock,
    journal: (journal) => ({
      ...journal,
      listOpen(owner) {
        looks++;
        return journal.listOpen(owner);
      },
    }),
  });
  plans.runner.start();
  const planId = await plans.begin(TWO);
  await plans.until(planId, ({ steps }) => steps.first?.attempts[0]?.runId !== undefined);
  const lookedAgain = () => {
    const before = looks;
    return vi.waitFor(() => expect(looks).toBeGreaterThan(before + 1), { timeout: 20_000, interval: 10 });
  };
  const endFirst = () =>
    api.world.run(api.world.runs()[0]?.runId ?? "").complete({ result: "Done", commits: ["Begin"] });
  return { plans, planId, clock, lookedAgain, endFirst };
}

test("a night for which the machine sleeps is no time of work, and the plan goes on in the morning", async () => {
  const { plans, planId, clock, lookedAgain, endFirst } = await beginTwo();
  clock.skip(8 * 60 * MINUTE);
  await lookedAgain();
  endFirst();
  const state = await plans.until(planId, (now) => planStatus(now) === "completed");
  expect(state.workMs).toBeLessThan(MINUTE);
  expect(state.at - state.startedAt).toBeGreaterThan(8 * 60 * MINUTE);
});

test("minutes in which the machine is awake count, though nothing happens in them", async () => {
  const { plans, planId, clock, lookedAgain, endFirst } = await beginTwo();
  for (let passed = 0; passed < 11 * MINUTE; passed += 50_000) {
    clock.skip(50_000);
    await lookedAgain();
  }
  endFirst();
  const state = await plans.until(planId, (now) => planStatus(now) === "blocked");
  expect(state.steps.second?.reason).toBe("The plan's 10 minutes of work are over.");
});
