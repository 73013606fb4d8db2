import { expect, it, vi } from "vitest";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { temporaryFolder } from "./support/bin.js";
import { serveBranchingApi } from "./support/branching-api.js";
import { openDrivenPlans, scriptOf } from "./support/driven-plans.js";

const steps = [{ id: "only", run: "fix", task: "Mend it" }];

it("the name of a plan is of one open plan, also when several processes begin plans at the same moment", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const folder = temporaryFolder();
  const windows = await Promise.all([1, 2, 3].map(() => openDrivenPlans(api, folder)));
  // Names that a person cannot tell apart are one name.
  const names = ["login", "login", "log\u200bin"];
  const begun = await Promise.allSettled(
    windows.map((window, at) => window.begin({ name: names[at], steps })),
  );
  const refused = begun.flatMap((one) => (one.status === "rejected" ? [one.reason.message] : []));
  expect(refused).toEqual(Array(2).fill("Another open plan has this name. Nothing was begun."));
  expect(await windows[0]?.runner.list()).toHaveLength(1);
});

it("the name of a plan is free again when its plan has ended, which goes on only where no other has taken it", async () => {
  const api = await serveBranchingApi({ script: () => ({ outcome: "failed", error: "It broke" }) });
  const plans = await openDrivenPlans(api);
  plans.runner.start();
  const first = await plans.begin({ name: "login", steps });
  await plans.until(first, (state) => planStatus(state) === "failed");
  api.world.script({ manual: true });
  const second = await plans.begin({ name: "login", steps });
  await plans.until(second, (state) => state.runsStarted === 1);
  const redo = () => plans.runner.tell(first, { type: "step-redone", step: "only" });
  const refused = await redo();
  expect(refused?.refused).toMatch(/^Another plan of this name has begun since .* Nothing was changed\./);
  expect(refused && planStatus(refused.state)).toBe("failed");
  await vi.waitFor(() => expect(api.posts).toBe(2));
  await plans.runner.tell(second, { type: "kill-asked" });
  await plans.until(second, (state) => planStatus(state) === "killed");
  expect(await redo()).not.toHaveProperty("refused");
  await plans.until(first, (state) => state.runsStarted === 2);
});
