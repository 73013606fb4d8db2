/** What the queue has to know of a run. */
export interface QueuedRun {
  readonly runId: string;
  readonly sessionId: string;
}

/** Runs that wait for a free slot. */
export interface RunQueue {
  add(run: QueuedRun): void;
  remove(runId: string): void;
  /** Begins no run of the session until the answer is called: something is done to its folder. */
  hold(sessionId: string): () => void;
  /** Begins what a limit that was raised leaves room for. */
  look(): void;
  /** How many runs have not begun. */
  waiting(): number;
  /** Begins nothing any more. */
  close(): void;
}

/**
 * The queue of runs that wait for a free slot. Runs of one session go one after another, since they share a folder;
 * among sessions the one whose last run began longest ago comes first, so that a session with many runs does not keep
 * the others out.
 */
export function createRunQueue(options: {
  /** Slots: runs that go on at once. Read whenever one may begin. */
  concurrency: number;
  /** Carries a run out; the slot is free again when it resolves. */
  begin: (runId: string) => Promise<void>;
}): RunQueue {
  const queue: QueuedRun[] = [];
  const busySessions = new Set<string>();
  /** One entry for each holder. */
  const held: string[] = [];
  /** When a session last began a run, counted in starts. */
  const lastBegun = new Map<string, number>();
  let starts = 0;
  let closed = false;

  function fillSlots(): void {
    while (!closed && busySessions.size < options.concurrency) {
      let next: QueuedRun | undefined;
      for (const run of queue) {
        if (busySessions.has(run.sessionId) || held.includes(run.sessionId)) continue;
        const begun = lastBegun.get(run.sessionId) ?? 0;
        if (!next || begun < (lastBegun.get(next.sessionId) ?? 0)) next = run;
      }
      if (!next) return;
      begin(next);
    }
  }

  function begin(run: QueuedRun): void {
    queue.splice(queue.indexOf(run), 1);
    busySessions.add(run.sessionId);
    lastBegun.set(run.sessionId, ++starts);
    void options.begin(run.runId).finally(() => {
      busySessions.delete(run.sessionId);
      if (!queue.some((one) => one.sessionId === run.sessionId)) lastBegun.delete(run.sessionId);
      fillSlots();
    });
  }

  return {
    add(run) {
      queue.push(run);
      fillSlots();
    },
    remove(runId) {
      const index = queue.findIndex((run) => run.runId === runId);
      if (index >= 0) queue.splice(index, 1);
    },
    hold(sessionId) {
      held.push(sessionId);
      return () => {
        held.splice(held.indexOf(sessionId), 1);
        fillSlots();
      };
    },
    look: fillSlots,
    waiting: () => queue.length,
    close() {
      closed = true;
    },
  };
}
