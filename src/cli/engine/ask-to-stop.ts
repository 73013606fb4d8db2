import { createApiClient } from "../../api/client.js";
import { isFinal } from "../../api/types.js";
import { askWorkers, resolveEngineKey, stopEngine } from "../../engine/background/index.js";
import { stopDriver } from "../../plan-driver/index.js";
import type { Settings } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { driverPlaceOf } from "../describe-server.js";
import { endOtherDrivers } from "../plan-driver/end-others.js";
import { lookAtPlans, namePlans, type PlansOfPlace } from "../plan-driver/tell-driver.js";

/** How long an engine may take to name its runs, in ms: without their names the person is asked all the same. */
const RUNS_TIMEOUT_MS = 5_000;

export interface AskToStopOptions {
  settings: Settings;
  /** The product's state folder, absolute. */
  stateFolder: string;
  /** Without asking, and whatever the engine does. */
  force: boolean;
  /** Asks the person; undefined when nobody is there to answer. */
  ask: ((question: string) => Promise<boolean>) | undefined;
  log: Log;
  out: (text: string) => void;
}

/**
 * Ends this machine's engine and its runs. While runs are going on, the person is asked first, with their names.
 * @returns the exit code: 0 when it has ended, else 1
 */
export async function askToStopEngine(options: AskToStopOptions): Promise<number> {
  const { stateFolder, force, ask, log, out } = options;
  const place = driverPlaceOf(stateFolder, { engine: "local", baseUrl: "" });
  // Plans that cannot be read are no reason not to stop.
  const plans = await lookAtPlans(place).catch(() => undefined);
  const note = plans && plans.open.length > 0 ? tellLeft(plans) : "";
  let isDriverLeft = false;
  async function endDriver(): Promise<void> {
    isDriverLeft = !(await stopDriver(place, { clock: systemClock, force }));
  }
  const { stopped, message } = await stopEngine(stateFolder, {
    force,
    note,
    beforeEnd: endDriver,
    clock: systemClock,
    log,
    ask,
    nameRuns: (record) => nameRunsOf(record, options),
  });
  // Also where no engine was running: one at a gate would start it with the next answer.
  if (stopped) await endDriver();
  const left = isDriverLeft ? DRIVER_LEFT : "";
  const others = stopped ? await endOtherDrivers(place) : "";
  out(`${[message, stopped ? note : "", left, others].filter(Boolean).join("\n")}\n`);
  return stopped && !isDriverLeft ? 0 : 1;
}

const DRIVER_LEFT =
  "The process that carries plans out was told to end and is still there, so it may start an engine again. " +
  "`automagik-workflows-mcp engine stop --force` ends it by force.";

/** What becomes of the open plans. */
function tellLeft({ open }: PlansOfPlace): string {
  const [which, verb] = open.length === 1 ? ["This plan stays", "goes"] : ["These plans stay", "go"];
  return `${which} open and ${verb} on with the next chat window, or command about it: ${namePlans(open)}.`;
}

/** The runs that are going on at the engine, named for the person; of one of several, those there. @throws ApiError */
async function nameRunsOf(
  record: Parameters<typeof askWorkers>[1],
  { stateFolder, settings }: AskToStopOptions,
): Promise<string[]> {
  const told = await askWorkers(stateFolder, record, settings.apiKey);
  const own = told?.workers.find(({ answers, worker_id }) => answers && worker_id !== "");
  if (own)
    return own.runs.map(
      ({ workflow_name, session_name, run_id }) =>
        `${workflow_name}, session "${session_name}", run ${run_id}, running`,
    );
  const settingsKey = settings.apiKey ? { settingsKey: settings.apiKey } : {};
  const api = createApiClient({
    baseUrl: record.url,
    apiKey: await resolveEngineKey({ stateFolder, ...settingsKey }),
    requestTimeoutMs: RUNS_TIMEOUT_MS,
    maxRetries: 0,
    clock: systemClock,
    random: Math.random,
  });
  try {
    const { runs } = await api.listRuns({});
    return runs
      .filter((run) => !isFinal(run.status))
      .map(
        ({ workflowName, sessionName, runId, status }) =>
          `${workflowName}, session "${sessionName ?? ""}", run ${runId}, ${status}`,
      );
  } finally {
    await api.close();
  }
}
