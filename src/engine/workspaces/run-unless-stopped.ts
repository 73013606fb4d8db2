import type { KeyedMutex } from "../../shared/keyed-mutex.js";
import { stopped } from "./git-runner.js";

/**
 * Runs the work when the mutex admits it. Stopped while it waits, it ends at once (the work before it may take
 * minutes); stopped while it works, it ends when the work has cleaned up.
 * @throws WorkspaceError when stopped, and what the work throws
 */
export function runUnlessStopped<T>(
  mutex: KeyedMutex,
  key: string,
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  let waiting = true;
  const running = mutex.run(key, () => {
    waiting = false;
    throwIfStopped(signal);
    return work();
  });
  if (!signal) return running;
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      if (waiting) reject(stopped(signal));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const forget = () => signal.removeEventListener("abort", onAbort);
    running.then(resolve, reject).then(forget, forget);
  });
}

/** @throws WorkspaceError when the signal has fired */
export function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw stopped(signal);
}
