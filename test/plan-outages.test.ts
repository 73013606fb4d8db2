import { expect, onTestFinished, test, vi } from "vitest";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { type Clock, systemClock } from "../src/shared/clock.js";
import { serveBranchingApi } from "./support/branching-api.js";
import { openDrivenPlans } from "./support/driven-plans.js";

/** Pauses between tries are short; time limits are as they are. */
const PAUSES_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000];
const HURRIED: Clock = {
  ...systemClock,
  after: (ms, task) => systemClock.after(PAUSES_MS.includes(ms) ? 10 : ms, task),
};

const PARTS = {
  name: "parts",
  inputs: { parts: { type: "list" } },
  steps: [
    { id: "build", run: "implement", for_each: "${inputs.parts}", task: "Build ${item}" },
    { id: "join", merge: "build", needs: ["build"], check: "npm test" },
  ],
};

/** A plan of which the merge is due, while the API does nothing at the moment. */
async function beginAndGoAway() {
  const api = await serveBranchingApi({ script: () => ({ manual: true }) });
  const plans = await openDrivenPlans(api, undefined, { clock: HURRIED });
  plans.runner.start();
  const planId = await plans.begin(PARTS, { inputs: { parts: ["one"] } });
  await plans.until(planId, ({ steps }) => steps.build?.attempts[0]?.runId !== undefined);
  const [run] = api.world.runs();
  // What is asked of it after the end of its run finds nobody.
  let tries = 0;
  const server = api.refuse((request) => {
    if (!request.endsWith("/take")) return false;
    tries++;
    return true;
  });
  onTestFinished(() => server.back());
  api.world.run(run?.runId ?? "").complete({ result: "Done", commits: ["Build one"] });
  await vi.waitFor(() => expect(tries).toBeGreaterThan(12), { timeout: 20_000 });
  return { api, plans, planId, server };
}

test("rule 9: a merge waits for an API that is away, however long, and is made once it is back", async () => {
  const { api, plans, planId, server } = await beginAndGoAway();
  const sight = await plans.runner.look(planId);
  expect(sight?.troubles).toMatchObject([{ step: "join", reason: expect.stringContaining("maintenance") }]);
  server.back();
  const state = await plans.until(planId, (now) => planStatus(now) !== "running");
  expect(planStatus(state), state.steps.join?.reason).toBe("completed");
  expect(api.merged).toHaveLength(1);
});

test("rule 10: a plan that is ended while its merge waits for the API merges and checks nothing any more", async () => {
  const { api, plans, planId, server } = await beginAndGoAway();
  await plans.runner.tell(planId, { type: "kill-asked" });
  await plans.until(planId, (now) => planStatus(now) === "killed");
  server.back();
  await vi.waitFor(() => expect(plans.runner.driven()).toEqual([]));
  expect(api.merged).toEqual([]);
});

test("what an agent says by the megabyte stays out of the journal, and its fields are read all the same", async () => {
  const long = "x".repeat(2_000_000);
  const api = await serveBranchingApi({
    script: () => ({ result: `Begin ${long}\n\`\`\`json\n{"parts": ["one"]}\n\`\`\`` }),
  });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const planId = await plans.begin({
    name: "long",
    steps: [{ id: "design", run: "architect", task: "Design it", output: { parts: { type: "list" } } }],
  });
  const state = await plans.until(planId, (now) => planStatus(now) === "completed");
  expect(state.steps.design?.output).toEqual({ parts: ["one"] });
  expect(state.steps.design?.attempts[0]?.result).toMatch(/^Begin x/);
  const events = (await plans.journal.readSince(planId, 0)).map(({ event }) => event);
  expect(JSON.stringify(events).length).toBeLessThan(400_000);
});

/** A plan whose start the API refuses as things stand, on a clock that can be put forward. */
async function beginRefused() {
  let aheadMs = 0;
  let tries = 0;
  const api = await serveBranchingApi({ script: () => ({ result: "Done." }) });
  const server = api.refuse((path) => {
    if (!path.endsWith("/run/fix")) return false;
    tries++;
    return true;
  }, 409);
  const plans = await openDrivenPlans(api, undefined, {
    clock: { ...HURRIED, elapsed: () => systemClock.elapsed() + aheadMs },
  });
  plans.runner.start();
  const planId = await plans.begin({ name: "refused", steps: [{ id: "fix", run: "fix", task: "Fix it" }] });
  const tried = (more: number) => {
    const enough = tries + more;
    return vi.waitFor(() => expect(tries).toBeGreaterThanOrEqual(enough), { timeout: 20_000 });
  };
  await tried(3);
  function pass(ms: number): void {
    aheadMs += ms;
  }
  return { api, plans, planId, server, tried, pass };
}

test("a start that the API refuses as things stand is tried again, and sent once it takes it", async () => {
  const { api, plans, planId, server, tried, pass } = await beginRefused();
  pass(9 * 60_000);
  await tried(2);
  expect((await plans.runner.look(planId))?.troubles).toMatchObject([
    { step: "fix", reason: expect.stringContaining("Another run goes on in this session") },
  ]);
  server.back();
  await plans.until(planId, (now) => planStatus(now) === "completed");
  expect(api.runs).toHaveLength(1);
});

test("one that is refused for ten minutes fails with what the API says and what to do, and can be done again", async () => {
  const { api, plans, planId, server, pass } = await beginRefused();
  pass(10 * 60_000);
  const state = await plans.until(planId, ({ steps }) => steps.fix?.status === "failed");
  expect(state.steps.fix?.reason).toMatch(
    /refused this start for 10 minutes, so it is not tried again\. No run was started\. .* redo the step: .*Another run goes on/,
  );
  expect(planStatus(state)).toBe("failed");
  expect(api.runs).toHaveLength(0);
  server.back();
  expect((await plans.runner.tell(planId, { type: "step-redone", step: "fix" }))?.refused).toBeUndefined();
  await plans.until(planId, (now) => planStatus(now) === "completed");
  expect(api.runs).toHaveLength(1);
});
