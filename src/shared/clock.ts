/** The one clock of the house. Everything that waits or looks at the time takes it as an argument. */
export interface Clock {
  /** Wall clock, epoch milliseconds. It can be set at any time, so it is only for times that are shown or stored. */
  now(): number;
  /** Milliseconds since some moment. Never jumps and never goes back: durations are the difference of two of these. */
  elapsed(): number;
  /** Calls `task` after `ms`; the returned function cancels it. The timer never keeps the process alive. */
  after(ms: number, task: () => void): () => void;
}

/** The real clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms);
    timer.unref?.();
    return () => clearTimeout(timer);
  },
};

/**
 * Waits `ms`, or less when the signal aborts.
 * @returns true when the time has passed, false when the signal ended the wait. Never throws.
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const done = (elapsed: boolean) => {
      cancel();
      signal?.removeEventListener("abort", onAbort);
      resolve(elapsed);
    };
    const onAbort = () => done(false);
    const cancel = clock.after(ms, () => done(true));
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
