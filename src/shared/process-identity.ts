import { createHash } from "node:crypto";
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";

/** Which process this is, so that another one can find out whether it is still there. */
export interface ProcessIdentity {
  pid: number;
  /** When the process began, in the system's own units; "0" where that cannot be read. */
  began: string;
  /** Where its pid means something: the machine and, on Linux, the process namespace (containers). */
  place: string;
}

/** The identity of this process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const namespace = await readlink("/proc/self/ns/pid").catch(() => "");
  const place = createHash("sha256").update(`${hostname()}\n${namespace}`).digest("hex").slice(0, 12);
  return { pid: process.pid, began: await beganAt(process.pid), place };
}

/**
 * True only when it is certain that the process is gone: same place, and its pid is free or belongs to a process
 * that began at another time (pids are reused, and in a container a restarted server has the same one again).
 */
export async function isGone(other: ProcessIdentity, own: ProcessIdentity): Promise<boolean> {
  if (other.place !== own.place) return false;
  try {
    process.kill(other.pid, 0);
  } catch (error) {
    // EPERM: it is there, but another user's.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return true;
  }
  if (other.began === "0") return false;
  const began = await beganAt(other.pid);
  return began !== "0" && began !== other.began;
}

/** Field 22 of /proc/<pid>/stat (proc(5)): clock ticks between the machine's boot and the process's start. */
export async function beganAt(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  // Field 2, the command, may hold spaces and brackets; after its last bracket comes field 3.
  const field = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  return field && /^\d+$/.test(field) ? field : "0";
}
