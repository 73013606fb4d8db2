import type { WorkflowsApi } from "../api/client.js";
import { type ApiError, toApiError } from "../api/errors.js";
import { isFinal, openQuestions, type Run } from "../api/types.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { mergeRun } from "./merge-run.js";
import { createRequestBudget } from "./request-budget.js";
import { changesBetween, type RunEvent } from "./run-events.js";
import type { StreamListener } from "./run-stream.js";
import { createRunningList } from "./running-list.js";
import {
  createWatchedRun,
  dueAt,
  isPushed,
  isWaitedFor,
  rankOf,
  type Sources,
  type WatchedRun,
} from "./watched-run.js";

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
  /**
   * For how long nothing has changed of a run that was watched, in ms, once that counts as stalled.
   * @param run as it is now: it may have changed since anybody has watched it
   */
  stalledFor(run: Run): number | undefined;
  /** Every event of every watched run, for whoever keeps records. The answer takes the listener off. */
  onEvent(listener: Listener): () => void;
  /** Opens the API's stream of events, where there is one, and keeps it open. */
  start(): void;
  close(): void;
}

/** A start may be answered before the run can be read, so one "not found" is not believed. */
const NOT_FOUND_LIMIT = 4;
/** A killed run is watched for this much longer, in ms: the public server lets it go on and complete. */
const KILLED_WATCH_MS = 60_000;
/** Of the runs that the list shows to have changed, as many are asked for as the budget allows in this part of a second. */
const URGENT_SHARE = 0.25;
/** Runs kept that nobody watches any more. */
const RECENT_KEPT = 500;
/** No busy machine makes a timer so late, in ms: it has slept. On some systems the monotonic clock counts that. */
const SLEPT_MS = 30_000;

/**
 * Watches runs: listens where the API pushes their changes, else asks, within one budget for all. Where several go
 * on, the list of running runs is read instead of each of them, and a run is asked for when the list shows that it
 * has changed or is no longer there. A run that is pushed is still asked for when nothing has come for so long that
 * it counts as stalled.
 * @param options.perSecond requests a second for all runs
 * @param options.listen keeps the API's stream of events open, where it has one
 */
