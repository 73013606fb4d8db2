import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { StartInfo } from "../mocks/types.js";
import { describePlan } from "../src/plans/machine/describe-plan.js";
import { planStatus, waitingFor } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { createContractClient } from "./contract/upstream.js";
import { bundleWorker } from "./engine-workers/bundle.js";
import { ended, linesOf } from "./state-workers/worker-processes.js";
import { temporaryFolder } from "./support/bin.js";
import { serveBranchingApi } from "./support/branching-api.js";
import { hasEnded, openDrivenPlans, scriptOf } from "./support/driven-plans.js";
import { freePort } from "./support/free-port.js";
import { makeGitPlace } from "./support/git-place.js";
import { ENGINE_KEY, SCRIPTED_AGENT } from "./support/local-engine.js";
import { FEATURE, planOf } from "./support/plan-place.js";

// An engine goes away amid the runs of a plan: the plan goes on by itself, in the same sessions.

const BUILD = { ...FEATURE.steps[2], needs: ["design"] };
const PARALLEL = { name: "feature", steps: [FEATURE.steps[0], BUILD, ...FEATURE.steps.slice(3)] };

test("rule 8: runs that a restart of the API has interrupted go on, each once, and the plan ends as it would have", async () => {
  const isFirstBuild = ({ workflowName, body }: StartInfo) =>
    workflowName === "implement" && !body.session_id;
  const api = await serveBranchingApi({
    keepsKeys: true,
    script: (start) => (isFirstBuild(start) ? { manual: true } : scriptOf(start)),
  });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const planId = await plans.begin(PARALLEL);
  const areBoth = ({ steps }: PlanState) =>
    steps.build?.attempts.filter(({ runId }) => runId !== undefined).length === 2;
  await plans.until(planId, areBoth);
  api.world.restart();
  const done = await plans.until(planId, hasEnded);
  expect(
    api.runs.map(({ workflow, session, continues }) => [workflow, session, continues !== undefined]).sort(),
  ).toEqual([
    ["architect", "feature-design", false],
    ["implement", "feature-build-1", false],
    ["implement", "feature-build-1", true],
    ["implement", "feature-build-2", false],
    ["implement", "feature-build-2", true],
    ["review", "feature-review", false],
  ]);
  expect(api.posts).toBe(6);
  expect(describePlan(done)).toMatchObject({ status: "completed", runs: { started: 6 } });
  expect(api.merged).toHaveLength(2);
});

test("rule 8: a run that a person has killed in the API does not go on", async () => {
  const api = await serveBranchingApi({ script: () => ({ manual: true }) });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const planId = await plans.begin({ name: "one", steps: [{ id: "only", run: "fix", task: "Mend it" }] });
  const going = await plans.until(planId, ({ steps }) => steps.only?.attempts[0]?.runId !== undefined);
  api.world.kill(String(going.steps.only?.attempts[0]?.runId));
  await plans.until(planId, (state) => planStatus(state) === "failed");
  expect(api.runs).toHaveLength(1);
});

test("rule 8: a run is not tried again where what it was to go on with had come to its end", async () => {
  const api = await serveBranchingApi({ script: () => ({ manual: true }) });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const step = { id: "only", run: "fix", task: "Mend it", retry: 2 };
  const planId = await plans.begin({ name: "one", steps: [step] });
  const going = await plans.until(planId, ({ steps }) => steps.only?.attempts[0]?.runId !== undefined);
  const runId = String(going.steps.only?.attempts[0]?.runId);
  api.world.run(runId).fail("It had completed.", "already_ended");
  await plans.until(planId, (state) => planStatus(state) === "failed");
  expect(api.runs).toHaveLength(1);
});

// Each agent commits, says where it is, and waits there for as long as it is told to.
const WORK = [
  'echo work >> "$(basename "$PWD").txt"',
  "git add .",
  'git -c user.name=A -c user.email=a@b commit -qm "Work in $(basename "$PWD")"',
  'touch "$HOME/at-$(basename "$PWD")"',
  'while [ -f "$HOME/hang" ]; do sleep 0.05; done',
].join(" && ");
const AGENT = JSON.stringify([
  { tools: [{ name: "Bash", input: { command: WORK }, run: true }] },
  { text: 'Done.\n```json\n{"parts": ["one", "two"]}\n```' },
]);

