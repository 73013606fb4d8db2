import type { Run } from "../../src/api/types.js";
import type { RunPlace } from "../../src/dashboard/run-row.js";
import type { PlanSight } from "../../src/plan-runner/runner.js";
import { apply, startPlan } from "../../src/plans/machine/apply.js";
import type { PlanChange } from "../../src/plans/machine/events.js";
import type { PlanState } from "../../src/plans/machine/state.js";
import { whyNot } from "../../src/plans/machine/why-not.js";
import { optional } from "../../src/plans/plan.js";
import { bareRun } from "../../src/runs/run-facts.js";
import { planOf } from "./plan-place.js";

const MINUTE = 60_000;
const ROUTES = ["users", "orders", "search", "uploads", "webhooks"];

const design = { id: "design", run: "architect", task: "Design ${inputs.task}" };
const agree = {
  id: "agree",
  gate: "Is the design right?",
  needs: ["design"],
  show: "${steps.design.result}",
};
const implement = {
  ...{ id: "implement", run: "implement", needs: ["agree"], from: "design", retry: 1 },
  task: "Build the bucket and its middleware",
};
const review = {
  ...{ id: "review", needs: ["implement"], back_to: { step: "implement", max: 2 } },
  gate: "Is the token bucket what we want, before it goes into every route?",
};
const tests = {
  ...{ id: "tests", run: "test", needs: ["agree"], from: "design" },
  task: "Test bursts, refill and the clock",
};
const routes = {
  ...{ id: "routes", run: "implement", needs: ["review"], from: "implement", for_each: "${inputs.routes}" },
  task: "Limit the route ${item}",
};
const merge = { id: "merge", merge: "routes", needs: ["routes"] };

const rateLimits = (steps: object[]) =>
  planOf({
    name: "rate-limits",
    inputs: { task: { type: "string", required: true }, routes: { type: "list", required: true } },
    limits: { parallel: 2, runs: 12, cost_usd: 6, minutes: 180 },
    steps,
  });

/**
 * A plan at its second gate, as the machine of plans has it after what happened in its hour: designed and agreed to,
 * changed, built at the second try; its tests go on.
 */
export function rateLimitsPlan(now: number): PlanSight {
  const at = (minutes: number) => now - minutes * MINUTE;
  let state: PlanState = startPlan({
    type: "plan-started",
    at: at(58),
    planId: "plan-1",
    plan: rateLimits([design, agree, implement, review, routes, merge]),
    inputs: { task: "Limit requests per API key, with a clear answer when it is too many", routes: ROUTES },
  });
  const happens = (minutes: number, change: PlanChange) => {
    const event = { ...change, at: at(minutes) };
    const why = whyNot(state, event);
    if (why !== undefined) throw new Error(`${change.type}: ${why}`);
    state = apply(state, event);
  };
  const begins = (minutes: number, step: string, attempt: number, runId: string) =>
    happens(minutes, {
      ...{ type: "run-started", key: `plan-1/${step}/${attempt}`, runId, sessionId: `session-${runId}` },
      ...{ sessionName: `rate-limits-${step}`, branch: `automagik/rate-limits-${step}` },
    });
  const ended = { type: "run-ended", branch: null } as const;
  begins(58, "design", 1, "run-design");
  happens(46, {
    ...{ ...ended, key: "plan-1/design/1", status: "completed", turns: 11, costUsd: 0.48 },
    result:
      "A token bucket per key, kept in memory, refilled each second.\nToo many requests get 429 with Retry-After.",
  });
  happens(41, {
    ...{ type: "gate-decided", step: "agree", attempt: 1, commits: [], decision: "approve" },
    ...{ words: "Keep it in memory for now", via: "chat", by: "ada" },
  });
  begins(41, "implement", 1, "run-first-try");
  happens(30, {
    ...{ ...ended, key: "plan-1/implement/1", status: "failed", turns: 9, costUsd: 0.33 },
    error: "The connection to the model was lost",
  });
  begins(29, "implement", 2, "run-built");
  happens(7, {
    type: "plan-edited",
    plan: rateLimits([
      ...[design, agree, implement, tests, review],
      ...[{ ...routes, needs: ["review", "tests"] }, merge],
    ]),
  });
  begins(7, "tests", 1, "run-implement");
  happens(6, {
    ...{ type: "run-ended", key: "plan-1/implement/2", status: "completed", turns: 14, costUsd: 0.62 },
    ...{ branch: "automagik/rate-limits-implement", commit: "3f9c2e1a7755a1c0de88a1f2b3c4d5e6f7a8b9c0" },
    result:
      "Each key has a bucket of 60 requests, refilled by one each second. A request too many gets 429 with Retry-After " +
      "and a body that says when to come back.\n\nThe bucket forgets keys that were silent for an hour.",
  });
  return {
    state,
    place: { repositoryUrl: "https://example.com/acme/gateway.git", gitBranch: "main" },
    troubles: [],
    actions: new Map([["plan-1/tests/1", "Turn 9/40: Run the tests of the limits"]]),
  };
}

/** The runs that a plan has had, as the API lists them, each with its step. */
export function runsOfPlan({ state, place }: PlanSight): { run: Run; place: RunPlace }[] {
  return state.plan.steps.flatMap((step) =>
    (state.steps[step.id]?.attempts ?? []).flatMap((attempt) => {
      if (step.kind !== "run" || attempt.runId === undefined) return [];
      const { runId, status, startedAt, endedAt, sessionName, turns, costUsd, result, error, branch } =
        attempt;
      const run: Run = {
        ...bareRun(runId),
        ...{ workflowName: step.workflow, status, startedAt },
        ...optional("sessionName", sessionName),
        ...optional("completedAt", endedAt),
        ...optional("turn", turns),
        ...optional("costUsd", costUsd),
        ...optional("result", result),
        ...optional("error", error),
        ...optional("gitBranch", branch ?? undefined),
        ...optional("repositoryUrl", place.repositoryUrl),
      };
      return [{ run, place: { planId: state.planId, plan: state.plan.name, step: step.id } }];
    }),
  );
}
