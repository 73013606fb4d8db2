import { homedir } from "node:os";
import { type DriverPlace, driverFiles, findDriver } from "../../plan-driver/index.js";
import { PREFIX } from "../../settings/entries.js";
import { listGivenSecrets, listGivenVariables } from "../../settings/list-variables.js";
import type { Settings } from "../../settings/settings.js";
import { backgroundEnvironment, spawnInBackground } from "../../shared/background/spawn.js";
import { systemClock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { VERSION } from "../../shared/version.js";
import type { Invocation } from "../command-line.js";
import { ownEnvironment, processBegan } from "../process.js";
import { renderHandedOver } from "./handed-over.js";

/**
 * Makes sure that the process is there that drives the plans of this place, with the settings of this process where it
 * has to be started. Secrets go to it by a pipe, never by its arguments, its environment or a file.
 * @throws DriverUnavailable
 */
export function findOrStartDriver({
  settings,
  flags,
  script,
  partial,
  place,
  log,
}: Pick<Invocation, "flags" | "script"> & {
  settings: Settings;
  /** See {@link HandedOver}. */
  partial: boolean;
  place: DriverPlace;
  log: Log;
}): Promise<void> {
  return findDriver({
    ...place,
    version: VERSION,
    apiKey: settings.apiKey,
    spawn() {
      const { variables } = listGivenVariables(ownEnvironment(), flags);
      const env = backgroundEnvironment(ownEnvironment(), {
        ...variables,
        // What this process has found out by itself.
        [`${PREFIX}ENGINE`]: settings.engine,
        [`${PREFIX}STATE_DIR`]: place.stateFolder,
      });
      const secrets = listGivenSecrets(ownEnvironment(), flags);
      return spawnInBackground({
        program: process.execPath,
        args: [script, "plan-driver"],
        env,
        cwd: homedir(),
        log: driverFiles(place),
        input: renderHandedOver({ began: processBegan(), partial, secrets }),
      });
    },
    clock: systemClock,
    log,
  });
}
