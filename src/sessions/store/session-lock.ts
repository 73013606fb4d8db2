import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rmdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isGone, ownIdentity, type ProcessIdentity } from "../../shared/process-identity.js";

/*
 * A lock over processes in which taking, committing and taking over are one rename or unlink each.
 *
 * The lock of a session is a folder `<name>/` holding one file whose name says who owns it. No folder, or an
 * empty one, means free.
 *  - take:      prepare `<name>.<owner>/<owner>` and rename the folder to `<name>/`. The system refuses to put it
 *               over a folder that is not empty, so one taker wins, and a lock never exists without its owner.
 *  - commit:    the owner file is the temporary file of the next content; renaming it onto the record publishes
 *               the content and gives the lock back in one step.
 *  - take over: unlink `<name>/<owner>` of an owner that is gone. The path names the owner, so a slow taker
 *               cannot hit the lock of whoever came after; and an owner that was only asleep finds its file gone,
 *               cannot commit any more and begins anew. A lock that is taken over too early therefore costs time,
 *               never data.
 *
 * Why not proper-lockfile: its stale takeover is stat, rmdir, mkdir, so that two takers can both win; it knows
 * staleness only by age, at least 2 s, kept up by timers; and losing the lock does not stop a late write.
 */

/**
 * An owner of whom it is not certain that it is gone (another machine, or a process that hangs) is waited for this
 * long, by the waiter's own steady clock: a hold is some ms, and only a very slow disk makes it a second.
 */
const STALE_AFTER_MS = 5_000;

/** With every stale lock gone after 5 s, half a minute without a turn means that something else is wrong. */
const GIVE_UP_AFTER_MS = 30_000;

/** What is left of a process on another machine is removed after this age; nothing live is nearly that old. */
const LEFTOVER_AGE_MS = 60 * 60 * 1000;

/** "Somebody has it": the last three are how Windows says so, also when a virus scanner has the file open. */
const HELD = ["ENOTEMPTY", "EEXIST", "EPERM", "EACCES", "EBUSY"];

export interface HeldLock {
  /**
   * Replaces the file `target`, in the same file system, by `text` (mode 0600, on disk before it is visible) and
   * releases the lock. False when the lock had been taken over: then nothing was written.
   */
  commit(target: string, text: string): Promise<boolean>;
  /** Gives the lock back; does nothing when it is gone already. */
  release(): Promise<void>;
}

export interface SessionLocks {
  /** Waits until the lock is ours. Throws an Error after half a minute, and what the file system throws. */
  acquire(name: string): Promise<HeldLock>;
  /** Removes what killed processes have left, including unfinished temporary files. Never throws. */
  sweep(now: number): Promise<void>;
}

/** The locks that live in `folder`, which must exist. Names must be safe as file names and without dots. */
export function createSessionLocks(options: { folder: string; staleAfterMs?: number }): SessionLocks {
  const staleAfterMs = options.staleAfterMs ?? STALE_AFTER_MS;
  const identity = ownIdentity();

  async function acquire(name: string): Promise<HeldLock> {
    const own = await identity;
    const owner = `${own.pid}-${own.began}-${own.place}-${randomBytes(8).toString("hex")}`;
    const claim = join(options.folder, `${name}.${owner}`);
    const lock = join(options.folder, name);
    const began = performance.now();
    let seen: string | undefined;
    let seenSince = began;

    await prepare(claim, owner);
    try {
      while (!(await take(claim, lock, owner))) {
        const holder = await ownerOf(lock);
        const now = performance.now();
        if (holder !== seen) {
          seen = holder;
          seenSince = now;
        }
        if (holder === undefined) {
          // Windows does not rename over an empty folder either. rmdir spares one that has an owner by now.
          await attempt(rmdir(lock));
        } else if (now - seenSince > staleAfterMs || (await isGone(parseOwner(holder), own))) {
          await attempt(unlink(join(lock, holder)));
          continue;
        }
        if (now - began > GIVE_UP_AFTER_MS)
          throw new Error("The session is being changed by another process.");
        // Random, so that waiters do not march in step with a busy holder; longer once it is plainly a wait.
        await delay(1 + Math.random() * (now - began > 250 ? 25 : 6));
      }
    } catch (error) {
      await clear(claim);
      throw error;
    }
    return held(lock, owner);
  }

  async function sweep(now: number): Promise<void> {
    const own = await identity;
    for (const name of await readdir(options.folder).catch(() => [])) {
      const path = join(options.folder, name);
      const owner = name.split(".")[1] ?? (await ownerOf(path).catch(() => undefined));
      const age = await stat(path).then(
        (found) => now - found.mtimeMs,
        () => 0,
      );
      // A lock without an owner is free, and one that is about to be removed.
      const gone = owner === undefined || (await isGone(parseOwner(owner), own));
      if (gone || age > LEFTOVER_AGE_MS) await clear(path);
    }
  }

  return { acquire, sweep };
}

async function prepare(claim: string, owner: string): Promise<void> {
  await mkdir(claim, { mode: 0o700 });
  await (await open(join(claim, owner), "wx", 0o600)).close();
}

/** One try to make the prepared folder the lock; false when somebody else has it. */
async function take(claim: string, lock: string, owner: string): Promise<boolean> {
  try {
    await rename(claim, lock);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") {
      // Swept away by a process that could not know that we still wait, e.g. after the machine slept.
      await prepare(claim, owner);
      return false;
    }
    if (HELD.includes(codeOf(error))) return false;
    throw error;
  }
}

function held(lock: string, owner: string): HeldLock {
  const file = join(lock, owner);
  let isGivenBack = false;
  return {
    commit: async (target, text) => {
      try {
        const handle = await open(file, "r+");
        try {
          await handle.writeFile(text);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await renameOntoBusy(file, target);
      } catch (error) {
        if (codeOf(error) === "ENOENT") return false;
        throw error;
      }
      isGivenBack = true;
      await attempt(rmdir(lock));
      return true;
    },
    release: async () => {
      // Committing has released it already, and every step waits for a thread among other syncs.
      if (isGivenBack) return;
      await attempt(unlink(file));
      // Refused by the system, as it should be, when the next owner is in there already.
      await attempt(rmdir(lock));
    },
  };
}

/** On Windows a rename fails while another program has the target open; elsewhere the first try decides. */
async function renameOntoBusy(from: string, to: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await rename(from, to);
      return;
    } catch (error) {
      if (process.platform !== "win32" || tries === 8 || !HELD.includes(codeOf(error))) throw error;
      await delay(tries * 10);
    }
  }
}

/** The name of the owner file, or undefined when the lock is free. */
async function ownerOf(lock: string): Promise<string | undefined> {
  try {
    return (await readdir(lock))[0];
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function parseOwner(owner: string): ProcessIdentity {
  const [pid, began, place] = owner.split("-");
  return { pid: Number(pid) || 0, began: began ?? "0", place: place ?? "" };
}

async function clear(folder: string): Promise<void> {
  const owner = await ownerOf(folder).catch(() => undefined);
  if (owner) await attempt(unlink(join(folder, owner)));
  await attempt(rmdir(folder));
}

/** For steps whose failure means that somebody else has done them. */
async function attempt(step: Promise<unknown>): Promise<void> {
  await step.catch(() => undefined);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}
