import { isFinal, openQuestions, type Run } from "../api/types.js";
import type { Clock } from "../shared/clock.js";
import type { RunEvent } from "./run-events.js";
import { LATE_START_MS, type StartResult } from "./run-starter.js";
import type { RunWatcher } from "./run-watcher.js";
import { type Slot, type StartLimiter, UNCOUNTED } from "./start-limiter.js";

/** Keeps the slots of runs that were started until the runs have ended, as far as this process can know. */
export interface SlotTracker {
  /**
   * Takes the slot over and frees it when the start has certainly made no run, or its run has completed, failed,
   * been killed, or is known to the API no more; a run that stands still keeps it. A start of unknown outcome keeps it
   * while the API's list shows a run that can be it, and in any case until a late start is out of the question.
   * A run whose agent has waited for a person for a minute gives its slot to the next start, and counts again when that is
   * over. Whatever was not seen: at the run's own time limit and a margin the slot is free.
   * @param timeoutS the run's own time limit
   */
  keep(slot: Slot, start: Promise<StartResult>, timeoutS: number): void;
  /** Asks nothing any more. Slots that are in use stay so until their time limits: other servers may share the queue. */
  close(): void;
}

/** A run may take a little longer than its time limit to be ended by the API, in ms. */
const MARGIN_MS = 60_000;
/** A run that waits for a person gives up its slot after this long, in ms; as in the engine. */
const IDLE_MS = 60_000;
/** The pause between two looks for the run of a start of unknown outcome, in ms. Each is one page of the list. */
const LOOK_AGAIN_MS = 60_000;

export function createSlotTracker(options: {
  watcher: RunWatcher;
  startLimiter: Pick<StartLimiter, "retake">;
  clock: Clock;
}): SlotTracker {
  const { watcher, startLimiter, clock } = options;
  /** What stops the looking. */
  const looking = new Set<() => void>();
  let isClosed = false;

  /**
   * Calls `onEnd` when the run has ended, and `onWait` when it has waited for a person for a minute or goes on again; the
   * answer stops the looking.
   */
  function watch(run: Run, onEnd: () => void, onWait: (isIdle: boolean) => void): () => void {
    let since: (() => void) | undefined;
    const goOn = () => {
      since?.();
      since = undefined;
    };
    const onEvent = ({ type, run: seen }: RunEvent) => {
      if (type === "finished" || type === "lost") {
        goOn();
        onEnd();
        return;
      }
      // What does something is not idle, whatever it has asked.
      if (!waitsForPerson(seen) || type === "turn" || type === "action") {
        goOn();
        onWait(false);
      }
      if (waitsForPerson(seen)) since ??= clock.after(IDLE_MS, () => onWait(true));
    };
    const { stop } = watcher.watch(run, onEvent, { background: true });
    return () => {
      goOn();
      stop();
    };
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
      let own = slot.handOver();
      if (own === UNCOUNTED) return;
      let isIdle = false;
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
          function turnIdle(now: boolean): void {
            if (now === isIdle) return;
            isIdle = now;
            if (now) own.free();
            else own = startLimiter.retake();
          }
          if (isClosed) return;
          stop =
            result.kind === "started" ? watch(result.run, end, turnIdle) : search(result.candidates, end);
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

/** Whether the run is known to wait for a person's answer. */
function waitsForPerson(run: Run): boolean {
  return openQuestions(run).length > 0 || run.waitsForAnswer === true;
}
