/**
 * A process that carries plans out over a workflows API until all of them are over, with the parts that a server has
 * for it. Tells its parent when it has learned of the end of each run.
 *
 *     driver.ts '{"url": …}'
 */
import { randomUUID } from "node:crypto";
import { createCapabilities } from "../../src/api/capabilities.js";
import { createApiClient } from "../../src/api/client.js";
import { createApiPort } from "../../src/plan-runner/api-port.js";
import { createPlanJournal } from "../../src/plan-runner/journal.js";
import { createPlanRunner } from "../../src/plan-runner/runner.js";
import { checkPlanValue } from "../../src/plans/language/check-plan.js";
import { planStatus } from "../../src/plans/machine/plan-status.js";
import { createRunWatcher } from "../../src/runs/run-watcher.js";
import { createRuns } from "../../src/runs/runs.js";
import { systemClock as clock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";
import { openDatabase } from "../../src/store/database.js";
import { type DriverOrder, type FromDriver, timeOfDay } from "./messages.js";

const order = JSON.parse(process.argv[2] ?? "") as DriverOrder;
const tell = (message: FromDriver) => process.send?.(message);
const log = createLog({ level: "warn", stderr: process.stderr });
const client = createApiClient({
  baseUrl: order.url,
  apiKey: "key",
  requestTimeoutMs: 30_000,
  maxRetries: 3,
  clock,
  random: Math.random,
  locate: undefined,
  refusedKeyAdvice: undefined,
  env: {},
});
let looks = 0;
const api = {
  ...client,
  getRun: (...call: Parameters<typeof client.getRun>) => {
    looks++;
    return client.getRun(...call);
  },
  listRuns: (...call: Parameters<typeof client.listRuns>) => {
    looks++;
    return client.listRuns(...call);
  },
};
const capabilities = createCapabilities({ api, clock, log });
const watcher = createRunWatcher({
  ...{ api, clock, log, perSecond: order.perSecond },
  pollingIntervalMs: 5_000,
  stallAfterMs: 300_000,
});
const stopped = new AbortController();
const runs = createRuns({ api, watcher, clock, stopped: stopped.signal, keys: capabilities });
const database = await openDatabase({ folder: order.folder });
const journal = createPlanJournal({ database, upstream: "the API" });
await capabilities.refresh();
const over = new Set<string>();
const portFor = createApiPort({
  ...{ api, runs, watcher, capabilities, clock },
  defaults: { inputFormat: "stream-json", maxTurns: 5 },
  onChange(state) {
    if (planStatus(state) === "completed") over.add(state.planId);
  },
});
const runner = createPlanRunner({
  ...{ journal, clock, log },
  portFor(plan) {
    const port = portFor(plan);
    return {
      ...port,
      async waitForRun(...call) {
        const end = await port.waitForRun(...call);
        if (end) tell({ type: "ended", name: end.sessionName ?? "", at: timeOfDay() });
        return end;
      },
    };
  },
});
for (const raw of order.plans) {
  const checked = checkPlanValue(raw);
  if ("problems" in checked) throw new Error(JSON.stringify(checked.problems));
  await runner.begin({ planId: randomUUID(), plan: checked.plan, inputs: {} }, {});
}
const began = performance.now();
runner.start();
let rssMb = 0;
const timer = setInterval(() => {
  rssMb = Math.max(rssMb, process.memoryUsage.rss() / 1024 / 1024);
  if (over.size < order.plans.length) return;
  clearInterval(timer);
  tell({ type: "over", seconds: (performance.now() - began) / 1000, rssMb, looks });
}, 50);
process.on("disconnect", () => process.exit());
