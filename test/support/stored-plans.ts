import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { createPlanJournal, type PlanJournal } from "../../src/plan-runner/journal.js";
import { markPlans } from "../../src/plan-runner/open-plans.js";
import { createPlanRunner, type PlanRunner } from "../../src/plan-runner/runner.js";
import { describePlan } from "../../src/plans/machine/describe-plan.js";
import type { PlanState } from "../../src/plans/machine/state.js";
import { upstreamFolderName } from "../../src/sessions/store/file-names.js";
import { systemClock } from "../../src/shared/clock.js";
import { openDatabase } from "../../src/store/database.js";
import { silentLog } from "./harness.js";
import { planOf } from "./plan-place.js";

/** How plans of this machine's engine are kept apart from those of other APIs. */
export const LOCAL_UPSTREAM = "engine on this machine";

/** The plans of a state folder as a window sees them that carries none out. */
export interface StoredPlans {
  journal: PlanJournal;
  runner: PlanRunner;
  /** Writes a plan down; gives its id. */
  begin(raw: object, repositoryUrl?: string): Promise<string>;
  /** Waits until the plan fits. */
  until(planId: string, fits: (state: PlanState) => boolean): Promise<PlanState>;
  /** The process that drives the plans; throws while there is none. */
  driverPid(): number;
}

/** @param upstream the API's address, or {@link LOCAL_UPSTREAM} */
export async function openStoredPlans(folder: string, upstream = LOCAL_UPSTREAM): Promise<StoredPlans> {
  const database = await openDatabase({ folder });
  onTestFinished(() => database.destroy());
  const name = upstreamFolderName(upstream);
  const journal = markPlans(createPlanJournal({ database, upstream: name }), folder);
  const portFor = () => {
    throw new Error("Nothing is carried out here.");
  };
  const runner = createPlanRunner({ journal, portFor, clock: systemClock, log: silentLog });
  return {
    journal,
    runner,
    async begin(raw, repositoryUrl) {
      const planId = randomUUID();
      const start = { planId, plan: planOf(raw), inputs: {} };
      await runner.begin(start, repositoryUrl === undefined ? {} : { repositoryUrl });
      return planId;
    },
    until: (planId, fits) =>
      vi.waitFor(
        async () => {
          const sight = await runner.look(planId);
          if (!sight) throw new Error("There is no such plan.");
          if (!fits(sight.state))
            throw new Error(JSON.stringify([describePlan(sight.state), sight.troubles]));
          return sight.state;
        },
        { timeout: 60_000, interval: 50 },
      ),
    driverPid: () => JSON.parse(readFileSync(join(folder, "plan-drivers", name, "driver.json"), "utf8")).pid,
  };
}
