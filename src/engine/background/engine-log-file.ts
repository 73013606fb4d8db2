import { type BackgroundLog, openBackgroundLog } from "../../shared/background/log-file.js";
import { engineFiles } from "./engine-files.js";

/**
 * Opens the log in the engine's folder, which must exist. Throws what the file system throws.
 * @param maxBytes of the file; the old log has at most as many
 */
export function openEngineLog(stateFolder: string, maxBytes?: number): BackgroundLog {
  return openBackgroundLog(engineFiles(stateFolder), "The engine's log", maxBytes);
}
