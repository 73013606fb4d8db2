import { cpSync } from "node:fs";
import { join } from "node:path";
import type { AboutKind } from "../../src/engine/agent/agent-kind.js";
import { AGENT_KINDS } from "../../src/engine/agent/agent-kinds.js";
import type { AgentOptions, AgentProcess } from "../../src/engine/agent/agent-process.js";
import type { AgentEvent } from "../../src/engine/agent/events.js";
import { createEngine } from "../../src/engine/engine.js";
import type { Agents, EngineOptions } from "../../src/engine/engine-options.js";
import { createRunStore } from "../../src/engine/runs/create-run-store.js";
import { type EngineRun, hasEnded, type RunQuestion, type RunRequest } from "../../src/engine/runs/run.js";
import type { RunStore } from "../../src/engine/runs/run-store.js";
import type { Engine, EngineWorkflow } from "../../src/engine/types.js";
import type { Workspace } from "../../src/engine/workspaces/workspaces.js";
import { type Clock, systemClock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";
import { openDatabase, transaction } from "../../src/store/database.js";
import { StoreError } from "../../src/store/store-error.js";

/** What happens at one of the engine's waits: before the wait's own work is done. */
export type AtWait = (name: string) => Promise<void> | void;

export interface SeenAgent {
  /** As the agent's mark has it. */
  runId: string;
  sessionId: string;
  cwd: string;
  alive: boolean;
  /** It does something: it does not wait for an answer. */
  atWork: boolean;
  sent: string[];
  /** Its kind, and what it was started with. */
  kind: string;
  options: AgentOptions;
}

/** Everything that outlives an engine: agents, folders, and what must never happen but did. */
export interface World {
  agents: SeenAgent[];
  violations: string[];
  /**
   * An engine on the folder; `at` is called at every wait, `atWrite` within and after every transaction. `hangs`: a
   * step after the run, until it is stopped.
   */
  open(options?: {
    folder?: string;
    at?: AtWait;
    atWrite?: AtWait;
    hangs?: string;
    questionTimeoutMs?: number;
    /** What differs from the usual workflow. */
    workflow?: Partial<EngineWorkflow>;
    /** The kinds of agents; Claude Code alone when left out. */
    kinds?: readonly AboutKind[];
    /** What runs have committed, as it is found in their workspaces. */
    commits?: string[];
    limits?: Partial<EngineOptions["limits"]>;
    /** A folder for handover notes; there are none when left out. */
    notes?: string;
  }): Promise<WalkedEngine>;
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
}

export const REQUEST: RunRequest = {
  workflowName: "fix",
  message: "Find it",
  timeoutS: 14_400,
  persistent: true,
  autoMerge: true,
  tempWorkspace: false,
};

const ASKED: RunQuestion = {
  questionId: "which",
  kind: "question",
  askedAt: 0,
  text: "Which one?",
  choices: [],
  multiSelect: false,
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

const clock: Clock = {
  now: systemClock.now,
  elapsed: () => systemClock.elapsed() * SPEED,
  after: (ms, task) => systemClock.after(ms / SPEED, task),
};

const soon = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * A world with agents that live in this process, so that hundreds of runs can be walked through. A message with
 * "[ask]" in it makes the agent ask something first, "[hang]" keeps it from coming to an end.
 * @param base a folder for all of it
 */
export function createEngineWorld({
  base,
  onAgent = () => {},
}: {
  base: string;
  onAgent?: (runId: string) => void;
}): World {
  const agents: SeenAgent[] = [];
  const byIdentity = new Map<string, () => Promise<void>>();
  const violations: string[] = [];
  let copies = 0;

  /** Never more at work than there are slots, nor more alive than a machine has room for. */
  function countAgents(): void {
    const alive = agents.filter((agent) => agent.alive);
    if (alive.filter(({ atWork }) => atWork).length > SLOTS)
      violations.push("more agents at work than slots");
    if (alive.length > 2 * SLOTS) violations.push(`${alive.length} agents alive`);
  }

  const startAgent: Agents["start"] = (kind, options, onEvent) => {
    const { mark: runId = "", sessionId, cwd } = options;
    const agent: SeenAgent = { runId, sessionId, cwd, alive: true, atWork: true, sent: [], kind, options };
    if (agents.some((other) => other.alive && other.cwd === agent.cwd))
      violations.push(`two agents in ${agent.cwd}`);
    if (agents.some((other) => other.runId === runId)) violations.push(`run ${runId} has got two agents`);
    agents.push(agent);
    countAgents();
    onAgent(runId);
    let [ending, turn, working] = [false, 0, true];
    const waiting: string[] = [];
    let tellExit = () => {};
    const exit: Extract<AgentEvent, { type: "exit" }> = { type: "exit", code: 0, signal: null, stderr: "" };
    const exited = new Promise<typeof exit>((resolve) => {
      tellExit = () => {
        if (!agent.alive) return;
        agent.alive = false;
        onEvent(exit);
        resolve(exit);
      };
    });
    const tell = (event: AgentEvent) => {
      if (agent.alive) onEvent(event);
    };
    let [isHeld, isAnswered] = [false, false];
    let tellAnswered = () => {};
    const answered = new Promise<void>((resolve) => {
      tellAnswered = resolve;
    });
    async function work(): Promise<void> {
      await soon();
      // The others choose the ids of their conversations by themselves.
      if (kind !== "claude" && turn === 0)
        tell({ type: "init", sessionId: options.resume ? sessionId : `${kind}-of-${runId}`, tools: [] });
      tell({ type: "turn", turn: ++turn });
      await soon();
      for (; options.prompt.includes("[turns]") && agent.alive && turn < 10; await soon())
        tell({ type: "turn", turn: ++turn });
      if (options.prompt.includes("[ask]")) {
        agent.atWork = false;
        tell({ type: "question", question: { ...ASKED, askedAt: clock.now() } });
        await answered;
        agent.atWork = true;
        countAgents();
      }
      if (options.prompt.includes("[hang]")) return;
      for (let id = waiting.shift(); id; id = waiting.shift()) {
        tell({ type: "consumed", messageId: id });
        await soon();
        tell({ type: "turn", turn: ++turn });
      }
      working = false;
      const [, text = "Done."] = /\[say (.*?)\]/.exec(options.prompt) ?? [];
      tell({ type: "result", ok: true, subtype: "success", ...(text ? { text } : {}) });
      if (ending) tellExit();
    }
    void work();
    async function kill(): Promise<void> {
      await soon();
      tellExit();
      await exited;
    }
    byIdentity.set(runId, kill);
    const process: AgentProcess = {
      pid: 0,
      processStart: `0.${runId}`,
      send({ id, content }) {
        if (!agent.alive || ending) return false;
        if (agent.sent.includes(content)) violations.push(`"${content}" was delivered twice`);
        agent.sent.push(content);
        waiting.push(id);
        if (!working) {
          working = true;
          void work();
        }
        return true;
      },
      answer() {
        isAnswered = true;
        if (!isHeld) tellAnswered();
        return true;
      },
      hold() {
        isHeld = true;
      },
      letGo() {
        isHeld = false;
        if (isAnswered) tellAnswered();
      },
      worksBeside: () => false,
      interrupt: async () => true,
      end() {
        ending = true;
        if (!working) void soon().then(tellExit);
      },
      kill,
      exited,
    };
    return process;
  };

  function workspaceOf(request: { sessionKey: string; runId: string }): Workspace {
    return {
      path: `/work/${request.sessionKey}`,
      kind: "repository",
      sessionKey: request.sessionKey,
      runId: request.runId,
      notices: [],
      env: {},
    };
  }

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
      atWrite = () => {},
      hangs,
      questionTimeoutMs = 60_000,
      kinds = AGENT_KINDS,
      commits = [],
      limits = {},
      notes = "/work",
      ...others
    } = {}) {
      const workflow: EngineWorkflow = { ...WORKFLOW, ...others.workflow };
      const waits: string[] = [];
      /** The next transaction fails, as on a full disk. */
      let isDiskFull = false;
      /** What was asked to be written last. */
      let writing = "open";
      const real = await createRunStore({
        database: await openDatabase({ folder }),
        clock,
        transact: (database, work) => {
          const fails = isDiskFull;
          isDiskFull = false;
          if (fails) return Promise.reject(new StoreError("The disk is full.", "SQLITE_FULL", "full"));
          const of = writing;
          return transaction(database, async (trx) => {
            await atWrite(`transaction of ${of}`);
            const done = await work(trx);
            await atWrite(`commit of ${of}`);
            return done;
          }).then(async (done) => {
            await atWrite(`committed ${of}`);
            return done;
          });
        },
      });
      // Why it was stopped; undefined where it does not hang.
      async function isStopped(name: string, signal: AbortSignal | undefined): Promise<string | undefined> {
        if (name !== hangs) return undefined;
        if (!signal?.aborted) await new Promise((resolve) => signal?.addEventListener("abort", resolve));
        return String(signal?.reason);
      }
      const wait = async <T>(name: string, work: () => Promise<T> | T): Promise<T> => {
        waits.push(name);
        await at(name);
        return work();
      };
      // A wait before something is written, and one between that and the engine's next line. A failure of the first
      // is the disk's: the store sees it.
      const written = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
        await wait(`write ${name}`, () => {}).catch(() => {
          isDiskFull = true;
        });
        writing = name;
        const done = await work();
        return wait(`written ${name}`, () => done);
      };
      const runs: RunStore = {
        ...real,
        accept: (run, key) => written("accepted", () => real.accept(run, key)),
        record: (runId, change, durability) =>
          written(change.type, () => real.record(runId, change, durability)),
      };
      const options: EngineOptions = {
        runs,
        library: {
          get: () => wait("workflow", () => workflow),
          list: async () => [workflow],
        } as unknown as EngineOptions["library"],
        workspaces: {
          prepare: (request) => wait("prepare", () => workspaceOf(request)),
          findChanges: async () => undefined,
          checkRepository: async (path) => ({ path, folders: [path], allowed: true }),
          find: async () => undefined,
          inspect: (_, signal) =>
            wait("inspect", async () => {
              if (await isStopped("inspect", signal)) throw new Error("It was stopped");
              return { filesChanged: [], commits, uncommitted: false };
            }),
          settle: (_, { signal }) =>
            wait("settle", async () => {
              const reason = await isStopped("settle", signal);
              return { note: reason ? `Nothing was merged: ${reason}.` : "Merged into main as abc1234." };
            }),
          diff: async () => ({ text: "", cut: false, branch: "", baseBranch: "" }),
          headOf: async () => ({ branch: "", commit: "" }),
          take: async () => ({ taken: true, commit: "", into: "main", from: "", where: "" }),
          publish: async () => ({ branch: "", base: "", commit: "", address: "", told: "", hadAll: true }),
          discardBranches: async () => ({ removed: [], lost: [], kept: [] }),
          leftovers: async () => ({ items: [], mergedBranches: [], size: { bytes: 0, whole: true } }),
          removeLeftover: async () => ({ errors: [] }),
          removeMergedBranch: async () => {},
          cleanup: (_, { signal }) =>
            wait("cleanup", async () => {
              const reason = await isStopped("cleanup", signal);
              const removed = { workspace: !reason, worktree: !reason, tempFiles: false };
              return { removed, errors: reason ? [reason] : [] };
            }),
        },
        agents: {
          all: kinds,
          get: (name) => kinds.find((kind) => kind.name === name),
          isOffered: async () => true,
          find: () => wait("find agent", () => ({ ok: true as const, path: "/bin/agent" })),
          start: startAgent,
        },
        prepareHandover: () => wait("handover", () => join(notes, "handover.md")),
        limits: { concurrency: SLOTS, questionTimeoutMs, ...limits },
        env: {},
        clock,
        log: createLog({ level: "error", stderr: { write: () => true } as unknown as NodeJS.WriteStream }),
        endLeftover: async ({ startedAt }) => {
          const mark = startedAt.split(".")[1] ?? "";
          const living = agents.some((agent) => agent.runId === mark && agent.alive);
          if (living) await byIdentity.get(mark)?.();
          return living;
        },
      };
      const engine = createEngine(options);
      await engine.open();
      real.subscribe((event, run) => {
        // Runs of one session go one after another, so this can only be its own.
        if (
          hasEnded(run) &&
          event.type !== "cleaned-up" &&
          agents.some(({ sessionId, alive }) => alive && sessionId === run.sessionId)
        )
          violations.push(`run ${run.runId} is ${run.status} and its agent alive`);
      });
      return {
        engine,
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
      };
    },
  };
}
