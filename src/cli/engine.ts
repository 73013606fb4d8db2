import { hostname, networkInterfaces } from "node:os";
import { createUpstream } from "../api/client.js";
import { isFinal } from "../api/types.js";
import { engineFiles } from "../engine/background/engine-files.js";
import { resolveEngineKey } from "../engine/background/engine-key.js";
import { openEngineLog } from "../engine/background/engine-log-file.js";
import {
  type CreateEngineServer,
  type EngineProcessOptions,
  type EngineServer,
  runEngineProcess,
} from "../engine/background/engine-process.js";
import type { EngineRecord } from "../engine/background/engine-record.js";
import { readEngineStatus, renderEngineStatus } from "../engine/background/engine-status.js";
import { stopEngine } from "../engine/background/stop-engine.js";
import { type Settings, SettingsError } from "../settings/settings.js";
import { systemClock } from "../shared/clock.js";
import { isLoopback } from "../shared/http/loopback.js";
import type { Log } from "../shared/log.js";
import { ensurePrivateFolder } from "../shared/private-files.js";
import { VERSION } from "../shared/version.js";

/** How long an engine may take to name its runs, in ms: without their names the person is asked all the same. */
const RUNS_TIMEOUT_MS = 5_000;
/** Where the command `engine` listens unless told: where the client looks for a workflows API by default. */
const PORT = 28_881;
/** Shorter keys can be guessed over a network. */
const MIN_KEY_LENGTH = 16;

export interface EngineCommandOptions {
  command: "engine" | "engine status" | "engine stop";
  /** `engine --background` */
  background: boolean;
  /** `engine stop --force` */
  force: boolean;
  settings: Settings;
  /** The product's state folder, absolute. */
  stateFolder: string;
  /** Makes the log, which keeps the secrets out of the lines it gives to `write`. */
  createLog: (write: (text: string) => boolean, secrets: readonly (string | undefined)[]) => Log;
  /** Asks the person; left out when nobody is there to answer. */
  ask?: ((question: string) => Promise<boolean>) | undefined;
  stdout: (text: string) => void;
  stderr: (text: string) => boolean;
  onSignal: EngineProcessOptions["onSignal"];
  createEngineServer: (options: EngineServerOptions) => Promise<EngineServer>;
}

/** What an engine is opened with, beside the settings and what `cli.ts` knows. */
export type EngineServerOptions = Parameters<CreateEngineServer>[0] & {
  /** Names under which others may call it, beside loopback's. */
  allowedHosts: readonly string[];
  log: Log;
};

/**
 * Carries out one of the engine's commands.
 * @returns the exit code: 0 done (`engine status`: it runs), 1 not (nothing runs, or it has a problem),
 *   3 `engine`: there is one already
 * @throws SettingsError when it is to listen beyond this machine without a key of the person's
 */
export async function runEngineCommand(options: EngineCommandOptions): Promise<number> {
  const { command, stateFolder, settings, stdout, stderr, force } = options;
  const clock = systemClock;
  if (command === "engine status") {
    const status = await readEngineStatus(stateFolder, { clock });
    stdout(renderEngineStatus(status));
    return status.running && status.problem === undefined ? 0 : 1;
  }
  if (command === "engine stop") {
    const log = options.createLog(stderr, [settings.apiKey]);
    const nameRuns = ({ url }: EngineRecord) => nameRunsOf(url, options);
    const { stopped, message } = await stopEngine(stateFolder, {
      force,
      clock,
      log,
      ask: options.ask,
      nameRuns,
    });
    stdout(`${message}\n`);
    return stopped ? 0 : 1;
  }
  return runEngine(options);
}

/** The runs that go on at the engine of that address, named for the person. @throws ApiError */
async function nameRunsOf(url: string, { stateFolder, settings }: EngineCommandOptions): Promise<string[]> {
  const settingsKey = settings.apiKey ? { settingsKey: settings.apiKey } : {};
  const api = createUpstream({
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

async function runEngine(options: EngineCommandOptions): Promise<number> {
  const { background, settings, stateFolder, stderr, onSignal } = options;
  const host = background ? "127.0.0.1" : settings.engineHost;
  if (!isLoopback(host) && !settings.apiKey) {
    throw new SettingsError(
      `the engine listens at ${host}, where other machines reach it, only with a key in AUTOMAGIK_WORKFLOWS_API_KEY`,
    );
  }
  if (!isLoopback(host) && (settings.apiKey?.length ?? 0) < MIN_KEY_LENGTH) {
    throw new SettingsError(
      `the engine listens at ${host}, where other machines reach it, only with a key of ${MIN_KEY_LENGTH} characters or more in AUTOMAGIK_WORKFLOWS_API_KEY`,
    );
  }
  await ensurePrivateFolder(engineFiles(stateFolder).folder);
  const settingsKey = settings.apiKey ? { settingsKey: settings.apiKey } : {};
  const apiKey = await resolveEngineKey({ stateFolder, ...settingsKey });
  const write = background ? openEngineLog(stateFolder).write : stderr;
  const log = options.createLog(write, [apiKey]);
  if (!background && !settings.apiKey) log.info(`Its key is in ${engineFiles(stateFolder).key}`);
  const port = settings.enginePort ?? (background ? undefined : PORT);
  return runEngineProcess({
    stateFolder,
    version: VERSION,
    background,
    host,
    ...(port === undefined ? {} : { port }),
    ...settingsKey,
    ...(background ? { idleMs: settings.engineIdleTimeoutS * 1000 } : {}),
    createEngineServer: (given) =>
      options.createEngineServer({ ...given, log, allowedHosts: namesUnder(host) }),
    clock: systemClock,
    log,
    onSignal,
  });
}

/**
 * How others may call a server that listens there: by its own name or address. Those of this machine for a wildcard,
 * so that a foreign name that somebody has pointed here is still refused.
 */
function namesUnder(host: string): string[] {
  if (isLoopback(host)) return [];
  const isWildcard = /^[0:.]+$/.test(host);
  const addresses = Object.values(networkInterfaces()).flatMap(
    (list) => list?.map((one) => one.address) ?? [],
  );
  const names = isWildcard ? [hostname(), `${hostname()}.local`, ...addresses] : [host];
  return names.map((name) => (name.includes(":") ? `[${name}]` : name));
}
