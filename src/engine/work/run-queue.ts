/** What the queue has to know of a run. */
export interface QueuedRun {
  readonly runId: string;
  readonly sessionId: string;
}

/** A run that has begun: the slot that it holds, gives up while it waits for a person, and takes again. */
export interface RunSlot {
  /** Gives the slot to whoever is next. */
  giveUp(): void;
  /** Asks for a slot; called back when there is one, at once where one is free. */
  regain(onSlot: () => void): void;
}

/** The queue at one moment. */
export interface QueueState {
  /** Runs that hold a slot. */
  readonly busy: readonly string[];
  /** Runs that have begun and hold none; those of them that ask for one are in `next` as well. */
  readonly idle: readonly string[];
  /** Runs that wait for a slot, in the order in which they will get one, as far as that can be told. */
  readonly next: readonly { readonly runId: string; readonly begun: boolean; readonly sessionId: string }[];
  /** No run begins, though a slot is free: as many agents are alive as may be. */
  readonly full: boolean;
  /** The run of the session that has begun. */
  readonly bySession: ReadonlyMap<string, string>;
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
  state(): QueueState;
  /** Begins nothing any more. */
  close(): void;
}

interface BegunRun extends QueuedRun {
  hasSlot: boolean;
  /** It asks for a slot. */
  onSlot?: (() => void) | undefined;
}

/** So many agents at least may be alive beyond the slots, waiting for a person; each takes 150 to 300 MB. */
const MIN_IDLE = 4;

/** How many agents may be alive: as many again as there are slots may wait for a person, and at least four. */
function mostAlive(concurrency: number): number {
  return concurrency + Math.max(MIN_IDLE, concurrency);
}

/**
 * The queue of runs that wait for a free slot. Runs that have begun and gave theirs up come before all others, in the
 * order in which they ask. Runs of one session go one after another, since they share a folder; among sessions the one
 * whose last run began longest ago comes first, so that a session with many runs does not keep the others out.
 */
export function createRunQueue(options: {
  /** Slots: runs that are at work at once. Read whenever one may begin. */
  concurrency: number;
  /** Carries a run out; the run is over, and its slot free, when it resolves. */
  begin: (runId: string, slot: RunSlot) => Promise<void>;
  /** Whether a run may begin here and now, beside what the queue knows itself; true unless told. */
  mayBegin?: ((run: QueuedRun) => boolean) | undefined;
  /** Called when it has changed who works or waits. */
  onChange?: () => void;
}): RunQueue {
  const { mayBegin = () => true, onChange = () => {} } = options;
  const queue: QueuedRun[] = [];
  /** Runs that have begun, by their sessions. */
  const begun = new Map<string, BegunRun>();
  /** Those of them that ask for a slot, in the order in which they did. */
  const asking: BegunRun[] = [];
  /** One entry for each holder. */
  const held: string[] = [];
  /** When a session last began a run, counted in starts. */
  const lastBegun = new Map<string, number>();
  let starts = 0;
  let closed = false;
  let known: QueueState | undefined;

  const used = () => [...begun.values()].filter(({ hasSlot }) => hasSlot).length;
  const isFull = () => begun.size >= mostAlive(options.concurrency);

  function changed(): void {
    known = undefined;
    onChange();
  }

  /** The run that begins next, of those that may. */
  function choose(
    from: readonly QueuedRun[],
    lastOf: (sessionId: string) => number,
    isBlocked: (run: QueuedRun) => boolean,
  ): QueuedRun | undefined {
    let next: QueuedRun | undefined;
    for (const run of from) {
      if (isBlocked(run)) continue;
      if (!next || lastOf(run.sessionId) < lastOf(next.sessionId)) next = run;
    }
    return next;
  }

  const lastOf = (sessionId: string) => lastBegun.get(sessionId) ?? 0;

  function fillSlots(): void {
    while (!closed && used() < options.concurrency) {
      const first = asking.shift();
      if (first) {
        grant(first);
        continue;
      }
      if (isFull()) return;
      const next = choose(
        queue,
        lastOf,
        (run) => begun.has(run.sessionId) || held.includes(run.sessionId) || !mayBegin(run),
      );
      if (!next) return;
      begin(next);
    }
  }

  function grant(run: BegunRun): void {
    run.hasSlot = true;
    run.onSlot?.();
    run.onSlot = undefined;
    changed();
  }

  function begin(run: QueuedRun): void {
    queue.splice(queue.indexOf(run), 1);
    const one: BegunRun = { ...run, hasSlot: true };
    begun.set(run.sessionId, one);
    lastBegun.set(run.sessionId, ++starts);
    void options.begin(run.runId, slotOf(one)).finally(() => {
      begun.delete(run.sessionId);
      stopAsking(one);
      if (!queue.some((other) => other.sessionId === run.sessionId)) lastBegun.delete(run.sessionId);
      fillSlots();
      changed();
    });
    changed();
  }

  function stopAsking(run: BegunRun): void {
    const index = asking.indexOf(run);
    if (index >= 0) asking.splice(index, 1);
  }

  function slotOf(run: BegunRun): RunSlot {
    const isOver = () => begun.get(run.sessionId) !== run;
    return {
      giveUp() {
        if (isOver() || !run.hasSlot) return;
        run.hasSlot = false;
        fillSlots();
        changed();
      },
      regain(onSlot) {
        if (isOver() || run.hasSlot || run.onSlot) return;
        run.onSlot = onSlot;
        asking.push(run);
        fillSlots();
        changed();
      },
    };
  }

  /** As if one slot after another became free, and no other run came. */
  function listNext(): QueueState["next"] {
    const next = asking.map(({ runId, sessionId }) => ({ runId, sessionId, begun: true }));
    const rest = [...queue];
    const last = new Map(lastBegun);
    for (let count = starts; rest.length > 0; ) {
      const run = choose(
        rest,
        (sessionId) => last.get(sessionId) ?? 0,
        () => false,
      ) as QueuedRun;
      rest.splice(rest.indexOf(run), 1);
      last.set(run.sessionId, ++count);
      next.push({ runId: run.runId, sessionId: run.sessionId, begun: false });
    }
    return next;
  }

  return {
    add(run) {
      queue.push(run);
      fillSlots();
      changed();
    },
    remove(runId) {
      const index = queue.findIndex((run) => run.runId === runId);
      if (index < 0) return;
      queue.splice(index, 1);
      changed();
    },
    hold(sessionId) {
      held.push(sessionId);
      return () => {
        held.splice(held.indexOf(sessionId), 1);
        fillSlots();
      };
    },
    look() {
      fillSlots();
      changed();
    },
    waiting: () => queue.length,
    state() {
      const runs = [...begun.values()];
      known ??= {
        busy: runs.filter(({ hasSlot }) => hasSlot).map(({ runId }) => runId),
        idle: runs.filter(({ hasSlot }) => !hasSlot).map(({ runId }) => runId),
        next: listNext(),
        full: used() < options.concurrency && isFull(),
        bySession: new Map(runs.map(({ sessionId, runId }) => [sessionId, runId])),
      };
      return known;
    },
    close() {
      closed = true;
    },
  };
}
