import { isFinal, type Run } from "../api/types.js";
import type { RunEvent } from "./run-events.js";

/** All that is known here of a run. Times are those of the monotonic clock. */
export type WatchedRun = ReturnType<typeof createWatchedRun>;

export function createWatchedRun(run: Run, now: number) {
  return {
    /** The newest snapshot. */
    run,
    changedAt: now,
    watchers: new Set<{ listener: (event: RunEvent) => void; background: boolean }>(),
    watchedAt: now,
    /** When it was last asked for; undefined when that was before the newest watcher came. */
    askedAt: undefined as number | undefined,
    isAsking: false,
    /** Since when the list shows that there is something to ask for. */
    urgentSince: undefined as number | undefined,
    /** How many readings of the list in a row have left it out; infinite when it is not looked for there. */
    missed: Number.POSITIVE_INFINITY,
    /** The list shows its turns as they come. */
    hasRowTurns: false,
    /** The stream has told of it, and of every change since: the number of gaps by then. */
    pushedSince: undefined as number | undefined,
    failingSince: undefined as number | undefined,
    notFound: 0,
    toldStall: false,
    /** The final status that all watchers know. */
    toldEnd: undefined as string | undefined,
    /** Nothing more is asked for. */
    isDone: false,
  };
}

/** By which ways changes come at the moment, and the limits of asking, in ms. */
export interface Sources {
  isStreaming: boolean;
  /** How often something may have been missed of the stream. */
  gaps: number;
  listWorks(): boolean;
  /** The longest pause between two requests for a run. */
  pollingIntervalMs: number;
  /** After so long without a change a run counts as stalled. */
  stallAfterMs: number;
}

/** The pause after a change, in ms: turns take seconds, and a change is often followed by the next. */
const FAST_MS = 400;
/** The pause grows by this share of the time without a change, with somebody waiting and without. */
const QUIET_SHARE = { waitedFor: 0.15, background: 0.5 };
/** The longest pause while a server that shows session ids only now and then has not shown one yet, in ms. */
const SESSION_ID_PAUSE_MS = 1_000;
/** The first event of a run that was just started comes within this time, in ms, or the run is asked for. */
const FIRST_EVENT_MS = 1_000;
/** How far a run is asked for ahead of others that are due, in ms: by why, and later where nobody waits for it. */
const HEAD_START_MS = { missing: 600_000, changed: 300_000, new: 60_000, none: 0, background: -30_000 };

export function isWaitedFor({ watchers }: WatchedRun): boolean {
  for (const { background } of watchers) if (!background) return true;
  return false;
}

/** Whether every change of the run comes over the stream. */
export const isPushed = (one: WatchedRun, by: Sources) => by.isStreaming && one.pushedSince === by.gaps;

/** When a run is asked for next; infinite when it is not. Nothing else decides that. */
export function dueAt(one: WatchedRun, by: Sources): number {
  if (one.isAsking || one.isDone) return Number.POSITIVE_INFINITY;
  if (one.urgentSince !== undefined) return one.urgentSince;
  const owesEnd = isFinal(one.run.status) && one.toldEnd === undefined;
  if (isPushed(one, by) && !owesEnd) return Math.max(one.changedAt, one.askedAt ?? 0) + by.stallAfterMs;
  if (one.askedAt !== undefined) return one.askedAt + pauseAfter(one, one.askedAt, by);
  return one.watchedAt + (by.isStreaming && one.run.status === "pending" ? FIRST_EVENT_MS : 0);
}

function pauseAfter(one: WatchedRun, askedAt: number, by: Sources): number {
  const { sessionHidden } = one.run;
  // The list tells when there is something to see; of a run that nobody waits for, only the end matters.
  const isListed = one.missed < Number.POSITIVE_INFINITY && (one.hasRowTurns || !isWaitedFor(one));
  if (isListed && !sessionHidden && by.listWorks()) return by.pollingIntervalMs;
  const isPatient = one.failingSince !== undefined || !isWaitedFor(one);
  const quietMs = askedAt - (one.failingSince ?? Math.max(one.changedAt, one.watchedAt));
  const pause = FAST_MS + quietMs * QUIET_SHARE[isPatient ? "background" : "waitedFor"];
  return Math.min(
    pause,
    by.pollingIntervalMs,
    sessionHidden && !one.toldStall ? SESSION_ID_PAUSE_MS : Number.POSITIVE_INFINITY,
  );
}

/** In which order runs that are due are asked for: the smallest first, so that none waits for ever. */
export function rankOf(one: WatchedRun, due: number): number {
  const isUrgent = one.urgentSince !== undefined;
  const why = isUrgent
    ? one.missed > 0
      ? "missing"
      : "changed"
    : one.askedAt === undefined
      ? "new"
      : "none";
  return due - HEAD_START_MS[why] - (isWaitedFor(one) ? 0 : HEAD_START_MS.background);
}
