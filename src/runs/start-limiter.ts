import type { Clock } from "../shared/clock.js";

/** Where a start stands in the queue. */
export interface Waiting {
  /** From 1. */
  position: number;
  /** Slots in use: runs going on, being started, or of unknown outcome. */
  running: number;
  limit: number;
  waitedMs: number;
}

/** The right to have one run going on. */
export interface Slot {
  /** Gives the slot to the first in the queue. Does nothing the second time, or when it was handed over. */
  free(): void;
  /** The same slot for a new holder; the old one can no longer free it. */
  handOver(): Slot;
}

/** The result of a wait. Without a slot nothing may be sent. */
export type QueueResult =
  /** `waitedMs` is missing where there was nothing to wait for. */
  { kind: "slot"; slot: Slot; waitedMs?: number } | { kind: "late"; where: Waiting } | { kind: "cancelled" };

/** Limits the runs that go on at once. Further starts wait in a queue, and have not been sent to the API. */
export interface StartLimiter {
  /** Runs at once; undefined for as many as are asked for. */
  readonly limit: number | undefined;
  /**
   * Counts a run that goes on again after its slot was freed, though that may be one more than the limit: an API goes on
   * with what was answered, whatever else goes on.
   */
  retake(): Slot;
  /**
   * Takes a slot, or waits for one. Never throws.
   * @param options.waitMs how long at most, in ms: 0 not at all, undefined without end
   * @param options.signal leaves the queue
   * @param options.onWait told of the wait at its beginning, at each change of the position, and every ten seconds
   */
  enter(options: {
    waitMs: number | undefined;
    signal: AbortSignal;
    onWait(where: Waiting): void;
  }): Promise<QueueResult>;
}

/** While a call waits, this often a sign of life goes out, in ms, as with forms: it resets the clock of clients. */
const HEARTBEAT_MS = 10_000;

interface Waiter {
  grant(slot: Slot): void;
  /** The queue has moved. */
  moved(): void;
}

/** Without a limit there is nothing to give back. */
export const UNCOUNTED: Slot = { free() {}, handOver: () => UNCOUNTED };

/** @param options.limit runs that may go on at once; undefined for any number */
export function createStartLimiter(options: { limit: number | undefined; clock: Clock }): StartLimiter {
  const { limit, clock } = options;
  const queue: Waiter[] = [];
  let taken = 0;

  function hold(): Slot {
    let isMine = true;
    return {
      free() {
        if (!isMine) return;
        isMine = false;
        taken--;
        serveNext();
      },
      handOver() {
        if (!isMine) return UNCOUNTED;
        isMine = false;
        return hold();
      },
    };
  }

  function serveNext(): void {
    if (limit !== undefined && taken >= limit) return;
    const first = queue.shift();
    if (!first) return;
    // Taken in the same breath, so that nobody who comes meanwhile is served before the queue.
    taken++;
    first.grant(hold());
    for (const waiter of [...queue]) waiter.moved();
  }

  return {
    limit,
    retake() {
      if (limit === undefined) return UNCOUNTED;
      taken++;
      return hold();
    },
    async enter({ waitMs, signal, onWait }) {
      if (limit === undefined) return { kind: "slot", slot: UNCOUNTED };
      if (signal.aborted) return { kind: "cancelled" };
      if (taken < limit) {
        taken++;
        return { kind: "slot", slot: hold() };
      }
      if (waitMs === 0) {
        return { kind: "late", where: { position: queue.length + 1, running: taken, limit, waitedMs: 0 } };
      }
      const since = clock.elapsed();
      return new Promise((resolve) => {
        let told = 0;
        let stopBeat = () => {};
        const waiter: Waiter = {
          grant: (slot) => end({ kind: "slot", slot, waitedMs: clock.elapsed() - since }),
          moved() {
            if (look().position !== told) tell();
          },
        };
        const look = (): Waiting => ({
          position: queue.indexOf(waiter) + 1,
          running: taken,
          limit,
          waitedMs: clock.elapsed() - since,
        });
        function tell(): void {
          stopBeat();
          const where = look();
          told = where.position;
          stopBeat = clock.after(HEARTBEAT_MS, tell);
          onWait(where);
        }
        function leave(result: QueueResult): void {
          queue.splice(queue.indexOf(waiter), 1);
          end(result);
          for (const other of [...queue]) other.moved();
        }
        function end(result: QueueResult): void {
          stopBeat();
          stopWait();
          signal.removeEventListener("abort", onAbort);
          resolve(result);
        }
        const onAbort = () => leave({ kind: "cancelled" });
        const stopWait =
          waitMs === undefined ? () => {} : clock.after(waitMs, () => leave({ kind: "late", where: look() }));
        queue.push(waiter);
        signal.addEventListener("abort", onAbort, { once: true });
        tell();
      });
    },
  };
}
