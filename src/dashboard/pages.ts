import type { Services } from "../actions/define-action.js";
import type { Run } from "../api/types.js";
import { cleanLine } from "../shared/text.js";
import { NotThere } from "./not-there.js";
import { toPlanDetail } from "./plan-detail.js";
import { readRun, toRunDetail } from "./run-detail.js";
import { createRunLogs, type RunLog } from "./run-log.js";
import type { RunPlace } from "./run-row.js";
import type { PlanDetail } from "./views/plan.js";
import type { RunDetail } from "./views/run.js";

/** The pages of single runs and plans. */
export interface Pages {
  /** @throws NotThere, StoreError, PlansUnavailable */
  plan(idOrName: string): Promise<PlanDetail>;
  /** The run as it stands now. @throws NotThere, ApiError */
  run(runId: string, signal: AbortSignal): Promise<Run>;
  /** The same as its page, with its log. */
  runDetail(runId: string, signal: AbortSignal): Promise<RunDetail>;
  /** The log of a run, to be left again. */
  logOf(run: Run): RunLog;
  /** Which plan a run belongs to. */
  placeOf(runId: string): RunPlace | undefined;
  close(): void;
}

export function createPages(services: Services, placeOf: Pages["placeOf"]): Pages {
  const logs = createRunLogs(services);
  const run: Pages["run"] = (runId, signal) => readRun(runId, services, signal);
  return {
    async plan(idOrName) {
      const plans = await services.plans.openIfAny();
      const sight = (await plans?.look(idOrName)) ?? (await plans?.find(idOrName));
      if (!sight)
        throw new NotThere(`There is no plan "${cleanLine(idOrName, 100)}" (any more). Nothing was changed.`);
      return toPlanDetail(sight, services.clock.now());
    },
    run,
    async runDetail(runId, signal) {
      const found = await run(runId, signal);
      const log = logs.open(found);
      try {
        await log.ready;
        return {
          ...toRunDetail(found, { services, place: placeOf(runId), now: services.clock.now() }),
          ...log.entries(),
          ...(log.note === undefined ? {} : { logNote: log.note }),
        };
      } finally {
        log.leave();
      }
    },
    logOf: (of) => logs.open(of),
    placeOf,
    close: logs.close,
  };
}
