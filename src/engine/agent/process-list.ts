import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** A process of this machine. */
export interface ProcessEntry {
  pid: number;
  parent: number;
  group: number;
  /** When it began, in the system's own units; "0" where that cannot be read. */
  began: string;
  /** It has the wanted text in its environment. */
  marked: boolean;
}

/** `ps` on a busy machine, in ms. */
const PS_TIMEOUT_MS = 5_000;

/**
 * The living processes that can be seen; none where the system has no way to list them (Windows).
 * @param mark a text like NAME=value that is looked for in each process's environment
 * @param since when the first began that can have it, in the system's units: the environments of older ones are not read
 */
export async function listProcesses(
  mark: string,
  platform: NodeJS.Platform,
  since = "0",
): Promise<ProcessEntry[]> {
  if (platform === "win32") return [];
  return platform === "linux" ? listFromProc(mark, Number(since)) : listFromPs(mark);
}

/** When a process began: tells it from a later one with the same pid. "0" where that cannot be read. */
export function readBegan(pid: number): string {
  return readStat(pid)?.began ?? "0";
}

async function listFromProc(mark: string, since: number): Promise<ProcessEntry[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(
    pids.map(async (pid) => {
      const stat = readStat(pid);
      if (!stat) return [];
      // Other users' environments cannot be read, and are not ours.
      const environment =
        Number(stat.began) < since ? "" : await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
      return [{ pid: Number(pid), ...stat, marked: environment.split("\0").includes(mark) }];
    }),
  );
  return entries.flat();
}

/** Nothing is waited for there: asked of the thread pool, each would take several times the processor time. */
function readStat(pid: number | string): ReturnType<typeof parseStat> {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return undefined;
  }
}

/** Fields of /proc/<pid>/stat (proc(5)). Undefined for what is dead already and only waits to be collected. */
function parseStat(stat: string): Omit<ProcessEntry, "pid" | "marked"> | undefined {
  // Field 2, the command, may hold spaces and brackets; after its last bracket comes field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, parent, group] = fields;
  const began = fields[19];
  if (!state || "ZXx".includes(state) || !began) return undefined;
  return { parent: Number(parent), group: Number(group), began };
}

/** macOS and the BSDs. The environment stands behind the command, so the mark is looked for in both. */
async function listFromPs(mark: string): Promise<ProcessEntry[]> {
  const columns = ["pid=", "ppid=", "pgid=", "stat=", "command="];
  const run = promisify(execFile);
  const { stdout } = await run("ps", ["-axEww", "-o", columns.join(",")], {
    timeout: PS_TIMEOUT_MS,
    maxBuffer: 64 * 1024 * 1024,
  }).catch(() => ({ stdout: "" }));
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, group, state, rest] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s(.*)$/.exec(line) ?? [];
    if (!pid || !rest || state?.startsWith("Z")) return [];
    return [
      {
        pid: Number(pid),
        parent: Number(parent),
        group: Number(group),
        began: "0",
        marked: rest.split(" ").includes(mark),
      },
    ];
  });
}
