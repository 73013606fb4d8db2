import {
  closeSync,
  constants,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  unlinkSync,
} from "node:fs";
import { open, readFile, unlink } from "node:fs/promises";
import { promisify } from "node:util";
import { PLAIN_FILE, writeWhole } from "./durable-files.js";

/** One run's file: appended to, brought onto the disk, and replaced as a whole. */
export interface RunFile {
  size(): number;
  /**
   * Writes at the end. When it returns, the system has the bytes, and no end of this process can lose them; when it
   * throws (what the file system throws), the file is as it was. Blocks for some microseconds.
   */
  append(line: string): void;
  /** Resolves when all that was appended before the call would survive a power failure. Calls at once share one. */
  sync(): Promise<void>;
  /** The whole content, as the system has it. Throws what the file system throws. */
  read(): Buffer;
  /**
   * Replaces the content by what `rewrite` makes of it; after a crash the old or the new one is there. `prepare`
   * is called together with the reading, so that what it looks at fits the content; what is appended meanwhile
   * stays at the end.
   */
  replace(prepare: () => (content: Buffer) => string): Promise<void>;
  remove(): Promise<void>;
}

const syncDescriptor = promisify(fsync);

/**
 * The file at `path`, which has `size` bytes; 0 means that the first append creates it (mode 0600). It is kept open
 * only between a write and its sync, so that waiting runs cost no descriptors. `syncFolder` makes its name durable.
 */
export function createRunFile(options: {
  path: string;
  size: number;
  syncFolder: () => Promise<void>;
}): RunFile {
  const { path, syncFolder } = options;
  let size = options.size;
  let fd: number | undefined;
  let unsynced = false;
  let nameUnsynced = false;
  let removed = false;
  // Syncing, replacing and removing wait for one another; appending waits for nothing.
  let tail: Promise<void> = Promise.resolve();
  let nextSync: Promise<void> | undefined;

  function inTurn(step: () => Promise<void>): Promise<void> {
    const result = tail.then(step);
    tail = result.catch(() => undefined);
    return result;
  }

  function release(): void {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  }

  function append(line: string): void {
    const isNew = size === 0;
    const create = isNew ? constants.O_CREAT | constants.O_EXCL : 0;
    fd ??= openSync(path, constants.O_RDWR | create | PLAIN_FILE, 0o600);
    try {
      const bytes = Buffer.from(line);
      writeWhole(fd, bytes, size);
      size += bytes.length;
    } catch (error) {
      try {
        if (isNew) {
          release();
          unlinkSync(path);
        } else ftruncateSync(fd, size);
      } catch {
        // The next line goes over the rest, and reading leaves out what is no line.
      }
      throw error;
    }
    unsynced = true;
    nameUnsynced ||= isNew;
  }

  async function syncNow(): Promise<void> {
    nextSync = undefined;
    if (removed || !(unsynced || nameUnsynced)) return;
    fd ??= openSync(path, constants.O_RDWR | PLAIN_FILE);
    const withName = nameUnsynced;
    unsynced = false;
    nameUnsynced = false;
    try {
      await syncDescriptor(fd);
      if (withName) await syncFolder();
    } catch (error) {
      unsynced = true;
      nameUnsynced ||= withName;
      throw error;
    }
    if (!unsynced) release();
  }

  async function replaceNow(prepare: () => (content: Buffer) => string): Promise<void> {
    if (removed) return;
    const through = size;
    const rewrite = prepare();
    const next = Buffer.from(rewrite((await readFile(path)).subarray(0, through)));
    const handle = await open(`${path}.tmp`, "w", 0o600);
    try {
      await handle.writeFile(next);
      await handle.sync();
      // From here to the rename nothing else gets a turn, so nothing is appended in between.
      const added = Buffer.alloc(size - through);
      if (added.length > 0) {
        fd ??= openSync(path, constants.O_RDWR | PLAIN_FILE);
        readSync(fd, added, 0, added.length, through);
        writeWhole(handle.fd, added, next.length);
        fsyncSync(handle.fd);
      }
      release();
      renameSync(`${path}.tmp`, path);
      size = next.length + added.length;
      unsynced = false;
      nameUnsynced = true;
    } catch (error) {
      await unlink(`${path}.tmp`).catch(() => undefined);
      throw error;
    } finally {
      await handle.close();
    }
    await syncFolder();
    nameUnsynced = false;
  }

  return {
    size: () => size,
    append,
    sync: () => {
      nextSync ??= inTurn(syncNow);
      return nextSync;
    },
    read: () => readFileSync(path).subarray(0, size),
    replace: (prepare) => inTurn(() => replaceNow(prepare)),
    remove: () =>
      inTurn(async () => {
        removed = true;
        release();
        await unlink(path).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== "ENOENT") throw error;
        });
      }),
  };
}
