import type { EngineRun } from "./types.js";

export interface RunLine {
  add(run: EngineRun): void;
  remove(runId: string): void;
  /** Begins no run of the session until the answer is called: something is done to its folder. */
  hold(sessionId: string): () => void;
  /** Runs that have not begun. */
  waiting(): number;
  /** Begins nothing any more. */
  close(): void;
}

/**
 * The line of runs that wait for a free place. Runs of one session go one after another, since they share a folder;
 * among sessions the one that has waited longest for a turn comes first, so that a session with many runs does not
 * keep the others out.
 */
export function createRunLine(options: {
  concurrency: number;
  /** Carries a run out; the place is free again when it resolves. */
  begin: (run: EngineRun) => Promise<void>;
}): RunLine {
  const line: EngineRun[] = [];
  const busySessions = new Set<string>();
  /** One entry for each holder. */
  const held: string[] = [];
  /** When a session last began a run, counted in starts. */
  const lastBegun = new Map<string, number>();
  let starts = 0;
  let closed = false;

  function next(): void {
    while (!closed && busySessions.size < options.concurrency) {
      let chosen: EngineRun | undefined;
      for (const run of line) {
        if (busySessions.has(run.sessionId) || held.includes(run.sessionId)) continue;
        const turn = lastBegun.get(run.sessionId) ?? 0;
        if (!chosen || turn < (lastBegun.get(chosen.sessionId) ?? 0)) chosen = run;
      }
      if (!chosen) return;
      begin(chosen);
    }
  }

  function begin(run: EngineRun): void {
    line.splice(line.indexOf(run), 1);
    busySessions.add(run.sessionId);
    lastBegun.set(run.sessionId, ++starts);
    void options.begin(run).finally(() => {
      busySessions.delete(run.sessionId);
      if (!line.some((one) => one.sessionId === run.sessionId)) lastBegun.delete(run.sessionId);
      next();
    });
  }

  return {
    add(run) {
      line.push(run);
      next();
    },
    remove(runId) {
      const index = line.findIndex((run) => run.runId === runId);
      if (index >= 0) line.splice(index, 1);
    },
    hold(sessionId) {
      held.push(sessionId);
      return () => {
        held.splice(held.indexOf(sessionId), 1);
        next();
      };
    },
    waiting: () => line.length,
    close() {
      closed = true;
    },
  };
}
