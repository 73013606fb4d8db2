import { homedir } from "node:os";
import type { Connection } from "../api/call.js";
import type { DriverPlace } from "../plan-driver/index.js";
import type { ServerOptions } from "../server/server.js";
import { upstreamFolderName } from "../sessions/store/file-names.js";
import { createSessionStore } from "../sessions/store/open-session-store.js";
import { createSecrets } from "../settings/secrets.js";
import type { Settings } from "../settings/settings.js";
import { findSharedDatabase, nameOfDatabase } from "../settings/shared-database.js";
import { tellUnknownVariables } from "../settings/unknown-variables.js";
import { systemClock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { VERSION } from "../shared/version.js";
import type { Invocation } from "./command-line.js";
import { createWindowSettings, type WindowSettings } from "./engine-settings.js";
import { findOwnPlans, findStateFolder, foreignEnvironment, openLog, ownEnvironment } from "./process.js";

/** The log of an MCP server, on stderr. Warns when no run can be started, for want of a key, and of what is misspelled. */
export function openServerLog(settings: Settings, secrets: readonly (string | undefined)[]): Log {
  const log = openLog({ level: settings.logLevel, secrets, what: "this server" });
  if (!settings.apiKey && settings.engine === "off")
    log.warn(
      "No API key, so nothing can be run: set AUTOMAGIK_WORKFLOWS_API_KEY for a workflows API elsewhere, or start with " +
        "--engine local to run workflows on this machine.",
    );
  const unknown = tellUnknownVariables(ownEnvironment());
  if (unknown) log.warn(`${unknown}.`);
  return log;
}

/** What a server is described by, whichever way it serves. */
interface ServerParts extends Pick<Invocation, "flags" | "script"> {
  settings: Settings;
  log: Log;
  /** Texts that the log never shows; keys that are found later are added. */
  secrets: (string | undefined)[];
  /** A command in a terminal: settings that are not given stay as the chat clients have them. */
  partial?: boolean;
  /** When the process began whose settings these are, epoch ms; this one, unless told. */
  began?: number;
  /** The only caller whose sessions and plans these are, by its id. */
  caller?: string;
  /** This process carries plans out itself; any other one finds or starts one that does. */
  drivesPlans?: boolean;
}

/**
 * The settings of a command in a terminal, where nothing says which API the chat client uses: without a key there can
 * only be the engine of this machine.
 */
export function settingsInTerminal(settings: Settings): Settings {
  return settings.apiKey === undefined ? { ...settings, engine: "local" } : settings;
}

/** What names the workflows API. The engine's port may change; its sessions and plans stay the same. */
export function upstreamOf({ engine, baseUrl }: Pick<Settings, "engine" | "baseUrl">): string {
  return engine === "local" ? "engine on this machine" : baseUrl;
}

/**
 * The address of the PostgreSQL database in which the plans are; undefined where they are in the state folder. So are those
 * of this machine's engine in any case, as its runs are: nobody else could go on with them.
 * @throws SettingsError
 */
export function findPlansDatabase(settings: PlaceSettings): string | undefined {
  return settings.engine === "local" ? undefined : findSharedDatabase(settings);
}

type PlaceSettings = Pick<Settings, "engine" | "baseUrl"> &
  Partial<Pick<Settings, "database" | "databaseFile">>;

/** Where the plans of this API are, and who carries them out. @param stateFolder absolute */
export function driverPlaceOf(stateFolder: string, settings: PlaceSettings): DriverPlace {
  const upstream = upstreamFolderName(upstreamOf(settings));
  const address = findPlansDatabase(settings);
  return { stateFolder, upstream, ...(address === undefined ? {} : { database: nameOfDatabase(address) }) };
}

/** What an MCP server is made of, whichever way it serves. */
export function describeServer(parts: ServerParts): ServerOptions {
  const { settings, flags, script, log, caller, partial = false, began, drivesPlans = false } = parts;
  const stateFolder = findStateFolder(settings);
  const windowSettings =
    settings.engine === "local"
      ? createWindowSettings({ flags, settings, stateFolder, partial, began, log })
      : undefined;
  const place = driverPlaceOf(stateFolder, settings);
  // One caller's are kept as if they were of an API of their own.
  const ofCaller = caller === undefined ? undefined : `caller ${caller} of ${place.upstream}`;
  const address = findSharedDatabase(settings);
  async function findDriver(): Promise<void> {
    const { findOrStartDriver } = await import("./plan-driver/start-driver.js");
    await findOrStartDriver({ settings, flags, script, partial, place, log });
  }
  const onSecret = (secret: string) => void (parts.secrets.includes(secret) || parts.secrets.push(secret));
  const secrets = createSecrets({ settings, env: foreignEnvironment(), home: homedir(), onSecret });
  /** Who is asked by other services is asked by the process in the background, also about single runs. */
  async function findWhoAsks(): Promise<void> {
    const { setForAnswers } = await import("../integrations/set-for-answers.js");
    const { slack, discord, ntfy } = setForAnswers(settings, secrets);
    if (slack || discord || ntfy) await findDriver();
  }
  return {
    settings,
    log,
    ...(caller === undefined ? {} : { caller }),
    store: createSessionStore({
      address,
      folder: stateFolder,
      upstream: ofCaller ?? upstreamOf(settings),
      historyDays: settings.historyDays,
      onProblem: ({ message }) => log.warn(message),
    }),
    plans: {
      ...{
        folder: stateFolder,
        address: findPlansDatabase(settings),
        upstream: ofCaller === undefined ? place.upstream : upstreamFolderName(ofCaller),
      },
      ...(drivesPlans ? {} : { findDriver }),
    },
    // It does not know callers apart.
    outbox:
      ofCaller === undefined ? { folder: stateFolder, address: findPlansDatabase(settings) } : undefined,
    templates: { ownFolder: findOwnPlans(), ...(address === undefined && !ofCaller ? { stateFolder } : {}) },
    env: foreignEnvironment(),
    secrets,
    onSecret,
    onRunStarted: drivesPlans
      ? undefined
      : () =>
          findWhoAsks().catch((error: Error) =>
            log.warn(`Nobody is asked by other services: ${error.message}`),
          ),
    locate: windowSettings && createLocate(parts, windowSettings),
    tellOtherSettings: windowSettings?.tellOther,
  };
}

/**
 * With `--engine local`: finds or starts this machine's engine when it is first needed, and again when it has gone.
 */
function createLocate(
  { settings, script, log, secrets }: ServerParts,
  windowSettings: WindowSettings,
): () => Promise<Connection> {
  const stateFolder = findStateFolder(settings);
  return async () => {
    const { createSpawnEngine, findOrStartEngine } = await import("../engine/background/index.js");
    const { url, apiKey, started } = await findOrStartEngine({
      stateFolder,
      version: VERSION,
      ...(settings.apiKey ? { settingsKey: settings.apiKey } : {}),
      bringSettings: windowSettings.bring,
      // Made when it is needed: by then it is known which settings hold.
      async spawnEngine() {
        const { backgroundEnvironment } = await import("../shared/background/spawn.js");
        const variables = { ...windowSettings.variables(), AUTOMAGIK_WORKFLOWS_STATE_DIR: stateFolder };
        const env = backgroundEnvironment(ownEnvironment(), variables);
        const args = [script, "engine", "--background"];
        return createSpawnEngine({ program: process.execPath, args, env, cwd: homedir(), stateFolder })();
      },
      clock: systemClock,
      log,
    });
    if (!secrets.includes(apiKey)) secrets.push(apiKey);
    windowSettings.checkAddress(url);
    log.info(
      `Runs are carried out on this machine, by the engine at ${url}${started ? ", just started" : ""}.`,
    );
    return { baseUrl: url, apiKey };
  };
}
