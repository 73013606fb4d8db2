import { unlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { createInTurn } from "../../shared/keyed-mutex.js";
import { ensurePrivateFolder, NotPrivateError } from "../../shared/private-files.js";
import { STATE_FOLDER_NAME } from "../../shared/state-folder.js";
import { isRecordFileName, recordFileName, upstreamFolderName } from "./file-names.js";
import { createMemorySessionStore } from "./memory-session-store.js";
import { createRecordFiles, type FileContent } from "./record-files.js";
import { createSessionLocks, type HeldLock } from "./session-lock.js";
import { byNewest, copyRecord, RUNS_KEPT, type SessionRecord, storedForm } from "./session-record.js";
import { closedError, type SessionStore, type StoreProblem } from "./session-store.js";
import { createShared } from "./share-reading.js";

type Change = Parameters<SessionStore["update"]>[1];

/** How often a write begins anew when the lock or the folder was taken away under it. */
const TRIES = 5;

/** Short of something for a moment: no reason to give up the disk for the rest of the process. */
const PASSING = ["EMFILE", "ENFILE", "EAGAIN", "EINTR"];

/**
 * A store of one small JSON file per session, for any number of server processes at once and for a kill at any
 * moment:
 *
 *     <folder>/sessions/<host>-<hash>/<hash of the key>.json    a record, 0600, replaced by rename only
 *                                     locks/                    see session-lock.ts; empty at rest
 *                                     damaged/                  what was found and is not a record
 *
 * Reading takes no lock. Where the disk cannot be written the store goes on in memory for this process, on top of
 * what can still be read, and reports that once. Nothing is created before the first call.
 *
 * `upstream` is the API's base URL: sessions of two addresses never meet. At most `runsKept` runs of a session are
 * kept (default 200). `onProblem` must not throw.
 */
export function createFolderSessionStore(options: {
  folder: string;
  upstream: string;
  clock?: { now(): number };
  onProblem?: (problem: StoreProblem) => void;
  runsKept?: number;
}): SessionStore {
  const clock = options.clock ?? Date;
  const report = options.onProblem ?? (() => undefined);
  const runsKept = options.runsKept ?? RUNS_KEPT;
  const sessions = join(options.folder, "sessions");
  const home = join(sessions, upstreamFolderName(options.upstream));
  const files = createRecordFiles({ folder: home, clock, onProblem: report });
  const locks = createSessionLocks({ folder: join(home, "locks") });
  const turns = createInTurn();

  // Used from the moment the disk fails: what was changed since then, and what was removed.
  const memory = createMemorySessionStore({ runsKept });
  const removed = new Set<string>();
  let inMemory = false;
  let closed = false;
  let opening: Promise<void> | undefined;

  function open(): Promise<void> {
    opening ??= prepare().catch(goOnInMemory);
    return opening;
  }

  async function prepare(): Promise<void> {
    // A folder that the user has named may serve others too, so its mode is left alone; everything of ours is
    // in `sessions`, which nobody else can enter.
    const own = basename(options.folder) === STATE_FOLDER_NAME ? [options.folder] : [];
    let tight = true;
    for (const folder of [...own, sessions, home, join(home, "locks"), join(home, "damaged")]) {
      tight = (await ensurePrivateFolder(folder)) && tight;
    }
    if (!tight) {
      const message =
        "The state folder is open to other users of this machine and its mode could not be changed.";
      report({ kind: "permissions", message });
    }
    await locks.sweep(clock.now());
  }

  function goOnInMemory(error: unknown): void {
    if (!isSystemError(error)) throw error;
    if (inMemory) return;
    inMemory = true;
    const what =
      error instanceof NotPrivateError ? error.message : `The state folder cannot be written (${error.code})`;
    const message = `${what}. Sessions are remembered only until this server ends.`;
    report({ kind: "unwritable", message });
  }

  /** Sets a record's file aside if it still is damaged once nobody else can be replacing it. */
  async function setAside(name: string): Promise<void> {
    if (inMemory) return files.leave(name);
    let lock: HeldLock | undefined;
    try {
      // A name that is not a record's has no writer, but taking turns keeps processes from reporting it twice.
      lock = await locks.acquire(lockName(name));
      const damaged = !isRecordFileName(name) || (await files.read(name)).kind === "damaged";
      if (damaged) await files.setAside(name);
    } catch {
      // Reading must not fail because of it; the next read finds it again.
      files.leave(name);
    } finally {
      await lock?.release();
    }
  }

  async function readOne(key: string): Promise<SessionRecord | undefined> {
    if (inMemory) {
      const changed = await memory.get(key);
      if (changed || removed.has(key)) return changed;
    }
    const name = recordFileName(key);
    const content = await files.read(name);
    if (content.kind === "damaged") await setAside(name);
    return content.kind === "record" ? copyRecord(content.record) : undefined;
  }

  /** Reads everything once for all who ask while an earlier reading goes on: that one may be older than what they know. */
  const readAll = createShared(() => files.readAll());

  async function list(): Promise<SessionRecord[]> {
    if (closed) throw closedError();
    await open();
    const { records, damaged } = await readAll();
    for (const name of damaged) await setAside(name);
    if (!inMemory) return records.map(copyRecord).sort(byNewest);
    const changed = await memory.list();
    const hidden = new Set([...removed, ...changed.map((record) => record.key)]);
    const unchanged = records.filter((record) => !hidden.has(record.key)).map(copyRecord);
    return [...changed, ...unchanged].sort(byNewest);
  }

  /** Does `work` under the session's lock; undefined means that the lock was lost and nothing was done. */
  async function underLock<T>(
    name: string,
    work: (lock: HeldLock, content: FileContent) => Promise<{ result: T } | undefined>,
  ): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      let lock: HeldLock | undefined;
      try {
        lock = await locks.acquire(lockName(name));
        const content = await files.read(name);
        // What cannot be looked at must not be replaced.
        if (content.kind === "unreadable") throw content.error;
        if (content.kind === "damaged") await files.setAside(name);
        const done = await work(lock, content);
        if (done) return done.result;
      } catch (error) {
        // Somebody has removed the state folder while the server runs: make it again.
        if (!isSystemError(error) || error.code !== "ENOENT" || tries === TRIES) throw error;
        await prepare();
      } finally {
        await lock?.release();
      }
      if (tries === TRIES) throw new Error("The session is being changed by another process.");
    }
  }

  async function updateOnDisk(key: string, change: Change): Promise<SessionRecord | undefined> {
    const name = recordFileName(key);
    return underLock(name, async (lock, content) => {
      if (content.kind === "newer") return { result: undefined };
      const current = content.kind === "record" ? content.record : undefined;
      const next = change(current && copyRecord(current));
      if (!next) return { result: current && copyRecord(current) };
      const { record, text } = storedForm(next, key, runsKept);
      return (await lock.commit(join(home, name), text)) ? { result: record } : undefined;
    });
  }

  async function updateInMemory(key: string, change: Change): Promise<SessionRecord | undefined> {
    const current = await readOne(key);
    const after = await memory.update(key, () => change(current));
    if (after) removed.delete(key);
    return after ?? current;
  }

  async function removeOnDisk(key: string): Promise<void> {
    const name = recordFileName(key);
    await underLock(name, async (_lock, content) => {
      if (content.kind === "record") await unlink(join(home, name));
      return { result: undefined };
    });
  }

  async function removeInMemory(key: string): Promise<void> {
    removed.add(key);
    await memory.remove(key);
  }

  /** One write at a time for each session, on the disk as long as that works. */
  function write<T>(key: string, onDisk: () => Promise<T>, afterwards: () => Promise<T>): Promise<T> {
    if (closed) return Promise.reject(closedError());
    return turns.run(key, async () => {
      await open();
      if (!inMemory) {
        try {
          return await onDisk();
        } catch (error) {
          if (!isSystemError(error) || PASSING.includes(error.code)) throw error;
          goOnInMemory(error);
        }
      }
      return afterwards();
    });
  }

  return {
    list,
    get: async (key) => {
      if (closed) throw closedError();
      await open();
      return readOne(key);
    },
    update: (key, change) =>
      write(
        key,
        () => updateOnDisk(key, change),
        () => updateInMemory(key, change),
      ),
    remove: (key) =>
      write(
        key,
        () => removeOnDisk(key),
        () => removeInMemory(key),
      ),
    isForgetful: () => inMemory,
    close: async () => {
      closed = true;
      await turns.idle();
    },
  };
}

/** A lock's name has no dot: what follows one is the mark of a claim. */
function lockName(fileName: string): string {
  return recordFileName(fileName).replace(".json", "");
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && "syscall" in error && "code" in error;
}
