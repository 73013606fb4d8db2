import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { checkPlan, checkPlanValue } from "../src/plans/language/check-plan.js";
import { spellPlan } from "../src/plans/language/spell-plan.js";
import { FEATURE } from "./support/plan-place.js";

const folder = fileURLToPath(new URL("../plans", import.meta.url));
const shipped = readdirSync(folder).filter((name) => name.endsWith(".yaml"));

const EVERYTHING = {
  name: "everything",
  description: "Each key once",
  inputs: {
    issues: { type: "list", required: true },
    risk: { type: "string", enum: ["low", "high"], titles: { low: "Little" }, default: "low" },
  },
  limits: { parallel: 2, runs: 40, cost_usd: 12.5, minutes: 90 },
  steps: [
    ...FEATURE.steps,
    {
      id: "each",
      run: "fix",
      for_each: "${inputs.issues}",
      task: "Fix ${item}",
      parallel: 2,
      retry: 1,
    },
    {
      id: "again",
      run: "fix",
      needs: ["each", "review"],
      join: "any_ok",
      continue: "review",
      when: "${inputs.risk} == high",
      output: { verdict: { enum: ["good", "bad"] } },
      back_to: { step: "design", max: 1, when: "${steps.again.output.verdict} == bad" },
    },
  ],
};

test("a plan that is spelled out and read again is the same plan", async () => {
  const texts = shipped.map((name) => readFileSync(`${folder}/${name}`, "utf8"));
  expect(texts.length).toBeGreaterThan(0);
  for (const raw of [EVERYTHING, ...texts]) {
    const first = await checkPlan(raw);
    if ("problems" in first) throw new Error(JSON.stringify(first.problems));
    const again = checkPlanValue(spellPlan(first.plan));
    expect(again).toEqual({ ...first, plan: first.plan });
    // The journal compares steps by how they are written.
    expect("plan" in again && JSON.stringify(again.plan)).toBe(JSON.stringify(first.plan));
  }
});
