import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { checkPlan } from "../../src/plans/language/check-plan.js";
import { describeProblem } from "../../src/plans/language/problems.js";
import { describePlan } from "../../src/plans/machine/describe-plan.js";
import { planStatus, waitingFor } from "../../src/plans/machine/plan-status.js";
import type { PlanState } from "../../src/plans/machine/state.js";
import { serveBranchingApi } from "./branching-api.js";
import { decide, openDrivenPlans } from "./driven-plans.js";

/** What happens to a plan on its way. */
export interface Story {
  inputs: object;
  /** What agents give of the fields that they are asked for, by workflow, in the order of their runs. */
  give: Record<string, Record<string, unknown>[]>;
  /** What a person says at gates, in this order. */
  decisions?: [gate: string, decision: "approve" | "send-back", words?: string][];
}

/**
 * Carries a plan out on the simulated API, to its end.
 * @returns what the API got, how the plan stands then, and what was asked at the gates
 */
export async function carryOut(text: string, { inputs, give, decisions = [] }: Story) {
  const api = await serveBranchingApi({
    script: ({ workflowName, body }) => ({
      result: `${workflowName} says: done`,
      output: give[workflowName]?.shift() ?? {},
      costUsd: 0.2,
      actions: ["Working"],
      // A reviewer commits nothing.
      ...(workflowName === "review" ? { commits: [] } : {}),
      ...(body.message === "" ? { outcome: "failed" as const } : {}),
    }),
  });
  // Offered where that agent is there.
  api.world.workflows.add({ name: "review-codex", description: "Review code with Codex" });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const checked = await checkPlan(text, { inputs });
  if ("problems" in checked) throw new Error(checked.problems.map(describeProblem).join("\n"));
  expect(checked.missing).toEqual([]);
  const planId = randomUUID();
  await plans.runner.begin({ planId, plan: checked.plan, inputs: checked.inputs }, { gitBranch: "main" });
  const shown: string[] = [];
  for (const [gate, decision, words] of decisions) {
    const state = await plans.until(planId, ({ steps }) => steps[gate]?.open !== undefined);
    shown.push(
      describePlan(state)
        .waitingFor.map(({ what }) => what)
        .join(),
    );
    await plans.runner.tell(planId, decide(state, decision, words, gate));
    await plans.until(
      planId,
      ({ steps }) => steps[gate]?.decisions.length !== state.steps[gate]?.decisions.length,
    );
  }
  const state = await plans.until(planId, (now) => !["running", "waiting"].includes(planStatus(now)));
  expect(waitingFor(state)).toEqual([]);
  expect(planStatus(state)).toBe("completed");
  return { api, state, shown };
}

/** The runs by their steps, in the order in which they were started; `>` for one that goes on with a conversation. */
export function runsOf(state: PlanState): string[] {
  return Object.entries(state.steps)
    .flatMap(([id, { attempts }]) => attempts.map((attempt) => ({ id, ...attempt })))
    .sort((a, b) => a.startedAt - b.startedAt)
    .map(({ id, key, conversation }) => (conversation === key ? id : `> ${id}`));
}
