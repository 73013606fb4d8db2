import type { EngineLimits, EngineWorker, PlacesElsewhere } from "../engine-options.js";
import { type EngineRun, waitsForSlot } from "../runs/run.js";
import type { RunHistory } from "../runs/run-history.js";
import type { RunStore } from "../runs/run-store.js";
import type { Engine } from "../types.js";
import type { QueueState, RunQueue } from "./run-queue.js";
import { describeWait } from "./slot-wait.js";

const NOWHERE: PlacesElsewhere = { slots: 0, busy: [], idle: [], asking: [], ownToo: true };

/**
 * Who is at work and who waits: here, and at the other workers where there are some.
 * @param options.isDraining only the places that are taken count then
 */
export function createSlots(options: {
  runs: Pick<RunStore, "get">;
  queue: Pick<RunQueue, "state">;
  limits: Pick<EngineLimits, "concurrency">;
  worker?: EngineWorker | undefined;
  history: Pick<RunHistory, "of">;
  isDraining: () => boolean;
}): Pick<Engine, "slots" | "waitOf"> {
  const { runs, queue, limits, worker, history, isDraining } = options;

  /** The queue as if all places at which the run may begin were here. */
  function look(run?: EngineRun): {
    state: QueueState;
    slots: number;
    waitsFor: PlacesElsewhere["waitsFor"];
  } {
    const own = queue.state();
    const elsewhere = worker?.elsewhere(run) ?? NOWHERE;
    const { slots, ownToo, before, waitsFor } = elsewhere;
    // In one order, whichever worker tells it.
    const ids = (here: readonly string[], there: readonly EngineRun[]) =>
      there.length === 0
        ? [...(ownToo ? here : [])]
        : [...(ownToo ? here.flatMap((runId) => runs.get(runId) ?? []) : []), ...there]
            .sort((a, b) => (a.startedAt ?? 0) - (b.startedAt ?? 0))
            .map(({ runId }) => runId);
    const begun = own.next.filter((one) => one.begun && ownToo);
    const asking = elsewhere.asking.map(({ runId, sessionId }) => ({
      runId,
      sessionId,
      begun: true,
      full: false,
    }));
    const isOwnOnly = ownToo && slots === 0;
    const pending = own.next
      .filter((one) => !one.begun)
      .map((one) => (isOwnOnly ? one : { ...one, full: false }));
    const ownSlots = isDraining() ? own.busy.length : limits.concurrency;
    return {
      slots: slots + (ownToo ? ownSlots : 0),
      waitsFor,
      state: {
        busy: ids(own.busy, elsewhere.busy),
        idle: ids(own.idle, elsewhere.idle),
        next: [...begun, ...asking, ...pending],
        bySession: before ? new Map([[before.sessionId, before.runId]]) : own.bySession,
      },
    };
  }

  return {
    slots() {
      const { state, slots } = look();
      const named = (ids: readonly string[]) => ids.flatMap((runId) => runs.get(runId) ?? []);
      const waiting = state.next.map(({ runId }) => runId);
      return {
        slots,
        busy: named(state.busy),
        asking: named(state.idle.filter((runId) => !waiting.includes(runId))),
        waiting: named(waiting),
      };
    },
    waitOf(run) {
      if (!waitsForSlot(run)) return undefined;
      return describeWait(run, { ...look(run), history, find: runs.get });
    },
  };
}
