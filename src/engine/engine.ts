import { randomUUID } from "node:crypto";
import type { Clock } from "../shared/clock.js";
import { tellConversationEnd } from "../shared/conversation-end.js";
import {
  checkLocalRepository,
  checkRepositoryUrl,
  isLocalRepository,
} from "../shared/git/repository-address.js";
import type { Log } from "../shared/log.js";
import type { StartAgent } from "./agent/claude-agent.js";
import { identityOfRun } from "./agent/process-tree.js";
import type { RunLeave } from "./permissions/run-leave.js";
import { createRunLine } from "./run-queue.js";
import { createRunWork, type RunWork } from "./run-work.js";
import type { RunStore } from "./store/run-store.js";
import {
  type CleanupResult,
  type Engine,
  EngineRefusal,
  type EngineRun,
  type EngineWorkflow,
  type QueuedMessage,
  type QueueStats,
  type RunRequest,
} from "./types.js";
import type { WorkflowLibrary } from "./workflows/workflow-library.js";
import type { Workspace, Workspaces } from "./workspaces/workspaces.js";

export interface EngineLimits {
  /** Agents at work at once. */
  concurrency: number;
  /** How long the agent waits for a person's answer, in ms. */
  questionTimeoutMs: number;
  /** What one run may cost, in USD; undefined for no limit of ours. */
  costLimitUsd?: number;
}

/** The agent's program with the options that it should be started with, or what is wrong and what to do. */
export type FoundAgent = { ok: true; path: string; extraArgs?: string[] } | { ok: false; problem: string };

export interface EngineOptions {
  store: RunStore;
  workspaces: Workspaces;
  library: WorkflowLibrary;
  startAgent: StartAgent;
  /** The agent's program, or why it cannot be used and what to do. Asked before every start. */
  findAgent: () => Promise<FoundAgent>;
  /** Makes the folder of a session's handover note, outside of its workspace; gives the note's path. */
  prepareHandover: (sessionId: string) => Promise<string>;
  /** What the agent of a run may do without a question; without it everything is asked. */
  leaveFor?: (workflow: EngineWorkflow, workspace: Workspace) => RunLeave;
  limits: EngineLimits;
  /** The environment that agents get. */
  env: NodeJS.ProcessEnv;
  clock: Clock;
  log: Log;
  /** Ends what is left of an agent's process group after a restart. Answers whether anything was there. */
  endLeftover: (process: NonNullable<EngineRun["agentProcess"]>) => Promise<boolean>;
}

const STOPPING = "The engine is stopping. Nothing was started.";

