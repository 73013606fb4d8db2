/**
 * Carries a plan out over the workflows API at an address, deciding at its gates, until it has ended, or until it has
 * written so often: then it is killed by itself. Started by the tests as a process.
 */
import { writeSync } from "node:fs";
import type { PlanJournal } from "../../src/plan-runner/journal.js";
import type { PlanRunner } from "../../src/plan-runner/runner.js";
import { planStatus } from "../../src/plans/machine/plan-status.js";
import { systemClock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";
import { decideAtGates, FEATURE, openPlans, planOf } from "../support/plan-place.js";

const [folder = "", url = "", planId = "", writes = "Infinity"] = process.argv.slice(2);
let written = 0;

/** What writes is counted when it has written. */
function counted<Args extends unknown[], T>(write: (...args: Args) => Promise<T>) {
  return async (...args: Args): Promise<T> => {
    const result = await write(...args);
    written++;
    if (written === Number(writes)) process.kill(process.pid, "SIGKILL");
    return result;
  };
}

const counting = (journal: PlanJournal): PlanJournal => ({
  ...journal,
  begin: counted(journal.begin),
  claim: counted(journal.claim),
  release: counted(journal.release),
  write: counted(journal.write),
  forgetAct: counted(journal.forgetAct),
});

const log = createLog({ level: "warn", stderr: process.stderr });
let runner: PlanRunner | undefined;
const plans = await openPlans({
  ...{ url, folder, log, clock: systemClock },
  journal: counting,
  onChange(state) {
    if (runner) void decideAtGates(runner, state);
    if (planStatus(state) === "completed") writeSync(1, `ended after ${written} writes\n`);
  },
});
runner = plans.runner;
await runner.begin({ planId, plan: planOf(FEATURE), inputs: {} }, { gitBranch: "main" });
runner.start();
// It has nothing that keeps it: timers of the house do not.
setInterval(() => {}, 60_000);
