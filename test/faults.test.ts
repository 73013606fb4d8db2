import { describe, expect, it } from "vitest";
import { runSequences } from "./faults/run-sequences.js";
import { SABOTAGES } from "./faults/sabotage.js";

describe("seeded sequences of calls to an API that fails in every way", () => {
  it.each(["earlier", "modern"] as const)(
    "break no rule (%s protocol)",
    { timeout: 300_000 },
    async (era) => {
      const summary = await runSequences({ seed: 1, sequences: 40, era, atOnce: 40 });
      expect(summary.violations).toEqual([]);
      expect(summary.sequences).toBe(40);
      // Or there was nothing to hold against the rules.
      expect(summary.calls).toBeGreaterThan(150);
      expect(summary.runs).toBeGreaterThan(30);
      expect(Object.keys(summary.faults).length).toBeGreaterThan(20);
      if (era === "modern") expect(summary.deeds["a task"]).toBeGreaterThan(10);
    },
  );
});

/** The ways that only the newer protocol has. */
const MODERN = [
  "takes a no for a yes in an answer's retry",
  "starts again with each retry",
  "tells another end of a task",
  "says of a task that it was cancelled",
  "does with tasks what anybody asks",
  "forgets its tasks",
];

describe("the rules are seen to be broken by a product that", () => {
  it.concurrent.each<[name: string, sequences: number[], complaint: RegExp]>([
    ["sends every start twice", [2, 3, 6], /has started 2 runs|was sent 2 times/],
    ["takes a no for a yes", [12, 42, 44, 57], /was carried out although/],
    ["forgets what it has started", [3, 5, 8], /is not in the session index/],
    ["shows the key", [1], /shows the key/],
    ["leaves a call without an answer", [6, 9, 14], /took \d+ ms, more than/],
    ["leaves a timer", [2], /a timer is left/],
    ["lets escape sequences through", [3, 4], /carries the character U\+1b/],
    ["takes a no for a yes", [95, 776, 1014], /has begun a plan although/],
    ["starts every run of a plan twice", [41, 43, 54], /runs at the API for|were started for the attempt/],
    ["takes a plan's limit for a suggestion", [273, 290, 713], /has started \d+ runs, and may have/],
    ["decides at gates by itself", [56, 98], /and the person said so/],
    ["says that a plan has completed", [7, 17, 31], /which it never was/],
    ["takes a no for a yes in an answer's retry", [12, 186, 213, 320], /was carried out although/],
    ["starts again with each retry", [44, 67, 73], /has started \d+ runs|was sent \d+ times/],
    ["tells another end of a task", [185, 331], /has a task that says/],
    ["says of a task that it was cancelled", [8, 13, 22], /nobody has asked for it/],
    ["does with tasks what anybody asks", [3847], /lets .+ do tasks\//],
    ["forgets its tasks", [8, 13, 22], /was refused tasks\/get for its own task/],
  ])("%s (sequences %j)", { timeout: 120_000 }, async (name, only, complaint) => {
    const sabotage = SABOTAGES[name];
    if (!sabotage) throw new Error(`There is no sabotage that ${name}.`);
    const era = MODERN.includes(name) ? "modern" : "earlier";
    const { violations } = await runSequences({ seed: 1, sequences: 0, only, sabotage, era, slackMs: 1_000 });
    expect(violations.map(({ what }) => what).filter((what) => complaint.test(what))).not.toEqual([]);
  });

  it("is broken in each of the known ways", () => {
    expect(Object.keys(SABOTAGES)).toHaveLength(17);
  });
});
