import { join } from "node:path";

/** Where things of the engine lie below the product's state folder. */
export interface EngineFiles {
  /** The engine's own folder; everything else is in it. */
  folder: string;
  key: string;
  record: string;
  /** The port that was listened on last, when it was any free one. */
  port: string;
  log: string;
  /** What was in the log before it grew too large. */
  oldLog: string;
}

/** @param stateFolder the product's state folder, absolute */
export function engineFiles(stateFolder: string): EngineFiles {
  const folder = join(stateFolder, "engine");
  return {
    folder,
    key: join(folder, "key"),
    record: join(folder, "engine.json"),
    port: join(folder, "port"),
    log: join(folder, "engine.log"),
    oldLog: join(folder, "engine.old.log"),
  };
}

/** The system's own word for what went wrong, "" when there is none. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}
