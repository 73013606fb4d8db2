import { readSettings } from "../../settings/settings.js";
import type { Invocation } from "../command-line.js";
import { showEngineStatus } from "../engine/show-status.js";
import { findStateFolder } from "../process.js";

/** `engine status`: shows whether an engine runs, and where. */
export async function engineStatus({ flags }: Invocation): Promise<number> {
  const stateFolder = findStateFolder(readSettings(process.env, flags));
  return showEngineStatus(stateFolder, (text) => process.stdout.write(text));
}
