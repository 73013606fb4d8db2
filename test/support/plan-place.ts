import { createCapabilities } from "../../src/api/capabilities.js";
import { createApiClient } from "../../src/api/client.js";
import { type ApiPortOptions, createApiPort } from "../../src/plan-runner/api-port.js";
import { createPlanJournal, type PlanJournal } from "../../src/plan-runner/journal.js";
import { createPlanRunner, type PlanRunner } from "../../src/plan-runner/runner.js";
import type { PlanState } from "../../src/plans/machine/state.js";
import { createRunWatcher } from "../../src/runs/run-watcher.js";
import { createRuns } from "../../src/runs/runs.js";
import { type Clock, systemClock } from "../../src/shared/clock.js";
import type { Log } from "../../src/shared/log.js";
import { openDatabase } from "../../src/store/database.js";

/** What a process that carries plans out consists of. */
export interface PlanProcess {
  runner: PlanRunner;
  journal: PlanJournal;
  capabilities: ReturnType<typeof createCapabilities>;
  close(): Promise<void>;
}

/**
 * Opens the plans of a state folder (in memory without one) over the workflows API at the address, as a server does.
 * @param options.journal what stands between the runner and the journal
 */
export async function openPlans(options: {
  url: string;
  folder?: string;
  apiKey?: string;
  clock?: Clock;
  log: Log;
  journal?: (journal: PlanJournal) => PlanJournal;
  defaults?: ApiPortOptions["defaults"];
  onChange?: (state: PlanState) => void;
}): Promise<PlanProcess> {
  const { url, folder, clock = systemClock, log } = options;
  const api = createApiClient({
    baseUrl: url,
    apiKey: options.apiKey ?? "test-key",
    requestTimeoutMs: 30_000,
    maxRetries: 0,
    clock,
    random: () => 0,
    locate: undefined,
    refusedKeyAdvice: undefined,
    env: {},
  });
  const capabilities = createCapabilities({ api, clock, log });
  const watcher = createRunWatcher({
    api,
    clock,
    log,
    perSecond: 200,
    pollingIntervalMs: 20,
    stallAfterMs: 300_000,
  });
  const stopped = new AbortController();
  const runs = createRuns({ api, watcher, clock, stopped: stopped.signal, keys: capabilities });
  const database = await openDatabase(folder === undefined ? {} : { folder });
  const stored = createPlanJournal({ database, upstream: "the API" });
  const journal = options.journal?.(stored) ?? stored;
  await capabilities.refresh();
  const portFor = createApiPort({
    ...{ api, runs, watcher, capabilities, clock },
    defaults: options.defaults ?? { inputFormat: "stream-json", maxTurns: 5 },
    onChange: options.onChange ?? (() => {}),
  });
  const runner = createPlanRunner({ journal, portFor, clock, log });
  return {
    runner,
    journal,
    capabilities,
    async close() {
      await runner.close();
      stopped.abort();
      capabilities.close();
      watcher.close();
      await api.close();
      await database.destroy();
    },
  };
}
