import type { WorkflowsApi } from "../api/client.js";
import { ApiError, isPassing } from "../api/errors.js";
import type { Run } from "../api/types.js";
import type { Clock } from "../shared/clock.js";
import type { PollJob } from "./poll-queue.js";

/** Where a watched run stands in the list of running runs. */
export interface SweptRun {
  readonly run: Run;
  /** Its changes are not told by the API itself, and it goes on. */
  swept(): boolean;
  /** The last reading of the list has shown it. */
  listed: boolean;
}

/** Reads the list of running runs over and over, so that one request does for a hundred runs. */
export interface RunSweep extends PollJob {
  /** The list is being read, and shows what it can. */
  works(): boolean;
}

const PAGE_SIZE = 100;
/** Fewer runs than this are looked at one by one, which tells more. */
const WORTHWHILE_FROM = 3;
/** The shortest and the longest pause between two readings, in ms. */
const FASTEST_MS = 500;
const SLOWEST_MS = 1_500;
/** Each reading waits for this share of the time in which nothing has changed. */
const QUIET_SHARE = 0.05;
/** Of the budget, the list takes at most this share: what it shows has to be looked at as well. */
const BUDGET_SHARE = 0.5;
/** 5,000 running runs; those that are not among them are looked at one by one. */
const MAX_PAGES = 50;
/** An API that refuses such a reading is asked for it again after this long, in ms. */
const ASK_AGAIN_MS = 10 * 60_000;
const FAILED_PAUSE_MS = 5_000;

/**
 * @param options.runs all watched runs
 * @param options.onRow what the list says of a watched run
 * @param options.onGone a run that the list has shown is no longer among the running ones
 */
export function createRunSweep<T extends SweptRun>(options: {
  api: Pick<WorkflowsApi, "listRuns">;
  clock: Clock;
  perSecond: number;
  signal: AbortSignal;
  runs: () => ReadonlyMap<string, T>;
  onRow: (run: T, row: Run) => void;
  onGone: (run: T) => void;
  onFailure: (error: ApiError) => void;
}): RunSweep {
  const { api, clock, perSecond, signal, runs, onRow, onGone, onFailure } = options;
  let nextAt = 0;
  let working = false;
  let changedAt = clock.now();
  /** The reading that goes on: which page comes next, and what the pages before have shown. */
  let page = 1;
  /** How many pages the last reading had. */
  let pages = 1;
  let began = 0;
  let seen = new Set<string>();

  function sweptRuns(): T[] {
    return [...runs().values()].filter((one) => one.swept());
  }

  function isWorthwhile(): boolean {
    let count = 0;
    for (const one of runs().values()) if (one.swept() && ++count >= WORTHWHILE_FROM) return true;
    return false;
  }

  async function readPage(): Promise<void> {
    if (page === 1) {
      began = clock.now();
      seen = new Set();
    }
    const answer = await api.listRuns({
      page,
      pageSize: PAGE_SIZE,
      status: "running",
      retries: 0,
      poller: true,
      signal,
    });
    const before = seen.size;
    for (const row of answer.runs) {
      seen.add(row.runId);
      const watched = runs().get(row.runId);
      if (!watched?.swept()) continue;
      if (row.status !== "running") {
        // A server that lists runs of every status says of itself what has ended.
        drop(watched);
        continue;
      }
      watched.listed = true;
      if (row.turn !== watched.run.turn && row.turn !== undefined) changedAt = clock.now();
      onRow(watched, row);
    }
    // A server that does not know pages gives the first one again and again.
    const last = answer.last || seen.size === before;
    const swept = sweptRuns();
    const unseen = swept.filter((one) => !seen.has(one.run.runId));
    const missing = unseen.filter((one) => one.listed);
    // Runs that it has not shown yet may be further on, or in no list at all: they are not looked for everywhere.
    const goOn = missing.length > 0 ? page < MAX_PAGES : unseen.length > 0 && page * PAGE_SIZE < swept.length;
    if (!last && goOn) {
      page++;
      return;
    }
    for (const one of missing) {
      if (last) drop(one);
      else one.listed = false;
    }
    finish();
  }

  function drop(one: T): void {
    if (!one.listed) return;
    one.listed = false;
    changedAt = clock.now();
    onGone(one);
  }

  function finish(): void {
    const now = clock.now();
    const fastest = Math.max(FASTEST_MS, (page * 1000) / (perSecond * BUDGET_SHARE));
    const wished = Math.min(SLOWEST_MS, (now - changedAt) * QUIET_SHARE);
    // Negative when the clock was set back meanwhile.
    const took = Math.max(0, now - began);
    nextAt = now + Math.max(0, Math.max(fastest, wished) - took);
    pages = page;
    page = 1;
    working = true;
  }

  function fail(error: ApiError): void {
    working = false;
    page = 1;
    const pause = isPassing(error) ? Math.max(FAILED_PAUSE_MS, error.retryAfterMs ?? 0) : ASK_AGAIN_MS;
    nextAt = clock.now() + pause;
    onFailure(error);
  }

  return {
    busy: false,
    // It comes before any single run, because it tells which of them are worth a look; its share is bounded.
    headStartMs: Number.POSITIVE_INFINITY,
    get dueAt() {
      return isWorthwhile() ? nextAt : Number.POSITIVE_INFINITY;
    },
    set dueAt(at) {
      nextAt = at;
    },
    get hasMore() {
      return page < pages;
    },
    works: () => working && isWorthwhile(),
    async send() {
      try {
        await readPage();
      } catch (error) {
        if (signal.aborted) return;
        fail(error instanceof ApiError ? error : new ApiError("unexpected", (error as Error).message));
      }
    },
  };
}
