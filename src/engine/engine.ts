import { randomUUID } from "node:crypto";
import { follow } from "../shared/abort.js";
import { acceptRequest, isOffered } from "./accept-run.js";
import type { EngineOptions, EngineWorker } from "./engine-options.js";
import { AGENT_ENDED, notWritten } from "./not-written.js";
import { createPullRequestCalls } from "./pull-requests/calls.js";
import { type EngineRun, goesOn, hasEnded, type QueuedMessage, type RunRequest } from "./runs/run.js";
import { createRunHistory } from "./runs/run-history.js";
import type { StoredEvent } from "./runs/run-store.js";
import { type Engine, EngineRefusal } from "./types.js";
import { findAgentChange } from "./work/agent-change.js";
import { createDayLimit } from "./work/day-limit.js";
import { createDrain } from "./work/drain.js";
import { createInterruptedRuns } from "./work/interrupted-runs.js";
import { statsOf } from "./work/message-stats.js";
import { createLookAgain } from "./work/not-begun.js";
import { queueWaiting } from "./work/queue-waiting.js";
import { refuseLater } from "./work/refuse-later.js";
import { refuseAnswered, refuseUnoffered } from "./work/refuse-unoffered.js";
import { createResumes } from "./work/resume-once.js";
import { createRunReview } from "./work/review-run.js";
import { createRunQueue, type RunSlot } from "./work/run-queue.js";
import { createRunWork, type RunWork } from "./work/run-work.js";
import { createSessionLeftovers } from "./work/session-leftovers.js";
import { createSessionsGoneOn } from "./work/sessions-gone-on.js";
import { createSlots } from "./work/slots.js";
import { takeUp } from "./work/take-up.js";
import { toQueued } from "./work/turn-order.js";
import { createWaitNotifier } from "./work/wait-notifier.js";

/** After these another run may wait otherwise than before. */
const WAITS_CHANGE = new Set<StoredEvent["type"]>([
  ...(["turn", "question-asked", "question-closed", "slot-given-up", "slot-taken", "ended"] as const),
]);
const STOPPING = "The engine is stopping. Nothing was started.";
const DRAINING =
  "The engine begins nothing more: a person has told it to end when what goes on has ended. Nothing was started. Try " +
  "again when the next one is there.";