test("rule 8: after the engine was killed amid a parallel build the plan goes on by itself to the same end", async () => {
  const place = makeGitPlace();
  onTestFinished(() => place.remove());
  const worker = await bundleWorker("engine-workers/serve-engine", temporaryFolder());
  const port = String(await freePort());
  async function serve() {
    const started = worker.startWith(
      { SCRIPTED_AGENT: AGENT },
      place.folder,
      place.source,
      port,
      SCRIPTED_AGENT,
    );
    onTestFinished(() => void started.kill("SIGKILL"));
    expect((await linesOf(started).next()).value).toBe("listening");
    return started;
  }
  const engine = await serve();
  const url = `http://127.0.0.1:${port}`;
  const client = createContractClient({ url, apiKey: ENGINE_KEY });
  const plans = await openDrivenPlans({ url }, undefined, { apiKey: ENGINE_KEY });
  /** Allows what agents ask for, as a person would, until the plan fits. */
  const until = (planId: string, fits: (state: PlanState) => boolean) =>
    vi.waitFor(
      async () => {
        const sight = await plans.runner.look(planId);
        if (!sight) throw new Error("There is no such plan.");
        for (const { kind, runId } of waitingFor(sight.state)) {
          if (kind !== "question") continue;
          const { body } = await client.get(`/run/${runId}/status`);
          for (const { question_id } of body.questions ?? [])
            await client.post(`/run/${runId}/questions/${question_id}/answer`, { answer: "allow_once" });
        }
        if (!fits(sight.state)) throw new Error(JSON.stringify([describePlan(sight.state), sight.troubles]));
        return sight.state;
      },
      { timeout: 60_000, interval: 50 },
    );
  plans.runner.start();
  const planId = randomUUID();
  const steps = PARALLEL.steps.map((step) => ({
    ...step,
    ...(step && "run" in step ? { run: "implement" } : {}),
    ...(step && "merge" in step ? { check: "test -f readme.md" } : {}),
  }));
  const plan = planOf({ name: "feature", steps });
  await plans.runner.begin({ planId, plan, inputs: {} }, { repositoryUrl: place.source });
  await until(planId, ({ steps: now }) => now.design?.status === "succeeded");
  writeFileSync(join(place.folder, "hang"), "");
  const building = await until(
    planId,
    () => readdirSync(place.folder).filter((name) => /^at-source-feature-build/.test(name)).length === 2,
  );
  expect(describePlan(building).runs.started).toBe(3);

  engine.kill("SIGKILL");
  await ended(engine);
  rmSync(join(place.folder, "hang"));
  await serve();
  const done = await until(planId, (state) => ["completed", "failed", "blocked"].includes(planStatus(state)));
  expect(describePlan(done)).toMatchObject({ status: "completed", runs: { started: 6 } });
  const build = done.steps.build?.attempts ?? [];
  expect(build.map(({ item, why, status }) => [item, why, status])).toEqual(
    expect.arrayContaining([
      [0, "first", "failed"],
      [1, "first", "failed"],
      [0, "resume", "completed"],
      [1, "resume", "completed"],
    ]),
  );
  for (const item of [0, 1]) {
    const [first, second] = build.filter((one) => one.item === item);
    expect(second?.sessionId).toBe(first?.sessionId);
    const branch = String(second?.branch);
    // What was committed before it was interrupted is there, and what came then.
    const file = `source-feature-build-${item + 1}.txt`;
    expect(place.git(place.source, "show", `${branch}:${file}`).split("\n")).toEqual(["work", "work"]);
  }
  const files = place.git(place.source, "ls-tree", "--name-only", String(done.steps.join?.branch));
  expect(files.split("\n")).toEqual(
    expect.arrayContaining(["source-feature-build-1.txt", "source-feature-build-2.txt"]),
  );
  expect((await client.get("/runs")).body.total_count).toBe(6);
  expect(existsSync(join(place.folder, "at-source-feature-review"))).toBe(true);
});
