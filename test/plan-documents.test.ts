import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { checkPlan } from "../src/plans/language/check-plan.js";
import { describeProblem } from "../src/plans/language/problems.js";
import { carryOut, runsOf } from "./support/carried-out-plan.js";

const WORKFLOWS = readdirSync(new URL("../workflows", import.meta.url));
const text = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const examplesIn = (path: string) =>
  [...text(path).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, example = ""]) => example);
const EXAMPLES = ["docs/plans.md", "README.md"].flatMap((path) =>
  examplesIn(path).map((example) => ({ path, example, begin: example.split("\n")[0] })),
);

test.each(EXAMPLES)("the plan of $path that begins with $begin is sound", async ({ example }) => {
  const checked = await checkPlan(example, { workflows: WORKFLOWS });
  expect("problems" in checked && checked.problems.map(describeProblem)).toBe(false);
});

test("the plan that docs/plans.md shows first does what is said of it", async () => {
  const { state, api } = await carryOut(examplesIn("docs/plans.md")[0] ?? "", {
    inputs: { feature: "the list as CSV" },
    give: {
      architect: [{ parts: ["all"] }, { parts: ["the writer", "the button"] }],
      review: [{ verdict: "changes" }],
    },
    decisions: [
      ["approve", "send-back", "Two parts"],
      ["approve", "approve"],
    ],
  });
  const runs = runsOf(state);
  expect(runs.slice(0, 4)).toEqual(["design", "> design", "build", "build"]);
  expect(runs.slice(4).sort()).toEqual(["fix", "review", "test"]);
  expect(api.merged).toHaveLength(2);
  expect(api.runs[0]?.message).toContain("Design this export: the list as CSV. Its risk is low.");
});
