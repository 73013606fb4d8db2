import type { Clock } from "../../shared/clock.js";
import type { EngineRun } from "../runs/run.js";
import { type SlotWait, tellWait } from "./slot-wait.js";

/** Tells how runs wait for a slot, when that has changed. */
export interface WaitNotifier {
  /** It may have changed. What comes of it is told once, when all that goes on at the moment is done. */
  changed(): void;
  subscribe(listener: (run: EngineRun) => void): () => void;
  /** Nothing is told any more. */
  close(): void;
}

/**
 * After a look, for so many times its duration and at most so long, in ms, what changes is looked at together: where many
 * wait each change moves all of them.
 */
const REST_FACTOR = 10;
const LONGEST_REST_MS = 1_000;
/** A look that took less is followed by no rest, in ms. */
const SHORT_MS = 2;

/** @param options.waiting the runs that wait for a slot */
export function createWaitNotifier(options: {
  clock: Pick<Clock, "after">;
  waiting: () => readonly EngineRun[];
  waitOf: (run: EngineRun) => SlotWait | undefined;
}): WaitNotifier {
  const listeners = new Set<(run: EngineRun) => void>();
  let told = new Map<string, string>();
  /** A look is to come. */
  let isDue = false;
  let isResting = false;
  let cancelRest = () => {};

  function look(): void {
    if (isResting) return;
    isDue = false;
    const began = performance.now();
    tellChanges();
    const took = performance.now() - began;
    if (took > SHORT_MS) rest(Math.min(LONGEST_REST_MS, took * REST_FACTOR));
  }

  function rest(ms: number): void {
    isResting = true;
    cancelRest = options.clock.after(ms, () => {
      isResting = false;
      if (isDue) look();
    });
  }

  function tellChanges(): void {
    // What nobody listens to is found out when somebody does.
    if (listeners.size === 0) return;
    const before = told;
    const waiting = options.waiting();
    told = describe(waiting);
    for (const run of waiting) {
      const text = told.get(run.runId);
      if (text === undefined || before.get(run.runId) === text) continue;
      for (const listener of [...listeners]) listener(run);
    }
  }

  function describe(waiting: readonly EngineRun[]): Map<string, string> {
    const texts = waiting.map((run): [string, SlotWait | undefined] => [run.runId, options.waitOf(run)]);
    return new Map(texts.flatMap(([runId, wait]) => (wait ? [[runId, tellWait(wait)]] : [])));
  }

  return {
    changed() {
      if (isDue) return;
      isDue = true;
      queueMicrotask(look);
    },
    subscribe(listener) {
      const own: typeof listener = (run) => listener(run);
      if (listeners.size === 0) told = describe(options.waiting());
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    close() {
      cancelRest();
      listeners.clear();
    },
  };
}
