import { type StartedProcess, spawnInBackground } from "../../shared/background/spawn.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { engineFiles } from "./engine-files.js";

/** Starts an engine for the state folder as a process of its own. Rejects when that cannot be done. */
export type SpawnEngine = () => Promise<StartedProcess>;

/** What starts engines in the background. @param options as {@link spawnInBackground} takes them */
export function createSpawnEngine(options: {
  program: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd: string;
  stateFolder: string;
}): SpawnEngine {
  const { stateFolder, ...rest } = options;
  return async () => {
    const files = engineFiles(stateFolder);
    await ensurePrivateFolder(files.folder);
    return spawnInBackground({ ...rest, log: files });
  };
}
