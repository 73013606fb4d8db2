import { cpSync } from "node:fs";
import { join } from "node:path";
import type { AboutKind } from "../../src/engine/agent/agent-kind.js";
import { AGENT_KINDS } from "../../src/engine/agent/agent-kinds.js";
import { endLeftover } from "../../src/engine/agent/process-tree.js";
import { createEngine } from "../../src/engine/engine.js";
import type { EngineOptions } from "../../src/engine/engine-options.js";
import { type EngineRun, hasEnded, type RunRequest } from "../../src/engine/runs/run.js";
import type { Engine, EngineWorkflow } from "../../src/engine/types.js";
import { type Clock, systemClock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";
import { createWorldAgents, type SeenAgent } from "./engine-world/agents.js";
import { createWorldGithub } from "./engine-world/github.js";
import { openWalkedRuns } from "./engine-world/runs.js";
import { type AtWait, walkCalls } from "./engine-world/walked-calls.js";
import {
  createMovableWorkspaces,
  createWorldWorkspaces,
  openRealWorkspaces,
  type WorkspaceFacts,
} from "./engine-world/workspaces.js";

export type { SeenAgent } from "./engine-world/agents.js";
export type { AtWait } from "./engine-world/walked-calls.js";

/** How an engine of the world is to be. */
export interface WorldOptions extends WorkspaceFacts {
  folder?: string;
  /** Called at every wait of the engine, before the wait's own work is done. What it throws is the wait's failure. */
  at?: AtWait;
  /**
   * Called at further points, where only the process may end: within and after each transaction, where a timer has come
   * to its end, and so on. It must not fail.
   */
  atPoint?: AtWait;
  /** Nothing can be written as long as it says so. */
  isDiskFull?: () => boolean;
  questionTimeoutMs?: number;
  /** What differs from the usual workflow. */
  workflow?: Partial<EngineWorkflow>;
  /** The kinds of agents; Claude Code alone when left out. */
  kinds?: readonly AboutKind[];
  limits?: Partial<EngineOptions["limits"]>;
  /** A folder for handover notes; there are none when left out. */
  notes?: string;
  /** Pull requests are opened at a GitHub that is kept in this file; `isWatching`: what fails there is sent back. */
  github?: { file: string; isWatching?: boolean };
  /** Its workspaces are on the disk, with real git; repositories are below the world's folder. */
  hasGit?: boolean;
  /** The address of a PostgreSQL database in which it is one of several workers; their clock is the database's. */
  shared?: string;
  /** How many times as fast timers are. */
  speed?: number;
  /** So much later than now it is there, in ms. */
  laterMs?: number;
}

/** Everything that outlives an engine: agents, folders, and what must never happen but did. */
export interface World {
  agents: SeenAgent[];
  violations: string[];
  /** An engine on the folder. */
  open(options?: WorldOptions): Promise<WalkedEngine>;
  /** A copy of the files as they are now: what an engine that is killed leaves. */
  copy(folder: string): string;
}

export interface WalkedEngine {
  engine: Engine;
  folder: string;
  /** Waits until the run is over and gives it. */
  over(runId: string): Promise<EngineRun>;
  /** Names of the waits so far. */
  waits: string[];
  /** Ends the engine, and what opens pull requests. */
  close(): Promise<void>;
}

export const REQUEST: RunRequest = {
  workflowName: "fix",
  message: "Find it",
  timeoutS: 14_400,
  persistent: true,
  autoMerge: true,
  tempWorkspace: false,
};

const WORKFLOW: EngineWorkflow = {
  name: "fix",
  displayName: "Fix",
  description: "Finds a fault",
  category: "code",
  emoji: "🔧",
  suggestedTurns: 10,
  prompt: "Find it.",
  allowedTools: [],
  disallowedTools: [],
  permissionMode: "default",
  capabilities: [],
  shipped: true,
};

/** Runs that are at work at once. */
const SLOTS = 4;

/** How many times as fast timers are, so that graces and pauses cost milliseconds. */
export const SPEED = 100;

const quiet = createLog({ level: "error", stderr: { write: () => true } as unknown as NodeJS.WriteStream });

/** The limits of what is waited for: it takes as long as it takes, however fast timers are. */
const LIMITS = "within";

/** Its timers are as fast as that, and each is a point, by the name of what has set it. */
function createWorldClock(speed: number, laterMs: number, atPoint: AtWait): Clock {
  return {
    now: () => systemClock.now() + laterMs,
    elapsed: () => systemClock.elapsed() * speed,
    after(ms, task) {
      const [, name = "unnamed"] = /\n.*\n\s+at (?:async )?([\w.$]+) \(/.exec(new Error().stack ?? "") ?? [];
      return systemClock.after(name === LIMITS ? ms : ms / speed, () => {
        void atPoint(`timer of ${name}`);
        task();
      });
    },
  };
}

/**
 * A world in which hundreds of runs can be walked through. What its agents do is in the messages: see `createWorldAgents`.
 * @param base a folder for all of it
 */
export function createEngineWorld({
  base,
  hasProcesses: wantsProcesses = false,
  onAgent = () => {},
  onMessage = () => {},
  onCommit = () => {},
}: {
  base: string;
} & Partial<Omit<Parameters<typeof createWorldAgents>[0], "slots">>): World {
  // Elsewhere the processes of a mark are found in another way, or not at all.
  const hasProcesses = wantsProcesses && process.platform === "linux";
  const world = createWorldAgents({ slots: SLOTS, hasProcesses, onAgent, onMessage, onCommit });
  const { agents, violations } = world;
  let copies = 0;

  return {
    agents,
    violations,
    copy(folder) {
      const to = join(base, `copy-${++copies}`);
      cpSync(folder, to, { recursive: true });
      return to;
    },
    async open({
      folder = join(base, "engine"),
      at = () => {},
      atPoint = () => {},
      isDiskFull = () => false,
      questionTimeoutMs = 60_000,
      kinds = AGENT_KINDS,
      limits = {},
      notes = "/work",
      github,
      hasGit = false,
      shared,
      speed = SPEED,
      laterMs = 0,
      ...others
    } = {}) {
      const workflow: EngineWorkflow = { ...WORKFLOW, ...others.workflow };
      const waits: string[] = [];
      const atWait: AtWait = (name) => {
        waits.push(name);
        return at(name);
      };
      const clock = createWorldClock(speed, laterMs, atPoint);
      const pullRequests =
        github &&
        // Loaded where it is needed: processes that are killed at once start faster without.
        (await import("../../src/engine/pull-requests/pull-requests.js")).createPullRequests({
          ...{ stateFolder: folder, env: {}, home: base, clock, log: quiet },
          settings: { watchPullRequests: github.isWatching ? "on" : "off" },
          openGithub: async () => walkCalls("github", createWorldGithub(github.file), atWait),
        });
      const ownLimits: EngineOptions["limits"] = { concurrency: SLOTS, questionTimeoutMs, ...limits };
      const { runs, opened } = await openWalkedRuns({
        ...{ folder, shared, limits: ownLimits, clock, log: quiet, at: atWait, atPoint, isDiskFull },
        alongside: pullRequests?.write,
      });
      const library: Partial<EngineOptions["library"]> = {
        get: async () => workflow,
        list: async () => [workflow],
      };
      const given = {
        library: library as EngineOptions["library"],
        workspaces: hasGit
          ? await openRealWorkspaces({ base, folder: join(folder, "workspaces"), runs, clock, atPoint })
          : createWorldWorkspaces(others),
        prepareHandover: async () => join(notes, "handover.md"),
        agents: {
          all: kinds,
          get: (name) => kinds.find((kind) => kind.name === name),
          isOffered: async () => true,
          find: async () => ({ ok: true as const, path: "/bin/agent" }),
          start: (...started) => walkCalls("agent", world.start(...started), atPoint),
        },
        ...(pullRequests ? { github: pullRequests.github } : {}),
        ...(opened ? { worker: { ...opened.worker, workspaces: createMovableWorkspaces() } } : {}),
      } satisfies Partial<EngineOptions>;
      const walked = Object.fromEntries(
        Object.entries(given).map(([name, target]) => [name, walkCalls(name, target, atWait)]),
      ) as unknown as typeof given;
      const engine = createEngine({
        ...walked,
        runs,
        limits: ownLimits,
        ...{ env: {}, clock, log: quiet },
        endLeftover: walkCalls(
          "endLeftover",
          async (identity) =>
            hasProcesses ? endLeftover(identity, systemClock) : world.endLeftover(identity),
          atPoint,
        ),
      });
      await engine.open();
      const joined = await opened?.join(engine);
      pullRequests?.begin({
        runs,
        workspaces: walked.workspaces,
        workerId: opened?.worker.id,
        start: engine.start,
      });
      runs.subscribe((event, run) => {
        // Runs of one session go one after another, so this can only be its own.
        if (
          hasEnded(run) &&
          event.type === "ended" &&
          agents.some(({ sessionId, alive }) => alive && sessionId === run.sessionId)
        )
          violations.push(`run ${run.runId} is ${run.status} and its agent alive`);
      });
      return {
        engine: joined?.engine ?? engine,
        folder,
        waits,
        async over(runId) {
          for (let tries = 0; tries < 2_000; tries++) {
            const run = engine.get(runId);
            if (hasEnded(run) && engine.activeRuns() === 0) return run;
            await new Promise((resolve) => setTimeout(resolve, 2));
          }
          throw new Error(`Run ${runId} is ${engine.get(runId).status} still`);
        },
        async close() {
          await engine.close();
          await pullRequests?.close();
        },
      };
    },
  };
}
