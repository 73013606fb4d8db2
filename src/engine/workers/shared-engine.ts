import type { EngineRun } from "../runs/run.js";
import { hasEnded } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import { type Engine, EngineRefusal } from "../types.js";
import { homeOf } from "./session-homes.js";
import type { Call, WorkerCalls } from "./worker-calls.js";
import type { Workers } from "./workers.js";

/** What a worker does for another one that was asked: only what concerns a session whose workspace it has. */
const ANSWERED = [
  "addMessage",
  "answer",
  "kill",
  "cleanup",
  "diff",
  "head",
  "take",
  "discard",
  "leftovers",
  "removeLeftover",
  "removeMergedBranch",
] as const;
type Answered = (typeof ANSWERED)[number];

/**
 * Does what another worker asks of this one.
 * @param refresh takes in what others have written: the asking one may know more than this one
 */
export function createCarryOutCall(
  engine: Engine,
  refresh: () => Promise<void>,
): (call: Call, signal: AbortSignal) => Promise<unknown> {
  return async ({ method, args }, signal) => {
    await refresh();
    const found = ANSWERED.find((one) => one === method);
    if (!found)
      throw new EngineRefusal(
        503,
        "The worker that has the session is of another version. Nothing was done.",
      );
    if (found === "take") {
      const [runId, asked] = args as Parameters<Engine["take"]>;
      return engine.take(runId, { ...asked, signal });
    }
    const carryOut = engine[found] as (...args: readonly unknown[]) => Promise<unknown>;
    return carryOut.apply(engine, [...args]);
  };
}

/**
 * One of several engines that share a database, as the API of all of them: whatever needs a session's workspace, or the
 * agent that works there, is asked of the worker that has it; everything else is answered from the runs, which all know.
 */
