import { randomUUID } from "node:crypto";
import type { EventSource } from "../../src/engine/http/event-stream.js";
import type { EngineRun, RunQuestion } from "../../src/engine/runs/run.js";
import type { RunListener, StoredEvent } from "../../src/engine/runs/run-store.js";
import { type Engine, EngineRefusal } from "../../src/engine/types.js";

type Writable<T> = T extends object ? { -readonly [K in keyof T]: Writable<T[K]> } : T;

/** A run that tests change as they like. */
export type FakeRun = Writable<EngineRun>;

/** Events and runs in memory, as far as the streams need them. */
export interface FakeStore extends EventSource {
  runs: Map<string, FakeRun>;
  emit(run: EngineRun, type: StoredEvent["type"], data?: Record<string, unknown>): StoredEvent;
  /** Forgets the events up to this one. */
  forget(id: number): void;
  listeners(): number;
}

export function createFakeStore(now: () => number): FakeStore {
  const runs = new Map<string, FakeRun>();
  const events: StoredEvent[] = [];
  const listeners = new Set<RunListener>();
  let low = 0;
  let newest = 0;
  return {
    runs,
    get: (runId) => runs.get(runId),
    emit(run, type, data = {}) {
      newest++;
      const event = { id: newest, runId: run.runId, at: now(), type, status: run.status, data };
      events.push(event);
      for (const listener of [...listeners]) listener(event, run, false);
      return event;
    },
    forget(id) {
      low = id;
      events.splice(0, events.length, ...events.filter((event) => event.id > id));
    },
    eventsAfter: async (id, runId) => ({
      events: events.filter((event) => event.id > id && (runId === undefined || event.runId === runId)),
      gap: id < low || id > newest,
    }),
    subscribe(listener) {
      const own: RunListener = (...told) => listener(...told);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    newestEventId: () => newest,
    listeners: () => listeners.size,
  };
}

/** An engine without agents: runs are what the test makes of them. */
export interface FakeEngine extends Engine {
  /** What was asked of it: "kill <run> true". */
  calls: string[];
  /** A run as a test wants it. */
  add(run?: Partial<FakeRun>): FakeRun;
  /** Makes the next call of a method fail. */
  fails(error: Error): void;
}

export function createFakeEngine(store: FakeStore, now: () => number): FakeEngine {
  const calls: string[] = [];
  let failure: Error | undefined;

  function told(call: string): void {
    calls.push(call);
    const error = failure;
    failure = undefined;
    if (error) throw error;
  }

  function add(run: Partial<FakeRun> = {}): FakeRun {
    const runId = randomUUID();
    const added: FakeRun = {
      runId,
      request: {
        workflowName: "fix",
        message: "Find it",
        timeoutS: 7200,
        persistent: true,
        autoMerge: false,
        tempWorkspace: false,
      },
      status: "running",
      sessionId: randomUUID(),
      sessionName: `fix-${runId.slice(0, 8)}`,
      createdAt: now(),
      startedAt: now(),
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
      ...run,
    };
    store.runs.set(added.runId, added);
    return added;
  }

  function get(runId: string): FakeRun {
    const run = store.runs.get(runId);
    if (!run) throw new EngineRefusal(404, `Run ${runId} not found`);
    return run;
  }

  return {
    calls,
    add,
    fails(error) {
      failure = error;
    },
    open: async () => {},
    limitsChanged() {},
    interruptAll: async () => {},
    drain: async () => {},
    isDraining: () => false,
    async start(request, key) {
      told(`start ${JSON.stringify(request)}${key === undefined ? "" : ` as ${key}`}`);
      return add({
        request,
        status: "pending",
        ...(request.sessionId ? { sessionId: request.sessionId } : {}),
        ...(request.sessionName ? { sessionName: request.sessionName } : {}),
      });
    },
    costWarning: () => undefined,
    agentNote: () => undefined,
    get,
    diff: async () => ({ text: "diff\n", cut: false, branch: "b", baseBranch: "main" }),
    head: async () => ({ branch: "b", commit: "abc" }),
    take: async () => ({ taken: true, into: "main", commit: "abc", message: "Merged.", conflicts: [] }),
    discard: async () => ({ removed: [], lost: [], kept: [], errors: [] }),
    openPullRequest: async (runId) => ({ ...get(runId), pullRequest: { state: "pending" } }),
    lookAtPullRequest: async () => ({
      ...{
        url: "https://github.com/acme/shop/pull/1",
        number: 1,
        state: "open",
        isDraft: true,
        headCommit: "abc",
        isOwnBranch: true,
      },
      checks: { state: "passed", failed: [], running: 0 },
      reviews: { points: [] },
    }),
    leftovers: async () => ({ items: [], mergedBranches: [], size: { bytes: 0, whole: true } }),
    removeLeftover: async () => ({ errors: [] }),
    removeMergedBranch: async () => {},
    list({ statuses, workflowName, userId }) {
      told(`list ${JSON.stringify({ statuses, workflowName, userId })}`);
      return [...store.runs.values()].reverse();
    },
    async addMessage(runId, type, content) {
      told(`message ${type} ${content}`);
      const { queue } = get(runId);
      queue.added++;
      return { waiting: 1, added: queue.added, consumed: 0, oldestAgeS: 0.5 };
    },
    slots: () => ({ slots: 1, busy: [], asking: [], waiting: [] }),
    waitOf: () => undefined,
    onWaitChange: () => () => {},
    queue: (runId) => ({ waiting: 0, added: get(runId).queue.added, consumed: 0 }),
    async kill(runId, force) {
      told(`kill ${runId} ${force}`);
      return Object.assign(get(runId), { status: "killed", endedAt: now(), killedAt: now() });
    },
    async cleanup(runId, force) {
      told(`cleanup ${runId} ${force}`);
      const worktreeRemoved = force;
      return {
        workspaceRemoved: false,
        worktreeRemoved,
        tempFilesRemoved: false,
        processEnded: false,
        workspacePath: "/work/tree",
        kept: worktreeRemoved ? "The commits stay on branch main." : "Uncommitted changes were kept.",
        errors: [],
      };
    },
    async answer(runId, questionId, answer): Promise<RunQuestion> {
      told(`answer ${questionId} ${answer}`);
      const question = get(runId).questions.find((one) => one.questionId === questionId);
      if (!question) throw new EngineRefusal(404, `Run ${runId} has no question ${questionId}`);
      if (question.answeredAt !== undefined) throw new EngineRefusal(409, "It was answered already");
      return Object.assign(question, { answeredAt: now(), answer, answeredBy: "person" as const });
    },
    activeRuns: () => 0,
    close: async () => {},
  };
}
