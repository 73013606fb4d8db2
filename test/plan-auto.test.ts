import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type CheckedPlan, type CheckOptions, checkPlanValue } from "../src/plans/language/check-plan.js";
import { describeProblem } from "../src/plans/language/problems.js";
import { createRouter, type DescribedWorkflow } from "../src/workflows/router.js";

const folder = new URL("../workflows/", import.meta.url);
const OURS: DescribedWorkflow[] = readdirSync(folder).map((name) => ({
  name,
  ...JSON.parse(readFileSync(new URL(`${name}/workflow.json`, folder), "utf8")),
}));

const chooseWorkflow = (task: string, workflows: readonly DescribedWorkflow[]) =>
  createRouter(workflows).choose(task);

describe("the workflow of a task", () => {
  it.each([
    ["Design the login with JWT", "architect"],
    ["Build the token service", "implement"],
    ["Add rate limiting to the API", "implement"],
    ["Find the cause of the crash in the parser and fix it", "fix"],
    ["Write unit tests for the parser", "test"],
    ["Review the code of the fix for the login", "review"],
    ["fix. Fix what the review has found", "fix"],
    ["Document the settings for people who use it", "document"],
    ["Improve the structure of the module", "refactor"],
    ["Simplify the token service without changing what it does", "refactor"],
  ])("%s: %s", (task, name) => {
    expect(chooseWorkflow(task, OURS)).toMatchObject({ name });
  });

  it.each([
    "Do it",
    "",
    "Größe der Schaltfläche anpassen",
    "__proto__ constructor",
    "Login: test it, review it",
  ])("%s: nothing stands out, and what could be chosen is named", (task) => {
    const choice = chooseWorkflow(task, OURS);
    expect("names" in choice && choice.names.length).toBeGreaterThan(1);
  });

  it("is found among workflows of any kind by their own words, and in any order the same", () => {
    const others = [
      { name: "surgeon", description: "Precise code healing: bugs are cut out", capabilities: [] },
      {
        name: "guardian",
        description: "Protection of quality: checks and validation",
        capabilities: ["security"],
      },
      { name: "lina", description: "Linear integration", capabilities: [] },
    ];
    expect(chooseWorkflow("Look at the security of the upload", others)).toMatchObject({ name: "guardian" });
    expect(chooseWorkflow("Look at the security of the upload", others.toReversed())).toMatchObject({
      name: "guardian",
    });
    expect(chooseWorkflow("Anything", [])).toEqual({ names: [] });
  });
});

describe("a step of a plan that says auto", () => {
  const check = (steps: object[], more: CheckOptions = {}) =>
    checkPlanValue(
      { inputs: { what: { type: "string", required: true } }, steps },
      { choose: createRouter(OURS).choose, workflows: OURS.map(({ name }) => name), ...more },
    );
  const workflowsOf = (checked: CheckedPlan) =>
    "plan" in checked && checked.plan.steps.map((step) => step.kind === "run" && step.workflow);

  it("gets its workflow when the plan is checked, so that it counts in what is foreseen", () => {
    const checked = check([
      { id: "one", run: "auto", task: "Build the login" },
      { id: "review", run: "auto", needs: ["one"] },
    ]);
    expect(workflowsOf(checked)).toEqual(["implement", "review"]);
  });

  it("for which nothing stands out is a mistake that names what there is, before anything is sent", () => {
    const checked = check([{ id: "one", run: "auto", task: "${inputs.what}" }], {
      inputs: { what: "Do it" },
    });
    expect("problems" in checked && checked.problems.map(describeProblem)).toEqual([
      expect.stringMatching(
        /^steps\[0\]\.run.*No workflow stands out for this step by its task\. Name one of .*fix/s,
      ),
    ]);
  });

  it("is chosen by its inputs once they have values", () => {
    const steps = [{ id: "one", run: "auto", task: "${inputs.what}" }];
    expect(workflowsOf(check(steps))).toEqual(["auto"]);
    expect(workflowsOf(check(steps, { inputs: { what: "Fix the crash" } }))).toEqual(["fix"]);
  });

  it("is checked in a moment, also a thousand of them", () => {
    const task = `Build ${"the part with the settings and the list of it ".repeat(20)}`;
    const steps = Array.from({ length: 1_000 }, (_, at) => ({ id: `s${at}`, run: "auto", task }));
    const began = performance.now();
    expect(check(steps, { defaults: { runs: 2_000 } })).toHaveProperty("plan");
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
