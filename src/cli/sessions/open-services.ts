import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Connection } from "../../api/call.js";
import { createStoredRunsApi } from "../../api/stored-runs.js";
import {
  engineFiles,
  findOrStartEngine,
  readEngineStatus,
  readStoredRuns,
  stopEngine,
} from "../../engine/background/index.js";
import { createServices, type ServiceHost, type ServiceOptions } from "../../server/services.js";
import { activeRun } from "../../sessions/sessions.js";
import type { Settings } from "../../settings/settings.js";
import { findSharedDatabase } from "../../settings/shared-database.js";
import { systemClock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import type { Invocation } from "../command-line.js";
import { describeServer, settingsInTerminal } from "../describe-server.js";
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
  const secrets = [settings.apiKey, findSharedDatabase(settings)];
  const level = settings.logLevel === "info" ? "warn" : settings.logLevel;
  const log = openLog({ level, secrets, what: "this command" });
  return { settings: settingsInTerminal(settings), log, secrets };
}

/**
 * What a command needs to read sessions, with `more` in place of what it would be made of. Never starts an engine: where none is running, what it has stored is read.
 * @throws StoreError when that cannot be read
 */
export async function openReading(
  given: Settings,
  asked: Invocation,
  more: Partial<ServiceOptions> = {},
): Promise<OpenServices> {
  const { settings, log, secrets } = prepare(given);
  const { flags, script } = asked;
  const described = { ...describeServer({ settings, flags, script, log, secrets }), ...more };
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

/**
 * What a command needs to start a run: an engine of this machine is started for it.
 * @param startsOnce what it was started for is over with it: it is not started again where somebody has ended it meanwhile
 */
export function openActing(
  given: Settings,
  asked: Invocation,
  more: Partial<ServiceOptions> = {},
  startsOnce = false,
): OpenServices {
  const { settings, log, secrets } = prepare(given);
  const { flags, script } = asked;
  const described = { ...describeServer({ settings, flags, script, log, secrets, partial: true }), ...more };
  const { locate } = described;
  if (startsOnce && locate)
    described.locate = locateOnce(locate, () => findRunning(findStateFolder(settings), settings, log));
  const engine =
    settings.engine === "local" ? { engine: { stateFolder: findStateFolder(settings), running: true } } : {};
  return { ...createServices(described), settings, log, ...engine };
}

/** Looks by `first` until that has found something, and by `afterwards` from there on. */
function locateOnce(
  first: () => Promise<Connection>,
  afterwards: () => Promise<Connection>,
): () => Promise<Connection> {
  let found = false;
  return async () => {
    if (found) return afterwards();
    const connection = await first();
    found = true;
    return connection;
  };
}

/**
 * What a command needs to clean up: the engine, which is started where none runs and ended again behind it.
 * @returns `problem` where nothing can be done, or nothing has to be
 * @throws StoreError when what is stored cannot be read
 */
export async function openCleaning(
  given: Settings,
  asked: Invocation,
): Promise<
  { services: OpenServices; started: boolean; close(): Promise<void> } | { message: string; code: number }
> {
  // Fetching repositories and adding up sizes take longer than what a call may take otherwise.
  const patient = { ...given, requestTimeoutS: Math.max(given.requestTimeoutS, CLEANING_TIMEOUT_S) };
  const reading = await openReading(patient, asked);
  const { engine } = reading;
  if (engine?.running) return { services: reading, started: false, close: () => reading.close() };
  try {
    const refusal = await whyNoEngine(reading);
    if (refusal) return refusal;
  } finally {
    await reading.close();
  }
  const acting = openActing(patient, asked, {}, true);
  async function close(): Promise<void> {
    await acting.close();
    const stateFolder = findStateFolder(acting.settings);
    const { activeRuns, clients } = await readEngineStatus(stateFolder, { clock: systemClock });
    // A window that was opened meanwhile keeps it.
    if (activeRuns === 0 && clients === 0)
      await stopEngine(stateFolder, { force: false, clock: systemClock, log: acting.log });
  }
  return { services: acting, started: true, close };
}

const CLEANING_TIMEOUT_S = 300;

/** Why no engine is started to clean up; undefined when one is. */
async function whyNoEngine({
  engine,
  services,
}: OpenServices): Promise<{ message: string; code: number } | undefined> {
  if (!engine)
    return { message: "Runs are carried out by an API elsewhere, which keeps their workspaces.", code: 1 };
  if (!existsSync(join(engineFiles(engine.stateFolder).folder, "workspaces")))
    return { message: "Nothing to clean: there are no workspaces.", code: 0 };
  const waiting = (await services.sessions.all()).filter((session) => activeRun(session));
  if (waiting.length > 0)
    return {
      message:
        `The engine is not running, and ${waiting.length === 1 ? "a run waits" : `${waiting.length} runs wait`} for it: ` +
        `${waiting.map(({ name }) => `"${name}"`).join(", ")}. Cleaning up would start the engine, and these with it. ` +
        "Nothing was done. Open your chat client first, or kill them there.",
      code: 1,
    };
  return undefined;
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
