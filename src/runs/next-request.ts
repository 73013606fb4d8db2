import type { WatchedRun } from "./watched-run.js";

/** The pause after a change, in ms: turns take seconds, and a change is often followed by the next. */
const FAST_MS = 400;
/** The pause grows by this share of the time without a change, with somebody waiting and without. */
const QUIET_SHARE = { waitedFor: 0.15, background: 0.5 };
/** The longest pause while a server that shows session ids only now and then has not shown one yet, in ms. */
const SESSION_ID_PAUSE_MS = 1_000;
/** How far a run is asked for ahead of others that are due, in ms: so far, and not always, that none waits for ever. */
const HEAD_START_MS = { missing: 600_000, changed: 300_000, new: 60_000, none: 0, waitedFor: 30_000 };

/**
 * Which run is asked for next.
 * @param now as all times here, in ms of the monotonic clock
 * @returns of those that are due the most urgent one, else the one that is due first, and when it is due; undefined
 * when none is asked for, however long one waits
 */
export function findNextRun(
  watched: Iterable<WatchedRun>,
  now: number,
): { one: WatchedRun; due: number } | undefined {
  let next: { one: WatchedRun; due: number } | undefined;
  let first = Number.POSITIVE_INFINITY;
  for (const one of watched) {
    const due = dueAt(one);
    // The rank of what is due is never later than now, and so before all that is not.
    const rank = due <= now ? due - headStartMs(one) : due;
    if (rank >= first) continue;
    first = rank;
    next = { one, due };
  }
  return next;
}

function headStartMs({ urgency, isWaitedFor }: WatchedRun): number {
  return HEAD_START_MS[urgency?.why ?? "none"] + (isWaitedFor ? HEAD_START_MS.waitedFor : 0);
}

/** When a run is asked for next; infinite when it is not. Nothing else decides that. */
function dueAt(one: WatchedRun): number {
  if (one.isAsking || one.isDone) return Number.POSITIVE_INFINITY;
  if (one.urgency) return one.urgency.since;
  if (one.isPushed) return Math.max(one.changedAt, one.askedAt) + one.ways.stallAfterMs;
  return one.askedAt + pauseMs(one);
}

function pauseMs({ run, ways, listed, isWaitedFor, isFailing, toldStall, askedAt, eagerSince }: WatchedRun) {
  // Of a run that nobody waits for, only the end matters.
  const isListed = listed === "turns" || (listed === "running" && !isWaitedFor);
  if (isListed && ways.isListRead && !run.sessionHidden) return ways.pollingIntervalMs;
  const share = QUIET_SHARE[isWaitedFor && !isFailing ? "waitedFor" : "background"];
  const pause = FAST_MS + Math.max(0, askedAt - eagerSince) * share;
  const longest = run.sessionHidden && !toldStall ? SESSION_ID_PAUSE_MS : ways.pollingIntervalMs;
  return Math.min(pause, longest, ways.pollingIntervalMs);
}
