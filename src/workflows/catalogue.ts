import type { WorkflowsApi } from "../api/client.js";
import type { ApiError } from "../api/errors.js";
import type { Workflow } from "../api/types.js";
import { type Pauses, pauseAfter } from "../shared/backoff.js";
import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import type { Log } from "../shared/log.js";

/** What is known of the API's workflows. */
export interface CatalogueState {
  workflows: readonly Workflow[];
  /** True once the API has given its list; the list stays when a later refresh fails. */
  available: boolean;
  /** Why the last attempt failed, worded for a person; absent when it did not. */
  problem?: string;
  /** When the list was last read, epoch ms. */
  readAt?: number;
}

export interface Catalogue {
  state(): CatalogueState;
  /** How long ago the list was read, in ms; infinite until it was. */
  ageMs(): number;
  find(name: string): Workflow | undefined;
  /**
   * Reads the list now; callers at the same time share one request. Never throws: the state says how it went.
   * @param signal ends the caller's wait, not the read
   */
  refresh(): Promise<CatalogueState>;
  /** Calls back when the names, their texts, or the availability have changed. The returned function removes it. */
  onChange(listener: (state: CatalogueState) => void): () => void;
  /** Reads the list and keeps it fresh until closed. Resolves after the first attempt or after `budgetMs`. */
  start(budgetMs: number): Promise<void>;
  close(): void;
}

/** Pauses between attempts while the list cannot be read; none is longer than the interval of refreshing. */
const RETRY: Pauses = { firstMs: 1_000, longestMs: 1_024_000 };

/** The list of workflows, read from the API at start-up and again at every interval. */
export function createCatalogue(options: {
  api: Pick<WorkflowsApi, "listWorkflows">;
  clock: Clock;
  refreshIntervalMs: number;
  log: Log;
  /** Called whenever the list begins to be read, for what is to be read beside it. */
  onReading?: () => void;
}): Catalogue {
  const { api, clock, log, refreshIntervalMs, onReading } = options;
  const listeners = new Set<(state: CatalogueState) => void>();
  const closing = new AbortController();
  let state: CatalogueState = {
    workflows: [],
    available: false,
    problem: "The list of workflows is being read.",
  };
  let reading: Promise<CatalogueState> | undefined;
  /** The same as `readAt`, by the monotonic clock. */
  let takenAt = Number.NEGATIVE_INFINITY;
  let failures = 0;
  /** What was wrong with the last reading, without the words that are others at each try. */
  let failedAs: string | undefined;
  let cancelTimer: () => void = () => {};

  function publish(next: CatalogueState, failed?: ApiError): void {
    const failing = failed && `${failed.kind} ${failed.status}`;
    const changed =
      next.available !== state.available ||
      // Availability apart, a failed refresh changes nothing that a reader of the schema should see.
      (!next.available && failing !== failedAs) ||
      JSON.stringify(next.workflows) !== JSON.stringify(state.workflows);
    state = next;
    failedAs = failing;
    if (!changed) return;
    for (const listener of [...listeners]) listener(state);
  }

  async function read(background: boolean): Promise<CatalogueState> {
    onReading?.();
    try {
      // No retries inside: the catalogue comes back by itself, and the first attempt must not hold up a start.
      const workflows = await api.listWorkflows({ retries: 0, signal: closing.signal, background });
      failures = 0;
      takenAt = clock.elapsed();
      publish({ workflows, available: true, readAt: clock.now() });
    } catch (error) {
      if (closing.signal.aborted) return state;
      failures++;
      const problem = (error as ApiError).message;
      if (failures === 1) log.warn(`The list of workflows is not available: ${problem}`);
      publish({ ...state, problem }, error as ApiError);
    }
    return state;
  }

  function refresh(background = false): Promise<CatalogueState> {
    reading ??= read(background).finally(() => {
      reading = undefined;
      schedule();
    });
    return reading;
  }

  function schedule(): void {
    cancelTimer();
    if (closing.signal.aborted || !started) return;
    const retryMs = failures > 0 ? pauseAfter(failures, RETRY) : refreshIntervalMs;
    cancelTimer = clock.after(Math.min(retryMs, refreshIntervalMs), () => void refresh(true));
  }

  let started = false;

  return {
    state: () => state,
    ageMs: () => clock.elapsed() - takenAt,
    find: (name) => state.workflows.find((workflow) => workflow.name === name),
    refresh: () => refresh(),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async start(budgetMs) {
      started = true;
      await withDeadline(clock, budgetMs, () => refresh());
    },
    close() {
      closing.abort();
      cancelTimer();
      listeners.clear();
    },
  };
}
