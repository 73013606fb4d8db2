import { expect, onTestFinished, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { COMPLETE } from "./support/harness.js";
import { connectForPlans } from "./support/plan-chat.js";
import { createSkippingClock } from "./support/skipping-clock.js";

// What a dry run foresees by 50 ended runs, beside what 25 plans of two runs each then take. Time is simulated: a turn
// takes 2 s of a clock that is moved on, so that seconds are those of the simulated agents and of nothing else.

const TURN_MS = 2_000;
const clock = createSkippingClock();

/** The same numbers each time, from 0 to 1. */
function createChances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** Turns as they come in life: most near the least, a few far beyond it. */
const WORK = {
  architect: { least: 5, spread: 7, usdPerTurn: 0.04, chance: createChances(15) },
  implement: { least: 8, spread: 16, usdPerTurn: 0.05, chance: createChances(51) },
};
const sim = useSimulatedApi({
  branches: true,
  describe: true,
  clock,
  paceMs: TURN_MS,
  script: ({ workflowName }) => {
    const { least, spread, usdPerTurn, chance } = WORK[workflowName as keyof typeof WORK];
    const turns = least + Math.floor(chance() ** 2 * spread);
    return {
      actions: Array.from({ length: turns }, (_, turn) => `Step ${turn + 1}`),
      costUsd: turns * usdPerTurn * (0.8 + 0.4 * chance()),
      result: "Done",
    };
  },
});

const PLAN = {
  name: "feature",
  steps: [
    { id: "design", run: "architect", task: "Design it" },
    { id: "build", run: "implement", needs: ["design"], from: "design", task: "Build it" },
  ],
};

/** Moves time on in small steps, between which what goes over the wire arrives. */
async function whileTimeGoes<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => clock.skip(1_000), 2);
  return work.finally(() => clearInterval(timer));
}

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]) => sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN;

test("what a dry run foresees by 50 ended runs is what 25 plans of such runs take", {
  timeout: 120_000,
}, async () => {
  const chat = await connectForPlans({ clock, settings: { MAX_CONCURRENT_RUNS: "10" } });
  onTestFinished(() => chat.client.close());
  async function runOnce(workflow_name: string, at: number) {
    const session_name = `${workflow_name}-${at}`;
    const args = { ...COMPLETE, workflow_name, session_name, wait_seconds: 3_600 };
    const { data, text } = await chat.call({ action: "run", ...args });
    expect(data.outcome, text).toBe("completed");
  }
  for (let at = 0; at < 25; at += 5)
    await whileTimeGoes(
      Promise.all(
        [0, 1, 2, 3, 4].flatMap((more) => [runOnce("architect", at + more), runOnce("implement", at + more)]),
      ),
    );
  expect(sim.api().world.runs()).toHaveLength(50);

  clock.skip(11 * 60_000);
  const dry = await chat.call({ action: "plan", plan: JSON.stringify(PLAN), dry_run: true });
  expect(dry.text).toContain("by 25 or more past runs of each workflow");
  const told = dry.data.dry_run;
  const foreseen = {
    turns: { usual: told.turns, most: told.most_turns },
    cost: { usual: told.cost_usd, most: told.most_cost_usd },
    seconds: { usual: told.duration_s, most: told.most_duration_s },
  };
  expect(dry.text).toContain(`about ${told.turns} to ${told.most_turns} turns`);
  // Nothing of it has begun.
  expect(sim.api().world.runs()).toHaveLength(50);

  async function carryOut(at: number) {
    const begun = await chat.begin(PLAN, { session_name: `feature-${at}` });
    const { data, text } = await chat.follow(begun.data.plan.plan_id, 3_600);
    expect(data.outcome, text).toBe("completed");
    const ids = data.plan.steps.map(({ run_id }: { run_id: string }) => run_id);
    const runs = sim
      .api()
      .world.runs()
      .filter(({ runId }) => ids.includes(runId));
    expect(runs).toHaveLength(2);
    const sum = (of: (run: (typeof runs)[number]) => number) =>
      runs.reduce((total, run) => total + of(run), 0);
    return {
      turns: sum(({ turn }) => turn),
      cost: sum(({ costUsd }) => costUsd),
      seconds:
        (Math.max(...runs.map(({ completedAt }) => completedAt ?? Number.NaN)) -
          Math.min(...runs.map(({ startedAt }) => startedAt))) /
        1_000,
    };
  }
  const actual: Awaited<ReturnType<typeof carryOut>>[] = [];
  for (let at = 0; at < 25; at += 5)
    actual.push(...(await whileTimeGoes(Promise.all([0, 1, 2, 3, 4].map((more) => carryOut(at + more))))));
  expect(sim.api().world.runs()).toHaveLength(100);

  for (const what of ["turns", "cost", "seconds"] as const) {
    const values = actual.map((one) => one[what]);
    const { usual, most } = foreseen[what];
    const below = values.filter((value) => value <= most).length;
    const found = { what, usual, most, ...{ least: Math.min(...values), median: median(values) } };
    const shown = JSON.stringify({ ...found, highest: Math.max(...values), below });
    if (process.env.AUTOMAGIK_TEST_SHOW) process.stderr.write(`${shown}\n`);
    // What usually takes so much is in the middle of what was told, and few plans take more than the upper end.
    expect(found.median, shown).toBeGreaterThan(0.75 * usual);
    expect(found.median, shown).toBeLessThan(most);
    expect(below, shown).toBeGreaterThanOrEqual(22);
  }
});
