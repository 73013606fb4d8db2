import { createCapabilities } from "../../src/api/capabilities.js";
import { createApiClient } from "../../src/api/client.js";
import { type ApiPortOptions, createApiPort } from "../../src/plan-runner/api-port.js";
import { createPlanJournal, type PlanJournal } from "../../src/plan-runner/journal.js";
import { markPlans } from "../../src/plan-runner/open-plans.js";
import type { OwnerTimes } from "../../src/plan-runner/plan-owner.js";
import { createPlanRunner, type PlanRunner } from "../../src/plan-runner/runner.js";
import { checkPlanValue } from "../../src/plans/language/check-plan.js";
import { describeProblem } from "../../src/plans/language/problems.js";
import type { PlanState } from "../../src/plans/machine/state.js";
import type { Plan } from "../../src/plans/plan.js";
import { createRunWatcher } from "../../src/runs/run-watcher.js";
import { createRuns } from "../../src/runs/runs.js";
import { type Clock, systemClock } from "../../src/shared/clock.js";
import type { Log } from "../../src/shared/log.js";
import { openDatabase } from "../../src/store/database.js";
import { openStore } from "../../src/store/open-store.js";

let addressOf: ((folder: string | undefined) => Promise<string>) | undefined;

/** From now on plans of a folder are kept in the database at the address, and not in the folder. */
export function keepPlansAt(addressOfFolder: typeof addressOf): void {
  addressOf = addressOfFolder;
}

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
  /** Of the PostgreSQL database in which they are, in place of the folder. */
  address?: string;
  /** How plans of this API are kept apart from those of others; by default all are of one. */
  upstream?: string;
  apiKey?: string;
  clock?: Clock;
  log: Log;
  journal?: (journal: PlanJournal) => PlanJournal;
  times?: OwnerTimes;
  defaults?: ApiPortOptions["defaults"];
  onChange?: NonNullable<ApiPortOptions["onChange"]>;
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
  const address = options.address ?? (await addressOf?.(folder));
  const database =
    folder === undefined && !address
      ? await openDatabase({})
      : await openStore({ folder: folder ?? "", address, clock });
  const { times } = options;
  const upstream = options.upstream ?? "the API";
  const unmarked = createPlanJournal({ database, upstream, ...(times ? { times } : {}) });
  const stored = folder === undefined || address ? unmarked : markPlans(unmarked, folder);
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

/**
 * Decides at gates as soon as they are open, as often as need be: each is sent back once, then approved.
 * @param plans a change of them is what it is called for
 */
export async function decideAtGates(runner: PlanRunner, { planId, steps }: PlanState): Promise<void> {
  for (const [step, { open, sentBack }] of Object.entries(steps)) {
    if (!open) continue;
    const decision = sentBack === 0 ? "send-back" : "approve";
    await runner.tell(planId, { type: "gate-decided", step, ...open, commits: [...open.commits], decision });
  }
}

/** A plan with all that it takes: a gate that sends back, parallel runs, their merge, and work behind that. */
export const FEATURE = {
  name: "feature",
  steps: [
    { id: "design", run: "architect", task: "Design it", output: { parts: { type: "list" } } },
    {
      id: "ok",
      gate: "Build this?",
      needs: ["design"],
      show: "${steps.design.result}",
      back_to: { step: "design", max: 2 },
    },
    {
      id: "build",
      run: "implement",
      needs: ["ok"],
      from: "design",
      task: "Build ${item}",
      for_each: "${steps.design.output.parts}",
    },
    { id: "join", merge: "build", needs: ["build"], check: "npm test" },
    { id: "review", run: "review", needs: ["join"], from: "join", task: "Review it" },
  ],
};

/** The plan, checked. @throws Error with all problems */
export function planOf(raw: object): Plan {
  const checked = checkPlanValue(raw);
  if ("problems" in checked) throw new Error(checked.problems.map(describeProblem).join("\n"));
  return checked.plan;
}
