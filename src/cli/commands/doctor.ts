import { homedir } from "node:os";
import { readSettings, type Settings, SettingsError } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import type { Invocation } from "../command-line.js";
import { runDoctor } from "../doctor/doctor.js";
import { foreignEnvironment } from "../process.js";

/** `doctor`: checks everything that is needed; settings that cannot be used are a finding like others. */
export async function doctor({ flags, json }: Invocation): Promise<number> {
  return runDoctor({
    settings: readSettingsOrError(flags),
    env: foreignEnvironment(),
    home: homedir(),
    platform: process.platform,
    nodeVersion: process.versions.node,
    clock: systemClock,
    own: {
      variables: Object.fromEntries(
        Object.entries(process.env).filter(([name]) => name.startsWith("AUTOMAGIK_WORKFLOWS_")),
      ),
      flags,
      cwd: process.cwd(),
    },
    json: json === true,
    out: (text) => process.stdout.write(text),
  });
}

function readSettingsOrError(flags: Invocation["flags"]): Settings | SettingsError {
  try {
    return readSettings(process.env, flags);
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
}
