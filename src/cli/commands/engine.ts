import { homedir } from "node:os";
import { engineEnvironment } from "../../engine/background/index.js";
import { createLocalEngine } from "../../engine/index.js";
import { readSettings } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import { VERSION } from "../../shared/version.js";
import type { Invocation } from "../command-line.js";
import { type EngineServerOptions, serveEngine } from "../engine/serve-engine.js";
import { expandHome, findStateFolder, openLog } from "../process.js";

/** `engine`: carries out runs on this machine until a signal comes, or with `--background` until it is idle. */
export async function engine({ flags, background }: Invocation): Promise<number> {
  const settings = readSettings(process.env, flags);
  // A closed terminal must not make the process fail while it ends runs.
  process.stderr.on("error", () => {});

  function createEngineServer(options: EngineServerOptions) {
    return createLocalEngine({
      ...options,
      settings: {
        ...settings,
        claudePath: settings.claudePath && expandHome(settings.claudePath),
        engineAllowedFolders: settings.engineAllowedFolders?.map(expandHome),
      },
      env: engineEnvironment(process.env, {}),
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
    createLog: (write, secrets) => openLog({ level: settings.logLevel, secrets, what: "the engine", write }),
    onSignal(listener) {
      const hangUp = () => listener("SIGTERM");
      process.on("SIGTERM", listener).on("SIGINT", listener).on("SIGHUP", hangUp);
      return () => process.off("SIGTERM", listener).off("SIGINT", listener).off("SIGHUP", hangUp);
    },
    createEngineServer,
  });
}
