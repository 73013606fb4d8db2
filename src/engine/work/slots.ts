import type { EngineLimits, EngineWorker, SlotsElsewhere } from "../engine-options.js";
import { type EngineRun, waitsForSlot } from "../runs/run.js";
import type { RunHistory } from "../runs/run-history.js";
import type { RunStore } from "../runs/run-store.js";
import type { Engine } from "../types.js";
import type { QueueState, RunQueue, WaitingRun } from "./run-queue.js";
import { describeWait, estimateWaits, type SlotQueue } from "./slot-wait.js";

const NOWHERE: SlotsElsewhere = {
  ...{ slots: 0, busy: [], idle: [], asking: [], ownToo: true, bySession: new Map() },
};

/**
 * Who is at work and who waits: here, and at the other workers where there are some. Where many wait they are mostly
 * asked for one after the other: what they have in common is found out once for that.
 * @param options.isDraining only the slots that are taken count then
 */
export function createSlots(options: {
  runs: Pick<RunStore, "get">;
  queue: Pick<RunQueue, "state">;
  limits: Pick<EngineLimits, "concurrency">;
  worker?: Pick<EngineWorker, "waitsAt" | "elsewhere"> | undefined;
  history: Pick<RunHistory, "of">;
  isDraining: () => boolean;
}): Pick<Engine, "slots" | "waitOf"> {
  const { runs, queue, limits, worker, history, isDraining } = options;
  /** The queues by the only worker at which runs wait, "" for any; as of this moment. */
  let known = new Map<string, SlotQueue>();
  let knownOf: QueueState | undefined;

  const named = (ids: readonly string[]) => ids.flatMap((runId) => runs.get(runId) ?? []);

  function look(only?: string): SlotQueue {
    const own = queue.state();
    if (own !== knownOf) {
      known = new Map();
      knownOf = own;
      // What the runs themselves tell changes without the queue.
      queueMicrotask(() => {
        knownOf = undefined;
      });
    }
    const found = known.get(only ?? "") ?? describe(own, worker?.elsewhere(only) ?? NOWHERE);
    known.set(only ?? "", found);
    return found;
  }

  /** The queue as if all slots in which the runs may begin were here. */
  function describe(own: QueueState, elsewhere: SlotsElsewhere): SlotQueue {
    const { ownToo, waitsFor } = elsewhere;
    // In one order, whichever worker tells it.
    const merge = (here: readonly string[], there: readonly EngineRun[]) => {
      const mine = ownToo ? named(here) : [];
      if (there.length === 0) return mine;
      return [...mine, ...there].sort((a, b) => (a.startedAt ?? 0) - (b.startedAt ?? 0));
    };
    const begun = own.next.filter((one) => one.begun && ownToo);
    const asking = elsewhere.asking.map(({ runId, sessionId }) => ({
      ...{ runId, sessionId, begun: true, full: false },
    }));
    const isOwnOnly = ownToo && elsewhere.slots === 0;
    const pending = own.next
      .filter((one) => !one.begun)
      .map((one) => (isOwnOnly ? one : { ...one, full: false }));
    const next: WaitingRun[] = [...begun, ...asking, ...pending];
    const busy = merge(own.busy, elsewhere.busy);
    return {
      slots: elsewhere.slots + (ownToo ? (isDraining() ? own.busy.length : limits.concurrency) : 0),
      ...{ waitsFor, busy, next },
      idle: merge(own.idle, elsewhere.idle),
      positions: new Map(next.map(({ runId }, index) => [runId, index])),
      before: (sessionId) =>
        elsewhere.bySession.get(sessionId) ?? named([own.bySession.get(sessionId) ?? ""])[0],
      estimates: estimateWaits(busy, next, { history, find: runs.get }),
    };
  }

  return {
    slots() {
      const { slots, busy, idle, next, positions } = look();
      return {
        slots,
        busy: [...busy],
        asking: idle.filter(({ runId }) => !positions.has(runId)),
        waiting: named(next.map(({ runId }) => runId)),
      };
    },
    waitOf(run) {
      if (!waitsForSlot(run)) return undefined;
      return describeWait(run, look(worker?.waitsAt(run)));
    },
  };
}
