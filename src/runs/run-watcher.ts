import type { WorkflowsApi } from "../api/client.js";
import { type ApiError, toApiError } from "../api/errors.js";
import { isFinal, type Run } from "../api/types.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { mergeRun } from "./merge-run.js";
import { findNextRun } from "./next-request.js";
import { createRequestBudget } from "./request-budget.js";
import { changesBetween, type RunEvent } from "./run-events.js";
import type { StreamListener } from "./run-stream.js";
import { createRunningList } from "./running-list.js";
import { type Listener, WatchedRun, type Ways } from "./watched-run.js";

type Tell = Listener["tell"];

export interface RunWatcher {
  /**
   * Watches a run until stopped. It is asked for at once, one that was just started a moment later, unless its changes are
   * pushed; any number of watchers of one run cost the same.
   * @param seed what is known so far, at least the run's id
   * @param how.background nobody waits for the run: those that somebody waits for come first
   */
  watch(seed: Run, listener: Tell, how?: { background?: boolean }): { latest(): Run; stop(): void };
  /** The newest snapshots of all runs that are watched now. */
  watched(): Run[];
  /** The newest snapshot of a run that was watched not long ago. */
  latest(runId: string): Run | undefined;
  /**
   * For how long nothing has changed of a run that was watched, in ms, once that counts as stalled.
   * @param run as it is now: it may have changed since anybody has watched it
   */
  stalledFor(run: Run): number | undefined;
  /** Every event of every watched run, for whoever keeps records. The answer takes the listener off. */
  onEvent(listener: Tell): () => void;
  /** Every run of which the API's stream tells something, watched or not. The answer takes the listener off. */
  onPushed(listener: (run: Run) => void): () => void;
  /** Opens the API's stream of events, where there is one, and keeps it open. */
  start(): void;
  close(): void;
}

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
  } & Pick<Ways, "pollingIntervalMs" | "stallAfterMs" | "stallAfter">,
): RunWatcher {
  const { api, clock, log, perSecond } = options;
  const watched = new Map<string, WatchedRun>();
  /** Runs that nobody watches any more, without their results. */
  const recent = new Map<string, WatchedRun>();
  const recorders = new Set<{ tell: Tell }>();
  const pushed = new Set<{ tell: (run: Run) => void }>();
  const closing = new AbortController();
  const { signal } = closing;
  const gaplessSince = Number.POSITIVE_INFINITY;
  const ways: Ways = { ...options, isStreaming: false, gaplessSince, isListRead: false };
  let cancelTimer = () => {};
  const budget = createRequestBudget(options);
  const list = createRunningList({
    ...{ api, clock, log, perSecond, signal },
    wanted: () =>
      [...watched.values()].filter((one) => !isFinal(one.run.status) && !one.isDone && !one.isPushed),
    onUpdate: readUpdates,
  });

  const find = (runId: string) => watched.get(runId) ?? recent.get(runId);

  /** Sends what is due, as far as the budget goes, and comes back when the next is due. */
  function sendDue(): void {
    cancelTimer();
    while (!signal.aborted) {
      const now = clock.elapsed();
      const listDue = list.dueAt();
      ways.isListRead = list.works();
      // The list comes first, since it tells which runs to ask for.
      const next = listDue <= now ? undefined : findNextRun(watched.values(), now);
      const due = Math.min(listDue, next?.due ?? Number.POSITIVE_INFINITY);
      const waitMs = Math.max(due - now, budget.waitMs());
      if (waitMs > 0) {
        if (waitMs < Number.POSITIVE_INFINITY) cancelTimer = clock.after(waitMs, () => wake(now + waitMs));
        return;
      }
      void budget.spend(() => (next ? ask(next.one) : list.ask())).then(sendDue);
    }
  }

  function wake(plannedAt: number): void {
    const now = clock.elapsed();
    const lateMs = now - plannedAt;
    // Time in which nothing could be seen is no silence of a run.
    if (lateMs >= SLEPT_MS)
      for (const one of watched.values()) one.changedAt = Math.min(now, one.changedAt + lateMs);
    sendDue();
  }

  async function ask(one: WatchedRun): Promise<ApiError | undefined> {
    const { run } = one;
    const askedAt = clock.elapsed();
    let failure: ApiError | undefined;
    Object.assign(one, { isAsking: true, urgency: undefined });
    try {
      // The schedule is the retry. Of however many, only one at a time asks whether an API that is down is back.
      const answer = await api.getRun(run.runId, { retries: 0, poller: true, signal });
      // Whatever else has come meanwhile, from the stream or the list, is newer.
      if (one.run === run) keep(one, answer, askedAt);
    } catch (error) {
      if (signal.aborted) return undefined;
      failure = toApiError(error, log);
      tell(one, one.takeInFailure(failure));
    }
    Object.assign(one, { isAsking: false, askedAt: clock.elapsed() });
    tell(one, one.findStall());
    return failure;
  }

  /** What the list tells anew of a run: mostly a reason to ask for it, and all there is when too many have changed. */
  function readUpdates(one: WatchedRun, row: Run): void {
    if (one.isAsking) return;
    const urgent = [...watched.values()].filter(({ urgency }) => urgency && urgency.why !== "new");
    if (!one.isWaitedFor || urgent.length >= perSecond * URGENT_SHARE) keep(one, row);
    // Also a run that is still to be asked for the first time: else all such would count for nothing and wait for it.
    else if (one.urgency?.why !== "changed") one.urgency = { why: "changed", since: clock.elapsed() };
  }

  /** Keeps what was seen of a run, as `takeIn` does, and tells it to those who watch it. */
  function keep(one: WatchedRun, seen: Run, knownAt?: number): void {
    const events = one.takeIn(seen, knownAt);
    if (watched.has(seen.runId)) tell(one, events);
    else keepRecent(one);
  }

  function tell({ run, listeners }: WatchedRun, events: RunEvent[]): void {
    for (const event of events) {
      for (const listener of [...listeners, ...recorders]) {
        try {
          listener.tell(event);
        } catch (error) {
          log.error(`A listener of run ${run.runId} failed: ${(error as Error).message}`);
        }
      }
    }
  }

  function keepRecent(one: WatchedRun): void {
    const { result: _result, ...run } = one.run;
    one.run = run;
    setBounded(recent, run.runId, one, RECENT_KEPT);
  }

  return {
    watch(seed, tell, { background = false } = {}) {
      const { runId } = seed;
      const one = find(runId) ?? new WatchedRun(seed, ways);
      const listener = { tell, background };
      one.welcome(listener, seed);
      recent.delete(runId);
      watched.set(runId, one);
      sendDue();
      return {
        latest: () => one.run,
        stop() {
          if (!one.listeners.delete(listener) || one.listeners.size > 0) return;
          watched.delete(runId);
          keepRecent(one);
          sendDue();
        },
      };
    },
    watched: () => [...watched.values()].map(({ run }) => run),
    latest: (runId) => find(runId)?.run,
    stalledFor(run) {
      const one = find(run.runId);
      if (!one || run.waitsForSlot) return undefined;
      return changesBetween(one.run, mergeRun(one.run, run)).length > 0 ? undefined : one.stalledMs;
    },
    onEvent: (tell) => addTo(recorders, { tell }),
    onPushed: (tell) => addTo(pushed, { tell }),
    start() {
      void options.listen?.(signal, {
        onOpen(gap) {
          ways.isStreaming = true;
          if (gap) ways.gaplessSince = clock.elapsed();
          sendDue();
        },
        onRun(seen) {
          const one = find(seen.runId) ?? new WatchedRun(seen, ways);
          keep(one, seen, clock.elapsed());
          for (const { tell } of [...pushed]) tell(one.run);
        },
        onBreak() {
          ways.isStreaming = false;
          sendDue();
        },
      });
    },
    close() {
      closing.abort();
      cancelTimer();
      for (const all of [watched, recorders, pushed]) all.clear();
    },
  };
}

/** @returns takes it off again */
function addTo<One>(all: Set<One>, one: One): () => void {
  all.add(one);
  return () => all.delete(one);
}
