import { expect, onTestFinished, test, vi } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import type { RunState, Script, StartInfo } from "../mocks/types.js";
import { capabilitiesOfApi } from "../src/plan-runner/api-capabilities.js";
import { checkPlanValue } from "../src/plans/language/check-plan.js";
import { describePlan } from "../src/plans/machine/describe-plan.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { decide, isAtGate, openDrivenPlans } from "./support/driven-plans.js";
import { FEATURE } from "./support/plan-place.js";

// Plans with the public server: what it has is enough for runs, gates and lists, and the checker tells the rest.

async function open(script: (start: StartInfo) => Script) {
  const served = await serveSimulatedApi({ profile: "automagik-0.6", describe: true, paceMs: 0, script });
  onTestFinished(() => served.close());
  const defaults = { inputFormat: "text" as const, maxTurns: 5 };
  return { served, plans: await openDrivenPlans(served, undefined, { defaults }) };
}

test("a plan of runs, a gate and a list goes to its end with the public server", async () => {
  const { served, plans } = await open(() => ({ actions: ["Working"], costUsd: 0.25 }));
  plans.runner.start();
  const planId = await plans.begin({
    name: "look",
    steps: [
      { id: "list", run: "builder", task: "List the parts", output: { parts: "list" } },
      { id: "ok", gate: "These?", needs: ["list"], show: "${steps.list.result}" },
      {
        id: "look",
        run: "guardian",
        needs: ["ok"],
        task: "Look at ${item}",
        for_each: "${steps.list.output.parts}",
      },
    ],
  });
  await plans.runner.tell(planId, decide(await plans.until(planId, isAtGate), "approve"));
  const done = await plans.until(planId, (state) => planStatus(state) === "completed");
  expect(describePlan(done)).toMatchObject({ runs: { started: 3 }, costUsd: 0.75 });
  expect(served.api.posts("/run/")).toHaveLength(3);
  const names = served.api.posts("/run/").map(({ body }) => (body as { session_name: string }).session_name);
  expect(names.sort()).toEqual(["look-list", "look-look-1", "look-look-2"]);
});

test("what the public server does not do is told before anything is sent, each with its place", async () => {
  const { served, plans } = await open(() => ({}));
  const checked = checkPlanValue(FEATURE, { cannot: capabilitiesOfApi(plans.capabilities) });
  expect("problems" in checked && checked.problems.map(({ path, message }) => [path, message])).toEqual([
    ["steps[2].from", expect.stringMatching(/^This API does not .*so "from" is not possible\.$/)],
    ["steps[3].merge", expect.stringMatching(/^This API does not .*so "merge" is not possible\.$/)],
    ["steps[4].from", expect.stringMatching(/^This API does not .*so "from" is not possible\.$/)],
  ]);
  expect(served.api.posts()).toEqual([]);
});

const TALK = {
  name: "talk",
  steps: [
    { id: "first", run: "builder", task: "Begin" },
    { id: "second", run: "builder", task: "Go on", needs: ["first"], continue: "first" },
  ],
};

test("a conversation goes on with the public server, which shows its id only while a run goes on", async () => {
  const { served, plans } = await open(() => ({ manual: true, costUsd: 0.25 }));
  plans.runner.start();
  const planId = await plans.begin(TALK);
  for (const runs of [1, 2]) {
    await vi.waitFor(() => expect(served.api.world.runs()).toHaveLength(runs), 30_000);
    const { runId } = served.api.world.runs()[runs - 1] as RunState;
    const run = served.api.world.run(runId);
    run.turn("One");
    // It goes on until somebody has looked at it since.
    const before = new Set(served.api.requests);
    await served.api.waitFor((now) => !before.has(now) && now.method === "GET" && now.path.includes(runId));
    await served.api.settled();
    run.complete();
  }
  const done = await plans.until(planId, (state) => planStatus(state) === "completed");
  const [first, second] = served.api.world.runs();
  expect(second?.body.session_id).toBe(first?.sessionId);
  expect(done.runsStarted).toBe(2);
});

test("a conversation whose id nobody has seen is not begun anew: the step fails, and says what can be done", async () => {
  const { served, plans } = await open(() => ({ actions: ["Working"], costUsd: 0.25 }));
  plans.runner.start();
  const planId = await plans.begin(TALK);
  const state = await plans.until(planId, (now) => planStatus(now) === "failed");
  expect(state.steps.second?.reason).toMatch(/has not told the id of the conversation.*Nothing was started/);
  expect(served.api.posts("/run/")).toHaveLength(1);
});
