import type { WorkflowsApi } from "../api/client.js";
import { type ApiError, isPassing, toApiError } from "../api/errors.js";
import type { Run } from "../api/types.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";

const PAGE_SIZE = 100;
/** 5,000 running runs; any others are asked for one by one. */
const MAX_PAGES = 50;
/** Pages asked for at once; a list that hangs leaves the other requests in flight to single runs. */
const PARALLEL_PAGES = 4;
/** Fewer runs than this are asked for one by one, which tells more. */
const WORTHWHILE_FROM = 3;
/** The shortest and the longest time between two readings, in ms, and its share of the time without any change. */
const EVERY_MS = { shortest: 500, longest: 1_500, quietShare: 0.05 };
/** The list takes at most this share of the budget: what it shows has to be asked for as well. */
const BUDGET_SHARE = 0.5;
/** A run that is left out so often in a row although it goes on is not looked for in the list any more. */
const MISSES_BELIEVED = 3;
/** A list that has failed is read again after this long, one that the API refuses much later, in ms. */
const FAILED_PAUSE_MS = { passing: 5_000, refused: 10 * 60_000 };

/**
 * Reads the list of running runs again and again: one request tells of a hundred runs.
 * @param options.isWanted whether the list can tell something of a watched run
 * @param options.onRow what it tells of one of them
 * @param options.onMissing it has shown this one before and now leaves it out
 */
export function createRunningList<Watched extends { run: Run; missed: number }>(options: {
  api: Pick<WorkflowsApi, "listRuns">;
  clock: Pick<Clock, "elapsed">;
  log: Log;
  perSecond: number;
  signal: AbortSignal;
  watched: ReadonlyMap<string, Watched>;
  isWanted: (one: Watched) => boolean;
  onRow: (one: Watched, row: Run) => void;
  onMissing: (one: Watched) => void;
  onFailure: (error: ApiError) => void;
}) {
  const { api, clock, log, perSecond, signal, watched, isWanted, onRow, onMissing, onFailure } = options;
  let hasWorked = false;
  let nextAt = 0;
  let changedAt = clock.elapsed();
  /** How many pages this reading, or the next one, asks for. */
  let pages = 1;
  let reading: ReturnType<typeof begin> | undefined;

  /** A reading. Its pages may be answered in any order; `needed` is the last one that has shown a watched run. */
  const begin = () => ({
    began: clock.elapsed(),
    asked: 0,
    answered: 0,
    needed: 1,
    isWhole: false,
    seen: new Set<string>(),
  });

  function isWorthwhile(): boolean {
    let count = 0;
    for (const one of watched.values()) if (isWanted(one) && ++count >= WORTHWHILE_FROM) return true;
    return false;
  }

  function readRow(one: Watched, row: Run): void {
    if (row.status !== "running") {
      // A server that lists runs of every status says of itself what has ended.
      miss(one);
      return;
    }
    one.missed = 0;
    if (row.turn !== undefined && row.turn !== one.run.turn) changedAt = clock.elapsed();
    onRow(one, row);
  }

  function miss(one: Watched): void {
    if (++one.missed <= MISSES_BELIEVED) {
      changedAt = clock.elapsed();
      onMissing(one);
    } else one.missed = Number.POSITIVE_INFINITY;
  }

  function conclude({ began, asked, needed, isWhole, seen }: ReturnType<typeof begin>): void {
    const wanted = [...watched.values()].filter(isWanted);
    const unseen = wanted.filter((one) => !seen.has(one.run.runId));
    const missing = unseen.filter((one) => one.missed < Number.POSITIVE_INFINITY);
    // Runs that it has not shown yet may be in no list at all: they are not looked for everywhere.
    const goOn =
      missing.length > 0 ? asked < MAX_PAGES : unseen.length > 0 && asked * PAGE_SIZE < wanted.length;
    if (goOn && !isWhole) {
      pages = asked + 1;
      return;
    }
    for (const one of missing) {
      if (isWhole) miss(one);
      else one.missed = Number.POSITIVE_INFINITY;
    }
    const affordable = (needed * 1000) / (perSecond * BUDGET_SHARE);
    const wished = Math.min(EVERY_MS.longest, (clock.elapsed() - changedAt) * EVERY_MS.quietShare);
    nextAt = began + Math.max(EVERY_MS.shortest, affordable, wished);
    pages = needed;
    reading = undefined;
    hasWorked = true;
  }

  function fail(error: ApiError): void {
    const pause = Math.max(FAILED_PAUSE_MS.passing, error.retryAfterMs ?? 0);
    nextAt = clock.elapsed() + (isPassing(error) ? pause : FAILED_PAUSE_MS.refused);
    reading = undefined;
    hasWorked = false;
    onFailure(error);
  }

  return {
    /** It is read, and tells of the end of each run that it has shown. */
    works: () => hasWorked && isWorthwhile(),
    /** When its next page is asked for, on the monotonic clock; infinite when there is nothing to ask. */
    dueAt(): number {
      if (!isWorthwhile()) return Number.POSITIVE_INFINITY;
      if (!reading) return nextAt;
      const { asked, answered } = reading;
      return asked < pages && asked - answered < PARALLEL_PAGES ? nextAt : Number.POSITIVE_INFINITY;
    },
    /** Asks for the next page. Never throws. */
    async ask(): Promise<void> {
      reading ??= begin();
      const own = reading;
      const page = ++own.asked;
      try {
        const what = { page, pageSize: PAGE_SIZE, status: "running" } as const;
        const { runs, last } = await api.listRuns({ ...what, retries: 0, poller: true, signal });
        // Another page of the same reading has failed.
        if (own !== reading) return;
        own.answered++;
        const fresh = runs.filter(({ runId }) => !own.seen.has(runId));
        // A server that does not know pages gives the first one again and again.
        if (last || fresh.length === 0) own.isWhole = true;
        for (const row of fresh) {
          own.seen.add(row.runId);
          const one = watched.get(row.runId);
          if (!one || !isWanted(one)) continue;
          own.needed = Math.max(own.needed, page);
          readRow(one, row);
        }
        if (own.answered === own.asked && own.asked >= pages) conclude(own);
      } catch (error) {
        if (!signal.aborted && own === reading) fail(toApiError(error, log));
      }
    },
  };
}
