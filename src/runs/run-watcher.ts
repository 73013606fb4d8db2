import type { WorkflowsApi } from "../api/client.js";
import { ApiError } from "../api/errors.js";
import { isFinal, openQuestions, type Run } from "../api/types.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { mergeRun } from "./merge-run.js";
import { createRequestBudget } from "./request-budget.js";
import { changesBetween, type RunEvent } from "./run-events.js";
import type { StreamListener } from "./run-stream.js";
import { createRunningList, type ListedRun } from "./running-list.js";

type Listener = (event: RunEvent) => void;

export interface RunWatcher {
  /**
   * Watches a run until stopped. It is asked for at once, unless its changes are pushed; any number of watchers of
   * one run cost the same.
   * @param seed what is known so far, at least the run's id
   * @param how.background nobody waits for the run: those that somebody waits for come first
   */
  watch(seed: Run, listener: Listener, how?: { background?: boolean }): { latest(): Run; stop(): void };
  /** The newest snapshot of a run that was watched not long ago. */
  latest(runId: string): Run | undefined;
  /** For how long nothing has changed of a run that was watched, in ms, once that counts as stalled. */
  stalledFor(runId: string): number | undefined;
  /** Every event of every watched run, for whoever keeps records. The answer takes the listener off. */
  onEvent(listener: Listener): () => void;
  /** Opens the API's stream of events, where there is one, and keeps it open. */
  start(): void;
  close(): void;
}

/** The pause after a change, in ms: turns take seconds, and a change is often followed by the next. */
const FAST_MS = 400;
/** The pause grows by this share of the time without a change, with somebody waiting and without. */
const QUIET_SHARE = { waitedFor: 0.15, background: 0.5 };
/** The longest pause while a server that shows session ids only now and then has not shown one yet, in ms. */
const SESSION_ID_PAUSE_MS = 1_000;
/** The first event of a run that was just started comes within this time, in ms, or the run is asked for. */
const FIRST_EVENT_MS = 1_000;
/** A start may be answered before the run can be read, so one "not found" is not believed. */
const NOT_FOUND_LIMIT = 4;
/** A killed run is watched for this much longer, in ms: the public server lets it go on and complete. */
const KILLED_WATCH_MS = 60_000;
/** How far a run is asked for ahead of others that are due, in ms: by why, and later where nobody waits for it. */
const HEAD_START_MS = { urgent: 600_000, new: 60_000, background: -30_000 };
/** Of the runs that the list shows to have changed, as many are asked for as the budget allows in this part of a second. */
const URGENT_SHARE = 0.25;
/** Runs kept that nobody watches any more. */
const RECENT_KEPT = 500;
/** No busy machine makes a timer so late, in ms: it has slept. On some systems the monotonic clock counts that. */
const SLEPT_MS = 30_000;

/** All that is known of a run here. Times are those of `clock.elapsed()`. */
interface WatchedRun extends ListedRun {
  changedAt: number;
  watchers: Set<{ listener: Listener; background: boolean }>;
  watchedAt: number;
  /** When it was last asked for; undefined when that was before the newest watcher came. */
  askedAt: number | undefined;
  isAsking: boolean;
  /** Since when the list shows that there is something to ask for. */
  urgentSince: number | undefined;
  /** The list shows its turns as they come. */
  hasRowTurns: boolean;
  /** The stream has told of it, and of every change since: the number of gaps by then. */
  pushedSince: number | undefined;
  failingSince: number | undefined;
  notFound: number;
  toldStall: boolean;
  /** The final status that all watchers know. */
  toldEnd: string | undefined;
  /** Nothing more is asked for. */
  isDone: boolean;
}

/**
 * Watches runs: listens where the API pushes their changes, else asks, within one budget for all. Where several go
 * on, the list of running runs is read instead of each of them, and a run is asked for when the list shows that it
 * has changed or is no longer there. A run that is pushed is still asked for when nothing has come for so long that
 * it counts as stalled.
 * @param options.pollingIntervalMs the longest pause between two requests for a run
 * @param options.perSecond requests a second for all runs
 * @param options.stallAfterMs after this long without any change a run counts as stalled
 * @param options.listen keeps the API's stream of events open, where it has one
 */
