import type { QueuedRun, Standing } from "./turn-order.js";

interface Waiting {
  run: QueuedRun;
  /** Its place among the runs that wait. */
  at: number;
}

interface Session {
  last: number;
  runs: Waiting[];
  taken: number;
}

/** A caller with runs that wait. */
interface Lane {
  count: number;
  last: number;
  /** Whose turn is next first: one that has had its turn goes behind all others. */
  sessions: Session[];
  taken: number;
}

const callerOf = ({ caller }: QueuedRun) => caller ?? "";

/** The turns of the runs that wait, one after another. */
export interface TurnPlan {
  /** A run that went on has ended. */
  ended(caller: string | undefined): void;
  /** Whose turn is next, which goes on from now on; undefined when none is left. */
  next(): QueuedRun | undefined;
}

/**
 * Plans the turns as TurnOrder gives them, for all that wait at once: in time that grows with their number, not with its
 * square, since a change in the queue moves all of them. Of a session of several callers each counts for itself.
 * @param waiting in the order of their starts
 */
export function planTurns(waiting: readonly QueuedRun[], standing: Standing): TurnPlan {
  let { turns } = standing;
  const lanes = new Map<string, Lane>();
  /** Callers with runs that wait, by how many of theirs go on, whose turn is next first. */
  const byCount: Lane[][] = [];

  function collect(): void {
    const sessions = new Map<string, Session>();
    for (const [at, run] of waiting.entries()) {
      const caller = callerOf(run);
      const key = JSON.stringify([caller, run.sessionId]);
      const known = sessions.get(key);
      if (known) {
        known.runs.push({ run, at });
        continue;
      }
      const session = { last: standing.lastOfSession(run.sessionId), runs: [{ run, at }], taken: 0 };
      sessions.set(key, session);
      const lane = lanes.get(caller);
      if (lane) lane.sessions.push(session);
      else {
        const [count, last] = [standing.countOf(caller), standing.lastOfCaller(caller)];
        lanes.set(caller, { count, last, sessions: [session], taken: 0 });
      }
    }
    for (const lane of lanes.values())
      lane.sessions.sort((a, b) => a.last - b.last || firstOf(a) - firstOf(b));
    for (const lane of lanes.values()) bucketOf(lane).push(lane);
    for (const bucket of byCount) bucket?.sort(compare);
  }

  function bucketOf({ count }: Lane): Lane[] {
    byCount[count] ??= [];
    return byCount[count];
  }

  /** Where it is, or belongs: no two are equal. */
  function placeOf(lane: Lane, bucket: readonly Lane[]): number {
    let [low, high] = [0, bucket.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(bucket[middle] as Lane, lane) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function move(lane: Lane, change: () => void): void {
    const from = bucketOf(lane);
    from.splice(placeOf(lane, from), 1);
    change();
    if (lane.taken === lane.sessions.length) return;
    const to = bucketOf(lane);
    to.splice(placeOf(lane, to), 0, lane);
  }

  collect();
  return {
    ended(caller) {
      const lane = lanes.get(caller ?? "");
      if (!lane || lane.count === 0 || lane.taken === lane.sessions.length) return;
      move(lane, () => {
        lane.count--;
      });
    },
    next() {
      const lane = byCount.find((bucket) => bucket !== undefined && bucket.length > 0)?.[0];
      const session = lane?.sessions[lane.taken];
      const found = session?.runs[session.taken];
      if (!lane || !session || !found) return undefined;
      move(lane, () => {
        turns++;
        lane.count++;
        lane.last = turns;
        lane.taken++;
        session.last = turns;
        session.taken++;
        if (session.taken < session.runs.length) lane.sessions.push(session);
      });
      return found.run;
    },
  };
}

function firstOf({ runs, taken }: Session): number {
  return runs[taken]?.at ?? Number.POSITIVE_INFINITY;
}

function compare(one: Lane, other: Lane): number {
  const [a, b] = [one.sessions[one.taken], other.sessions[other.taken]];
  if (!a || !b) return 0;
  return one.last - other.last || a.last - b.last || firstOf(a) - firstOf(b);
}
