/**
 * Runs `work` with a signal of its own that follows `signal` only while the work goes on. Whoever leaves listeners
 * on it (the SDK does, and sends a cancellation for what is long done) hears nothing afterwards.
 */
export async function whileFollowing<T>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController();
  const follow = () => own.abort(signal.reason);
  if (signal.aborted) follow();
  signal.addEventListener("abort", follow, { once: true });
  try {
    return await work(own.signal);
  } finally {
    signal.removeEventListener("abort", follow);
  }
}
