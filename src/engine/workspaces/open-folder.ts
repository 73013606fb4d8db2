import { constants } from "node:fs";
import { open, readlink, realpath } from "node:fs/promises";

/** A folder that is kept open. */
export interface OpenFolder {
  /** Its path, without links. */
  path: string;
  /** A path that leads to this very folder while it is open, whatever its own path leads to now. Linux only. */
  pinned?: string;
  close(): Promise<void>;
}

/** Not through a link in the last part of the path; links before it show in the path that is read. */
const FOLDER = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0);

/**
 * Opens a folder. Only Linux has a path to what is open; elsewhere the path is read once more, which leaves a moment
 * between check and use.
 * @throws what the file system throws
 */
export async function openFolder(path: string): Promise<OpenFolder> {
  if (process.platform !== "linux") return { path: await realpath(path), close: async () => {} };
  const handle = await open(path, FOLDER);
  try {
    const real = await readlink(`/proc/self/fd/${handle.fd}`);
    return { path: real, pinned: `/proc/${process.pid}/fd/${handle.fd}`, close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
