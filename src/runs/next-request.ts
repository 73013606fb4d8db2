import { isPushed, isWaitedFor, type WatchedRun, type Ways } from "./watched-run.js";

/** The pause after a change, in ms: turns take seconds, and a change is often followed by the next. */
const FAST_MS = 400;
/** The pause grows by this share of the time without a change, with somebody waiting and without. */
const QUIET_SHARE = { waitedFor: 0.15, background: 0.5 };
/** The longest pause while a server that shows session ids only now and then has not shown one yet, in ms. */
const SESSION_ID_PAUSE_MS = 1_000;
/** How far a run is asked for ahead of others that are due, in ms. */
const HEAD_START_MS = { missing: 600_000, changed: 300_000, new: 60_000, none: 0, waitedFor: 30_000 };

/**
 * Which run is asked for next.
 * @param now as all times here, in ms of the monotonic clock
 * @returns of those that are due the most urgent one, else the one that is due first, and when it is due; undefined
 * when none is asked for, however long one waits
 */
export function findNextRun(
  watched: Iterable<WatchedRun>,
  ways: Ways,
  now: number,
): { one: WatchedRun; due: number } | undefined {
  let next: { one: WatchedRun; due: number } | undefined;
  let first = Number.POSITIVE_INFINITY;
  for (const one of watched) {
    const due = dueAt(one, ways);
    // The rank of what is due is never later than now, and so before all that is not.
    const rank = due <= now ? rankOf(one, due) : due;
    if (rank >= first) continue;
    first = rank;
    next = { one, due };
  }
  return next;
}

/** When a run is asked for next; infinite when it is not. Nothing else decides that. */
function dueAt(one: WatchedRun, ways: Ways): number {
  if (one.isAsking || one.isDone) return Number.POSITIVE_INFINITY;
  if (one.urgency) return one.urgency.since;
  if (isPushed(one, ways)) return Math.max(one.changedAt, one.askedAt) + ways.stallAfterMs;
  return one.askedAt + pauseAfter(one, ways);
}

function pauseAfter(one: WatchedRun, { isListRead, pollingIntervalMs }: Ways): number {
  const { sessionHidden } = one.run;
  // Of a run that nobody waits for, only the end matters.
  const isListed = one.listed === "turns" || (one.listed === "running" && !isWaitedFor(one));
  if (isListed && isListRead && !sessionHidden) return pollingIntervalMs;
  const share = QUIET_SHARE[isWaitedFor(one) && !one.isFailing ? "waitedFor" : "background"];
  const pause = FAST_MS + Math.max(0, one.askedAt - one.eagerSince) * share;
  const longest = sessionHidden && !one.toldStall ? SESSION_ID_PAUSE_MS : pollingIntervalMs;
  return Math.min(pause, longest, pollingIntervalMs);
}

/** In which order runs that are due are asked for: the smallest first, so that none waits for ever. */
function rankOf(one: WatchedRun, due: number): number {
  const waited = isWaitedFor(one) ? HEAD_START_MS.waitedFor : 0;
  return due - HEAD_START_MS[one.urgency?.why ?? "none"] - waited;
}
