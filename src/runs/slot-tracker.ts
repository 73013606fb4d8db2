import { isFinal, type Run } from "../api/types.js";
import type { Clock } from "../shared/clock.js";
import type { RunEvent } from "./run-events.js";
import { LATE_START_MS, type StartResult } from "./run-starter.js";
import type { RunWatcher } from "./run-watcher.js";
import { type Slot, UNCOUNTED } from "./start-limiter.js";

/** Keeps the slots of runs that were started until the runs have ended, as far as this process can know. */
export interface SlotTracker {
  /**
   * Takes the slot over and frees it when the start has certainly made no run, or its run has completed, failed,
   * been killed, or is known to the API no more; a run that stands still keeps it. A start of unknown outcome keeps it
   * while the API's list shows a run that can be it, and in any case until a late start is out of the question.
   * Whatever was not seen: at the run's own time limit and a margin the slot is free.
   * @param timeoutS the run's own time limit
   */
  keep(slot: Slot, start: Promise<StartResult>, timeoutS: number): void;
  /** Asks nothing any more. Slots that are in use stay so until their time limits: other servers may share the queue. */
  close(): void;
}

/** A run may take a little longer than its time limit to be ended by the API, in ms. */
const MARGIN_MS = 60_000;
/** The pause between two looks for the run of a start of unknown outcome, in ms. Each is one page of the list. */
const LOOK_AGAIN_MS = 60_000;

export function createSlotTracker(options: { watcher: RunWatcher; clock: Clock }): SlotTracker {
  const { watcher, clock } = options;
  /** What stops the looking. */
  const looking = new Set<() => void>();
  let isClosed = false;

  /** Calls `onEnd` when the run has ended; the answer stops the looking. */
  function watch(run: Run, onEnd: () => void): () => void {
    const onEvent = ({ type }: RunEvent) => {
      if (type === "finished" || type === "lost") onEnd();
    };
    return watcher.watch(run, onEvent, { background: true }).stop;
  }

  /** The same for a run that may not exist. */
  function search(candidates: () => Promise<Run[]>, onEnd: () => void): () => void {
    let isStopped = false;
    let cancel = clock.after(LATE_START_MS, () => void look());
    async function look(): Promise<void> {
      // A list that cannot be read proves nothing.
      const runs = await candidates().catch(() => undefined);
      if (isStopped) return;
      if (runs?.every((run) => isFinal(run.status))) onEnd();
      else cancel = clock.after(LOOK_AGAIN_MS, () => void look());
    }
    return () => {
      isStopped = true;
      cancel();
    };
  }

  return {
    keep(slot, start, timeoutS) {
      const own = slot.handOver();
      if (own === UNCOUNTED) return;
      start.then(
        (result) => {
          const isOver =
            result.kind === "failed" ||
            result.kind === "withdrawn" ||
            (result.kind === "started" && isFinal(result.run.status));
          if (isOver) return own.free();
          let stop = () => {};
          const cancelLimit = clock.after(timeoutS * 1000 + MARGIN_MS, end);
          function end(): void {
            cancelLimit();
            stop();
            looking.delete(stop);
            own.free();
          }
          if (isClosed) return;
          stop = result.kind === "started" ? watch(result.run, end) : search(result.candidates, end);
          looking.add(stop);
        },
        // Rejected is what has certainly not been started.
        () => own.free(),
      );
    },
    close() {
      isClosed = true;
      for (const stop of looking) stop();
      looking.clear();
    },
  };
}
