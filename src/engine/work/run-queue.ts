import { createTurnOrder, type QueuedRun } from "./turn-order.js";
import { planTurns } from "./turn-plan.js";

/** A run that has begun: the slot that it holds, gives up while it waits for a person, and takes again. */
export interface RunSlot {
  /** Gives the slot to whoever is next. */
  giveUp(): void;
  /** Asks for a slot; called back when there is one, at once where one is free. */
  regain(onSlot: () => void): void;
}

/** A run that waits for a slot. */
export interface WaitingRun {
  readonly runId: string;
  readonly sessionId: string;
  /** It has begun, and gave its slot up. */
  readonly begun: boolean;
  /** It does not begin though a slot is free: as many agents are alive as may be. */
  readonly full: boolean;
}

/** The queue at one moment. */
export interface QueueState {
  /** Runs that hold a slot. */
  readonly busy: readonly string[];
  /** Runs that have begun and hold none; those of them that ask for one are in `next` as well. */
  readonly idle: readonly string[];
  /** Runs that wait for a slot, in the order in which they will get one, as far as that can be told. */
  readonly next: readonly WaitingRun[];
  /** The run of the session that has begun. */
  readonly bySession: ReadonlyMap<string, string>;
}

/** Runs that wait for a free slot. */
export interface RunQueue {
  add(run: QueuedRun): void;
  remove(runId: string): void;
  /** Begins no run of the session until the answer is called: something is done to its folder. */
  hold(sessionId: string): () => void;
  /** Another worker has begun the run: it counts when it is decided whose turn it is. */
  begunElsewhere(run: QueuedRun): void;
  /** The run goes on nowhere any more; nothing for one that this queue has begun. */
  endedElsewhere(runId: string): void;
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
 * order in which they ask. Runs of one session go one after another, since they share a folder. Among callers, and then
 * among sessions, it goes in turns (turn-order.ts), so that one with many runs does not keep the others out; nor do
 * agents of one caller that wait for a person, since they leave the last place for an agent to others.
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
  const order = createTurnOrder();
  /** Runs that other workers have begun. */
  const elsewhere = new Set<string>();
  let closed = false;
  let known: QueueState | undefined;

  const used = () => [...begun.values()].filter(({ hasSlot }) => hasSlot).length;

  /** As many agents are alive as may be for the run's caller. */
  function isFull({ caller }: QueuedRun): boolean {
    const left = mostAlive(options.concurrency) - begun.size;
    if (left !== 1 || caller === undefined) return left <= 0;
    return [...begun.values()].some((one) => one.caller === caller);
  }

  function isBlocked(run: QueuedRun): boolean {
    return begun.has(run.sessionId) || held.includes(run.sessionId) || isFull(run) || !mayBegin(run);
  }

  function changed(): void {
    known = undefined;
    onChange();
  }

  function fillSlots(): void {
    while (!closed && used() < options.concurrency) {
      const first = asking.shift();
      if (first) {
        grant(first);
        continue;
      }
      const next = order.first(queue, isBlocked);
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
    order.begun(run);
    void options.begin(run.runId, slotOf(one)).finally(() => {
      begun.delete(run.sessionId);
      stopAsking(one);
      // Another worker has it, as it turned out: there it goes on.
      if (!elsewhere.has(run.runId)) order.ended(run.runId, queue);
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

  /** As if the runs ended in the order in which they got their slots, one after another, and no other run came. */
  function listNext(): QueueState["next"] {
    const ahead = planTurns(queue, order.standing());
    const holders: QueuedRun[] = order
      .goingOn()
      .filter(({ sessionId, runId }) => elsewhere.has(runId) || begun.get(sessionId)?.hasSlot);
    const endFirst = () => {
      const first = holders.shift();
      if (first) ahead.ended(first.caller);
    };
    const isFree = used() < options.concurrency;
    const next: WaitingRun[] = [];
    for (const run of asking) {
      endFirst();
      holders.push(run);
      next.push({ runId: run.runId, sessionId: run.sessionId, begun: true, full: false });
    }
    for (;;) {
      endFirst();
      const run = ahead.next();
      if (!run) return next;
      holders.push(run);
      next.push({ runId: run.runId, sessionId: run.sessionId, begun: false, full: isFree && isFull(run) });
    }
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
    begunElsewhere(run) {
      elsewhere.add(run.runId);
      order.begun(run);
      changed();
    },
    endedElsewhere(runId) {
      if (!elsewhere.delete(runId)) return;
      order.ended(runId, queue);
      changed();
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
        bySession: new Map(runs.map(({ sessionId, runId }) => [sessionId, runId])),
      };
      return known;
    },
    close() {
      closed = true;
    },
  };
}
