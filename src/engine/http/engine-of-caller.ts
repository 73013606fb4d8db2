import type { EngineRun } from "../runs/run.js";
import { type Engine, EngineRefusal } from "../types.js";
import type { EventSource } from "./event-stream.js";

/** Stands for the name of another caller's session. */
const ANOTHER = "another caller's";

/**
 * The engine as one caller sees it: all that there is are the caller's own runs. Whatever is another's is answered as if
 * it were not there. Every method is named here, so that a new one is thought of.
 * @param caller its `userId`: what it starts is on its behalf, whatever it says
 */
export function engineOfCaller(engine: Engine, caller: string): Required<Engine> {
  const isOwn = ({ request }: EngineRun) => request.userId === caller;
  const ownOnly = (runs: EngineRun[]) => runs.filter(isOwn);
  const veil = (run: EngineRun) => (isOwn(run) ? run : { ...run, sessionName: ANOTHER });

  /** @throws EngineRefusal as for a run that is not there */
  function own(runId: string): string {
    if (!isOwn(engine.get(runId))) throw new EngineRefusal(404, `Run ${runId} not found`);
    return runId;
  }
  const notHere = async () => {
    throw new EngineRefusal(404, "Not Found");
  };

  return {
    open: engine.open,
    // Keys are a caller's own, so that nobody is told of another's.
    start: (request, key) =>
      engine.start(
        { ...request, userId: caller },
        key === undefined ? undefined : `${key}~${caller}`,
        caller,
      ),
    costWarning: ({ userName }) => engine.costWarning({ userId: caller, ...(userName ? { userName } : {}) }),
    agentNote: engine.agentNote,
    lookFor: async (runId) => engine.lookFor?.(runId),
    get: (runId) => engine.get(own(runId)),
    list: (query) => ownOnly(engine.list(query)),
    addMessage: async (runId, ...rest) => engine.addMessage(own(runId), ...rest),
    queue: (runId) => engine.queue(own(runId)),
    limitsChanged: engine.limitsChanged,
    kill: async (runId, force) => engine.kill(own(runId), force),
    cleanup: async (runId, force) => engine.cleanup(own(runId), force),
    diff: async (runId, maxBytes) => engine.diff(own(runId), maxBytes),
    head: async (runId) => engine.head(own(runId)),
    take: async (runId, asked) => engine.take(own(runId), asked),
    discard: async (runId) => engine.discard(own(runId)),
    openPullRequest: async (runId, asked) => engine.openPullRequest(own(runId), asked),
    lookAtPullRequest: async (runId, signal) => engine.lookAtPullRequest(own(runId), signal),
    // What lies on the disk is its operator's.
    leftovers: async () => ({ items: [], mergedBranches: [], size: { bytes: 0, whole: true } }),
    removeLeftover: notHere,
    removeMergedBranch: notHere,
    answer: async (runId, ...rest) => engine.answer(own(runId), ...rest),
    activeRuns: engine.activeRuns,
    slots() {
      const { slots, busy, asking, waiting } = engine.slots();
      return { slots, busy: ownOnly(busy), asking: ownOnly(asking), waiting: ownOnly(waiting) };
    },
    waitOf(run) {
      const wait = isOwn(run) ? engine.waitOf(run) : undefined;
      if (!wait) return undefined;
      return {
        ...wait,
        busy: wait.busy.map(veil),
        ...(wait.asking ? { asking: wait.asking.map(veil) } : {}),
      };
    },
    onWaitChange: (listener) => engine.onWaitChange((run) => isOwn(run) && listener(run)),
    drain: notHere,
    isDraining: engine.isDraining,
    interruptAll: notHere,
    close: engine.close,
  };
}

/** The events of one caller's runs. Their numbers are those of all: they have holes where others' are. */
export function eventsOfCaller(runs: EventSource, caller: string): EventSource {
  const own = (runId: string) => {
    const run = runs.get(runId);
    return run?.request.userId === caller ? run : undefined;
  };
  return {
    async eventsAfter(id, runId) {
      const { events, gap } = await runs.eventsAfter(id, runId);
      return { events: events.filter((event) => own(event.runId)), gap };
    },
    subscribe: (listener) =>
      runs.subscribe((event, run, fromElsewhere) => {
        if (run.request.userId === caller) listener(event, run, fromElsewhere);
      }),
    newestEventId: runs.newestEventId,
    get: own,
  };
}
