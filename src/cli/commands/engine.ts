import { homedir } from "node:os";
import { resolve } from "node:path";
import { createLocalEngine } from "../../engine/index.js";
import { listEngineVariables } from "../../settings/list-variables.js";
import { readSettings, type Settings } from "../../settings/settings.js";
import { findSharedDatabase } from "../../settings/shared-database.js";
import { backgroundEnvironment } from "../../shared/background/spawn.js";
import { systemClock } from "../../shared/clock.js";
import { VERSION } from "../../shared/version.js";
import type { Invocation } from "../command-line.js";
import { type EngineServerOptions, serveEngine } from "../engine/serve-engine.js";
import { expandHome, findStateFolder, onStopSignal, openLog, processBegan } from "../process.js";

/** `engine`: carries out runs on this machine until a signal comes, or with `--background` until it is idle. */
export async function engine({ flags, background }: Invocation): Promise<number> {
  const settings = readSettings(process.env, flags);
  // An engine that windows start is its machine's own.
  const database = background === true ? undefined : findSharedDatabase(settings);
  // A closed terminal must not make the process fail while it ends runs.
  process.stderr.on("error", () => {});

  const withWholePaths = (given: Settings): Settings => ({
    ...given,
    claudePath: given.claudePath && expandHome(given.claudePath),
    codexAcpPath: given.codexAcpPath && expandHome(given.codexAcpPath),
    engineAllowedFolders: given.engineAllowedFolders?.map(expandHome),
  });

  function createEngineServer({ readChangedSettings, ...options }: EngineServerOptions) {
    return createLocalEngine({
      ...options,
      shared: database === undefined ? undefined : shareWork(settings, database),
      settings: withWholePaths(options.settings),
      async readChangedSettings() {
        const changed = await readChangedSettings();
        return changed && withWholePaths(changed);
      },
      env: backgroundEnvironment(process.env, {}),
      home: homedir(),
      platform: process.platform,
      clock: systemClock,
      version: VERSION,
    });
  }

  return serveEngine({
    background: background === true,
    settings,
    stateFolder: findStateFolder(settings),
    stderr: (text) => process.stderr.write(text),
    createLog: (write, secrets) =>
      openLog({ level: settings.logLevel, secrets: [...secrets, database], what: "the engine", write }),
    onSignal: onStopSignal,
    own: { began: processBegan(), variables: listEngineVariables(process.env, flags) },
    createEngineServer,
  });
}

function shareWork(settings: Settings, database: string) {
  const { engineWorkerTimeoutS, engineMoveAfterS, engineMoveLimitMb } = settings;
  const timeoutMs = engineWorkerTimeoutS * 1000;
  return {
    database,
    databaseFile: settings.databaseFile && resolve(settings.databaseFile),
    timeoutMs,
    moveAfterMs: engineMoveAfterS * 1000,
    moveLimitBytes: engineMoveLimitMb * 2 ** 20,
  };
}
