import type { WorkflowsApi } from "../api/client.js";
import { ApiError } from "../api/errors.js";
import { isFinal, openQuestions, type Run } from "../api/types.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { mergeRun } from "./merge-run.js";
import { createPollQueue, type PollJob } from "./poll-queue.js";
import type { Push } from "./push.js";
import { createRequestBudget } from "./request-budget.js";
import { createRunPictures } from "./run-cache.js";
import { changesBetween, type RunChange } from "./run-changes.js";
import { createRunSweep, type SweptRun } from "./running-list-poller.js";

/** What the feed tells about a run. `run` is the newest picture of it. */
export type RunEvent =
  | { type: RunChange; run: Run }
  /** The status is final. A killed run may still come back on a server that does not stop what it kills. */
  | { type: "finished"; run: Run }
  /** Nothing has changed for `quietMs`. Said once for each quiet stretch. */
  | { type: "stalled"; run: Run; quietMs: number }
  /** The API did not answer; the feed goes on trying. */
  | { type: "unreachable"; run: Run; error: ApiError }
  /** The API does not know the run (any more); the feed has given up on it. */
  | { type: "lost"; run: Run; error: ApiError };

export interface Watch {
  /** The newest picture of the run. */
  latest(): Run;
  stop(): void;
}

export interface RunFeed {
  /**
   * Watches a run until stopped: the first look happens at once, and any number of watchers cost one poll.
   * @param seed what is known so far, at least the run's id
   * @param how.background nobody waits for the run: those that somebody waits for come first
   */
  watch(seed: Run, listener: (event: RunEvent) => void, how?: { background?: boolean }): Watch;
  /** The newest picture of a run that was watched not long ago. */
  latest(runId: string): Run | undefined;
  /** How long a run that was watched has stood still, in ms, once that is long enough to be called stalled. */
  stalledFor(runId: string): number | undefined;
  /** Every change of every watched run, for whoever keeps records. The answer takes the listener off. */
  onEvent(listener: (event: RunEvent) => void): () => void;
  close(): void;
}

/** The pause after a change, in ms: turns take seconds, and a change is often followed by the next. */
const FAST_MS = 400;
/** How much longer each pause gets while nothing happens, with somebody waiting and without. */
const SLOWING = { waitedFor: 1.15, background: 1.5 };
/** The longest pause while a server that hides session ids has not shown one yet, in ms: it shows it for moments. */
const SEEKING_MS = 1_000;
/** A start may be answered before the run can be read, so one "not found" is not believed. */
const NOT_FOUND_LIMIT = 4;
/** A killed run is looked at for this much longer, in ms: the public server lets it go on and complete. */
const KILLED_WATCH_MS = 60_000;
/** News of a run that was just started are there within this time, in ms, or it is looked at. */
const FIRST_NEWS_MS = 1_000;
/** Why a run is looked at next, and how far ahead of others that puts it, in ms. */
const HEAD_START_MS = { ended: 600_000, changed: 300_000, begun: 60_000, due: 0 };
/** Of the runs that have changed, as many wait for a look as can be had in this share of a second. */
const LOOKED_AT_SHARE = 0.25;
/** A run that the list leaves out so often in a row is not looked for in it any more. */
const SLIPS_BELIEVED = 3;
/** How far a run that nobody waits for comes behind those that somebody waits for, in ms. */
const UNWAITED_MS = 30_000;

interface Watchers {
  listeners: Set<(event: RunEvent) => void>;
  /** How many of them have somebody waiting behind them. */
  waiting: number;
}

interface Feed extends PollJob, SweptRun {
  run: Run;
  watchers: Watchers;
  intervalMs: number;
  /** The look that is going on may be older than what speaks for another one. */
  again: boolean;
  /** Why it is looked at next. */
  reason: keyof typeof HEAD_START_MS;
  /** How often in a row the list has not shown it although it goes on. */
  slips: number;
  /** The list of runs shows its turns as they come. */
  rowTurns: boolean;
  changedAt: number;
  /** The last look failed. */
  failing: boolean;
  stalled: boolean;
  finished: string | undefined;
  misses: number;
  over: boolean;
}

/**
 * Watches runs: by listening where the API pushes its news, else by polling, as the only poller of the process. Where
 * several go on, the list of running runs is read instead of each of them, and a run is looked at when the list shows
 * that it has changed or is no longer there. A run that is pushed is still looked at once when nothing has come for
 * as long as it takes to call it stalled.
 */
