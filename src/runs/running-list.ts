import type { WorkflowsApi } from "../api/client.js";
import { type ApiError, isPassing, toApiError } from "../api/errors.js";
import type { Run } from "../api/types.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { WatchedRun } from "./watched-run.js";

const PAGE_SIZE = 100;
/** 5,000 running runs; any others are asked for one by one. */
const MAX_PAGES = 50;
/** Pages asked for at once; a list that hangs leaves the other requests in flight to single runs. */
const PARALLEL_PAGES = 4;
/** Fewer runs than this are asked for one by one, which tells more. */
const WORTHWHILE_FROM = 3;
/** The shortest and the longest time between two readings, in ms, and its share of the time without any news. */
const EVERY_MS = { shortest: 500, longest: 1_500, quietShare: 0.05 };
/** The list takes at most this share of the budget: what it shows has to be asked for as well. */
const BUDGET_SHARE = 0.5;
/** A list that has failed is read again after this long, one that the API refuses much later, in ms. */
const FAILED_PAUSE_MS = { passing: 5_000, refused: 10 * 60_000 };

/**
 * Reads the list of running runs again and again: one request tells of a hundred runs.
 * @param options.wanted the watched runs that it can tell something of
 * @param options.onRow what it tells of one of them
 * @param options.onDue something is to be asked for again
 * @param options.onGone it has shown this one before, and now leaves it out or shows that it has ended
 */
export function createRunningList(options: {
  api: Pick<WorkflowsApi, "listRuns">;
  clock: Pick<Clock, "elapsed">;
  log: Log;
  perSecond: number;
  signal: AbortSignal;
  wanted: () => readonly WatchedRun[];
  onDue: () => void;
  onRow: (one: WatchedRun, row: Run) => void;
  onGone: (one: WatchedRun) => void;
  onFailure: (error: ApiError) => void;
}) {
  const { api, clock, log, perSecond, signal, wanted, onDue, onRow, onGone, onFailure } = options;
  /** Pages of the reading under way, each to be asked for as soon as the budget has room for it. */
  const waiting: (() => Promise<void>)[] = [];
  let isReading = false;
  let hasWorked = false;
  let nextAt = 0;
  let newsAt = clock.elapsed();
  /** How many pages a reading takes as far as is known. */
  let expected = 1;

  const isWorthwhile = () => wanted().length >= WORTHWHILE_FROM;

  function getPage(page: number): Promise<{ runs: Run[]; last: boolean }> {
    const what = { page, pageSize: PAGE_SIZE, status: "running", retries: 0, poller: true, signal } as const;
    return new Promise((resolve, reject) => {
      waiting.push(() => api.listRuns(what).then(resolve, reject));
    });
  }

  /** Reads pages until all runs have been seen that the list has shown before. */
  async function readPages(): Promise<void> {
    const began = clock.elapsed();
    const seen = new Set<string>();
    const unseen = () => wanted().filter((one) => one.listed !== "no" && !seen.has(one.run.runId));
    /** The last page that has shown a run that is wanted. */
    let needed = 1;
    let isWhole = false;
    for (let page = 1; !isWhole && page <= MAX_PAGES; ) {
      // Runs that the list has never shown may be in none: they are not looked for everywhere.
      const isEnough = (page - 1) * PAGE_SIZE >= wanted().length && unseen().length === 0;
      if (page > expected && isEnough) break;
      const count = Math.min(Math.max(1, expected - page + 1), PARALLEL_PAGES);
      const asked = Array.from({ length: count }, (_, index) => getPage(page + index));
      // The first page is asked for by whoever has begun the reading.
      if (page > 1) onDue();
      const answers = await Promise.all(asked);
      for (const { runs, last } of answers) {
        const fresh = new Map(runs.filter(({ runId }) => !seen.has(runId)).map((row) => [row.runId, row]));
        // A server that does not know pages gives the first one again and again.
        isWhole ||= last || fresh.size === 0;
        for (const runId of fresh.keys()) seen.add(runId);
        for (const one of wanted()) {
          const row = fresh.get(one.run.runId);
          if (!row) continue;
          needed = page;
          readRow(one, row);
        }
        page++;
      }
    }
    for (const one of unseen()) leave(one);
    const affordable = (needed * 1000) / (perSecond * BUDGET_SHARE);
    const wished = Math.min(EVERY_MS.longest, (clock.elapsed() - newsAt) * EVERY_MS.quietShare);
    nextAt = began + Math.max(EVERY_MS.shortest, affordable, wished);
    expected = needed;
    hasWorked = true;
  }

  function readRow(one: WatchedRun, row: Run): void {
    if (row.status === "running") {
      if (row.turn !== undefined && row.turn !== one.run.turn) newsAt = clock.elapsed();
      onRow(one, row);
    }
    // A server that lists runs of every status says of itself what has ended.
    else if (one.listed !== "no") leave(one);
  }

  function leave(one: WatchedRun): void {
    newsAt = clock.elapsed();
    onGone(one);
  }

  async function read(): Promise<void> {
    isReading = true;
    try {
      await readPages();
    } catch (error) {
      if (signal.aborted) return;
      const failure = toApiError(error, log);
      const pause = Math.max(FAILED_PAUSE_MS.passing, failure.retryAfterMs ?? 0);
      nextAt = clock.elapsed() + (isPassing(failure) ? pause : FAILED_PAUSE_MS.refused);
      waiting.length = 0;
      hasWorked = false;
      onFailure(failure);
    }
    isReading = false;
    onDue();
  }

  return {
    /** It is read, and tells of the end of each run that it has shown. */
    works: () => hasWorked && isWorthwhile(),
    /** When its next page is asked for, on the monotonic clock; infinite when there is nothing to ask. */
    dueAt(): number {
      const hasPage = waiting.length > 0 || !isReading;
      return hasPage && isWorthwhile() ? nextAt : Number.POSITIVE_INFINITY;
    },
    /** Asks for the next page. Never throws. */
    async ask(): Promise<void> {
      if (!isReading) void read();
      await waiting.shift()?.();
    },
  };
}
