import {
  chmod,
  chown,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  stat,
  unlink,
} from "node:fs/promises";
import { dirname } from "node:path";
import { InstallError } from "./names.js";

/** What the installation does with files. Paths are absolute; text is UTF-8. */
export interface ConfigFiles {
  /**
   * The whole text, or undefined when there is no such file. Throws what the file system throws otherwise.
   * @throws InstallError for a link to a file that is not there
   */
  read(path: string): Promise<string | undefined>;
  /** Names in a folder; none when it is not there or cannot be looked into. */
  list(folder: string): Promise<string[]>;
  /**
   * Leaves a copy under `backup`, with the mode of the file. Throws when there is something by that name already.
   */
  copy(path: string, backup: string): Promise<void>;
  /**
   * Puts the text in the file's place, all of it or nothing, with the mode and owner that the file had; a link is
   * followed. Folders are made where they are missing.
   * @param expected what the file held when the text was made; undefined when it was not there
   * @param mode of a new file
   * @throws ConfigChangedError when the file holds something else by now
   * @throws InstallError for a link to a file that is not there
   */
  replace(path: string, text: string, options: { expected: string | undefined; mode: number }): Promise<void>;
}

/** Somebody else has written the file since it was read; nothing was changed. */
export class ConfigChangedError extends Error {
  override name = "ConfigChangedError";
}

/** The real files of this machine. */
export function createConfigFiles(): ConfigFiles {
  async function read(path: string): Promise<string | undefined> {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      await refuseDanglingLink(path);
      return undefined;
    }
  }

  return {
    read,
    list: (folder) => readdir(folder).catch(() => []),
    async copy(path, backup) {
      const { mode, uid, gid } = await stat(path);
      await write(backup, await readFile(path), mode, { uid, gid });
    },
    async replace(path, text, { expected, mode }) {
      await mkdir(dirname(path), { recursive: true });
      // People keep such files in a repository of their own and link to them.
      const target = await findTarget(path);
      const old = await stat(target).catch(() => undefined);
      const draft = `${target}.${process.pid}.tmp`;
      try {
        await write(draft, text, old?.mode ?? mode, old);
        if ((await read(target)) !== expected) {
          throw new ConfigChangedError("the file was changed by somebody else meanwhile");
        }
        await rename(draft, target);
      } catch (error) {
        await unlink(draft).catch(() => undefined);
        throw error;
      }
    },
  };
}

/** The file itself, behind whatever links lead to it. */
async function findTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await refuseDanglingLink(path);
    return path;
  }
}

/**
 * Where the file of a link is missing, a disk may not be mounted or a repository not be cloned: a file in the link's
 * place would hide that, and one made behind it could be hidden in turn.
 */
async function refuseDanglingLink(path: string): Promise<void> {
  const target = await readlink(path).catch(() => undefined);
  if (target !== undefined)
    throw new InstallError(
      `It is a link to ${target}, which is not there. Make that file, or remove the link`,
    );
}

async function write(
  path: string,
  content: string | Uint8Array,
  mode: number,
  owner: { uid: number; gid: number } | undefined,
): Promise<void> {
  const handle = await open(path, "wx", mode & 0o777);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  // The mask may have taken bits away that the old file had.
  await chmod(path, mode & 0o777);
  // Only root can, and only root has to: a file of the person's must stay theirs.
  if (owner && process.getuid?.() === 0) await chown(path, owner.uid, owner.gid);
}
