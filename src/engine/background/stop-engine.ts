import { keepAwake } from "../../shared/background/keep-awake.js";
import { signalProcess, waitUntilEnded } from "../../shared/background/process-life.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import type { ProcessIdentity } from "../../shared/process-identity.js";
import { lookAtProcesses } from "../agent/process-list.js";
import { endAgentProcesses, formatStartedAt } from "../agent/process-tree.js";
import { createHealthProbe, type ProbeHealth } from "./engine-health.js";
import type { EngineRecord } from "./engine-record.js";
import { type EngineSight, lookAtEngine } from "./look-at-engine.js";

export interface StopOptions {
  /** Without asking, and with SIGKILL for what does not end within `FORCED_LIMIT_MS`. */
  force: boolean;
  /** Asks the person; left out when nobody is there to answer. */
  ask?: ((question: string) => Promise<boolean>) | undefined;
  /** Names the runs that go on at an engine that answers. */
  nameRuns?: (engine: EngineRecord) => Promise<string[]>;
  /** What else the person is told with the question, in sentences; "" for nothing. */
  note?: string;
  /** Called right before the engine is told to end: whoever would start it again ends first. */
  beforeEnd?: () => Promise<void>;
  clock: Clock;
  log: Log;
  probe?: ProbeHealth;
  /** After this long, in ms, it is said what is waited for. */
  patienceMs?: number;
  /** After this long, in ms, the wait for an orderly end is over. */
  limitMs?: number;
}

/** Without runs an engine ends within a second. */
const PATIENCE_MS = 5_000;
/** Longer than an engine takes to end its runs. */
const LIMIT_MS = 60_000;
/** The same with `force`: an engine that is well ends its agents and writes their runs down in less, in ms. */
const FORCED_LIMIT_MS = 20_000;
/** What an agent gets to write its conversation down when its engine had to be killed, in ms. */
const AGENT_GRACE_MS = 3_000;
/** What the system needs to clear a killed process away. */
const KILL_LIMIT_MS = 10_000;

type LivingEngine = Exclude<EngineSight, { kind: "none" | "elsewhere" }>;

/** What came of stopping; the message is for the person. */
export interface StopOutcome {
  /** No engine of this state folder is there any more. */
  stopped: boolean;
  message: string;
}

/**
 * Ends the engine of the state folder and waits until it is gone. Its runs end as failed and can be continued, so the
 * person is asked first when there are any; where nobody can be asked, nothing is stopped then.
 * Throws only what the system throws when the signal cannot be sent.
 */
export function stopEngine(stateFolder: string, options: StopOptions): Promise<StopOutcome> {
  return keepAwake(async () => {
    const probe = options.probe ?? createHealthProbe();
    const sight = await lookAtEngine(stateFolder, { probe, now: options.clock.now() });
    if (sight.kind === "none") return { stopped: true, message: "No engine is running." };
    if (sight.kind === "elsewhere") return { stopped: false, message: ELSEWHERE };
    const { pid } = sight.holder;
    if (!isCertain(sight)) {
      return {
        stopped: false,
        message:
          `Process ${pid} may be the engine, but does not answer as one, and this system does not tell whether it ` +
          "is another program by now. Nothing was stopped. Check it, and end it yourself if it is the engine.",
      };
    }
    if (options.force) {
      await options.beforeEnd?.();
      return endByForce(sight.holder, options);
    }
    const runs = await describeRuns(sight, options);
    if (runs !== undefined) {
      const cost =
        `${runs}\nRuns at work end as failed: what they have cost is paid, and their sessions can be continued. ` +
        `Queued runs begin with the next engine.${options.note ? ` ${options.note}` : ""}`;
      if (!options.ask) {
        return {
          stopped: false,
          message: `${cost}\nNobody can be asked here, so nothing was stopped. --force stops the engine all the same.`,
        };
      }
      if (!(await options.ask(`${cost}\nStop the engine?`))) {
        return { stopped: false, message: "Nothing was stopped." };
      }
    }
    await options.beforeEnd?.();
    return endOrderly(sight.holder, options);
  });
}

