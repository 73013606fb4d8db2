import type { ServerResponse } from "node:http";
import type { Clock } from "../../shared/clock.js";

/** Bounds what waits in memory for clients that do not read. */
export interface UnreadLimit {
  /**
   * Watches over an answer until it has ended.
   * @returns to be called after each piece that was written
   */
  watch(response: ServerResponse, caller: string): () => void;
}

/** What may wait for one caller's clients in all, in bytes, beside what the system's own buffers hold. */
export const UNREAD_LIMIT_BYTES = 16 * 1024 * 1024;
/** A client that takes nothing at all for this long does not read any more, in ms. */
const STALLED_MS = 30_000;

/**
 * Ends answers that nobody reads: the largest of a caller whose answers take too much room together, and any of which
 * nothing was taken for half a minute. Their clients can come back for what they have missed.
 */
export function createUnreadLimit(options: {
  clock: Clock;
  limitBytes?: number;
  stalledMs?: number;
}): UnreadLimit {
  const { clock, limitBytes = UNREAD_LIMIT_BYTES, stalledMs = STALLED_MS } = options;
  const callers = new Map<string, Set<ServerResponse>>();

  function enforce(own: Set<ServerResponse>): void {
    const unread = [...own]
      .filter((response) => response.writableLength > 0)
      .sort((one, other) => other.writableLength - one.writableLength);
    let total = unread.reduce((sum, { writableLength }) => sum + writableLength, 0);
    // A single answer may be larger than all the room there is, as long as it is read.
    for (const response of unread.slice(0, -1)) {
      if (total <= limitBytes) return;
      total -= response.writableLength;
      response.destroy();
    }
  }

  return {
    watch(response, caller) {
      const own = callers.get(caller) ?? new Set();
      callers.set(caller, own.add(response));
      let cancel: (() => void) | undefined;
      response.once("close", () => {
        cancel?.();
        own.delete(response);
        if (own.size === 0) callers.delete(caller);
      });
      function watchOver(): void {
        const taken = takenOf(response);
        cancel = clock.after(stalledMs, () => {
          cancel = undefined;
          if (response.writableLength === 0) return;
          if (takenOf(response) === taken) response.destroy();
          else watchOver();
        });
      }
      return () => {
        if (response.writableLength === 0) return;
        if (!cancel) watchOver();
        enforce(own);
      };
    },
  };
}

/** Ends an answer, whoever writes it, of which nothing was taken for half a minute although something waits. */
export function endWhenStalled(
  response: ServerResponse,
  { clock, stalledMs = STALLED_MS }: { clock: Pick<Clock, "after">; stalledMs?: number },
): void {
  let cancel = () => {};
  const look = (before: number) => {
    cancel = clock.after(stalledMs, () => {
      const taken = takenOf(response);
      if (response.writableLength > 0 && taken === before) response.destroy();
      else look(taken);
    });
  };
  look(takenOf(response));
  response.once("close", () => cancel());
}

/** Bytes that the client has taken: a slow reader makes progress and is left alone. */
function takenOf(response: ServerResponse): number {
  return (response.socket?.bytesWritten ?? 0) - response.writableLength;
}
