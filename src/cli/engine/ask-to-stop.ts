import { createApiClient } from "../../api/client.js";
import { isFinal } from "../../api/types.js";
import { resolveEngineKey, stopEngine } from "../../engine/background/index.js";
import type { Settings } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";

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
  const { stopped, message } = await stopEngine(stateFolder, {
    force,
    clock: systemClock,
    log,
    ask,
    nameRuns: ({ url }) => nameRunsOf(url, options),
  });
  out(`${message}\n`);
  return stopped ? 0 : 1;
}

/** The runs that are going on at the engine of that address, named for the person. @throws ApiError */
async function nameRunsOf(url: string, { stateFolder, settings }: AskToStopOptions): Promise<string[]> {
  const settingsKey = settings.apiKey ? { settingsKey: settings.apiKey } : {};
  const api = createApiClient({
    baseUrl: url,
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
