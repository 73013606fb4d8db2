import type { Clock } from "../clock.js";
import type { Log } from "../log.js";
import type { WorkflowsApi } from "../upstream/client.js";
import { ApiError } from "../upstream/errors.js";
import { isFinal, openQuestions, type Run } from "../upstream/types.js";
import { mergeRun } from "./merge-run.js";
import type { Push } from "./push.js";
import { createRunPictures } from "./run-pictures.js";

/** What the feed tells about a run. `run` is the newest picture of it. */
export type RunEvent =
  | { type: "turn" | "action" | "status" | "activity"; run: Run }
  /** The agent has asked something that nobody has answered yet. */
  | { type: "question"; run: Run }
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
   */
  watch(seed: Run, listener: (event: RunEvent) => void): Watch;
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
/** How much longer each pause gets while nothing happens. */
const SLOWING = 1.5;
/** The longest pause while a server that hides session ids has not shown one yet, in ms: it shows it for moments. */
const SEEKING_MS = 1_000;
/** Polls in flight at once; more would queue up in the API anyway. */
const MAX_IN_FLIGHT = 8;
/** A start may be answered before the run can be read, so one "not found" is not believed. */
const NOT_FOUND_LIMIT = 4;
/** A killed run is looked at for this much longer, in ms: the public server lets it go on and complete. */
const KILLED_WATCH_MS = 60_000;
/** News of a run that was just started are there within this time, in ms, or it is looked at. */
const FIRST_NEWS_MS = 1_000;

interface Feed {
  run: Run;
  watchers: Set<(event: RunEvent) => void>;
  intervalMs: number;
  dueAt: number;
  polling: boolean;
  /** Pictures that were pushed. */
  pushed: number;
  changedAt: number;
  /** The last look failed. */
  failing: boolean;
  stalled: boolean;
  finished: string | undefined;
  misses: number;
  over: boolean;
}

/**
 * Watches runs: by listening where the API pushes its news, else by polling, as the only poller of the process. A run
 * that is pushed is still looked at once when nothing has come for as long as it takes to call it stalled.
 */
