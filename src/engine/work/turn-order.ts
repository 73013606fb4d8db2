import type { EngineRun } from "../runs/run.js";

/** What the queue has to know of a run. */
export interface QueuedRun {
  readonly runId: string;
  readonly sessionId: string;
  /** On whose behalf it was started; all that say nothing are of one. */
  readonly caller?: string | undefined;
}

/** What the queue knows of it. */
export function toQueued({ runId, sessionId, request }: EngineRun): QueuedRun {
  return { runId, sessionId, caller: request.userId };
}

/** How a TurnOrder stands at a moment. */
export interface Standing {
  /** Runs that go on, by caller. */
  countOf(caller: string): number;
  /** When a caller's and a session's last run began, counted in turns; 0 for never. */
  lastOfCaller(caller: string): number;
  lastOfSession(sessionId: string): number;
  turns: number;
}

/**
 * Whose turn it is. Among callers it is the one with the fewest runs that go on, and of two with as many the one whose
 * last run began longest ago; of one caller's sessions the one whose last run began longest ago; of one session's runs
 * the one that was started first.
 */
export interface TurnOrder {
  /** The run goes on from now on, here or at another worker. */
  begun(run: QueuedRun): void;
  /**
   * It does not go on any more.
   * @param waiting the runs that wait: of callers and sessions without any nothing is remembered
   */
  ended(runId: string, waiting: readonly QueuedRun[]): void;
  /** The first of the runs, in the order of their starts, that is not blocked. */
  first(waiting: readonly QueuedRun[], isBlocked: (run: QueuedRun) => boolean): QueuedRun | undefined;
  /** Runs that go on, in the order in which they began. */
  goingOn(): readonly QueuedRun[];
  /** How it stands, to look ahead from. */
  standing(): Standing;
}

interface Known {
  goingOn: Map<string, QueuedRun>;
  /** Runs that go on, by caller. */
  counts: Map<string, number>;
  /** When a caller's and a session's last run began, counted in turns. */
  lastOfCaller: Map<string, number>;
  lastOfSession: Map<string, number>;
  turns: number;
}

const callerOf = ({ caller }: QueuedRun) => caller ?? "";

export function createTurnOrder(): TurnOrder {
  const known = emptyOrder();
  const { goingOn, counts, lastOfCaller, lastOfSession } = known;

  function count(run: QueuedRun, by: 1 | -1): void {
    const caller = callerOf(run);
    const sum = (counts.get(caller) ?? 0) + by;
    if (sum > 0) counts.set(caller, sum);
    else counts.delete(caller);
  }

  function isBefore(one: QueuedRun, other: QueuedRun): boolean {
    const difference =
      (counts.get(callerOf(one)) ?? 0) - (counts.get(callerOf(other)) ?? 0) ||
      (lastOfCaller.get(callerOf(one)) ?? 0) - (lastOfCaller.get(callerOf(other)) ?? 0) ||
      (lastOfSession.get(one.sessionId) ?? 0) - (lastOfSession.get(other.sessionId) ?? 0);
    return difference < 0;
  }

  return {
    begun(run) {
      if (goingOn.has(run.runId)) return;
      goingOn.set(run.runId, run);
      count(run, 1);
      known.turns++;
      lastOfCaller.set(callerOf(run), known.turns);
      lastOfSession.set(run.sessionId, known.turns);
    },
    ended(runId, waiting) {
      const run = goingOn.get(runId);
      if (!run) return;
      goingOn.delete(runId);
      count(run, -1);
      const { sessionId } = run;
      if (!waiting.some((one) => one.sessionId === sessionId)) lastOfSession.delete(sessionId);
      const caller = callerOf(run);
      if (counts.has(caller) || waiting.some((one) => callerOf(one) === caller)) return;
      lastOfCaller.delete(caller);
    },
    first(waiting, isBlocked) {
      let next: QueuedRun | undefined;
      for (const run of waiting) if (!isBlocked(run) && (!next || isBefore(run, next))) next = run;
      return next;
    },
    goingOn: () => [...goingOn.values()],
    standing: () => ({
      countOf: (caller) => counts.get(caller) ?? 0,
      lastOfCaller: (caller) => lastOfCaller.get(caller) ?? 0,
      lastOfSession: (sessionId) => lastOfSession.get(sessionId) ?? 0,
      turns: known.turns,
    }),
  };
}

function emptyOrder(): Known {
  return {
    goingOn: new Map(),
    counts: new Map(),
    lastOfCaller: new Map(),
    lastOfSession: new Map(),
    turns: 0,
  };
}
