import { hostname, networkInterfaces } from "node:os";
import {
  type CreateEngineServer,
  type EngineProcessOptions,
  type EngineServer,
  engineFiles,
  type OwnSettings,
  openEngineLog,
  resolveEngineKey,
  runEngineProcess,
} from "../../engine/background/index.js";
import { type Settings, SettingsError } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import { isLoopback } from "../../shared/http/loopback.js";
import { type Log, logLevelOf } from "../../shared/log.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { VERSION } from "../../shared/version.js";
import { createLiveSettings } from "./live-settings.js";

/** Where the command `engine` listens unless told: where the client looks for a workflows API by default. */
const PORT = 28_881;
/** Shorter keys can be guessed over a network. */
const MIN_KEY_LENGTH = 16;

export interface ServeEngineOptions {
  /** `engine --background` */
  background: boolean;
  settings: Settings;
  /** The product's state folder, absolute. */
  stateFolder: string;
  /** Makes the log, which keeps the secrets out of the lines it gives to `write`. */
  createLog: (write: (text: string) => boolean, secrets: readonly (string | undefined)[]) => EngineLog;
  /** What an engine that a person starts brings, as a window does. */
  own: OwnSettings;
  stderr: (text: string) => boolean;
  onSignal: EngineProcessOptions["onSignal"];
  createEngineServer: (options: EngineServerOptions) => Promise<EngineServer>;
}

/** A log whose level may change. */
export type EngineLog = Log & { level: number };

/** What an engine is opened with, beside the settings and what `cli.ts` knows. */
export type EngineServerOptions = Parameters<CreateEngineServer>[0] & {
  /** Names under which others may call it, beside loopback's. */
  allowedHosts: readonly string[];
  log: Log;
  /** Gets each secret of another service that is read: the log never shows it. */
  onSecret: (secret: string) => void;
  /** The settings that hold when it is opened. */
  settings: Settings;
  /** Those that hold from now on, when they have changed. */
  readChangedSettings: () => Promise<Settings | undefined>;
};

/**
 * Carries out runs on this machine until it is told to end.
 * @returns the exit code: 0 it has ended, 1 it could not serve, 3 there is an engine already
 * @throws SettingsError when it is to listen beyond this machine without a key of the person's
 */
export async function serveEngine(options: ServeEngineOptions): Promise<number> {
  const { background, settings, stateFolder, stderr, onSignal } = options;
  const host = background ? "127.0.0.1" : settings.engineHost;
  requireKeyOffLoopback(host, settings.apiKey);
  await ensurePrivateFolder(engineFiles(stateFolder).folder);
  const settingsKey = settings.apiKey ? { settingsKey: settings.apiKey } : {};
  const apiKey = await resolveEngineKey({ stateFolder, ...settingsKey });
  const write = background ? openEngineLog(stateFolder).write : stderr;
  const secrets: string[] = [apiKey];
  const log = options.createLog(write, secrets);
  let current = settings;
  if (!background && !settings.apiKey) log.info(`Its key is in ${engineFiles(stateFolder).key}`);
  const port = settings.enginePort ?? (background ? undefined : PORT);
  return runEngineProcess({
    stateFolder,
    version: VERSION,
    background,
    host,
    ...(port === undefined ? {} : { port }),
    ...settingsKey,
    ...(background ? { idleMs: () => current.engineIdleTimeoutS * 1000 } : {}),
    async createEngineServer(given) {
      // Only once this is the engine: one that finds another changes nothing.
      const live = await createLiveSettings({
        stateFolder,
        settings,
        ...(background ? {} : { own: options.own }),
        log,
        onChange(changed) {
          current = changed;
          log.level = logLevelOf(changed.logLevel);
        },
      });
      await live.readChanged();
      return options.createEngineServer({
        ...given,
        log,
        onSecret: (secret) => void secrets.push(secret),
        allowedHosts: namesUnder(host),
        settings: live.now(),
        readChangedSettings: live.readChanged,
      });
    },
    clock: systemClock,
    log,
    onSignal,
  });
}

/** @throws SettingsError when other machines could reach the engine without a key that is hard to guess */
function requireKeyOffLoopback(host: string, apiKey = ""): void {
  if (isLoopback(host) || apiKey.length >= MIN_KEY_LENGTH) return;
  const key = apiKey ? `a key of ${MIN_KEY_LENGTH} characters or more` : "a key";
  throw new SettingsError(
    `the engine listens at ${host}, where other machines reach it, only with ${key} in AUTOMAGIK_WORKFLOWS_API_KEY`,
  );
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