export function createRunFeed(options: {
  api: Pick<WorkflowsApi, "getRun">;
  clock: Clock;
  log: Log;
  /** The slowest pause between two looks at a run, in ms. */
  pollingIntervalMs: number;
  /** After this long without any change a run is reported as stalled, in ms. */
  stallAfterMs: number;
  /** News that the API sends by itself. */
  push?: Pick<Push, "live" | "onRun" | "onChange">;
}): RunFeed {
  const { api, clock, log, pollingIntervalMs, stallAfterMs, push } = options;
  const fastMs = Math.min(FAST_MS, pollingIntervalMs);
  const feeds = new Map<string, Feed>();
  const pictures = createRunPictures((runId) => feeds.has(runId));
  /** How often something may have been missed. */
  let gaps = 0;
  const recorders = new Set<(event: RunEvent) => void>();
  const closing = new AbortController();
  let inFlight = 0;
  const stopPush = push?.onRun((run) => {
    pictures.markComplete(run.runId);
    const feed = feeds.get(run.runId);
    if (!feed || feed.over) {
      // The news of a start may come before its answer, and so before anybody watches.
      pictures.keep(mergeRun(pictures.get(run.runId) ?? run, run));
      return;
    }
    feed.pushed++;
    take(feed, run);
    feed.dueAt = nextLook(feed);
    schedule();
  });
  const stopPushState = push?.onChange(({ live, gap }) => {
    // Whatever was missed is asked for once; a stream that stands without a gap has told everything.
    const complete = live && !gap;
    if (!complete) gaps++;
    if (gap) pictures.doubtAll();
    for (const feed of feeds.values()) {
      feed.intervalMs = fastMs;
      feed.dueAt = complete ? nextLook(feed) : 0;
    }
    schedule();
  });
  let cancelTimer: () => void = () => {};

  function emit(feed: Feed, event: RunEvent): void {
    for (const listener of [...feed.watchers, ...recorders]) {
      try {
        listener(event);
      } catch (error) {
        log.error(`A listener of run ${feed.run.runId} failed: ${(error as Error).message}`);
      }
    }
  }

  /** Sets one timer for the run that is due first. */
  function schedule(): void {
    cancelTimer();
    cancelTimer = () => {};
    if (closing.signal.aborted || inFlight >= MAX_IN_FLIGHT) return;
    let next: Feed | undefined;
    for (const feed of feeds.values()) {
      if (!feed.polling && !feed.over && (!next || feed.dueAt < next.dueAt)) next = feed;
    }
    if (!next) return;
    const due = next;
    // A wall clock that was set back must not silence the feed.
    const longest = Math.max(pollingIntervalMs, stallAfterMs);
    const pause = Math.min(Math.max(0, due.dueAt - clock.now()), longest);
    if (pause > 0) cancelTimer = clock.after(pause, () => look(due));
    else look(due);
  }

  function look(feed: Feed): void {
    const gapsBefore = gaps;
    feed.polling = true;
    inFlight++;
    void poll(feed).finally(() => {
      feed.polling = false;
      inFlight--;
      // What was asked before a gap may be older than it.
      feed.dueAt = gaps === gapsBefore ? nextLook(feed) : 0;
      schedule();
    });
    schedule();
  }

  function nextLook(feed: Feed): number {
    const isTold = push?.live() && pictures.isComplete(feed.run.runId);
    return clock.now() + (isTold ? stallAfterMs : feed.intervalMs);
  }

  async function poll(feed: Feed): Promise<void> {
    const { runId } = feed.run;
    const { pushed } = feed;
    const gapsBefore = gaps;
    try {
      // A poller is its own retry.
      const seen = await api.getRun(runId, { retries: 0, signal: closing.signal });
      feed.misses = 0;
      if (feed.failing) emit(feed, { type: "activity", run: feed.run });
      feed.failing = false;
      // What was pushed meanwhile is newer.
      if (feed.pushed === pushed) take(feed, seen);
      if (push?.live() && gaps === gapsBefore) pictures.markComplete(runId);
    } catch (thrown) {
      if (closing.signal.aborted) return;
      const error = thrown instanceof ApiError ? thrown : new ApiError("unexpected", String(thrown));
      feed.failing = true;
      feed.intervalMs = slower(Math.max(feed.intervalMs, error.retryAfterMs ?? 0));
      if (error.kind === "not_found" && ++feed.misses >= NOT_FOUND_LIMIT) {
        feed.over = true;
        emit(feed, { type: "lost", run: feed.run, error });
        return;
      }
      emit(feed, { type: "unreachable", run: feed.run, error });
    }
    checkStall(feed);
  }

  function take(feed: Feed, seen: Run): void {
    const before = feed.run;
    const run = mergeRun(before, seen);
    feed.run = run;
    pictures.keep(run);
    const types: ("turn" | "action" | "status" | "activity" | "question")[] = [];
    if (run.status !== before.status) types.push("status");
    if (run.turn !== before.turn) types.push("turn");
    if (run.currentAction !== before.currentAction) types.push("action");
    const asked = openQuestions(before).map((question) => question.questionId);
    if (openQuestions(run).some((question) => !asked.includes(question.questionId))) types.push("question");
    if (types.length === 0 && signsOfLife(run) !== signsOfLife(before)) types.push("activity");
    if (types.length > 0) {
      feed.changedAt = clock.now();
      pictures.noteChange(run.runId, feed.changedAt);
      feed.stalled = false;
      feed.intervalMs = fastMs;
    } else {
      feed.intervalMs = slower(feed.intervalMs);
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

  const slower = (ms: number) => Math.min(pollingIntervalMs, ms * SLOWING);

  /** When a run that somebody begins to watch is looked at: at once, unless all of it is known or will be told. */
  function firstLook(feed: Feed, seed: Run): number {
    if (!push?.live() || isFinal(feed.run.status)) return 0;
    if (pictures.isComplete(seed.runId)) return nextLook(feed);
    return seed.status === "pending" ? clock.now() + FIRST_NEWS_MS : 0;
  }

  return {
    watch(seed, listener) {
      let feed = feeds.get(seed.runId);
      if (!feed || feed.over) {
        const known = pictures.get(seed.runId);
        const run = known ? mergeRun(seed, known) : seed;
        feed = {
          run,
          watchers: feed?.watchers ?? new Set(),
          intervalMs: fastMs,
          dueAt: Number.POSITIVE_INFINITY,
          polling: false,
          pushed: 0,
          // A pause in the watching makes no run livelier.
          changedAt: pictures.changedAt(seed.runId) ?? clock.now(),
          failing: false,
          stalled: false,
          finished: undefined,
          misses: 0,
          over: false,
        };
        feeds.set(seed.runId, feed);
        pictures.noteChange(seed.runId, feed.changedAt);
        pictures.keep(run);
      }
      const mine = feed;
      // Each watcher gets its own listener object, so that the same function may watch twice.
      const own = (event: RunEvent) => listener(event);
      mine.watchers.add(own);
      // That it stands still was told once; whoever comes later is told as well.
      if (mine.stalled) {
        queueMicrotask(() => {
          const quietMs = clock.now() - mine.changedAt;
          if (mine.stalled && mine.watchers.has(own)) own({ type: "stalled", run: mine.run, quietMs });
        });
      }
      // A killed run may be watched on after its end was told; whoever comes later is told as well.
      mine.finished = undefined;
      mine.intervalMs = fastMs;
      mine.dueAt = Math.min(mine.dueAt, firstLook(mine, seed));
      schedule();
      return {
        latest: () => pictures.get(seed.runId) ?? mine.run,
        stop() {
          mine.watchers.delete(own);
          if (feeds.get(seed.runId)?.watchers !== mine.watchers || mine.watchers.size > 0) return;
          feeds.delete(seed.runId);
          schedule();
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
      cancelTimer();
      stopPush?.();
      stopPushState?.();
      feeds.clear();
      recorders.clear();
    },
  };
}

/** What may change while turn, action and status stay: any of it shows that the agent, or its person, is at work. */
function signsOfLife(run: Run): string {
  const asked = openQuestions(run).map((question) => question.questionId);
  const { lastActivityAt, tokens, costUsd, toolsUsed, sessionId } = run;
  return [lastActivityAt, tokens?.total, costUsd, toolsUsed.length, sessionId, ...asked].join("|");
}
