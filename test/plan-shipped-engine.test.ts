import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { checkPlan } from "../src/plans/language/check-plan.js";
import { describePlan } from "../src/plans/machine/describe-plan.js";
import { planStatus, waitingFor } from "../src/plans/machine/plan-status.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { createContractClient } from "./contract/upstream.js";
import { decide } from "./support/driven-plans.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { silentLog } from "./support/harness.js";
import { ENGINE_KEY, startLocalEngine } from "./support/local-engine.js";
import { openPlans, type PlanProcess } from "./support/plan-place.js";

/** Templates whose runs work beside each other, with our engine and real git. */

/** Each notes which branches it sees in a file that is named after its worktree, commits that, and gives every field. */
/** For a whole plan, every agent of which is a process, on a busy machine, in ms. */
const LIMIT_MS = 240_000;
const AGENT = JSON.stringify([
  {
    tools: [
      {
        name: "Bash",
        input: {
          command:
            'git for-each-ref --format="%(refname:short)" refs/heads > "$(basename "$PWD").txt" && git add . && git -c user.name=A -c user.email=a@b commit -qm "Work"',
        },
        run: true,
      },
    ],
  },
  {
    text: `Done.\n\`\`\`json\n${JSON.stringify({
      ...{ parts: ["one", "two"], defects: "none", verdict: "approve" },
      ...{ branch: "a branch", best: "the best branch" },
    })}\n\`\`\``,
  },
]);

let place: GitPlace;
let engine: LocalEngine;
let plans: PlanProcess;
beforeEach(async () => {
  place = makeGitPlace();
  const settings = { engineAllowedFolders: [place.source] };
  engine = await startLocalEngine(place.folder, settings, { SCRIPTED_AGENT: AGENT });
  plans = await openPlans({ url: engine.url, apiKey: ENGINE_KEY, log: silentLog });
});
afterEach(async () => {
  await plans.close();
  await engine.close();
  place.remove();
});

/** Carries a template out to its end: gates are approved, and agents get what they ask for. */
async function carryOut(name: string, inputs: object): Promise<PlanState> {
  const text = readFileSync(new URL(`../plans/${name}.yaml`, import.meta.url), "utf8");
  const checked = await checkPlan(text, { inputs });
  if ("problems" in checked) throw new Error("It is no plan.");
  const planId = randomUUID();
  const client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  plans.runner.start();
  await plans.runner.begin(
    { planId, plan: checked.plan, inputs: checked.inputs },
    { repositoryUrl: place.source },
  );
  return vi.waitFor(
    async () => {
      const sight = await plans.runner.look(planId);
      if (!sight) throw new Error("There is no such plan.");
      const { state } = sight;
      for (const { kind, step, runId } of waitingFor(state)) {
        if (kind === "gate") await plans.runner.tell(planId, decide(state, "approve", undefined, step));
        if (kind !== "question") continue;
        const { body } = await client.get(`/run/${runId}/status`);
        for (const { question_id } of body.questions ?? [])
          await client.post(`/run/${runId}/questions/${question_id}/answer`, { answer: "allow_once" });
      }
      if (planStatus(state) === "completed") return state;
      throw new Error(JSON.stringify([describePlan(state), sight.troubles]));
    },
    { timeout: LIMIT_MS, interval: 50 },
  );
}

const branchesOf = (state: PlanState, step: string) =>
  state.steps[step]?.attempts.map(({ branch }) => String(branch)) ?? [];
const filesAt = (branch: string) => place.git(place.source, "ls-tree", "--name-only", branch).split("\n");

test("ship-feature leaves one branch with the design, both parts and the tests", {
  timeout: 2 * LIMIT_MS,
}, async () => {
  const state = await carryOut("ship-feature", { feature: "the JWT login" });
  const [branch = ""] = branchesOf(state, "test");
  expect(filesAt(branch).sort()).toEqual(
    [
      ...["readme.md", "source-ship-feature-design.txt", "source-ship-feature-test.txt"],
      ...["source-ship-feature-build-1.txt", "source-ship-feature-build-2.txt"],
    ].sort(),
  );
  expect(filesAt("main")).toEqual(["readme.md"]);
});

test("who compares variants sees the branches of all of them", { timeout: 2 * LIMIT_MS }, async () => {
  const state = await carryOut("variants", { task: "Cache the list", ways: ["in memory", "in a file"] });
  const built = branchesOf(state, "build");
  expect(new Set(built).size).toBe(2);
  const [compared = ""] = branchesOf(state, "compare");
  const seen = place.git(place.source, "show", `${compared}:source-variants-compare.txt`).split("\n");
  expect(seen).toEqual(expect.arrayContaining(built));
  // Each was built where nothing of the other one is.
  for (const branch of built) expect(filesAt(branch)).toHaveLength(2);
});
