import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { beganAt, isGone, ownIdentity, type ProcessIdentity } from "../process-identity.js";

/*
 * The engine's locks last for days, so a pid that the system has given to another program is no rare case here, and
 * neither is an engine that has ended in a container in which nobody collects ended processes.
 */

/** The identity of this process; its start is known on every system but Windows. */
export async function lastingIdentity(): Promise<ProcessIdentity> {
  const own = await ownIdentity();
  return own.began === "0" ? { ...own, began: await startToldByPs(own.pid) } : own;
}

/** True only when it is certain that the process has ended. One of another machine or container never is. */
export async function hasEnded(other: ProcessIdentity, own: ProcessIdentity): Promise<boolean> {
  if (other.place !== own.place) return false;
  if (await isGone(other, own)) return true;
  const stat = await readFile(`/proc/${other.pid}/stat`, "latin1").catch(() => undefined);
  // Field 3 of proc(5): Z and X have ended, and wait for a parent that may never ask.
  if (stat !== undefined) return /^\) [ZX] /.test(stat.slice(stat.lastIndexOf(")")));
  // Its parent may have asked between the two looks.
  if (await isGone(other, own)) return true;
  if (other.began === "0") return false;
  const began = await startToldByPs(other.pid);
  return began !== "0" && began !== other.began;
}

/**
 * The process as it is seen from here. Machines change their names with the network, and with it the place that a process
 * has told when it began: one with its pid that began at the same moment is that one.
 */
export async function seenFromHere(other: ProcessIdentity, own: ProcessIdentity): Promise<ProcessIdentity> {
  if (other.place === own.place || other.began === "0") return other;
  return (await beganHere(other.pid)) === other.began ? { ...other, place: own.place } : other;
}

async function beganHere(pid: number): Promise<string> {
  return process.platform === "linux" ? beganAt(pid) : startToldByPs(pid);
}

/** True when both, which lie in one folder, are the same process; its place may have another name by now. */
export function sameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.began === b.began && (a.began !== "0" || a.place === b.place);
}

/**
 * When the process began, in epoch seconds, as `ps` of POSIX systems without /proc tells; "0" when it does not.
 * Exported for its test.
 */
export async function startToldByPs(pid: number): Promise<string> {
  const env = { PATH: "/bin:/usr/bin", LC_ALL: "C", TZ: "UTC" };
  const told = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)], { env }).catch(() => ({
    stdout: "",
  }));
  const epochMs = Date.parse(`${told.stdout.trim()} UTC`);
  return Number.isNaN(epochMs) ? "0" : String(epochMs / 1000);
}

/** Sends a signal, unless the process has ended. Throws what the system throws otherwise. */
export async function signalProcess(other: ProcessIdentity, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  // Looked at again right before: a pid must never be hit that is somebody else's by now.
  if (await hasEnded(other, await lastingIdentity())) return;
  try {
    process.kill(other.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The shortest pause between two looks at a process: ending takes some ms. */
const LOOK_MS = 20;

/** Waits until the process has ended, at most `ms` of real time. True when it has. */
export async function waitUntilEnded(other: ProcessIdentity, ms: number): Promise<boolean> {
  const own = await lastingIdentity();
  const began = performance.now();
  while (!(await hasEnded(other, own))) {
    if (performance.now() - began > ms) return false;
    await delay(LOOK_MS);
  }
  return true;
}
