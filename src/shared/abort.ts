/**
 * Aborts the controller when the signal does. Cheaper than `AbortSignal.any`, which counts where it is done for each
 * request.
 * @returns stops following
 */
export function follow(signal: AbortSignal | undefined, own: AbortController): () => void {
  if (!signal) return () => {};
  const abort = () => own.abort(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return () => signal.removeEventListener("abort", abort);
}

/**
 * Runs `work` with a signal of its own that follows `signal` only while the work goes on. Listeners left on it
 * (the SDK leaves some, which would cancel requests that are long done) hear nothing afterwards.
 */
export async function whileFollowing<T>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController();
  const stop = follow(signal, own);
  try {
    return await work(own.signal);
  } finally {
    stop();
  }
}

/** Resolves when the signal aborts, or has. The listener stays: for a signal that is gone soon. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
