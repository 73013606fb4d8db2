/**
 * Plans. Their pure part: checking one with 1,000 steps, and replaying a journal of 2,000 entries, medians, on the
 * sources. Then plans that are carried out (plan-runner.ts).
 */

import { checkPlanValue } from "../src/plans/language/check-plan.js";
import { apply, replay, startPlan } from "../src/plans/machine/apply.js";
import { commandsOf } from "../src/plans/machine/commands.js";
import type { PlanChange, PlanEvent, PlanStarted } from "../src/plans/machine/events.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { type BenchOptions, median } from "./part.js";
import { benchPlanRunner } from "./plan-runner.js";

const CHECK_GOAL_MS = 50;
const REPLAY_GOAL_MS = 200;
const STEPS = 1_000;
const ENTRIES = 2_000;

/** @returns the goals that were missed */
export async function benchPlans({ rounds = 21, print }: BenchOptions): Promise<string[]> {
  print(`Plans, medians of ${rounds}`);
  const missed: string[] = [];
  function measure(title: string, goal: number, work: () => void): void {
    const times = Array.from({ length: rounds }, () => {
      const began = performance.now();
      work();
      return performance.now() - began;
    });
    const [first = 0] = times;
    const ms = median(times);
    print(
      `  ${title.padEnd(44)} ${ms.toFixed(1).padStart(7)} ms   cold ${first.toFixed(1).padStart(7)} ms   goal ${goal} ms`,
    );
    if (ms > goal) missed.push(`${title}: ${ms.toFixed(1)} ms, goal ${goal} ms`);
  }

  const large = createLargePlan();
  measure(`check of ${STEPS} steps`, CHECK_GOAL_MS, () => {
    if ("problems" in checkPlanValue(large)) throw new Error("The plan has mistakes.");
  });
  for (const [what, { start, journal }] of [
    ["", createJournal(createSeries())],
    [", all behind one step", createJournal(createFan())],
  ] as const)
    measure(`replay of ${journal.length} entries${what}`, REPLAY_GOAL_MS, () => {
      if (planStatus(replay(start, journal)) !== "completed")
        throw new Error("The plan has not come to its end.");
    });
  return [...missed, ...(await benchPlanRunner({ print }))];
}

/** Each step refers to the one before, has a condition, and an output. */
function createLargePlan(): object {
  const steps = Array.from({ length: STEPS }, (_, at) => {
    const first = {
      id: `s${at}`,
      run: "fix",
      task: "Work",
      output: { verdict: { enum: ["approve", "changes"] } },
    };
    if (at === 0) return first;
    const before = `s${at - 1}`;
    return {
      ...first,
      task: `Go on with \${steps.${before}.result}`,
      needs: at > 5 ? [before, `s${at - 5}`] : [before],
      from: before,
      when: `\${steps.${before}.output.verdict} == changes`,
    };
  });
  return { limits: { runs: STEPS }, steps };
}

/** Steps that all need the first one, of which some go on at once. */
function createFan(): object[] {
  return Array.from({ length: STEPS }, (_, at) => ({
    id: `s${at}`,
    run: "fix",
    task: "Work",
    ...(at === 0 ? {} : { needs: ["s0"] }),
  }));
}

/** Fan-outs and their merges, behind each other. */
function createSeries(): object[] {
  const steps: object[] = [{ id: "design", run: "architect", task: "Design" }];
  for (let part = 1; part <= 8; part++) {
    const needs = [part === 1 ? "design" : `join${part - 1}`];
    steps.push({
      id: `build${part}`,
      run: "implement",
      needs,
      from: needs[0],
      task: "Build ${item}",
      for_each: "${inputs.parts}",
    });
    steps.push({ id: `join${part}`, merge: `build${part}`, needs: [`build${part}`] });
  }
  return steps;
}

/** A plan of these steps as it went. */
function createJournal(steps: object[]): { start: PlanStarted; journal: PlanEvent[] } {
  const items = Array.from({ length: 100 }, (_, at) => `part ${at}`);
  const checked = checkPlanValue(
    {
      inputs: { parts: "list" },
      limits: { parallel: 50, runs: 10_000, cost_usd: 10_000, minutes: 100_000 },
      steps,
    },
    { inputs: { parts: items } },
  );
  if ("problems" in checked) throw new Error("The plan has mistakes.");
  const start: PlanStarted = {
    type: "plan-started",
    at: 0,
    planId: "bench",
    plan: checked.plan,
    inputs: checked.inputs,
  };
  const journal: PlanEvent[] = [];
  let state = startPlan(start);
  function tell(change: PlanChange): void {
    const event = { ...change, at: journal.length };
    state = apply(state, event);
    journal.push(event);
  }
  while (planStatus(state) === "running") {
    const [next] = commandsOf(state);
    if (next?.type === "start")
      tell({ type: "run-started", key: next.key, runId: `run ${next.key}`, branch: `branch ${next.key}` });
    else if (next?.type === "watch")
      tell({
        type: "run-ended",
        key: next.key,
        status: "completed",
        result: "Done. ".repeat(200),
        branch: `branch ${next.key}`,
        commit: next.key,
        costUsd: 0.5,
      });
    else if (next?.type === "merge")
      tell({
        type: "merged",
        step: next.step,
        attempt: next.attempt,
        item: next.item,
        branch: `merged ${next.step}`,
        commit: next.id,
      });
    else throw new Error(`Nothing is to be done, after ${journal.length} events.`);
  }
  if (journal.length < ENTRIES) throw new Error(`There are ${journal.length} entries only.`);
  return { start, journal };
}