export function createRunWatcher(
  options: {
    api: Pick<WorkflowsApi, "getRun" | "listRuns">;
    clock: Clock;
    log: Log;
    perSecond: number;
    listen?: (signal: AbortSignal, listener: StreamListener) => Promise<void>;
  } & Pick<Sources, "pollingIntervalMs" | "stallAfterMs">,
): RunWatcher {
  const { api, clock, log, perSecond, stallAfterMs } = options;
  const watched = new Map<string, WatchedRun>();
  /** Runs that nobody watches any more, without their results. */
  const recent = new Map<string, WatchedRun>();
  const recorders = new Set<Listener>();
  const closing = new AbortController();
  const { signal } = closing;
  let cancelTimer = () => {};
  const budget = createRequestBudget({ clock, perSecond });
  const list = createRunningList<WatchedRun>({
    ...{ api, clock, log, perSecond, signal, watched },
    isWanted: (one) => !one.isDone && !isFinal(one.run.status) && !isPushed(one, sources),
    onRow: applyRow,
    onMissing: askSoon,
    onFailure: budget.pauseIfAsked,
  });
  const sources: Sources = { ...options, isStreaming: false, gaps: 0, listWorks: list.works };

  const find = (runId: string) => watched.get(runId) ?? recent.get(runId);
  const quietMs = (one: WatchedRun) => clock.elapsed() - one.changedAt;

  /** Sends what is due, as far as the budget goes, and comes back when the next is due. */
  function sendDue(): void {
    cancelTimer();
    while (!signal.aborted) {
      const now = clock.elapsed();
      const next = findNext(now);
      const waitMs = Math.max(next.due - now, budget.waitMs());
      if (waitMs <= 0) void budget.spend(next.ask).then(sendDue);
      else {
        if (waitMs < Number.POSITIVE_INFINITY) cancelTimer = clock.after(waitMs, () => wake(now + waitMs));
        return;
      }
    }
  }

  function wake(plannedAt: number): void {
    const lateMs = clock.elapsed() - plannedAt;
    // Time in which nothing could be seen is no silence of a run.
    if (lateMs >= SLEPT_MS)
      for (const one of watched.values()) one.changedAt += Math.min(lateMs, quietMs(one));
    sendDue();
  }

  /** The list when it is due, since it tells which runs to ask for; else the run whose turn it is. */
  function findNext(now: number): { due: number; ask: () => Promise<void> } {
    let next = { due: list.dueAt(), ask: list.ask };
    let first = next.due <= now ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    for (const one of watched.values()) {
      const due = dueAt(one, sources);
      const rank = due <= now ? rankOf(one, due) : Number.POSITIVE_INFINITY;
      if (rank > first || (rank === first && due >= next.due)) continue;
      next = { due, ask: () => ask(one) };
      first = rank;
    }
    return next;
  }

  async function ask(one: WatchedRun): Promise<void> {
    const { run } = one;
    const { gaps } = sources;
    one.isAsking = true;
    one.urgentSince = undefined;
    try {
      // The schedule is the retry. Of however many, only one at a time asks whether an API that is down is back.
      const answer = await api.getRun(run.runId, { retries: 0, poller: true, signal });
      if (one.failingSince !== undefined) tell(one, { type: "activity", run: one.run });
      one.failingSince = undefined;
      one.notFound = 0;
      if (sources.isStreaming && sources.gaps === gaps) one.pushedSince = gaps;
      // Whatever else has come meanwhile, from the stream or the list, is newer.
      const current = find(run.runId);
      if (current?.run === run) applySnapshot(current, answer);
    } catch (error) {
      if (!signal.aborted) applyFailure(one, toApiError(error, log));
    }
    one.isAsking = false;
    one.askedAt = clock.elapsed();
    tellStall(one);
  }

  function applyFailure(one: WatchedRun, error: ApiError): void {
    budget.pauseIfAsked(error);
    one.failingSince ??= clock.elapsed();
    one.isDone = error.kind === "not_found" && ++one.notFound >= NOT_FOUND_LIMIT;
    tell(one, { type: one.isDone ? "lost" : "unreachable", run: one.run, error });
  }

  function askSoon(one: WatchedRun): void {
    one.urgentSince ??= clock.elapsed();
  }

  /** What the list tells of a run: mostly a reason to ask for it, and all there is when too many have changed. */
  function applyRow(one: WatchedRun, row: Run): void {
    const { turn = 0 } = one.run;
    // A list that lags behind what the run itself has told tells nothing.
    one.hasRowTurns = row.turn !== undefined && row.turn >= turn;
    // It had only slipped from one page to the next.
    if (row.turn === undefined || row.turn <= turn) one.urgentSince = undefined;
    if (one.isAsking || row.turn === undefined || row.turn <= turn) return;
    const urgent = [...watched.values()].filter(({ urgentSince }) => urgentSince !== undefined).length;
    if (isWaitedFor(one) && urgent < perSecond * URGENT_SHARE) askSoon(one);
    else applySnapshot(one, row);
  }

  /** The one place where a run changes, whichever way its snapshot has come. */
  function applySnapshot(one: WatchedRun, seen: Run): void {
    const before = one.run;
    const run = mergeRun(before, seen);
    one.run = run;
    const changes = changesBetween(before, run);
    if (changes.length > 0) Object.assign(one, { changedAt: clock.elapsed(), toldStall: false });
    if (!watched.has(run.runId)) keepRecent(one);
    if (!watched.has(run.runId) || one.isDone) return;
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

  return {
    watch(seed, listener, { background = false } = {}) {
      const { runId } = seed;
      const known = find(runId);
      let one = watched.get(runId);
      if (!one || one.isDone) {
        one = createWatchedRun(known ? mergeRun(seed, known.run) : seed, clock.elapsed());
        if (known) {
          const { watchers, changedAt, pushedSince } = known;
          // A pause in the watching makes no run livelier.
          Object.assign(one, { watchers, changedAt, pushedSince });
        }
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
    stalledFor(run) {
      const one = find(run.runId);
      if (!one || quietMs(one) < stallAfterMs) return undefined;
      return changesBetween(one.run, mergeRun(one.run, run)).length > 0 ? undefined : quietMs(one);
    },
    onEvent(listener) {
      recorders.add(listener);
      return () => recorders.delete(listener);
    },
    start() {
      void options.listen?.(signal, {
        onOpen(gap) {
          sources.isStreaming = true;
          if (gap) sources.gaps++;
          sendDue();
        },
        onRun(seen) {
          const one = find(seen.runId) ?? createWatchedRun(seen, clock.elapsed());
          one.pushedSince = sources.gaps;
          applySnapshot(one, seen);
        },
        onBreak() {
          sources.isStreaming = false;
          sendDue();
        },
      });
    },
    close() {
      closing.abort();
      cancelTimer();
      watched.clear();
      recorders.clear();
    },
  };
}