export function shareEngine(
  engine: Engine,
  options: {
    runs: Pick<RunStore, "get" | "ofSession" | "refresh" | "knownUntil">;
    workers: Workers;
    calls: Pick<WorkerCalls, "ask">;
  },
): Engine {
  const { runs, workers, calls } = options;

  function workerOf(runId: string): string | undefined {
    const { sessionId, worker, status } = engine.get(runId);
    // It waits: what is wanted of it is written down, and whoever begins it finds that.
    if (status === "pending") return undefined;
    const home = homeOf(runs.ofSession(sessionId));
    // Where the session goes on by now, there is what the run has committed, too.
    return hasEnded(engine.get(runId)) ? (home ?? worker) : (worker ?? home);
  }

  async function via<Method extends Answered>(
    method: Method,
    runId: string,
    args: readonly unknown[],
    here: () => ReturnType<Engine[Method]>,
    signal?: AbortSignal,
  ): Promise<Awaited<ReturnType<Engine[Method]>>> {
    const workerId = workerOf(runId);
    if (workerId === undefined || workerId === workers.own.id) return await here();
    const value = await calls.ask(workerId, { method, args }, signal);
    await runs.refresh();
    return value as Awaited<ReturnType<Engine[Method]>>;
  }

  /** That the run is to end is written: whoever has it knows when its agent is gone. */
  async function awaitEnd(args: Parameters<Engine["kill"]>): Promise<void> {
    try {
      await via("kill", args[0], args, () => engine.kill(...args));
    } catch (error) {
      if (!(error instanceof EngineRefusal)) throw error;
      await runs.refresh();
      const run = engine.get(args[0]);
      if (!hasEnded(run)) throw unconfirmed(run, workers);
    }
  }

  /** What another worker has taken on a moment ago may not be known here yet. */
  async function lookUntil(isKnown: () => boolean): Promise<void> {
    if (isKnown()) return;
    await runs.refresh();
    if (isKnown() || runs.knownUntil() === undefined) return;
    throw new EngineRefusal(
      503,
      "The engine's database cannot be reached, so that this is not known here. Nothing was done.",
    );
  }

  /** A run of another worker as it was when the database was last read, where it cannot be read now. */
  function dated(run: EngineRun): EngineRun {
    const until = runs.knownUntil();
    if (until === undefined || hasEnded(run) || run.worker === workers.own.id) return run;
    const at = new Date(until).toISOString().slice(11, 19);
    const said = `As of ${at} UTC, since when the engine's database cannot be reached`;
    return { ...run, currentAction: run.currentAction ? `${said}: ${run.currentAction}` : said };
  }

  return {
    ...engine,
    lookFor: (runId) => lookUntil(() => runs.get(runId) !== undefined),
    async start(request, key) {
      const { sessionId } = request;
      if (sessionId !== undefined) await lookUntil(() => runs.ofSession(sessionId).length > 0);
      return engine.start(request, key);
    },
    get: (runId) => dated(engine.get(runId)),
    list: (query) => engine.list(query).map(dated),
    addMessage: (...args) => via("addMessage", args[0], args, () => engine.addMessage(...args)),
    answer: (...args) => via("answer", args[0], args, () => engine.answer(...args)),
    async kill(...args) {
      // Written first: with a worker that goes away meanwhile the run is killed, and not interrupted and resumed.
      const run = await engine.kill(...args);
      if (!hasEnded(run)) await awaitEnd(args);
      return engine.get(args[0]);
    },
    cleanup: (...args) => via("cleanup", args[0], args, () => engine.cleanup(...args)),
    diff: (...args) => via("diff", args[0], args, () => engine.diff(...args)),
    head: (...args) => via("head", args[0], args, () => engine.head(...args)),
    take(runId, { signal, ...asked }) {
      const here = () => engine.take(runId, { ...asked, ...(signal ? { signal } : {}) });
      return via("take", runId, [runId, asked], here, signal);
    },
    discard: (...args) => via("discard", args[0], args, () => engine.discard(...args)),

    async leftovers() {
      const own = await engine.leftovers();
      const items = [...own.items];
      const mergedBranches = [...own.mergedBranches];
      const size = { ...own.size };
      for (const worker of workers.all()) {
        if (worker.id === workers.own.id || worker.state === "ended") continue;
        const asked = calls.ask(worker.id, { method: "leftovers", args: [] });
        // What a worker has that is not there is not known: it is at least so much.
        const found = (await asked.catch(() => undefined)) as typeof own | undefined;
        if (!found) size.whole = false;
        for (const item of found?.items ?? []) items.push({ ...item, id: mark(worker.id, item.id) });
        for (const one of found?.mergedBranches ?? [])
          mergedBranches.push({ ...one, clone: mark(worker.id, one.clone) });
        size.bytes += found?.size.bytes ?? 0;
        size.whole &&= found?.size.whole ?? false;
      }
      return { items, mergedBranches, size };
    },
    async removeLeftover(id, how) {
      const [workerId, rest] = unmark(id);
      if (workerId === undefined) return engine.removeLeftover(rest, how);
      const asked = calls.ask(workerId, { method: "removeLeftover", args: [rest, how] });
      return (await asked) as Awaited<ReturnType<Engine["removeLeftover"]>>;
    },
    async removeMergedBranch(which) {
      const [workerId, clone] = unmark(which.clone);
      if (workerId === undefined) return engine.removeMergedBranch(which);
      const asked = calls.ask(workerId, { method: "removeMergedBranch", args: [{ ...which, clone }] });
      return (await asked) as Awaited<ReturnType<Engine["removeMergedBranch"]>>;
    },
  };
}

const mark = (workerId: string, id: string) => `worker:${workerId}:${id}`;

function unmark(id: string): [workerId: string | undefined, id: string] {
  const [, workerId, rest] = /^worker:([0-9a-f-]{36}):(.*)$/s.exec(id) ?? [];
  return [workerId, rest ?? id];
}

function unconfirmed({ worker = "" }: EngineRun, workers: Workers): EngineRefusal {
  const name = workers.get(worker)?.name;
  const message =
    `The run is to end, and that is written down; its worker${name ? ` (${name})` : ""} has not confirmed it. It ends as ` +
    "killed when that worker sees it or is taken for gone, and does not go on by itself.";
  return new EngineRefusal(503, message, undefined, true);
}