/** The workflows API's engine: one agent process for each run, at most so many at once, and nothing lost. */
export function createEngine(options: EngineOptions): Engine {
  const { runs, workspaces, clock, log, limits, worker } = options;
  /** Runs that are at work in this process. */
  const working = new Map<string, RunWork>();
  /** Starts that are being written down. */
  const starting = new Set<Promise<unknown>>();
  /** Sessions whose work is being checked before it is taken. */
  const checked = new Set<string>();
  const stopping = new AbortController();
  const dayLimit = createDayLimit({ runs, limits, clock });
  const history = createRunHistory({ runs, clock });
  const queue = createRunQueue({
    get concurrency() {
      return limits.concurrency;
    },
    begin,
    mayBegin: ({ runId }) => !drain.isDraining() && (!worker || mayBegin(worker, runId)),
    onChange: () => waits.changed(),
  });
  const drain = createDrain(() => working.size + starting.size > 0);
  const { slots, waitOf } = createSlots({ ...options, queue, history, isDraining: drain.isDraining });
  const lookAgain = createLookAgain({
    ...{ runs, queue, clock, workerId: worker?.id },
    isDone: (runId) => closing || working.has(runId),
  });
  const goneOn = createSessionsGoneOn(options);
  const interruptedRuns = createInterruptedRuns({ ...options, goneOn, whileOpen, signal: stopping.signal });
  const waits = createWaitNotifier({ clock, waiting: () => slots().waiting, waitOf });
  // An estimate changes with each turn, and a wait ends with its run.
  const stopListening = runs.subscribe((event, run, fromElsewhere) => {
    if (WAITS_CHANGE.has(event.type)) waits.changed();
    if (event.type === "ended") queue.endedElsewhere(run.runId);
    if (!fromElsewhere) return;
    const work = working.get(run.runId);
    takeUp(event, run, {
      ...{ queue, work, isOwn: worker !== undefined && run.worker === worker.id },
      deliver: (messageId) => deliver(work, run, messageId),
      bring: () => interruptedRuns.bring(run),
      leave: () => whileOpen(goneOn.leave(run, (one) => working.has(one))),
    });
  });
  const resumes = createResumes({
    ...{ runs, clock, log, isOn: () => limits.resumeOnce === true },
    start: (request, resumed) => take(request, { resumes: resumed }),
    mayOthers: async (request) => worker?.hasOthers() === true && !(await isOffered(request, options)),
  });
  let closing = false;

  function find(runId: string): EngineRun {
    const run = runs.get(runId);
    if (!run) throw new EngineRefusal(404, `Run ${runId} not found`);
    return run;
  }

  async function begin(runId: string, slot: RunSlot): Promise<void> {
    if (runs.get(runId)?.status !== "pending") return;
    try {
      const work = createRunWork(runId, options, { slot, history, dayLimit, goneOn });
      working.set(runId, work);
      if (!(await work.done)) lookAgain(runId);
    } catch (error) {
      log.error(`Run ${runId} could not be carried out: ${(error as Error).message}`);
    } finally {
      working.delete(runId);
      drain.look();
    }
  }

  function mayBegin({ mayBegin }: EngineWorker, runId: string): boolean {
    const run = runs.get(runId);
    return run !== undefined && mayBegin(run);
  }

  /** @returns false, and takes the message back, when the agent will not get it */
  async function deliver(
    work: RunWork | undefined,
    { runId }: EngineRun,
    messageId: string,
  ): Promise<boolean> {
    if (work?.deliver(messageId) !== false) return true;
    await runs.record(runId, { type: "message-withdrawn", messageId }, "now");
    return false;
  }

  /** Keeps the engine from closing under what is being written down. */
  async function whileOpen<T>(step: Promise<T>): Promise<T> {
    starting.add(step);
    try {
      return await step;
    } finally {
      starting.delete(step);
      drain.look();
    }
  }

  /** Another run of the same session that has not ended, or a check of its work: both use the same folder. */
  function refuseNeighbour({ runId, sessionId, sessionName }: EngineRun): void {
    if (checked.has(sessionId)) {
      const message = `The work of session "${sessionName}" is being checked before it is taken. Nothing was done.`;
      throw new EngineRefusal(409, message);
    }
    const neighbour = runs.ofSession(sessionId).find((one) => one.runId !== runId && !hasEnded(one));
    if (!neighbour) return;
    throw new EngineRefusal(409, `Session "${sessionName}" has another run going on: ${neighbour.runId}`);
  }

  /** The run, with its session to itself, as long as none of its runs goes on and none has worked since. */
  function hold(runId: string): { run: EngineRun; release: () => void } {
    const run = find(runId);
    if (!hasEnded(run)) throw new EngineRefusal(409, `Run ${runId} is still going on. Nothing was done.`);
    refuseNeighbour(run);
    refuseLater(run, runs.ofSession(run.sessionId));
    // A run that is started meanwhile waits.
    return { run, release: queue.hold(run.sessionId) };
  }

  async function checkSession<T>(
    { sessionId }: EngineRun,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    if (closing) throw new EngineRefusal(503, STOPPING);
    checked.add(sessionId);
    const own = new AbortController();
    const letGo = [stopping.signal, signal].map((one) => follow(one, own));
    try {
      return await whileOpen(work(own.signal));
    } finally {
      for (const stop of letGo) stop();
      checked.delete(sessionId);
    }
  }

  async function take(
    asked: RunRequest,
    how: { key?: string | undefined; within?: string | undefined; resumes?: string },
  ): Promise<EngineRun> {
    const refuse = () => {
      if (closing) throw new EngineRefusal(503, STOPPING);
      if (drain.isDraining() && !worker?.othersBegin()) throw new EngineRefusal(503, DRAINING);
    };
    const accepting = acceptRequest(asked, how.key, { ...options, ...how, refuse, dayLimit });
    const { run, happened } = await whileOpen(accepting);
    if (happened && find(run.runId).status === "pending") queue.add(toQueued(run));
    return run;
  }

  /** An interrupted run that goes on by itself: a person says that it is not to. */
  async function keepFromResuming(runId: string): Promise<EngineRun> {
    const change = { type: "not-resumed", why: "A person has ended it." } as const;
    const { run, happened } = await runs.record(runId, change, "written").catch((error) => {
      throw notWritten(error, `A kill of run ${runId}`, { log, undone: "Nothing was done." });
    });
    if (happened) return run;
    const goesOn = run.resumedBy === undefined ? "" : ` and goes on as run ${run.resumedBy}: kill that one`;
    throw new EngineRefusal(409, `Run ${runId} is already ${run.status}${goesOn}`);
  }

  const openResumes = () => {
    if (!closing) resumes.open();
  };

  return {
    ...createRunReview({ runs, workspaces, find, hold, checkSession }),
    ...createPullRequestCalls({ runs, find, github: options.github }),
    ...createSessionLeftovers({
      ...{ runs, workspaces, hold: queue.hold },
      isBusy: (sessionId) => checked.has(sessionId),
      settled: interruptedRuns.settled,
    }),

    async open() {
      const oldestFirst = [...runs.all()].reverse();
      // Before anything begins: a waiting run may be of the same session, and then in the same folder.
      const isLeft = (run: EngineRun) =>
        run.leftBehind
          ? runs.ofSession(run.sessionId).find((one) => one.worker === worker?.id) === run
          : goesOn(run);
      const interrupted = oldestFirst.filter((run) => isLeft(run) && (!worker || run.worker === worker.id));
      for (const run of interrupted) await interruptedRuns.end(run);
      const held = interrupted.map((run) => ({ run, release: queue.hold(run.sessionId) }));
      // What still goes on does so at other workers.
      for (const run of [...runs.notEnded()].reverse().filter(goesOn)) queue.begunElsewhere(toQueued(run));
      queueWaiting(runs, queue);
      for (const { run, release } of held) void interruptedRuns.bring(run).finally(release);
      for (const run of goneOn.list()) if (!interrupted.includes(run)) void interruptedRuns.bring(run);
      // As one of several it is to know first what the others have begun.
      void (worker?.joined ?? Promise.resolve()).then(openResumes);
      worker?.onEarlierCopy(() => {
        queueWaiting(runs, queue);
        void worker.joined.then(openResumes);
      });
    },

    start: (asked, key, within) => take(asked, { key, within }),

    costWarning: dayLimit.warning,
    agentNote: (run) => findAgentChange(run, options)?.told,

    get: find,

    list({ statuses, workflowName, userId }) {
      return runs
        .all()
        .filter(
          ({ status, request }) =>
            (statuses === undefined || statuses.includes(status)) &&
            (workflowName === undefined || request.workflowName === workflowName) &&
            (userId === undefined || request.userId === userId),
        );
    },

    async addMessage(runId, type, content) {
      find(runId);
      const message: QueuedMessage = { id: randomUUID(), type, content, addedAt: clock.now() };
      const { run, happened } = await runs
        .record(runId, { type: "message-added", message }, "written")
        .catch((error) => {
          throw notWritten(error, `A message to run ${runId}`, { log, undone: "Nothing was sent." });
        });
      // Else the agent has ended, and what it has left behind is being ended.
      if (happened && (await deliver(working.get(runId), run, message.id))) return statsOf(run, clock.now());
      const state = hasEnded(run) ? run.status : "ending";
      throw new EngineRefusal(400, `Cannot add messages to workflow in ${state} state`);
    },

    queue: (runId) => statsOf(find(runId), clock.now()),

    limitsChanged: queue.look,

    async kill(runId, force) {
      if (find(runId).toResume) return keepFromResuming(runId);
      // Both at once: a database that another process keeps locked does not keep an agent alive. What is recorded of
      // its end comes after the kill. It counts when it is written: the next engine, and others that take this one for
      // gone, would begin the run, or go on with it.
      const killed = working.get(runId)?.kill(force);
      const { run, happened } = await runs
        .record(runId, { type: "kill-asked", force }, "written")
        .catch((error) => {
          const undone = killed ? AGENT_ENDED : "Nothing was done.";
          throw notWritten(error, `A kill of run ${runId}`, { log, undone });
        })
        .finally(() => killed);
      if (hasEnded(run) && !happened) throw new EngineRefusal(409, `Run ${runId} is already ${run.status}`);
      queue.remove(runId);
      return find(runId);
    },

    async cleanup(runId, force) {
      const active = !hasEnded(find(runId));
      if (active && !force) {
        throw new EngineRefusal(400, "Workflow is still running. Use force=true to cleanup anyway.");
      }
      if (active) {
        await this.kill(runId, true).catch((error) => {
          // That it has ended by itself in the meantime will do as well.
          if (!(error instanceof EngineRefusal && error.status === 409)) throw error;
        });
      }
      const run = find(runId);
      refuseNeighbour(run);
      if (force && !run.request.tempWorkspace) refuseLater(run, runs.ofSession(run.sessionId));
      // A run that is started meanwhile waits, so that its folder is not removed under its agent.
      const release = queue.hold(run.sessionId);
      const { removed, kept, lost, errors } = await workspaces
        .cleanup({ sessionKey: run.sessionId, runId, temporary: run.request.tempWorkspace }, { force })
        .finally(release);
      await runs.record(runId, { type: "cleaned-up", removed }, "now");
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

    async answer(runId, questionId, answer, whose) {
      const question = find(runId).questions.find((one) => one.questionId === questionId);
      if (!question) throw new EngineRefusal(404, `Run ${runId} has no question ${questionId}`);
      refuseUnoffered(question, answer);
      const work = working.get(runId);
      const recording =
        question.answeredAt === undefined ? work?.answer(questionId, answer, whose) : undefined;
      const recorded = await recording?.catch((error) => {
        throw notWritten(error, `An answer to run ${runId}`, { log, undone: "Nothing was done." });
      });
      const now = find(runId).questions.find((one) => one.questionId === questionId) ?? question;
      if (recorded?.happened) return now;
      if (now.answeredAt === undefined) throw new EngineRefusal(409, `Run ${runId} is not running`);
      throw refuseAnswered(now);
    },

    activeRuns: () => working.size + starting.size + (worker ? 0 : queue.waiting()),

    slots,
    waitOf,
    onWaitChange: waits.subscribe,

    async drain() {
      const over = drain.begin();
      waits.changed();
      await over;
    },

    isDraining: drain.isDraining,

    async interruptAll(why, isAccident) {
      await Promise.allSettled([...working.values()].map((work) => work.stop(why, isAccident)));
    },

    async close() {
      closing = true;
      stopping.abort("The engine is stopping");
      queue.close();
      resumes.close();
      waits.close();
      stopListening();
      history.close();
      await Promise.allSettled([...starting, ...[...working.values()].map((work) => work.stop())]);
      await runs.close();
    },
  };
}
