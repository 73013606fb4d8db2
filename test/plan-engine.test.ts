import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { capabilitiesOfApi } from "../src/plan-runner/api-capabilities.js";
import { describePlan } from "../src/plans/machine/describe-plan.js";
import { planStatus, waitingFor } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { createContractClient } from "./contract/upstream.js";
import { decide, openDrivenPlans } from "./support/driven-plans.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { silentLog } from "./support/harness.js";
import { ENGINE_KEY, startLocalEngine } from "./support/local-engine.js";
import { openPlans, type PlanProcess, planOf } from "./support/plan-place.js";

/** Each commits a file that is named after its own worktree, and tells two parts. */
const AGENT = JSON.stringify([
  {
    tools: [
      {
        name: "Bash",
        input: {
          command:
            'echo work > "$(basename "$PWD").txt" && git add . && git -c user.name=A -c user.email=a@b commit -qm "Work in $(basename "$PWD")"',
        },
        run: true,
      },
    ],
  },
  { text: 'Done.\n```json\n{"parts": ["one", "two"]}\n```' },
]);

let place: GitPlace;
let engine: LocalEngine;
let plans: PlanProcess;
beforeEach(async () => {
  place = makeGitPlace();
  engine = await startLocalEngine(
    place.folder,
    { engineAllowedFolders: [place.source] },
    { SCRIPTED_AGENT: AGENT },
  );
  plans = await openPlans({ url: engine.url, apiKey: ENGINE_KEY, log: silentLog });
});
afterEach(async () => {
  await plans.close();
  await engine.close();
  place.remove();
});

/** Allows what agents ask for, as a person would, until the plan fits. */
async function until(planId: string, fits: (state: PlanState) => boolean): Promise<PlanState> {
  const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  return vi.waitFor(
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
    { timeout: 100_000, interval: 100 },
  );
}

test("with our engine parallel runs begin at the branch of the design, and their branches are merged after a check", async () => {
  expect(capabilitiesOfApi(plans.capabilities)).toEqual({});
  const planId = randomUUID();
  const plan = planOf({
    name: "feature",
    steps: [
      { id: "design", run: "implement", task: "Design it", output: { parts: { type: "list" } } },
      {
        id: "build",
        run: "implement",
        needs: ["design"],
        from: "design",
        task: "Build ${item}",
        for_each: "${steps.design.output.parts}",
      },
      { id: "join", merge: "build", needs: ["build"], check: "test -f readme.md" },
      { id: "review", run: "implement", needs: ["join"], from: "join", task: "Review it" },
    ],
  });
  plans.runner.start();
  await plans.runner.begin({ planId, plan, inputs: {} }, { repositoryUrl: place.source });
  const done = await until(planId, (state) => ["completed", "failed", "blocked"].includes(planStatus(state)));
  expect(describePlan(done)).toMatchObject({ status: "completed", runs: { started: 4 } });

  const files = (branch: string) => place.git(place.source, "ls-tree", "--name-only", branch).split("\n");
  const { design, build, join, review } = done.steps;
  const [one, two] = build?.attempts.map(({ branch }) => String(branch)) ?? [];
  const own = [design, build, review].flatMap((step) => step?.attempts ?? []).map(({ branch }) => branch);
  expect(new Set(own).size).toBe(4);
  const before = ["readme.md", "source-feature-design.txt"];
  expect(files(String(one))).toEqual(expect.arrayContaining([...before, "source-feature-build-1.txt"]));
  expect(files(String(two))).not.toContain("source-feature-build-1.txt");
  const parts = [...before, "source-feature-build-1.txt", "source-feature-build-2.txt"];
  expect(files(String(join?.branch)).sort()).toEqual(parts.sort());
  expect(join?.commit).toBe(place.git(place.source, "rev-parse", String(join?.branch)));
  expect(files(String(review?.attempts[0]?.branch))).toEqual(
    expect.arrayContaining([...parts, "source-feature-review.txt"]),
  );
  // What the person has checked out is as it was.
  expect(files("main")).toEqual(["readme.md"]);
});

