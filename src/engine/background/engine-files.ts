import { join } from "node:path";

/** Where things of the engine lie below the product's state folder. */
export interface EngineFiles {
  /** The engine's own folder; everything else is in it. */
  folder: string;
  /** What no agent may look into. It lies beside the engine's folder, whose workspaces agents work in. */
  privateFolder: string;
  key: string;
  /** Where earlier versions have the key. */
  formerKey: string;
  record: string;
  /** The settings that the newest window has brought. */
  settings: string;
  /** That the engine is to end when nothing goes on any more. */
  drain: string;
  /** How the last engine has ended. */
  lastEnd: string;
  /** The port that was listened on last, when it was any free one. */
  port: string;
  log: string;
  /** What was in the log before it grew too large. */
  oldLog: string;
}

/** @param stateFolder the product's state folder, absolute */
export function engineFiles(stateFolder: string): EngineFiles {
  const folder = join(stateFolder, "engine");
  const privateFolder = join(stateFolder, "engine-private");
  return {
    folder,
    privateFolder,
    key: join(privateFolder, "key"),
    formerKey: join(folder, "key"),
    record: join(folder, "engine.json"),
    settings: join(privateFolder, "settings.json"),
    drain: join(privateFolder, "drain.json"),
    lastEnd: join(folder, "last-end.json"),
    port: join(folder, "port"),
    log: join(folder, "engine.log"),
    oldLog: join(folder, "engine.old.log"),
  };
}
