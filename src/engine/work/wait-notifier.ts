import type { EngineRun } from "../runs/run.js";
import { type SlotWait, tellWait } from "./slot-wait.js";

/** Tells how runs wait for a slot, when that has changed. */
export interface WaitNotifier {
  /** It may have changed. What comes of it is told once, when all that goes on at the moment is done. */
  changed(): void;
  subscribe(listener: (run: EngineRun) => void): () => void;
}

/** @param options.waiting the runs that wait for a slot */
export function createWaitNotifier(options: {
  waiting: () => readonly EngineRun[];
  waitOf: (run: EngineRun) => SlotWait | undefined;
}): WaitNotifier {
  const listeners = new Set<(run: EngineRun) => void>();
  let told = new Map<string, string>();
  let isLooking = false;

  function look(): void {
    isLooking = false;
    const before = told;
    told = new Map();
    for (const run of options.waiting()) {
      const wait = options.waitOf(run);
      if (!wait) continue;
      const text = tellWait(wait);
      told.set(run.runId, text);
      if (before.get(run.runId) !== text) for (const listener of [...listeners]) listener(run);
    }
  }

  return {
    changed() {
      if (isLooking) return;
      isLooking = true;
      queueMicrotask(look);
    },
    subscribe(listener) {
      const own: typeof listener = (run) => listener(run);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
}
