import type { Clock } from "../shared/clock.js";

/** After work, what can wait does so for as many times its duration, and at most so long, in ms. */
const REST_FACTOR = 2;
const LONGEST_REST_MS = 25;

/** Work that is done in the order of the calls; what comes together is done together. */
export interface WriteQueue<Job, Result> {
  /** @param canWait it may wait some ms for others that come soon */
  add(job: Job, canWait: boolean): Promise<Result>;
  /** Works off what waits; also calls for work when nothing does. */
  flush(): Promise<void>;
  /** The same, and it begins after this call: what is under way may have looked before. */
  flushAnew(): Promise<void>;
  /** The same for the last time. Nothing must be added afterwards. */
  close(): Promise<void>;
}

/**
 * @param options.clock left out where nothing can wait
 * @param options.work gets all jobs that wait, and gives a result for each. It must not throw
 * @param options.gather waits for what belongs together; by default for what comes in the same moment
 */
export function createWriteQueue<Job, Result>(options: {
  clock?: Pick<Clock, "after">;
  work: (jobs: readonly Job[]) => Promise<readonly Result[]>;
  gather?: () => Promise<void>;
}): WriteQueue<Job, Result> {
  const { clock, work, gather = () => Promise.resolve() } = options;
  let waiting: { job: Job; canWait: boolean; resolve: (result: Result) => void }[] = [];
  let working: Promise<void> | undefined;
  let isResting = false;
  let cancelRest = () => {};

  function flush(): Promise<void> {
    working ??= workOff();
    return working;
  }

  async function workOff(): Promise<void> {
    const began = performance.now();
    do {
      await gather();
      const batch = waiting;
      waiting = [];
      const results = await work(batch.map(({ job }) => job));
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
    } while (waiting.some(({ canWait }) => !canWait));
    working = undefined;
    rest(Math.min(LONGEST_REST_MS, (performance.now() - began) * REST_FACTOR));
  }

  function rest(ms: number): void {
    if (!clock) return;
    cancelRest();
    isResting = true;
    cancelRest = clock.after(ms, () => {
      isResting = false;
      if (waiting.length > 0) void flush();
    });
  }

  return {
    add(job, canWait) {
      return new Promise((resolve) => {
        waiting.push({ job, canWait, resolve });
        if (!canWait || !isResting) void flush();
      });
    },
    flush,
    async flushAnew() {
      await working;
      await flush();
    },
    async close() {
      await working;
      await flush();
      cancelRest();
    },
  };
}
