import type { Clock } from "../../shared/clock.js";
import type { FailureCode, FinalStatus } from "../runs/run.js";

/** How a run comes to its end. */
export interface Ending {
  status: FinalStatus;
  error?: string;
  errorCode?: FailureCode;
  notes?: string[];
  neverStarted?: true;
  toResume?: true;
}

/** Decides how a run ends, and stops what it waits for when it is ended from outside. */
export interface RunEnding {
  /** Aborted when the run is ended from outside: nothing that goes before the agent is waited for any more. */
  signal: AbortSignal;
  /** Stops what comes after the agent: looking at its work, merging, pushing. */
  stockSignal: AbortSignal;
  /** Waits for a step, but not beyond the run's end: a disk or program that hangs must not keep a run going. */
  unlessEnded<T>(step: Promise<T>): Promise<T>;
  /** Ends the run from outside. A person's kill counts always; otherwise the first reason does. */
  end(how: Ending): void;
  /** The run has come to its end by itself; what ended it from outside before counts more. */
  conclude(how: Ending): void;
  /** How it ends, as far as that is known. */
  how(): Ending | undefined;
  /** From now on time does not count: the run waits for a slot, which is no fault of its own. Until `goOn`. */
  pause(): void;
  goOn(): void;
  /** The agent is gone, or there was none: what follows has to come to its end in time. */
  agentGone(): void;
  /** Cancels all timers. */
  close(): void;
}

/**
 * What a run may take beyond its time limit, in s: up to 15 s until nothing of an agent is left, and the rest to look
 * at what it has done, to merge it and to push it. What takes longer hangs, mostly at a remote.
 */
const END_ALLOWANCE_S = 60;
/** Of a run that was ended from outside, what it has done is looked at this long, in ms: somebody waits for the end. */
const STOPPED_ALLOWANCE_MS = 10_000;

/** @param options.onTimeLimit is called when the run has taken as long as it may, and has not come to its end */
export function createRunEnding(options: {
  timeoutS: number;
  clock: Clock;
  onTimeLimit: () => void;
}): RunEnding {
  const { timeoutS, clock } = options;
  const ended = new AbortController();
  const stock = new AbortController();
  let ending: Ending | undefined;
  let isAgentGone = false;
  let cancelStopped = () => {};
  let cancelLimits = () => {};
  /** How much of its time is left, in ms, and since when that is so; undefined while time does not count. */
  let leftMs = timeoutS * 1000;
  let countedSince: number | undefined;
  count();

  function count(): void {
    if (countedSince !== undefined) return;
    countedSince = clock.elapsed();
    const timers = [
      clock.after(Math.max(0, leftMs), () => {
        // An agent that has ended was in time; the rest has the allowance.
        if (!ending) options.onTimeLimit();
      }),
      clock.after(Math.max(0, leftMs + END_ALLOWANCE_S * 1000), () =>
        stock.abort(`the run's time limit of ${timeoutS} s was exceeded by ${END_ALLOWANCE_S} s`),
      ),
    ];
    cancelLimits = () => {
      for (const cancel of timers) cancel();
    };
  }

  function stopCounting(): void {
    cancelLimits();
    if (countedSince !== undefined) leftMs -= clock.elapsed() - countedSince;
    countedSince = undefined;
  }

  function limitStock(): void {
    cancelStopped();
    cancelStopped = clock.after(STOPPED_ALLOWANCE_MS, () => stock.abort("the run was ended"));
  }

  return {
    signal: ended.signal,
    stockSignal: stock.signal,
    unlessEnded(step) {
      const { signal } = ended;
      return new Promise((resolve, reject) => {
        const onAbort = () => reject(new Error("The run was ended"));
        if (signal.aborted) onAbort();
        signal.addEventListener("abort", onAbort, { once: true });
        step.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
      });
    },
    end(how) {
      // Whatever it waited for: its end has to come in time.
      count();
      if (how.status === "killed") ending = { ...ending, status: "killed" };
      ending ??= how;
      ended.abort();
      if (isAgentGone && how.status === "killed") stock.abort("the run was killed");
      else if (isAgentGone) limitStock();
    },
    conclude(how) {
      ending ??= how;
    },
    how: () => ending,
    pause() {
      if (!ending) stopCounting();
    },
    goOn: count,
    agentGone() {
      isAgentGone = true;
      count();
      if (ended.signal.aborted) limitStock();
    },
    close() {
      cancelLimits();
      cancelStopped();
    },
  };
}
