import type { Connection } from "../../api/call.js";
import { createStoredRunsApi } from "../../api/stored-runs.js";
import { findOrStartEngine, readEngineStatus, readStoredRuns } from "../../engine/background/index.js";
import { createServices, type ServiceHost } from "../../server/services.js";
import type { Settings } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import type { Invocation } from "../command-line.js";
import { describeServer } from "../describe-server.js";
import { findStateFolder, openLog } from "../process.js";

/** What the engine of this machine is asked through, or what it has stored. */
export interface OpenServices extends ServiceHost {
  settings: Settings;
  log: Log;
  /** Absent where runs are carried out by an API elsewhere. */
  engine?: {
    stateFolder: string;
    /** False: it is not running, and what is shown is what it has stored. */
    running: boolean;
  };
}

export const NOT_RUNNING = "The engine is not running.";

/** The settings of a command about sessions, and its log, which only tells what is wrong. */
function prepare(settings: Settings): { settings: Settings; log: Log; secrets: (string | undefined)[] } {
  const secrets = [settings.apiKey, settings.state];
  const level = settings.logLevel === "info" ? "warn" : settings.logLevel;
  const log = openLog({ level, secrets, what: "this command" });
  // In a terminal nothing says which of the two the chat client uses: without a key there can only be the engine.
  const isLocal = settings.engine === "local" || settings.apiKey === undefined;
  return { settings: isLocal ? { ...settings, engine: "local" } : settings, log, secrets };
}

/**
 * What a command needs to read sessions. Never starts an engine: where none is running, what it has stored is read.
 * @throws StoreError when that cannot be read
 */
export async function openReading(given: Settings, asked: Invocation): Promise<OpenServices> {
  const { settings, log, secrets } = prepare(given);
  const described = describeServer({ settings, flags: asked.flags, script: asked.script, log, secrets });
  if (settings.engine !== "local") return { ...createServices(described), settings, log };
  const stateFolder = findStateFolder(settings);
  const { running } = await readEngineStatus(stateFolder, { clock: systemClock });
  if (running) {
    const host = createServices({ ...described, locate: () => findRunning(stateFolder, settings, log) });
    return { ...host, settings, log, engine: { stateFolder, running } };
  }
  const { statuses } = await readStoredRuns(stateFolder, { now: systemClock.now() });
  const api = createStoredRunsApi({ address: "the engine of this machine", statuses, problem: NOT_RUNNING });
  const { locate: _, ...rest } = described;
  return { ...createServices({ ...rest, api }), settings, log, engine: { stateFolder, running } };
}

/** What a command needs to start a run: an engine of this machine is started for it. */
export function openActing(given: Settings, asked: Invocation): OpenServices {
  const { settings, log, secrets } = prepare(given);
  const { flags, script } = asked;
  const described = describeServer({ settings, flags, script, log, secrets, partial: true });
  const engine =
    settings.engine === "local" ? { engine: { stateFolder: findStateFolder(settings), running: true } } : {};
  return { ...createServices(described), settings, log, ...engine };
}

/** The engine that was running a moment ago. @throws EngineUnavailable when it is not there any more */
async function findRunning(stateFolder: string, settings: Settings, log: Log): Promise<Connection> {
  const { url, apiKey } = await findOrStartEngine({
    stateFolder,
    // No engine is older than this, so none is replaced.
    version: "0.0.0",
    ...(settings.apiKey ? { settingsKey: settings.apiKey } : {}),
    spawnEngine: async () => {
      throw new Error("it has ended just now, and is not started for this");
    },
    clock: systemClock,
    log,
  });
  return { baseUrl: url, apiKey };
}
