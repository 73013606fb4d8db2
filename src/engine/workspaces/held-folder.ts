import { constants } from "node:fs";
import { open, readlink, realpath } from "node:fs/promises";

/** A folder that is held open. */
export interface HeldFolder {
  /** Where it lies, without links. */
  lies: string;
  /** Leads to this folder for as long as it is held, whatever has come into its place; undefined where none does. */
  way?: string;
  release(): Promise<void>;
}

/** Not through a link in the last part; links before it show in where the folder lies. */
const FOLDER = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0);

/**
 * Holds a folder. Only Linux has a way to what is open; elsewhere the path is looked at anew, which leaves the moment
 * between the look and the use. Throws what the file system throws.
 */
export async function holdFolder(path: string): Promise<HeldFolder> {
  if (process.platform !== "linux") return { lies: await realpath(path), release: async () => {} };
  const handle = await open(path, FOLDER);
  try {
    const lies = await readlink(`/proc/self/fd/${handle.fd}`);
    return { lies, way: `/proc/${process.pid}/fd/${handle.fd}`, release: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
