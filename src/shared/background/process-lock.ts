import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rmdir, stat, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "../error-code.js";
import type { ProcessIdentity } from "../process-identity.js";
import { hasEnded, lastingIdentity, seenFromHere } from "./process-life.js";

/*
 * A lock that a process holds for its whole life. As with the sessions' lock, it is a folder `<name>/` with one file
 * whose name says who owns it: taking it is one rename of a prepared folder, which the system refuses over a folder
 * that is not empty, and taking over is one unlink of a path that names the former owner, so it can never hit the
 * next one. Unlike that lock it is never waited for, and is not taken from a living process, however silent.
 *
 * Only where it cannot be found out whether the owner lives (another machine or container that shares the folder;
 * Windows, which does not tell when a process began) does the age of the file count, which the owner refreshes.
 */

/** An owner of whom nothing else is known and that was silent for so long is gone: eight refreshes missed. */
const SILENT_MS = 120_000;

/** How often the owner should call `refresh`, in ms. */
export const REFRESH_MS = 15_000;

/** "Somebody has it": the last three are how Windows says so. */
const HELD = ["ENOTEMPTY", "EEXIST", "EPERM", "EACCES", "EBUSY"];

export interface ProcessLock {
  /** Says that its owner lives. False when the lock is not the owner's any more. */
  refresh(): Promise<boolean>;
  /** Gives the lock back; does nothing when it is gone already. */
  release(): Promise<void>;
}

/**
 * Takes the lock unless a process has it that may be alive; does not wait. Throws what the file system throws.
 * @param folder must exist
 * @param now epoch ms
 */
export async function takeLock(
  folder: string,
  name: string,
  now: number,
): Promise<{ lock: ProcessLock } | { holder: ProcessIdentity }> {
  const own = await lastingIdentity();
  const owner = `${own.pid}-${own.began}-${own.place}-${randomBytes(8).toString("hex")}`;
  const path = join(folder, name);
  const claim = join(folder, `${name}.${owner}`);
  await mkdir(claim, { mode: 0o700 });
  try {
    await (await open(join(claim, owner), "wx", 0o600)).close();
    for (;;) {
      try {
        await rename(claim, path);
        break;
      } catch (error) {
        if (!HELD.includes(codeOf(error))) throw error;
      }
      const former = await ownerOf(path);
      if (former === undefined) {
        // Windows does not rename over an empty folder either. rmdir spares one that has an owner by now.
        await attempt(rmdir(path));
      } else if (await isFree(path, former, own, now)) {
        await attempt(unlink(join(path, former)));
      } else {
        await clear(claim);
        return { holder: await seenFromHere(parseOwner(former), own) };
      }
    }
  } catch (error) {
    await clear(claim);
    throw error;
  }
  await sweep(folder, name, own);
  return { lock: held(path, owner) };
}

/** Who holds the lock and may be alive. Never throws, and changes nothing. */
export async function readLockHolder(
  folder: string,
  name: string,
  now: number,
): Promise<ProcessIdentity | undefined> {
  const path = join(folder, name);
  const owner = await ownerOf(path);
  const own = await lastingIdentity();
  if (owner === undefined || (await isFree(path, owner, own, now))) return undefined;
  return seenFromHere(parseOwner(owner), own);
}

function held(path: string, owner: string): ProcessLock {
  const file = join(path, owner);
  return {
    refresh: async () => {
      const now = new Date();
      return utimes(file, now, now).then(
        () => true,
        // A disk that fails for a moment must not end the engine.
        (error) => !["ENOENT", "ENOTDIR"].includes(codeOf(error)),
      );
    },
    release: async () => {
      await attempt(unlink(file));
      await attempt(rmdir(path));
    },
  };
}

async function isFree(path: string, owner: string, own: ProcessIdentity, now: number): Promise<boolean> {
  const holder = await seenFromHere(parseOwner(owner), own);
  if (await hasEnded(holder, own)) return true;
  if (holder.place === own.place && holder.began !== "0") return false;
  return stat(join(path, owner)).then(
    (file) => now - file.mtimeMs > SILENT_MS,
    () => true,
  );
}

async function ownerOf(path: string): Promise<string | undefined> {
  return (await readdir(path).catch(() => []))[0];
}

function parseOwner(owner: string): ProcessIdentity {
  const [pid, began, place] = owner.split("-");
  return { pid: Number(pid) || 0, began: began ?? "0", place: place ?? "" };
}

/** Removes what takers have left that were killed in the middle. */
async function sweep(folder: string, name: string, own: ProcessIdentity): Promise<void> {
  for (const entry of await readdir(folder).catch(() => [])) {
    const owner = entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : "";
    if (/^\d+-\d+-/.test(owner) && (await hasEnded(parseOwner(owner), own))) await clear(join(folder, entry));
  }
}

async function clear(claim: string): Promise<void> {
  const owner = await ownerOf(claim);
  if (owner) await attempt(unlink(join(claim, owner)));
  await attempt(rmdir(claim));
}

/** For steps whose failure means that somebody else has done them. */
async function attempt(step: Promise<unknown>): Promise<void> {
  await step.catch(() => undefined);
}
