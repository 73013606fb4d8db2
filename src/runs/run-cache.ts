import type { Run } from "../api/types.js";

/** The newest picture of each run that was seen not long ago. */
export interface RunPictures {
  get(runId: string): Run | undefined;
  keep(run: Run): void;
  /** When the run last changed under our eyes, epoch ms. */
  changedAt(runId: string): number | undefined;
  noteChange(runId: string, at: number): void;
  /** From now on every change of the run arrives by itself: its picture is the newest there is. */
  markComplete(runId: string): void;
  isComplete(runId: string): boolean;
  /** Something may have been missed of any run. */
  doubtAll(): void;
}

/** Pictures kept of runs that nobody watches. */
const KEPT_RUNS = 500;
/** And so many characters of their results: one alone may have millions. */
const KEPT_CHARS = 16_000_000;

/** @param isWatched pictures of such runs are never forgotten */
export function createRunPictures(isWatched: (runId: string) => boolean): RunPictures {
  const kept = new Map<string, Run>();
  const complete = new Set<string>();
  const changes = new Map<string, number>();
  let chars = 0;

  function drop(runId: string): void {
    chars -= kept.get(runId)?.result?.length ?? 0;
    kept.delete(runId);
  }

  return {
    get: (runId) => kept.get(runId),
    keep(run) {
      drop(run.runId);
      kept.set(run.runId, run);
      chars += run.result?.length ?? 0;
      for (const runId of kept.keys()) {
        if (kept.size <= KEPT_RUNS && chars <= KEPT_CHARS) return;
        if (isWatched(runId) || runId === run.runId) continue;
        drop(runId);
        complete.delete(runId);
        changes.delete(runId);
      }
    },
    changedAt: (runId) => changes.get(runId),
    noteChange: (runId, at) => void changes.set(runId, at),
    markComplete: (runId) => void complete.add(runId),
    isComplete: (runId) => complete.has(runId),
    doubtAll: () => complete.clear(),
  };
}
