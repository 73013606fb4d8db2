import { join } from "node:path";

/** The name of the lock that a driver holds for its life. */
export const DRIVER_LOCK = "lock";

/** Where things of the process lie that drives the plans of one workflows API, below the product's state folder. */
export interface DriverFiles {
  /** The folder of all drivers. */
  parent: string;
  /** This driver's own folder; everything else is in it. */
  folder: string;
  record: string;
  log: string;
  /** What was in the log before it grew too large. */
  oldLog: string;
}

/** Plans of one workflows API on this machine, and who carries them out. */
export interface DriverPlace {
  /** The product's state folder, absolute. */
  stateFolder: string;
  /** Names the workflows API, as a folder can be called. */
  upstream: string;
  /** Names the PostgreSQL database in which the plans are, likewise; absent where they are in the state folder. */
  database?: string | undefined;
}

/** Stands between the names of a workflows API and of a database, which have none. */
const IN = "@";

/** How the folder of a driver is called. */
export function driverFolderName({ upstream, database }: Pick<DriverPlace, "upstream" | "database">): string {
  return database === undefined ? upstream : `${upstream}${IN}${database}`;
}

/** Whether the driver of that folder carries out plans of a database that several servers share. */
export function isOfSharedDatabase(folderName: string): boolean {
  return folderName.includes(IN);
}

/** Where they are; nothing is made. */
export function driverFiles({ stateFolder, ...place }: DriverPlace): DriverFiles {
  const parent = join(stateFolder, "plan-drivers");
  const folder = join(parent, driverFolderName(place));
  return {
    parent,
    folder,
    record: join(folder, "driver.json"),
    log: join(folder, "driver.log"),
    oldLog: join(folder, "driver.old.log"),
  };
}
