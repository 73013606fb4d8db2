import type { InTurn } from "../../shared/keyed-mutex.js";
import { stopped } from "./git-runner.js";

/**
 * Does the work in its turn. Stopped while it stands in line, it ends at once (whoever is before it may take
 * minutes); stopped while it works, it ends when the work has cleared up.
 * @throws WorkspaceError when stopped, and what the work throws
 */
export function inTurnUnlessStopped<T>(
  inTurn: InTurn,
  key: string,
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  let waiting = true;
  const turn = inTurn.run(key, () => {
    waiting = false;
    throwIfStopped(signal);
    return work();
  });
  if (!signal) return turn;
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      if (waiting) reject(stopped(signal));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const forget = () => signal.removeEventListener("abort", onAbort);
    turn.then(resolve, reject).then(forget, forget);
  });
}

/** @throws WorkspaceError when the signal has fired */
export function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw stopped(signal);
}