test("a session begins at a branch that is there, and nowhere else", async () => {
  const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  const start = { message: "Go", repository_url: place.source, start_from: "typo" };
  const { run_id } = await client.start(start, "fix");
  expect(await client.ended(run_id)).toMatchObject({
    status: "failed",
    error_message: expect.stringContaining("The repository has no branch typo"),
  });
  const both = await client.post("/run/fix", { ...start, git_branch: "main", input_format: "stream-json" });
  expect(both).toMatchObject({
    status: 400,
    body: { detail: expect.stringContaining("Nothing was started") },
  });
});

test("rule 4: a run gets no more of the plan's cost limit than its share", async () => {
  const planId = randomUUID();
  const plan = planOf({
    name: "cheap",
    limits: { cost_usd: 0.03 },
    steps: [
      { id: "first", run: "implement", task: "Begin" },
      { id: "second", run: "implement", task: "Go on", needs: ["first"] },
    ],
  });
  plans.runner.start();
  await plans.runner.begin({ planId, plan, inputs: {} }, { repositoryUrl: place.source });
  const state = await until(planId, ({ steps }) => steps.first?.attempts[0]?.endedAt !== undefined);
  expect(state.steps.first?.attempts).toMatchObject([
    { status: "failed", reservedUsd: 0.01, error: expect.stringContaining("cost limit") },
  ]);
});

test("rule 1: what a person commits to a session's branch in their own repository is noticed before a decision counts", async () => {
  const planId = randomUUID();
  const plan = planOf({
    name: "gated",
    steps: [
      { id: "design", run: "implement", task: "Design it" },
      { id: "ok", gate: "Build this?", needs: ["design"] },
    ],
  });
  plans.runner.start();
  await plans.runner.begin({ planId, plan, inputs: {} }, { repositoryUrl: place.source });
  const shown = await until(planId, ({ steps }) => steps.ok?.open !== undefined);
  expect(shown.steps.ok?.open?.commits).toHaveLength(1);
  const branch = String(shown.steps.design?.attempts[0]?.branch);
  place.git(place.source, "checkout", "--quiet", branch);
  const own = place.commit(place.source, { "own.txt": "own\n" });
  place.git(place.source, "checkout", "--quiet", "main");

  const decided = await plans.runner.tell(planId, decide(shown, "approve"));
  expect(decided?.refused).toContain(`Somebody has committed to ${branch}`);
  const again = await until(planId, ({ steps }) => steps.ok?.open?.commits[0] === own);
  expect((await plans.runner.tell(planId, decide(again, "approve")))?.refused).toBeUndefined();
  await until(planId, (state) => planStatus(state) === "completed");
});

test("what a step has to give is asked of the agent by a schema, and its words stay beside it", async () => {
  const output = {
    parts: { type: "list", description: "independent parts" },
    risk: { enum: ["low", "high"] },
  };
  // It writes no block: what it gives comes by the schema alone.
  const script = {
    steps: [{ text: "A design of two parts.", output: { parts: ["one", "two"], risk: "low" } }],
  };
  const other = await startLocalEngine(
    join(place.folder, "other"),
    { engineAllowedFolders: [place.source] },
    { SCRIPTED_AGENT: JSON.stringify(script) },
  );
  const own = await openDrivenPlans({ url: other.url }, undefined, { apiKey: ENGINE_KEY });
  try {
    own.runner.start();
    const planId = randomUUID();
    const plan = planOf({
      name: "given",
      steps: [{ id: "design", run: "implement", task: "Design it", output }],
    });
    await own.runner.begin({ planId, plan, inputs: {} }, { repositoryUrl: place.source });
    const state = await own.until(planId, ({ steps }) => steps.design?.status === "succeeded");
    expect(state.steps.design?.attempts).toMatchObject([
      {
        output: { parts: ["one", "two"], risk: "low" },
        result: expect.stringMatching(/^A design of two parts\./),
      },
    ]);
  } finally {
    await own.close();
    await other.close();
  }
});
