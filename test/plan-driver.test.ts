import { expect, it } from "vitest";
import { planStatus } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { SCRIPTED_AGENT } from "./support/local-engine.js";
import { closeWindow, createMachine } from "./support/one-machine.js";
import { openStoredPlans } from "./support/stored-plans.js";

// The process that drives plans, started by the published bin.

const machineWith = (steps: object[]) =>
  createMachine({ claudePath: SCRIPTED_AGENT, env: { SCRIPTED_AGENT: JSON.stringify(steps) } });

const isDone = (state: PlanState) => planStatus(state) === "completed";
const startsOf = ({ steps }: PlanState) => Object.values(steps).flatMap(({ attempts }) => attempts);
it("a plan goes on when the window is closed that has begun it", async () => {
  const { home, repository, openWindow } = machineWith([{ wait: 300 }, { text: "Done" }]);
  const plans = await openStoredPlans(home);
  const planId = await plans.begin(
    {
      name: "two",
      steps: [
        { id: "first", run: "implement", task: "Begin" },
        { id: "second", run: "review", task: "Look at it", continue: "first", needs: ["first"] },
      ],
    },
    repository,
  );
  const window = await openWindow();
  await plans.until(planId, ({ steps }) => steps.first?.attempts[0]?.runId !== undefined);
  const pid = plans.driverPid();
  await closeWindow(window);
  expect(startsOf(await plans.until(planId, isDone))).toHaveLength(2);
  expect(plans.driverPid()).toBe(pid);
}, 60_000);