export function createRunWatcher(options: {
  api: Pick<WorkflowsApi, "getRun" | "listRuns">;
  clock: Clock;
  log: Log;
  pollingIntervalMs: number;
  perSecond: number;
  stallAfterMs: number;
  listen?: (signal: AbortSignal, listener: StreamListener) => Promise<void>;
}): RunWatcher {
  const { api, clock, log, pollingIntervalMs, perSecond, stallAfterMs, listen } = options;
  const watched = new Map<string, WatchedRun>();
  /** Runs that nobody watches any more, without their results. */
  const recent = new Map<string, WatchedRun>();
  const recorders = new Set<Listener>();
  const closing = new AbortController();
  const { signal } = closing;
  const budget = createRequestBudget({ clock, perSecond });
  const isWanted = (one: WatchedRun) => !one.isDone && !isFinal(one.run.status) && !isPushed(one);
  const list = createRunningList<WatchedRun>({
    ...{ api, clock, perSecond, signal, watched, isWanted },
    onRow: applyRow,
    onMissing: askSoon,
    onFailure: pauseIfAsked,
  });
  let isStreaming = false;
  /** How often something may have been missed of the stream. */
  let gaps = 0;
  let cancelTimer = () => {};

  const find = (runId: string) => watched.get(runId) ?? recent.get(runId);
  /** Every change of the run comes over the stream. */
  const isPushed = (one: WatchedRun) => isStreaming && one.pushedSince === gaps;
  const isWaitedFor = (one: WatchedRun) => [...one.watchers].some(({ background }) => !background);
  const quietMs = (one: WatchedRun) => clock.elapsed() - one.changedAt;

  /** When a run is asked for next. Nothing else decides that: it follows from how the run stands. */
  function dueAt(one: WatchedRun): number {
    if (one.isAsking || one.isDone) return Number.POSITIVE_INFINITY;
    if (one.urgentSince !== undefined) return one.urgentSince;
    const owesEnd = isFinal(one.run.status) && one.toldEnd === undefined;
    if (isPushed(one) && !owesEnd) return Math.max(one.changedAt, one.askedAt ?? 0) + stallAfterMs;
    if (one.askedAt !== undefined) return one.askedAt + pauseAfter(one, one.askedAt);
    return one.watchedAt + (isStreaming && one.run.status === "pending" ? FIRST_EVENT_MS : 0);
  }

  function pauseAfter(one: WatchedRun, askedAt: number): number {
    const { sessionHidden } = one.run;
    // The list tells when there is something to see; of a run that nobody waits for, only the end matters.
    const isTold = one.missed < Number.POSITIVE_INFINITY && (one.hasRowTurns || !isWaitedFor(one));
    if (isTold && !sessionHidden && list.works()) return pollingIntervalMs;
    const isPatient = one.failingSince !== undefined || !isWaitedFor(one);
    const quiet = askedAt - (one.failingSince ?? Math.max(one.changedAt, one.watchedAt));
    const pause = FAST_MS + quiet * QUIET_SHARE[isPatient ? "background" : "waitedFor"];
    const longest = sessionHidden && !one.toldStall ? SESSION_ID_PAUSE_MS : pollingIntervalMs;
    return Math.min(pause, longest, pollingIntervalMs);
  }

  function headStartMs(one: WatchedRun): number {
    const { urgent, background } = HEAD_START_MS;
    const why = one.urgentSince !== undefined ? urgent : one.askedAt === undefined ? HEAD_START_MS.new : 0;
    return why + (isWaitedFor(one) ? 0 : background);
  }

  /** Sends what is due, as far as the budget goes, and comes back when the next is due. */
  function sendDue(): void {
    cancelTimer();
    while (!signal.aborted) {
      const now = clock.elapsed();
      const next = findNext(now);
      const waitMs = Math.max(next.dueAt - now, budget.waitMs());
      if (waitMs <= 0) void budget.spend(next.ask).then(sendDue);
      else {
        if (waitMs < Number.POSITIVE_INFINITY) cancelTimer = clock.after(waitMs, () => wake(now + waitMs));
        return;
      }
    }
  }

  function wake(plannedAt: number): void {
    const now = clock.elapsed();
    const sleptMs = now - plannedAt >= SLEPT_MS ? now - plannedAt : 0;
    // Time in which nothing could be seen is no silence of a run.
    if (sleptMs > 0)
      for (const one of watched.values()) one.changedAt = Math.min(one.changedAt + sleptMs, now);
    sendDue();
  }

  /** The list when it is due, since it tells which runs to ask for; else the run that is most overdue. */
  function findNext(now: number): { dueAt: number; ask: () => Promise<void> } {
    let next = { dueAt: list.dueAt(), ask: list.ask };
    let firstRank = next.dueAt <= now ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    for (const one of watched.values()) {
      const due = dueAt(one);
      const rank = due <= now ? due - headStartMs(one) : Number.POSITIVE_INFINITY;
      if (rank > firstRank || (rank === firstRank && due >= next.dueAt)) continue;
      next = { dueAt: due, ask: () => ask(one) };
      firstRank = rank;
    }
    return next;
  }

  async function ask(one: WatchedRun): Promise<void> {
    const { run } = one;
    const gapsBefore = gaps;
    one.isAsking = true;
    one.urgentSince = undefined;
    try {
      // The schedule is the retry. Of however many, only one at a time asks whether an API that is down is back.
      const answer = await api.getRun(run.runId, { retries: 0, poller: true, signal });
      if (one.failingSince !== undefined) tell(one, { type: "activity", run: one.run });
      one.failingSince = undefined;
      one.notFound = 0;
      if (isStreaming && gaps === gapsBefore) one.pushedSince = gaps;
      // Whatever else has come meanwhile, from the stream or the list, is newer.
      const current = find(run.runId);
      if (current?.run === run) applySnapshot(current, answer);
    } catch (error) {
      if (!signal.aborted) applyFailure(one, error);
    }
    one.isAsking = false;
    one.askedAt = clock.elapsed();
    tellStall(one);
  }

  function applyFailure(one: WatchedRun, thrown: unknown): void {
    // A defect of ours: its text may hold anything, so it goes to the log.
    if (!(thrown instanceof ApiError)) log.error(`A request for a run failed: ${(thrown as Error).message}`);
    const error =
      thrown instanceof ApiError
        ? thrown
        : new ApiError("unexpected", "The run could not be looked at. It goes on, and is looked at again.");
    pauseIfAsked(error);
    one.failingSince ??= clock.elapsed();
    one.isDone = error.kind === "not_found" && ++one.notFound >= NOT_FOUND_LIMIT;
    tell(one, { type: one.isDone ? "lost" : "unreachable", run: one.run, error });
  }

  /** An API that asks for fewer requests gets none for as long as it says. */
  function pauseIfAsked(error: ApiError): void {
    if (error.kind === "rate_limited") budget.pause(error.retryAfterMs ?? 0);
  }

  function askSoon(one: WatchedRun): void {
    one.urgentSince ??= clock.elapsed();
  }

  /** What the list tells of a run: mostly a reason to ask for it, and all there is when too many have changed. */
  function applyRow(one: WatchedRun, row: Run): void {
    const { turn = 0 } = one.run;
    // A list that lags behind what the run itself has told tells nothing.
    one.hasRowTurns = row.turn !== undefined && row.turn >= turn;
    if (one.isAsking || row.turn === undefined || row.turn <= turn) return;
    let urgent = 0;
    for (const { urgentSince } of watched.values()) if (urgentSince !== undefined) urgent++;
    if (isWaitedFor(one) && urgent < perSecond * URGENT_SHARE) askSoon(one);
    else applySnapshot(one, row);
  }

  /** The one place where a run changes, whichever way its snapshot has come. */
  function applySnapshot(one: WatchedRun, seen: Run): void {
    const before = one.run;
    const run = mergeRun(before, seen);
    one.run = run;
    if (!watched.has(run.runId)) keepRecent(one);
    if (!watched.has(run.runId) || one.isDone) return;
    const changes = changesBetween(before, run);
    if (changes.length > 0) {
      one.changedAt = clock.elapsed();
      one.toldStall = false;
    }
    for (const type of changes) tell(one, { type, run });
    if (!isFinal(run.status)) return;
    one.isDone = run.status !== "killed" || quietMs(one) >= KILLED_WATCH_MS;
    if (one.toldEnd === run.status) return;
    one.toldEnd = run.status;
    tell(one, { type: "finished", run });
  }

  function tellStall(one: WatchedRun): void {
    // A run that waits for a person's answer stands still for a reason.
    const isWaiting = openQuestions(one.run).length > 0;
    if (one.isDone || one.toldStall || isWaiting || quietMs(one) < stallAfterMs) return;
    one.toldStall = true;
    tell(one, { type: "stalled", run: one.run, quietMs: quietMs(one) });
  }

  function tell({ run, watchers }: WatchedRun, event: RunEvent): void {
    for (const listener of [...[...watchers].map((watcher) => watcher.listener), ...recorders]) {
      try {
        listener(event);
      } catch (error) {
        log.error(`A listener of run ${run.runId} failed: ${(error as Error).message}`);
      }
    }
  }

  function keepRecent(one: WatchedRun): void {
    const { result: _result, ...run } = one.run;
    setBounded(recent, run.runId, { ...one, run }, RECENT_KEPT);
  }

  /** A run that begins to be watched, with what is still known of it. */
  function createRun(seed: Run, known?: WatchedRun): WatchedRun {
    const now = clock.elapsed();
    return {
      run: known ? mergeRun(seed, known.run) : seed,
      // A pause in the watching makes no run livelier.
      changedAt: known?.changedAt ?? now,
      watchers: known?.watchers ?? new Set(),
      watchedAt: now,
      askedAt: undefined,
      isAsking: false,
      urgentSince: undefined,
      missed: Number.POSITIVE_INFINITY,
      hasRowTurns: false,
      pushedSince: known?.pushedSince,
      failingSince: undefined,
      notFound: 0,
      toldStall: false,
      toldEnd: undefined,
      isDone: false,
    };
  }

  const streamListener: StreamListener = {
    onOpen(gap) {
      isStreaming = true;
      if (gap) gaps++;
      sendDue();
    },
    onRun(seen) {
      const one = find(seen.runId) ?? createRun(seen);
      one.pushedSince = gaps;
      applySnapshot(one, seen);
    },
    onBreak() {
      isStreaming = false;
      sendDue();
    },
  };

  return {
    watch(seed, listener, { background = false } = {}) {
      const { runId } = seed;
      let one = watched.get(runId);
      if (!one || one.isDone) {
        one = createRun(seed, find(runId));
        watched.set(runId, one);
        recent.delete(runId);
      }
      const { watchers } = one;
      const own = { listener, background };
      watchers.add(own);
      // Whoever comes later is told as well that it stands still or has ended.
      Object.assign(one, {
        watchedAt: clock.elapsed(),
        askedAt: undefined,
        toldStall: false,
        toldEnd: undefined,
      });
      sendDue();
      return {
        latest: () => find(runId)?.run ?? seed,
        stop() {
          const last = watched.get(runId);
          if (!watchers.delete(own) || watchers.size > 0 || last?.watchers !== watchers) return;
          watched.delete(runId);
          keepRecent(last);
          sendDue();
        },
      };
    },
    latest: (runId) => find(runId)?.run,
    stalledFor(runId) {
      const one = find(runId);
      return one && quietMs(one) >= stallAfterMs ? quietMs(one) : undefined;
    },
    onEvent(listener) {
      recorders.add(listener);
      return () => recorders.delete(listener);
    },
    start: () => void listen?.(signal, streamListener),
    close() {
      closing.abort();
      cancelTimer();
      watched.clear();
      recorders.clear();
    },
  };
}
