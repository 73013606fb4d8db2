import { execFile } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { MARK_NAME } from "../../shared/agent-mark.js";
import { type Clock, sleep } from "../../shared/clock.js";
import { lookAtProcesses, type ProcessEntry, type ProcessLook } from "./process-list.js";

/** How an agent's processes are found again, also by another engine after a restart. */
export interface AgentIdentity {
  pid: number;
  /** Opaque: when the process began, and its mark. */
  startedAt: string;
}

/** The pause between two looks for processes that are left, in ms; one look takes about 20 ms. */
const LOOK_MS = 50;
/** The same where a look was not certain, by the system's clock: that is over in a moment. */
const UNCLEAR_MS = 5;
/** A process that is still there this long after SIGKILL, in ms, hangs in the kernel; the run must not wait for it. */
const GIVE_UP_MS = 5_000;

/**
 * The mark of a run's agent. It follows from the run, so that an engine that was killed in the moment of the start,
 * before it could write down the process, does not leave an agent that nobody finds.
 */
export function agentMark(runId: string): string {
  return runId.replaceAll("-", "");
}

/** The agent of a run as far as it can be known without its process. */
export function identityOfRun(runId: string): AgentIdentity {
  return { pid: 0, startedAt: formatStartedAt("0", agentMark(runId)) };
}

/** The identity from its parts. */
export function formatStartedAt(began: string, mark: string): string {
  return `${began}.${mark}`;
}

/** Tells a process from a later one with the same pid. */
export function processKey({ pid, began }: Pick<ProcessEntry, "pid" | "began">): string {
  return `${pid} ${began}`;
}

/** Everything of one agent that is alive: itself, its group, all that descends from them, and what bears its mark. */
export async function findAgentProcesses(
  identity: AgentIdentity,
  platform: NodeJS.Platform = process.platform,
): Promise<ProcessEntry[]> {
  return (await lookForAgent(identity, platform, false)).entries;
}

/** @param hasJustEnded see {@link endAgentProcesses} */
async function lookForAgent(
  identity: AgentIdentity,
  platform: NodeJS.Platform,
  hasJustEnded: boolean,
): Promise<ProcessLook> {
  const { pid } = identity;
  const [began = "0", mark = ""] = identity.startedAt.split(".");
  // What has the mark descends from the agent, and is no older.
  const look = await lookAtProcesses(`${MARK_NAME}=${mark}`, platform, began);
  const all = look.entries;
  const root = all.find((entry) => entry.pid === pid);
  // The system gives a pid to another process later; the mark and the start time tell it apart.
  const isOurs = root ? root.marked || (root.began === began && began !== "0") : hasJustEnded;
  const isMember = ({ group, session, ...entry }: ProcessEntry) =>
    (group === pid || session === pid) && Number(entry.began) >= Number(began);
  const found = new Set<ProcessEntry>();
  for (const entry of all) {
    if (entry.marked || (isOurs && (entry === root || isMember(entry)))) found.add(entry);
  }
  for (let grown = true; grown; ) {
    grown = false;
    const pids = new Set([...found].map((entry) => entry.pid));
    for (const entry of all) {
      if (found.has(entry) || !pids.has(entry.parent)) continue;
      found.add(entry);
      grown = true;
    }
  }
  return { ...look, entries: [...found].filter((entry) => entry.pid !== process.pid) };
}

/**
 * Ends everything of one agent: SIGTERM, and SIGKILL for what is still there after the grace. It looks until a look is
 * certain: in mid-start a process has no environment, and what one starts in its last moment is seen by the next look.
 * @param options.graceMs how long processes may take to end by themselves; 0 for SIGKILL at once
 * @param options.endNow ends the grace early
 * @param options.hasJustEnded its first process was a child of this one and has ended a moment ago: what is in its group
 * or session is its own, also without the mark, since a number is not given anew while it names one of these
 * @param options.spared what goes on all the same, see `processKey`; nothing when left out
 * @returns whether anything was there, when nothing is left. Never throws.
 */
export async function endAgentProcesses(
  identity: AgentIdentity,
  options: {
    graceMs: number;
    clock: Clock;
    endNow?: AbortSignal;
    hasJustEnded?: boolean;
    spared?: ReadonlySet<string>;
    platform?: NodeJS.Platform;
  },
): Promise<boolean> {
  const { clock, endNow, hasJustEnded = false, spared, platform = process.platform } = options;
  if (platform === "win32") return spared ? false : endTreeOnWindows(identity.pid);
  const killAt = clock.elapsed() + options.graceMs;
  const giveUpAt = killAt + GIVE_UP_MS;
  const told = new Set<string>();
  let anything = false;
  let wasEmpty = false;
  for (;;) {
    const { entries, isUnclear, hasGone } = await lookForAgent(identity, platform, hasJustEnded);
    const left = spared ? entries.filter((entry) => !spared.has(processKey(entry))) : entries;
    const isEmpty = left.length === 0 && !isUnclear;
    if (isEmpty && (wasEmpty || !hasGone)) return anything;
    wasEmpty = isEmpty;
    const now = clock.elapsed();
    if (now >= giveUpAt) return anything;
    if (left.length === 0) {
      if (isUnclear) await delay(UNCLEAR_MS);
      continue;
    }
    anything = true;
    const kill = now >= killAt || endNow?.aborted === true;
    for (const entry of left) {
      const key = processKey(entry);
      if (kill) signal(entry.pid, "SIGKILL");
      else if (!told.has(key)) signal(entry.pid, "SIGTERM");
      told.add(key);
    }
    await sleep(clock, LOOK_MS, kill ? undefined : endNow);
  }
}

/**
 * Ends what an engine that is gone has left of an agent. The agent reads from pipes that went with the engine, so it
 * cannot be taken over.
 * @returns whether anything was there
 */
export async function endLeftover(identity: AgentIdentity, clock: Clock): Promise<boolean> {
  // Windows cannot look for the mark.
  if (identity.pid === 0 && process.platform === "win32") return false;
  // Enough for the agent to write its conversation down and end its commands (about 1.5 s was measured).
  return endAgentProcesses(identity, { graceMs: 3_000, clock });
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself meanwhile.
  }
}

/** Windows has no groups; its own tool follows the parents. */
function endTreeOnWindows(pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    execFile("taskkill", ["/pid", String(pid), "/T", "/F"], (error) => resolve(error === null));
  });
}
