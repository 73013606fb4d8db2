import { readEngineStatus, renderEngineStatus } from "../../engine/background/index.js";
import { systemClock } from "../../shared/clock.js";

/**
 * Shows whether an engine runs with this state folder, and where.
 * @returns the exit code: 0 when it runs without a problem, else 1
 */
export async function showEngineStatus(stateFolder: string, out: (text: string) => void): Promise<number> {
  const status = await readEngineStatus(stateFolder, { clock: systemClock });
  out(renderEngineStatus(status));
  return status.running && status.problem === undefined ? 0 : 1;
}