/** The workflows API's engine: one agent process for each run, at most so many at once, and nothing lost. */
export function createEngine(options: EngineOptions): Engine {
  const { store, workspaces, library, clock, log, limits } = options;
  const working = new Map<string, RunWork>();
  /** Starts that are being written down. */
  const starting = new Set<Promise<unknown>>();
  const line = createRunLine({ concurrency: limits.concurrency, begin });
  let closing = false;

  function find(runId: string): EngineRun {
    const run = store.get(runId);
    if (!run) throw new EngineRefusal(404, `Run ${runId} not found`);
    return run;
  }

  async function begin(run: EngineRun): Promise<void> {
    if (run.status !== "pending") return;
    const work = createRunWork(run, options);
    working.set(run.runId, work);
    try {
      await work.done;
    } catch (error) {
      log.error(`Run ${run.runId} could not be carried out: ${(error as Error).message}`);
    } finally {
      working.delete(run.runId);
    }
  }

  /** The conversation that a request continues: its newest run that came to its agent tells name, repository and branch. */
  function continued(sessionId: string): EngineRun {
    const ofSession = store.all().filter((run) => run.sessionId === sessionId);
    // What was refused, a branch that could not be had for instance, is not what the session stands on.
    const former = ofSession.find((run) => !run.neverStarted) ?? ofSession[0];
    if (!former) throw new EngineRefusal(404, `Session ${sessionId} not found`);
    // One that never came to its agent tells nothing of the conversation.
    const last = ofSession.find((run) => run.turn > 0 || run.errorCode !== undefined);
    const end = tellConversationEnd(last ?? {});
    if (end) {
      throw new EngineRefusal(
        409,
        `Session "${former.sessionName}" cannot be continued: ${end}. Nothing was started. Start a new session on ` +
          "the same branch and say what is left to do.",
      );
    }
    return former;
  }

  /** Takes a message out of the queue again. False when the agent has got it. */
  function takeBack(run: EngineRun, message: QueuedMessage): boolean {
    const index = run.queue.waiting.indexOf(message);
    if (index < 0 || message.writtenAt !== undefined) return false;
    run.queue.waiting.splice(index, 1);
    run.queue.added--;
    working.get(run.runId)?.queueChanged();
    store.save(run, undefined, "soon").catch(() => undefined);
    return true;
  }

  function statsOf(run: EngineRun): QueueStats {
    const oldest = run.queue.waiting[0]?.addedAt;
    return {
      waiting: run.queue.waiting.length,
      added: run.queue.added,
      consumed: run.queue.consumed,
      ...(oldest === undefined ? {} : { oldestAgeS: Math.max(0, clock.now() - oldest) / 1000 }),
    };
  }

  /** A new run, or the reason why there is none. */
  async function take(run: EngineRun): Promise<void> {
    try {
      await store.save(run, { type: "status", data: { status: run.status } }, "now");
    } catch (error) {
      log.error(`A start was refused: ${(error as Error).message}`);
      throw new EngineRefusal(503, `${(error as Error).message} Nothing was started.`);
    }
    // It may have been killed while it was written down.
    if (run.status === "pending") line.add(run);
  }

  /** Keeps the engine from closing under what is being written down. */
  async function whileOpen<T>(step: Promise<T>): Promise<T> {
    starting.add(step);
    try {
      return await step;
    } finally {
      starting.delete(step);
    }
  }

  /** Ends what an engine that is gone has left of a run that was going on. */
  async function recover(run: EngineRun): Promise<void> {
    // Its pipes have gone with the engine that held them, so an agent cannot be taken over, only ended.
    const alive = await options.endLeftover(run.agentProcess ?? identityOfRun(run.runId));
    run.status = "failed";
    run.endedAt = clock.now();
    run.error =
      `The engine stopped while the run was going on${alive ? "; its agent was still there and was ended" : ""}. ` +
      "The conversation is kept: continue the session to go on.";
    delete run.currentAction;
    for (const question of run.questions) {
      if (question.answeredAt === undefined)
        Object.assign(question, { answeredAt: clock.now(), answeredBy: "ended" });
    }
    delete run.agentProcess;
    await store.save(run, { type: "finished", data: { status: run.status } }, "now").catch((error) => {
      log.error(`Run ${run.runId} could not be written down: ${(error as Error).message}`);
    });
  }

  return {
    async open() {
      await store.open();
      const found = store.all().reverse();
      // Before anything begins: a waiting run may be of the same session, and then in the same folder.
      for (const run of found) if (run.status === "running") await recover(run);
      for (const run of found) if (run.status === "pending") line.add(run);
    },

    async start(asked: RunRequest) {
      if (closing) throw new EngineRefusal(503, STOPPING);
      refuseAddress(asked.repositoryUrl);
      const workflow = await library.get(asked.workflowName);
      if (!workflow) {
        const names = (await library.list()).map((one) => one.name);
        throw new EngineRefusal(
          404,
          `Workflow '${asked.workflowName}' not found. Available: [${names.map((name) => `'${name}'`).join(", ")}]`,
        );
      }
      const agent = await options.findAgent();
      if (!agent.ok) throw new EngineRefusal(503, agent.problem);
      const former = asked.sessionId === undefined ? undefined : continued(asked.sessionId);
      const runId = randomUUID();
      const request: RunRequest = former
        ? {
            ...asked,
            ...pick("sessionName", asked.sessionName ?? former.sessionName),
            // An empty folder of its own has neither.
            ...(asked.tempWorkspace
              ? {}
              : {
                  ...pick("repositoryUrl", asked.repositoryUrl ?? former.request.repositoryUrl),
                  ...pick("gitBranch", asked.gitBranch ?? former.request.gitBranch),
                }),
          }
        : asked;
      const run: EngineRun = {
        runId,
        request,
        status: "pending",
        sessionId: asked.sessionId ?? randomUUID(),
        sessionName: request.sessionName ?? `${asked.workflowName}-${runId.slice(0, 8)}`,
        createdAt: clock.now(),
        turn: 0,
        toolsUsed: [],
        tokens: { input: 0, output: 0 },
        costUsd: 0,
        phasesCompleted: [],
        workspaceRemoved: false,
        filesChanged: [],
        commits: [],
        queue: { added: 0, consumed: 0, waiting: [] },
        questions: [],
      };
      if (closing) throw new EngineRefusal(503, STOPPING);
      // Written down before anything happens: a run that was answered for is never forgotten.
      await whileOpen(take(run));
      return run;
    },

    get: find,

    list({ status, workflowName, userId }) {
      return store
        .all()
        .filter(
          (run) =>
            (status === undefined || run.status === status) &&
            (workflowName === undefined || run.request.workflowName === workflowName) &&
            (userId === undefined || run.request.userId === userId),
        );
    },

    async addMessage(runId, type, content) {
      const run = find(runId);
      const work = working.get(runId);
      if (run.status !== "pending" && run.status !== "running") {
        throw new EngineRefusal(400, `Cannot add messages to workflow in ${run.status} state`);
      }
      const message: QueuedMessage = { id: randomUUID(), type, content, addedAt: clock.now() };
      run.queue.added++;
      run.queue.waiting.push(message);
      // The process may have ended an instant ago: then nobody will read the message, and it is not kept.
      if (work && !work.deliver()) {
        takeBack(run, message);
        throw new EngineRefusal(400, "Cannot add messages to workflow in ending state");
      }
      try {
        await store.save(run, { type: "message", data: { queue: statsOf(run) } }, "now");
      } catch (error) {
        log.error(`A message to run ${runId} could not be written down: ${(error as Error).message}`);
        // What the agent has got was delivered; what only waits would be lost with the engine.
        if (takeBack(run, message))
          throw new EngineRefusal(503, `${(error as Error).message} Nothing was sent.`);
      }
      return statsOf(run);
    },

    queue: (runId) => statsOf(find(runId)),

    async kill(runId, force) {
      const run = find(runId);
      if (run.status !== "pending" && run.status !== "running") {
        throw new EngineRefusal(409, `Run ${runId} is already ${run.status}`);
      }
      const work = working.get(runId);
      if (work) {
        await work.kill(force);
        // It may have come to its own end while it was to be ended.
        const { status } = find(runId);
        if (status !== "killed") throw new EngineRefusal(409, `Run ${runId} is already ${status}`);
      } else {
        line.remove(runId);
        run.status = "killed";
        run.killedAt = clock.now();
        run.endedAt = clock.now();
        await store.save(run, { type: "finished", data: { status: "killed" } }, "now");
      }
      return find(runId);
    },

    async cleanup(runId, force): Promise<CleanupResult> {
      const run = find(runId);
      const active = run.status === "pending" || run.status === "running";
      if (active && !force) {
        throw new EngineRefusal(400, "Workflow is still running. Use force=true to cleanup anyway.");
      }
      if (active) {
        await this.kill(runId, true).catch((error) => {
          // That it has ended by itself in the meantime will do as well.
          if (!(error instanceof EngineRefusal)) throw error;
        });
      }
      // Another run of the same session may be at work in the same folder.
      const neighbour = store
        .all()
        .find(
          (one) =>
            one.runId !== runId &&
            one.sessionId === run.sessionId &&
            (one.status === "running" || one.status === "pending"),
        );
      if (neighbour) {
        throw new EngineRefusal(
          409,
          `Session "${run.sessionName}" has another run going on: ${neighbour.runId}`,
        );
      }
      // A run that is started meanwhile waits, so that its folder is not removed under its agent.
      const release = line.hold(run.sessionId);
      const { removed, kept, lost, errors } = await workspaces
        .cleanup({ sessionKey: run.sessionId, runId, temporary: run.request.tempWorkspace }, { force })
        .finally(release);
      run.workspaceRemoved = removed.workspace || removed.worktree || run.workspaceRemoved;
      await store.save(run, { type: "cleanup", data: { removed } }, "now").catch((error) => {
        log.error(`Run ${runId} could not be written down: ${(error as Error).message}`);
      });
      return {
        workspaceRemoved: removed.workspace,
        worktreeRemoved: removed.worktree,
        tempFilesRemoved: removed.tempFiles,
        processEnded: active,
        ...(run.workspacePath ? { workspacePath: run.workspacePath } : {}),
        ...(kept ? { kept } : {}),
        ...(lost ? { lost } : {}),
        errors,
      };
    },

    async answer(runId, questionId, answer) {
      const run = find(runId);
      const question = run.questions.find((one) => one.questionId === questionId);
      if (!question) throw new EngineRefusal(404, `Run ${runId} has no question ${questionId}`);
      if (question.answeredAt !== undefined) {
        throw new EngineRefusal(409, `Question ${questionId} was answered already (${question.answeredBy})`);
      }
      const isOffered = question.choices.some((choice) => choice.value === answer);
      if (question.kind === "permission" && answer.startsWith("allow") && !isOffered) {
        throw new EngineRefusal(
          422,
          question.cut
            ? "This request is too long to be shown in full, so it cannot be allowed. Deny it: the agent is then told to make it shorter."
            : `"${answer}" is none of the choices: ${question.choices.map(({ value }) => value).join(", ")}`,
        );
      }
      const work = working.get(runId);
      if (!work) throw new EngineRefusal(409, `Run ${runId} is not going on`);
      return work.answer(question, answer, "person");
    },

    activeRuns: () => working.size + line.waiting() + starting.size,

    async close() {
      closing = true;
      line.close();
      await Promise.allSettled([
        ...starting,
        ...[...working.values()].map((work) => work.stop("The engine was stopped")),
      ]);
      await store.close();
    },
  };
}

function pick<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value };
}

/**
 * An address that no run can use is refused before anything is written: it may hold a password, which is to stay
 * nowhere.
 */
function refuseAddress(address: string | undefined): void {
  if (!address?.trim()) return;
  const checked = isLocalRepository(address) ? checkLocalRepository(address) : checkRepositoryUrl(address);
  if (!checked.ok) throw new EngineRefusal(400, `${checked.problem} Nothing was started.`);
}
