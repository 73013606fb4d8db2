import type { WorkflowsApi } from "../api/client.js";
import { ApiError } from "../api/errors.js";
import { isFinal, type Run } from "../api/types.js";
import { untilAborted, whileFollowing } from "../shared/abort.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import { mergeRun } from "./merge-run.js";

/** The API's own list of runs, read page by page and kept. Results are left out: they may be long. */
export interface RunList {
  /**
   * The runs, newest first. Read anew when the last reading is older than a few seconds; then only as many pages
   * as have runs that were not listed before.
   * @param others runs that are known for another reason; those that the list does not show are asked for
   * @throws ApiError when the list was never read and cannot be read now
   */
  read(signal?: AbortSignal, others?: Promise<readonly Run[]>): Promise<readonly Run[]>;
  /** The runs as last read, newest first. Never asks the API. */
  known(): readonly Run[];
  /** One of them. */
  get(runId: string): Run | undefined;
  /** Adds a run that is known for another reason, so that it is there before the list shows it. */
  note(run: Run): void;
  /** The next reading asks the API, however new the last one is: a run has just been changed. */
  outdate(): void;
  /** Why the last reading failed; undefined when it did not. */
  problem(): ApiError | undefined;
  /** True when the API has said that it does not know the run. */
  isLost(runId: string): boolean;
}

/** A reading is good for this long, in ms: people who ask twice in a row mean the same moment. */
const FRESH_MS = 3_000;
const PAGE_SIZE = 100;
/** Pages asked for at once: the list of a busy server has a hundred of them. */
const PARALLEL_PAGES = 8;
/** 50,000 runs; what is older is found by its run id only. */
const MAX_PAGES = 500;
/** Runs that were still going and that the pages read do not show are looked at one by one, so many a reading. */
const OLD_RUNS_CHECKED = 10;
/** Forgotten runs are remembered up to this number; one more is only asked for again. */
const LOST_KEPT = 5_000;
/** Servers keep runs of which nothing will ever come; each is looked at only this often, in ms. */
const OLD_RUN_FRESH_MS = 30_000;

/** Reads `/runs` until a short page: `has_next` and `total_count` are wrong on some servers. */
export function createRunList(options: {
  api: Pick<WorkflowsApi, "listRuns" | "getRun">;
  clock: Clock;
}): RunList {
  const { api, clock } = options;
  const runs = new Map<string, Run>();
  /** Runs that the list has shown. */
  const listed = new Set<string>();
  const lost = new Map<string, true>();
  const askedAt = new Map<string, number>();
  let sorted: readonly Run[] | undefined;
  let complete = false;
  /** As all times here, of the monotonic clock. */
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  let problem: ApiError | undefined;

  function keep(run: Run): void {
    const { result: _result, ...kept } = run;
    runs.set(run.runId, kept);
    lost.delete(run.runId);
    if (isFinal(run.status)) askedAt.delete(run.runId);
    sorted = undefined;
  }

  function forget(runId: string): void {
    runs.delete(runId);
    listed.delete(runId);
    askedAt.delete(runId);
    setBounded(lost, runId, true, LOST_KEPT);
    sorted = undefined;
  }

  async function readPages(others: Promise<readonly Run[]>): Promise<void> {
    const seen = new Set<string>();
    // One page at first, since mostly it is enough; then more and more of them at once.
    for (
      let page = 1, width = 1;
      page <= MAX_PAGES;
      page += width, width = Math.min(2 * width, PARALLEL_PAGES)
    ) {
      const pages = await Promise.all(
        Array.from({ length: width }, (_, index) =>
          api.listRuns({ page: page + index, pageSize: PAGE_SIZE }),
        ),
      );
      const found = pages.flatMap((one) => one.runs);
      const oldest = found.at(-1);
      // Runs are listed by their start: behind one that was listed before there are only such.
      const reachesKnown = complete && oldest !== undefined && listed.has(oldest.runId);
      const before = seen.size;
      for (const run of found) {
        seen.add(run.runId);
        listed.add(run.runId);
        keep(run);
      }
      if (pages.some((one) => one.last)) {
        // Read to its end without them: the server has forgotten these.
        for (const runId of [...listed]) if (!seen.has(runId)) forget(runId);
        break;
      }
      // A server that does not know pages gives the first one again and again.
      if (reachesKnown || seen.size === before) break;
    }
    complete = true;
    for (const run of await others) note(run);
    await checkUnseen(seen);
  }

  async function checkUnseen(seen: ReadonlySet<string>): Promise<void> {
    const now = clock.elapsed();
    const last = (run: Run) => askedAt.get(run.runId) ?? Number.NEGATIVE_INFINITY;
    const due = [...runs.values()]
      .filter((run) => !seen.has(run.runId) && !isFinal(run.status) && now - last(run) >= OLD_RUN_FRESH_MS)
      .sort((a, b) => last(a) - last(b) || byStart(a, b))
      .slice(0, OLD_RUNS_CHECKED);
    await Promise.all(
      due.map(async (run) => {
        askedAt.set(run.runId, now);
        try {
          keep(mergeRun(run, await api.getRun(run.runId, { retries: 0 })));
        } catch (error) {
          if (error instanceof ApiError && error.kind === "not_found") forget(run.runId);
        }
      }),
    );
  }

  function refresh(others: Promise<readonly Run[]>): Promise<void> {
    // Shared by all who ask meanwhile, so nobody's signal may end it.
    reading ??= readPages(others)
      .then(
        () => {
          readAt = clock.elapsed();
          problem = undefined;
        },
        (error: ApiError) => {
          problem = error;
          throw error;
        },
      )
      .finally(() => {
        reading = undefined;
      });
    return reading;
  }

  function known(): readonly Run[] {
    sorted ??= [...runs.values()].sort(byStart);
    return sorted;
  }

  function note(run: Run): void {
    if (runs.has(run.runId) || lost.has(run.runId)) return;
    keep(run);
    // A start may be answered before the run can be read.
    if (clock.now() - (run.startedAt ?? 0) < OLD_RUN_FRESH_MS) askedAt.set(run.runId, clock.elapsed());
  }

  return {
    async read(signal, others = Promise.resolve([])) {
      if (clock.elapsed() - readAt >= FRESH_MS) {
        try {
          const reading = refresh(others);
          // The signal may be that of a process, and is left as it was.
          await (signal
            ? whileFollowing(signal, (own) => Promise.race([reading, failWhenAborted(own)]))
            : reading);
        } catch (error) {
          if (!complete) throw error;
        }
      }
      for (const run of await others) note(run);
      return known();
    },
    known,
    get: (runId) => runs.get(runId),
    note,
    outdate() {
      readAt = Number.NEGATIVE_INFINITY;
    },
    problem: () => problem,
    isLost: (runId) => lost.has(runId),
  };
}

const byStart = (a: Run, b: Run) => (b.startedAt ?? 0) - (a.startedAt ?? 0);

async function failWhenAborted(signal: AbortSignal): Promise<never> {
  await untilAborted(signal);
  throw new ApiError("aborted", "Stopped while reading the list of runs.");
}
