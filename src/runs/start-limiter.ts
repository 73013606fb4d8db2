import type { Clock } from "../shared/clock.js";

/** Where a start stands that waits for its turn. */
export interface Waiting {
  /** From 1. */
  position: number;
  /** Places taken: runs going on, being started, or of unknown fate. */
  running: number;
  limit: number;
  waitedMs: number;
}

/** The right to have one run going on. */
export interface Place {
  /** Gives the place to the first in the line. Does nothing the second time, or when it was handed over. */
  free(): void;
  /** The same place for a new holder; the old one can free it no more. */
  handOver(): Place;
}

/** How a wait has ended. Without a place nothing may be sent. */
export type Turn =
  /** `waitedMs` is missing where there was nothing to wait for. */
  | { kind: "place"; place: Place; waitedMs?: number }
  | { kind: "late"; where: Waiting }
  | { kind: "cancelled" };

/** The line of starts, first come first served. What is in it has not been sent to the API. */
export interface StartLine {
  /** Runs at once; undefined for as many as are asked for. */
  readonly limit: number | undefined;
  /**
   * Takes a place, or waits for one. Never throws.
   * @param options.waitMs how long at most, in ms: 0 not at all, undefined without end
   * @param options.signal leaves the line
   * @param options.onWait told of the wait at its beginning, at each change of the place, and every ten seconds
   */
  enter(options: {
    waitMs: number | undefined;
    signal: AbortSignal;
    onWait(where: Waiting): void;
  }): Promise<Turn>;
}

/** While a call waits, this often a sign of life goes out, in ms, as with forms: it resets the clock of clients. */
const HEARTBEAT_MS = 10_000;

interface Waiter {
  grant(place: Place): void;
  /** The line has moved. */
  moved(): void;
}

/** Without a limit there is nothing to give back. */
export const UNCOUNTED: Place = { free() {}, handOver: () => UNCOUNTED };

/** @param options.limit runs that may go on at once; undefined for any number */
export function createStartLine(options: { limit: number | undefined; clock: Clock }): StartLine {
  const { limit, clock } = options;
  const line: Waiter[] = [];
  let taken = 0;

  function hold(): Place {
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
    const first = line.shift();
    if (!first) return;
    // Taken in the same breath, so that nobody who comes meanwhile is served before the line.
    taken++;
    first.grant(hold());
    for (const waiter of [...line]) waiter.moved();
  }

  return {
    limit,
    async enter({ waitMs, signal, onWait }) {
      if (limit === undefined) return { kind: "place", place: UNCOUNTED };
      if (signal.aborted) return { kind: "cancelled" };
      if (taken < limit) {
        taken++;
        return { kind: "place", place: hold() };
      }
      if (waitMs === 0) {
        return { kind: "late", where: { position: line.length + 1, running: taken, limit, waitedMs: 0 } };
      }
      const since = clock.now();
      return new Promise((resolve) => {
        let told = 0;
        let stopBeat = () => {};
        const waiter: Waiter = {
          grant: (place) => end({ kind: "place", place, waitedMs: clock.now() - since }),
          moved() {
            if (look().position !== told) tell();
          },
        };
        const look = (): Waiting => ({
          position: line.indexOf(waiter) + 1,
          running: taken,
          limit,
          waitedMs: clock.now() - since,
        });
        function tell(): void {
          stopBeat();
          const where = look();
          told = where.position;
          stopBeat = clock.after(HEARTBEAT_MS, tell);
          onWait(where);
        }
        function leave(turn: Turn): void {
          line.splice(line.indexOf(waiter), 1);
          end(turn);
          for (const other of [...line]) other.moved();
        }
        function end(turn: Turn): void {
          stopBeat();
          stopWait();
          signal.removeEventListener("abort", onAbort);
          resolve(turn);
        }
        const onAbort = () => leave({ kind: "cancelled" });
        const stopWait =
          waitMs === undefined ? () => {} : clock.after(waitMs, () => leave({ kind: "late", where: look() }));
        line.push(waiter);
        signal.addEventListener("abort", onAbort, { once: true });
        tell();
      });
    },
  };
}