/** The runs that would be ended, by name; undefined when there are none. */
async function describeRuns(sight: LivingEngine, options: StopOptions): Promise<string | undefined> {
  // One that is only starting or ending has none, or is ending them.
  if (sight.kind === "unready") return undefined;
  const { pid } = sight.holder;
  if (sight.kind === "silent") {
    return `The engine (process ${pid}) does not answer, so it is not known whether runs are going on.`;
  }
  const { activeRuns } = sight.health;
  if (activeRuns === 0) return undefined;
  const named = (await options.nameRuns?.(sight.record).catch(() => [])) ?? [];
  const count = activeRuns ?? named.length;
  const head =
    count === 1 ? "1 run is going on" : count > 0 ? `${count} runs are going on` : "Runs may be going on";
  return [
    `${head} at the engine (process ${pid})${named.length > 0 ? ":" : "."}`,
    ...named.map((name) => `  ${name}`),
  ].join("\n");
}

export const ELSEWHERE =
  "The engine of this state folder runs on another machine or in another container, which share the folder. " +
  "From here it can neither be used nor stopped. For an engine here, set AUTOMAGIK_WORKFLOWS_STATE_DIR to another folder.";

/** Asks an engine to end and waits for it. */
export async function endOrderly(
  holder: ProcessIdentity,
  options: Pick<StopOptions, "log" | "patienceMs" | "limitMs">,
): Promise<StopOutcome> {
  const { pid } = holder;
  const { patienceMs = PATIENCE_MS, limitMs = LIMIT_MS } = options;
  await signalProcess(holder, "SIGTERM");
  if (!(await waitUntilEnded(holder, Math.min(patienceMs, limitMs)))) {
    options.log.info(`The engine (process ${pid}) is ending its runs. Waiting for it.`);
    if (!(await waitUntilEnded(holder, Math.max(0, limitMs - patienceMs)))) {
      return {
        stopped: false,
        message:
          `The engine (process ${pid}) was told to end ${Math.round(limitMs / 1000)} s ago and is still there. ` +
          "If it does not come to an end, `automagik-workflows-mcp engine stop --force` ends it by force.",
      };
    }
  }
  return { stopped: true, message: `The engine (process ${pid}) has ended.` };
}

/**
 * Ends an engine whatever it does. It is told to end first: killed at once, it would leave its agents at work, and
 * paid, with nobody to see them.
 */
async function endByForce(holder: ProcessIdentity, options: StopOptions): Promise<StopOutcome> {
  const { pid } = holder;
  const { clock, log, limitMs = FORCED_LIMIT_MS } = options;
  const orderly = await endOrderly(holder, { log, limitMs });
  if (orderly.stopped) return orderly;
  const { entries } = await lookAtProcesses("", process.platform);
  const children = entries.filter(({ parent }) => parent === pid);
  await signalProcess(holder, "SIGKILL");
  if (!(await waitUntilEnded(holder, KILL_LIMIT_MS))) {
    return { stopped: false, message: `Process ${pid} was killed, but has not ended yet.` };
  }
  await Promise.all(
    children.map((child) => {
      const identity = { pid: child.pid, startedAt: formatStartedAt(child.began, "") };
      return endAgentProcesses(identity, { graceMs: AGENT_GRACE_MS, clock });
    }),
  );
  return {
    stopped: true,
    message:
      `The engine (process ${pid}) did not end by itself and was ended by force, with its agents. ` +
      "Its runs are marked as failed when an engine starts here again.",
  };
}

/** A process of which is known that it is the engine: by when it began, or because it answers. */
function isCertain(sight: LivingEngine): boolean {
  return sight.holder.began !== "0" || sight.kind === "answers";
}
