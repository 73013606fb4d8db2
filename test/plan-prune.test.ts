import { expect, onTestFinished, test, vi } from "vitest";
import { createPlanJournal } from "../src/plan-runner/journal.js";
import { createPlanRunner } from "../src/plan-runner/runner.js";
import { apply } from "../src/plans/machine/apply.js";
import type { PlanChange } from "../src/plans/machine/events.js";
import { systemClock } from "../src/shared/clock.js";
import { openDatabase } from "../src/store/database.js";
import { silentLog } from "./support/harness.js";
import { planOf } from "./support/plan-place.js";

const BUILD = {
  steps: [
    { id: "build", run: "implement", task: "Build ${item}", for_each: "${inputs.parts}" },
    { id: "join", merge: "build", needs: ["build"] },
  ],
};

test("of plans that ended long ago those go that have left nothing; runs and branches are not asked for", async () => {
  const database = await openDatabase({});
  onTestFinished(() => database.destroy());
  const journal = createPlanJournal({ database, upstream: "an API", endedKept: 1 });
  let now = 0;

  /** Writes a plan down with what has happened to it. */
  async function tell(planId: string, raw: object, changes: PlanChange[], inputs = {}): Promise<void> {
    const start = {
      type: "plan-started" as const,
      at: ++now,
      planId,
      plan: planOf({ name: planId, ...raw }),
      inputs,
    };
    let state = await journal.begin(start, {});
    const events = changes.map((change) => ({ ...change, at: ++now }));
    for (const event of events) state = apply(state, event);
    await journal.write(planId, {
      ...{ entries: 0, last: undefined },
      ...{ events, next: state, acts: [], owner: undefined, now },
    });
  }
  const one = { steps: [{ id: "only", run: "review", task: "Review it" }] };
  const ended = (planId: string, branch: string | null): PlanChange[] => [
    { type: "run-started", key: `${planId}/only/1`, runId: `run of ${planId}` },
    { type: "run-ended", key: `${planId}/only/1`, status: "completed", branch },
  ];
  await tell("left-nothing", one, ended("left-nothing", null));
  await tell("left-work", one, ended("left-work", "a-branch"));
  await tell("goes-on", one, []);
  await tell("start-lost", one, [
    { type: "start-unknown", key: "start-lost/only/1", reason: "Nobody knows." },
    { type: "kill-asked" },
  ]);
  const part = { key: "merged/build/1/1", branch: "part" };
  await tell(
    "merged",
    { inputs: { parts: "list" }, ...BUILD },
    [
      { type: "run-started", runId: "run of merged", ...part },
      { type: "run-ended", status: "completed", commit: "c", ...part },
      { type: "merged", step: "join", attempt: 1, item: 0, branch: "whole", commit: "d" },
    ],
    { parts: ["one"] },
  );
  await tell("newest", one, ended("newest", null));
  const listed = async () => (await journal.list()).map(({ planId }) => planId);
  expect(await listed()).toHaveLength(6);
  expect((await journal.list()).find(({ planId }) => planId === "merged")?.branchesLeft).toBe(1);

  const runner = createPlanRunner({
    journal,
    // What goes on is not what this is about.
    portFor: () => {
      throw new Error("Nothing is carried out here.");
    },
    clock: systemClock,
    log: silentLog,
  });
  onTestFinished(() => runner.close());
  runner.start();
  await vi.waitFor(async () =>
    expect(await listed()).toEqual(["newest", "merged", "start-lost", "goes-on", "left-work"]),
  );
  expect(await journal.read("left-nothing")).toBeUndefined();
  expect(await journal.readSince("left-nothing", 0)).toEqual([]);
  expect((await journal.read("left-work"))?.entries).toBe(2);
});
