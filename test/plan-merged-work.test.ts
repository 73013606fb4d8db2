import { expect, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { connectForPlans, PLACE } from "./support/plan-chat.js";

// Where the work of a plan is that ends with a merge: on a branch of the plan's own, which no run has.

const PARTS = '```json\n{"parts": ["one", "two"]}\n```';

useSimulatedApi({
  branches: true,
  describe: true,
  paceMs: 0,
  script: ({ workflowName }) => ({
    result: workflowName === "architect" ? PARTS : "Built",
    costUsd: 0.5,
    actions: ["Working"],
  }),
});

const PLAN = {
  name: "parts",
  steps: [
    { id: "design", run: "architect", task: "Design it", output: { parts: { type: "list" } } },
    {
      id: "build",
      run: "implement",
      needs: ["design"],
      from: "design",
      for_each: "${steps.design.output.parts}",
      task: "Build ${item}",
    },
    { id: "join", merge: "build", needs: ["build"] },
  ],
};

test("the answer names the command that takes it", async () => {
  const { call } = await connectForPlans();
  const { data, text } = await call({ action: "plan", plan: PLAN, ...PLACE, wait_seconds: 20 });
  expect(data.outcome, text).toBe("completed");
  const [{ step, branch, take }] = data.plan.work;
  expect({ step, take }).toEqual({ step: "join", take: `git merge ${branch}` });
  expect(text).toContain(`; to take it: git merge ${branch}`);
});
