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
/** The shortest and the longest time between two readings, in ms, and its share of the time without any update. */
const EVERY_MS = { shortest: 500, longest: 1_500, quietShare: 0.05 };
/** The list takes at most this share of the budget: what it shows has to be asked for as well. */
const BUDGET_SHARE = 0.5;
/** A list that has failed is read again after this long, one that the API refuses much later, in ms. */
const FAILED_PAUSE_MS = { passing: 5_000, refused: 10 * 60_000 };

/** One reading of the list: how many of its pages were asked for, how many of them have not come, and what they show. */
interface Reading {
  began: number;
  pages: number;
  open: number;
  seen: Set<string>;
  /** The last page that shows a run that is wanted. */
  needed: number;
  isWhole: boolean;
}

/**
 * Reads the list of running runs again and again: one request tells of a hundred runs.
 * @param options.wanted the watched runs that it can tell something of
 * @param options.onUpdate what it tells of one of them that is not known yet
 */
export function createRunningList(options: {
  api: Pick<WorkflowsApi, "listRuns">;
  clock: Pick<Clock, "elapsed">;
  log: Log;
  perSecond: number;
  signal: AbortSignal;
  wanted: () => readonly WatchedRun[];
  onUpdate: (one: WatchedRun, row: Run) => void;
}) {
  const { api, clock, log, perSecond, signal, wanted, onUpdate } = options;
  let reading: Reading | undefined;
  let hasWorked = false;
  let nextAt = 0;
  let updatedAt = clock.elapsed();
  /** How many pages a reading takes as far as is known: a few at once, and any others one by one. */
  let expected = 1;

  const isWorthwhile = () => wanted().length >= WORTHWHILE_FROM;

  function hasNextPage(): boolean {
    if (!reading || reading.open === 0) return true;
    return !reading.isWhole && reading.pages < expected && reading.open < PARALLEL_PAGES;
  }

  function takeIn(into: Reading, page: number, { runs, last }: { runs: Run[]; last: boolean }): void {
    const fresh = new Map(runs.filter(({ runId }) => !into.seen.has(runId)).map((row) => [row.runId, row]));
    // A server that does not know pages gives the first one again and again.
    into.isWhole ||= last || fresh.size === 0 || page === MAX_PAGES;
    for (const runId of fresh.keys()) into.seen.add(runId);
    for (const one of wanted()) {
      const row = fresh.get(one.run.runId);
      if (!row) continue;
      into.needed = Math.max(into.needed, page);
      if (row.turn !== undefined && row.turn !== one.run.turn) updatedAt = clock.elapsed();
      // A server that lists runs of every status says of itself what has ended.
      if (row.status !== "running") leave(one);
      else if (one.noteRow(row)) onUpdate(one, row);
    }
    if (into.open === 0) finish(into);
  }

  /** Ends a reading when all runs have been seen that the list has shown before. */
  function finish({ began, pages, seen, needed, isWhole }: Reading): void {
    const unseen = wanted().filter((one) => one.listed !== "no" && !seen.has(one.run.runId));
    // Runs that the list has never shown may be in none: they are not looked for everywhere.
    const isEnough = pages >= expected && unseen.length === 0 && pages * PAGE_SIZE >= wanted().length;
    if (!isWhole && !isEnough) return;
    unseen.forEach(leave);
    const affordable = (needed * 1000) / (perSecond * BUDGET_SHARE);
    const wished = Math.min(EVERY_MS.longest, (clock.elapsed() - updatedAt) * EVERY_MS.quietShare);
    nextAt = began + Math.max(EVERY_MS.shortest, affordable, wished);
    expected = needed;
    hasWorked = true;
    reading = undefined;
  }

  /** It has shown this one before, and now leaves it out or shows that it has ended. */
  function leave(one: WatchedRun): void {
    if (one.listed === "no") return;
    updatedAt = clock.elapsed();
    one.leaveList();
  }

  return {
    /** It is read, and tells of the end of each run that it has shown. */
    works: () => hasWorked && isWorthwhile(),
    /** When its next page is asked for, on the monotonic clock; infinite when there is nothing to ask. */
    dueAt: () => (isWorthwhile() && hasNextPage() ? nextAt : Number.POSITIVE_INFINITY),
    /** Asks for the next page, and gives what has gone wrong. Never throws. */
    async ask(): Promise<ApiError | undefined> {
      reading ??= { began: clock.elapsed(), pages: 0, open: 0, seen: new Set(), needed: 1, isWhole: false };
      const current = reading;
      const page = ++current.pages;
      current.open++;
      try {
        const what = { page, pageSize: PAGE_SIZE, status: "running", retries: 0, poller: true } as const;
        const answer = await api.listRuns({ ...what, signal });
        current.open--;
        // Another page of it may have failed.
        if (reading === current) takeIn(current, page, answer);
        return undefined;
      } catch (error) {
        if (signal.aborted || reading !== current) return undefined;
        const failure = toApiError(error, log);
        const pause = Math.max(FAILED_PAUSE_MS.passing, failure.retryAfterMs ?? 0);
        nextAt = clock.elapsed() + (isPassing(failure) ? pause : FAILED_PAUSE_MS.refused);
        reading = undefined;
        hasWorked = false;
        return failure;
      }
    },
  };
}