export function createRunFeed(options: {
  api: Pick<WorkflowsApi, "getRun" | "listRuns">;
  clock: Clock;
  log: Log;
  /** The slowest pause between two looks at a run, in ms. */
  pollingIntervalMs: number;
  /** What all of the polling may take, in requests a second. */
  perSecond: number;
  /** After this long without any change a run is reported as stalled, in ms. */
  stallAfterMs: number;
  /** News that the API sends by itself. */
  push?: Pick<Push, "live" | "onRun" | "onChange">;
}): RunFeed {
  const { api, clock, log, pollingIntervalMs, perSecond, stallAfterMs, push } = options;
  const fastMs = Math.min(FAST_MS, pollingIntervalMs);
  const feeds = new Map<string, Feed>();
  const pictures = createRunPictures((runId) => feeds.has(runId));
  /** How often something may have been missed. */
  let gaps = 0;
  const recorders = new Set<(event: RunEvent) => void>();
  const closing = new AbortController();
  const sweep = createRunSweep<Feed>({
    api,
    clock,
    perSecond,
    signal: closing.signal,
    runs: () => feeds,
    onRow: takeRow,
    onGone: (feed) => lookSoon(feed, "ended"),
    onFailure(error) {
      log.debug(`The list of running runs could not be read: ${error.message}`);
      obey(error);
      hurry();
    },
  });
  const queue = createPollQueue({
    clock,
    budget: createRequestBudget({ clock, perSecond }),
    eachJob(visit) {
      visit(sweep);
      feeds.forEach((feed) => {
        if (!feed.over) visit(feed);
      });
    },
    onJump(byMs) {
      const now = clock.now();
      if (byMs < 0) sweep.dueAt = now;
      for (const feed of feeds.values()) {
        if (byMs < 0) feed.dueAt += byMs;
        // Time that has not passed here is no silence of the run. Set back, rather too late than too early: what lies
        // in the past may have been seen by the new time already.
        feed.changedAt = Math.min(feed.changedAt + Math.max(0, byMs), now);
      }
    },
  });
  const stopPush = push?.onRun((run) => {
    pictures.markComplete(run.runId);
    const feed = feeds.get(run.runId);
    if (!feed || feed.over) {
      // The news of a start may come before its answer, and so before anybody watches.
      pictures.keep(mergeRun(pictures.get(run.runId) ?? run, run));
      return;
    }
    take(feed, run);
    plan(feed);
    // A look that falls due later than it was need not be told at once.
    if (!isTold(run.runId)) queue.wake();
  });
  const stopPushState = push?.onChange(({ live, gap }) => {
    // Whatever was missed is asked for once; a stream that stands without a gap has told everything.
    const complete = live && !gap;
    if (!complete) gaps++;
    if (gap) pictures.doubtAll();
    for (const feed of feeds.values()) {
      feed.intervalMs = fastMs;
      if (complete) plan(feed);
      else feed.dueAt = clock.now();
    }
    queue.wake();
  });

  function emit(feed: Feed, event: RunEvent): void {
    for (const listener of [...feed.watchers.listeners, ...recorders]) {
      try {
        listener(event);
      } catch (error) {
        log.error(`A listener of run ${feed.run.runId} failed: ${(error as Error).message}`);
      }
    }
  }

  /** The API tells every change of the run by itself. */
  const isTold = (runId: string) => push?.live() === true && pictures.isComplete(runId);
  const isWaitedFor = (feed: Feed) => feed.watchers.waiting > 0;

  /** Sets when the run is looked at next if nothing comes in between. */
  function plan(feed: Feed): void {
    feed.reason = "due";
    feed.dueAt = clock.now() + pauseOf(feed);
  }

  function pauseOf(feed: Feed): number {
    // Whoever has come since the end was told waits to be told as well.
    const owesEnd = isFinal(feed.run.status) && feed.finished === undefined;
    if (isTold(feed.run.runId) && !owesEnd) return stallAfterMs;
    // The list tells when there is something to see; for a run that nobody waits for, its end is all there is.
    const known = feed.listed && sweep.works() && (feed.rowTurns || !isWaitedFor(feed));
    return known && !feed.run.sessionHidden ? pollingIntervalMs : feed.intervalMs;
  }

  function lookSoon(feed: Feed, reason: Feed["reason"]): void {
    feed.again = feed.busy;
    feed.reason = reason;
    feed.dueAt = Math.min(feed.dueAt, clock.now());
  }

  /** Too few runs are left for the list, or it cannot be had: each is looked at by itself again. */
  function hurry(): void {
    if (sweep.works()) return;
    for (const feed of feeds.values()) {
      if (!feed.busy) feed.dueAt = Math.min(feed.dueAt, clock.now() + pauseOf(feed));
    }
  }

  /** An API that asks for fewer requests gets none for as long as it says. */
  function obey(error: ApiError): void {
    if (error.kind === "rate_limited") queue.hold(error.retryAfterMs ?? 0);
  }

  async function look(feed: Feed): Promise<void> {
    const gapsBefore = gaps;
    const seemsOver = feed.reason === "ended";
    feed.again = false;
    await poll(feed);
    if (feed.over || isFinal(feed.run.status)) hurry();
    // It had only slipped from one page to the next while the list was read, so it is still looked for there.
    else if (seemsOver && !feed.failing && ++feed.slips <= SLIPS_BELIEVED) feed.listed = true;
    if (feed.again) return;
    plan(feed);
    // What was asked before a gap may be older than it.
    if (gaps !== gapsBefore) feed.dueAt = clock.now();
  }

  async function poll(feed: Feed): Promise<void> {
    const { runId } = feed.run;
    const known = pictures.get(runId);
    const gapsBefore = gaps;
    try {
      // A poller is its own retry. Of however many, only one at a time asks whether an API that is down is back.
      const seen = await api.getRun(runId, { retries: 0, poller: true, signal: closing.signal });
      feed.misses = 0;
      if (feed.failing) emit(feed, { type: "activity", run: feed.run });
      feed.failing = false;
      // What came meanwhile is newer: by push, from the list, or to whoever has begun to watch the run anew.
      if (pictures.get(runId) === known) take(feed, seen);
      if (push?.live() && gaps === gapsBefore) pictures.markComplete(runId);
    } catch (thrown) {
      if (closing.signal.aborted) return;
      const error = toApiError(thrown);
      obey(error);
      feed.failing = true;
      feed.intervalMs = slower(feed, Math.max(feed.intervalMs, error.retryAfterMs ?? 0));
      if (error.kind === "not_found" && ++feed.misses >= NOT_FOUND_LIMIT) {
        feed.over = true;
        emit(feed, { type: "lost", run: feed.run, error });
        return;
      }
      emit(feed, { type: "unreachable", run: feed.run, error });
    }
    checkStall(feed);
  }

  /** A defect of ours: its text may hold anything, so it goes to the log. */
  function toApiError(thrown: unknown): ApiError {
    if (thrown instanceof ApiError) return thrown;
    log.error(`A look at a run failed: ${(thrown as Error).message}`);
    return new ApiError("unexpected", "The run could not be looked at. It goes on, and is looked at again.");
  }

  /** What the list says of a run: mostly a reason to look at it, and as much as is known when too many have changed. */
  function takeRow(feed: Feed, row: Run): void {
    const { turn = 0 } = feed.run;
    // A list that lags behind what the run itself has said tells nothing.
    feed.rowTurns = row.turn !== undefined && row.turn >= turn;
    feed.slips = 0;
    if (feed.busy || row.turn === undefined || row.turn <= turn) return;
    let waiting = 0;
    for (const one of feeds.values()) if (one.reason === "changed" && !one.busy) waiting++;
    if (isWaitedFor(feed) && waiting < perSecond * LOOKED_AT_SHARE) {
      lookSoon(feed, "changed");
      return;
    }
    take(feed, row);
  }

  function take(feed: Feed, seen: Run): void {
    const before = feed.run;
    const run = mergeRun(before, seen);
    feed.run = run;
    pictures.keep(run);
    const types = changesBetween(before, run);
    if (types.length > 0) {
      feed.changedAt = clock.now();
      pictures.noteChange(run.runId, feed.changedAt);
      feed.stalled = false;
      feed.intervalMs = fastMs;
    } else {
      feed.intervalMs = slower(feed, feed.intervalMs);
    }
    if (run.sessionHidden && !feed.stalled) feed.intervalMs = Math.min(feed.intervalMs, SEEKING_MS);
    for (const type of types) emit(feed, { type, run });
    if (isFinal(run.status)) {
      feed.over = run.status !== "killed" || clock.now() - feed.changedAt >= KILLED_WATCH_MS;
      if (feed.finished !== run.status) {
        feed.finished = run.status;
        emit(feed, { type: "finished", run });
      }
    }
  }

  function checkStall(feed: Feed): void {
    const quietMs = clock.now() - feed.changedAt;
    // Who waits for a person's answer stands still for a reason.
    const waits = openQuestions(feed.run).length > 0;
    if (feed.over || feed.stalled || waits || quietMs < stallAfterMs) return;
    feed.stalled = true;
    emit(feed, { type: "stalled", run: feed.run, quietMs });
  }

  function slower(feed: Feed, ms: number): number {
    const by = isWaitedFor(feed) && !feed.failing ? SLOWING.waitedFor : SLOWING.background;
    return Math.min(pollingIntervalMs, ms * by);
  }

  /** When a run that somebody begins to watch is looked at: at once, unless all of it is known or will be told. */
  function firstLook(feed: Feed, seed: Run): number {
    const now = clock.now();
    if (!push?.live() || isFinal(feed.run.status)) return now;
    if (pictures.isComplete(seed.runId)) return now + pauseOf(feed);
    return seed.status === "pending" ? now + FIRST_NEWS_MS : now;
  }

  function createFeed(seed: Run, watchers: Feed["watchers"]): Feed {
    const known = pictures.get(seed.runId);
    const feed: Feed = {
      run: known ? mergeRun(seed, known) : seed,
      watchers,
      intervalMs: fastMs,
      dueAt: Number.POSITIVE_INFINITY,
      get headStartMs() {
        return HEAD_START_MS[feed.reason] - (isWaitedFor(feed) ? 0 : UNWAITED_MS);
      },
      again: false,
      reason: "begun",
      busy: false,
      listed: false,
      slips: 0,
      rowTurns: false,
      // A pause in the watching makes no run livelier.
      changedAt: Math.min(clock.now(), pictures.changedAt(seed.runId) ?? clock.now()),
      failing: false,
      stalled: false,
      finished: undefined,
      misses: 0,
      over: false,
      swept: () => !feed.over && !isFinal(feed.run.status) && !isTold(seed.runId),
      send: () => look(feed),
    };
    return feed;
  }

  return {
    watch(seed, listener, { background = false } = {}) {
      let feed = feeds.get(seed.runId);
      if (!feed || feed.over) {
        feed = createFeed(seed, feed?.watchers ?? { listeners: new Set(), waiting: 0 });
        feeds.set(seed.runId, feed);
        pictures.noteChange(seed.runId, feed.changedAt);
        pictures.keep(feed.run);
      }
      const mine = feed;
      // Each watcher gets its own listener object, so that the same function may watch twice.
      const own = (event: RunEvent) => listener(event);
      const { watchers } = mine;
      watchers.listeners.add(own);
      if (!background) watchers.waiting++;
      // That it stands still was told once; whoever comes later is told as well.
      if (mine.stalled) {
        queueMicrotask(() => {
          const quietMs = clock.now() - mine.changedAt;
          if (mine.stalled && watchers.listeners.has(own)) own({ type: "stalled", run: mine.run, quietMs });
        });
      }
      // A killed run may be watched on after its end was told; whoever comes later is told as well.
      mine.finished = undefined;
      mine.intervalMs = fastMs;
      mine.dueAt = Math.min(mine.dueAt, firstLook(mine, seed));
      queue.wake();
      return {
        latest: () => pictures.get(seed.runId) ?? mine.run,
        stop() {
          if (!watchers.listeners.delete(own)) return;
          if (!background) watchers.waiting--;
          if (feeds.get(seed.runId)?.watchers !== watchers || watchers.listeners.size > 0) return;
          feeds.delete(seed.runId);
          hurry();
          queue.wake();
        },
      };
    },
    latest: (runId) => pictures.get(runId),
    stalledFor(runId) {
      const since = pictures.changedAt(runId);
      const quietMs = since === undefined ? 0 : clock.now() - since;
      return quietMs >= stallAfterMs ? quietMs : undefined;
    },
    onEvent(listener) {
      recorders.add(listener);
      return () => recorders.delete(listener);
    },
    close() {
      closing.abort();
      queue.close();
      stopPush?.();
      stopPushState?.();
      feeds.clear();
      recorders.clear();
    },
  };
}
