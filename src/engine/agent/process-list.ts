import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** A process of this machine. */
export interface ProcessEntry {
  pid: number;
  parent: number;
  group: number;
  /** 0 where that cannot be read. */
  session: number;
  /** When it began, in the system's own units; "0" where that cannot be read. */
  began: string;
  /** It has the wanted text in its environment. */
  marked: boolean;
}

/** The processes at one moment, as far as one look can tell. */
export interface ProcessLook {
  /** The living ones that can be seen; none where the system has no way to list them (Windows). */
  entries: ProcessEntry[];
  /** Of one it is not known yet whether it has the wanted text: it is just about to become another program, or to end. */
  isUnclear: boolean;
  /** One has ended during the look: what it has started in its last moment may be missing. */
  hasGone: boolean;
}

/** `ps` on a busy machine, in ms. */
const PS_TIMEOUT_MS = 5_000;
/** The bit of a process's flags that says that it is a thread of the kernel (include/linux/sched.h). */
const OF_KERNEL = 0x200000;

/**
 * Looks at all processes.
 * @param mark a text like NAME=value that is looked for in each process's environment
 * @param since when the first began that can have it, in the system's units: the environments of older ones are not read
 */
export async function lookAtProcesses(
  mark: string,
  platform: NodeJS.Platform,
  since = "0",
): Promise<ProcessLook> {
  if (platform === "linux") return lookAtProc(mark, Number(since));
  const entries = platform === "win32" ? [] : await listFromPs(mark);
  return { entries, isUnclear: false, hasGone: false };
}

/** When a process began: tells it from a later one with the same pid. "0" where that cannot be read. */
export function readBegan(pid: number): string {
  const stat = readStat(pid);
  return stat?.isAlive ? stat.began : "0";
}

async function lookAtProc(mark: string, since: number): Promise<ProcessLook> {
  const look: ProcessLook = { entries: [], isUnclear: false, hasGone: false };
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  await Promise.all(
    pids.map(async (pid) => {
      const stat = readStat(pid);
      const isOld = stat !== undefined && Number(stat.began) < since;
      if (!stat?.isAlive) {
        look.hasGone ||= !isOld;
        return;
      }
      const { parent, group, session, began } = stat;
      const variables = isOld || stat.isOfKernel ? undefined : await readVariables(pid);
      if (variables === "unclear") look.isUnclear = true;
      if (variables === "gone") look.hasGone = true;
      const marked = Array.isArray(variables) && variables.includes(mark);
      look.entries.push({ pid: Number(pid), parent, group, session, began, marked });
    }),
  );
  return look;
}

/**
 * A process's environment; undefined where it cannot be read: other users' are not ours. `unclear`: it has none at the
 * moment, since that of the program which it is about to become is not in place yet, or since it is ending; `gone`: it has
 * ended.
 */
async function readVariables(pid: string): Promise<string[] | "unclear" | "gone" | undefined> {
  const text = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => undefined);
  if (text !== "") return text?.split("\0");
  const stat = readStat(pid);
  if (!stat?.isAlive) return "gone";
  return stat.hasNoVariables ? [] : "unclear";
}

/** Nothing is waited for there: asked of the thread pool, each would take several times the processor time. */
function readStat(pid: number | string): ReturnType<typeof parseStat> {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return undefined;
  }
}

/** Fields of /proc/<pid>/stat (proc(5)). */
function parseStat(stat: string) {
  // Field 2, the command, may hold spaces and brackets; after its last bracket comes field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, parent, group, session, , , flags] = fields;
  const [began, variables, behindVariables] = [fields[19], fields[47], fields[48]];
  if (!state || !began) return undefined;
  return {
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    began,
    /** Else it is dead already, and only waits to be collected. */
    isAlive: !"ZXx".includes(state),
    isOfKernel: (Number(flags) & OF_KERNEL) !== 0,
    /** It has an environment, without a variable in it. */
    hasNoVariables: variables === behindVariables && variables !== "0",
  };
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
        session: 0,
        began: "0",
        marked: rest.split(" ").includes(mark),
      },
    ];
  });
}
