import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import type { Log } from "../shared/log.js";
import type { WorkflowsApi } from "./client.js";
import type { ApiDescription, StartField } from "./description.js";
import type { Endpoint } from "./endpoints.js";
import type { ApiError } from "./errors.js";

/** What is known of what the API can do. */
export interface CapabilitiesState {
  /** What the API says of itself; it stays when a later reading fails for a while. */
  description?: ApiDescription;
  /** When that was read, epoch ms. */
  readAt?: number;
  /** Why the last reading brought nothing, worded for a person; absent when it did. */
  problem?: string;
  /** True when that may be otherwise in a while: the API did not answer, or failed. */
  isAway: boolean;
}

/**
 * What the API can do, according to its description. Without one, or with a partial one, it is assumed to do
 * everything.
 */
export interface ApiCapabilities {
  state(): CapabilitiesState;
  /** False only when a whole description names no such endpoint. */
  hasEndpoint(endpoint: Endpoint): boolean;
  /** True only when a description names it: for what no API has unless it says so. */
  describesEndpoint(endpoint: Endpoint): boolean;
  /** False only when a whole description spells out the start and leaves the field out. */
  acceptsField(field: StartField): boolean;
  /** True only when a description says so: a run would otherwise go on with another model than was asked for. */
  takesModel(): boolean;
  /** True only when a description says so: it tells an issue itself how the run stands that is about it. */
  takesIssue(): boolean;
  /** What the `Idempotency-Key` of a start begins with; undefined unless a description says that the API keeps keys. */
  keyPrefix(): string | undefined;
  /**
   * The same by a description that is read now: another API may have taken the place of the one that was there. Also
   * undefined when it cannot be read. Never rejects.
   */
  readKeyPrefix(): Promise<string | undefined>;
  /**
   * Whether a take can have a check, by a description that is read now, as above: an older API would pass over the
   * check and merge. False when it cannot be read. Never rejects.
   */
  readTakesCheck(): Promise<boolean>;
  /** Reads the description now; callers at the same time share one request. Never throws: the state says how it went. */
  refresh(): Promise<CapabilitiesState>;
  /** Calls back when anything of the description has changed. The returned function removes it. */
  onChange(listener: () => void): () => void;
  /** Reads the description; resolves when it has been read, or after `budgetMs`. */
  start(budgetMs: number): Promise<void>;
  close(): void;
}

/** A description is a file that lies ready or is made in a moment; calls that wait for it wait no longer, in ms. */
const READ_LIMIT_MS = 5_000;

/** What the API says of itself, read on demand and kept: one reading for all who want to know. */
export function createCapabilities(options: {
  api: Pick<WorkflowsApi, "describe">;
  clock: Clock;
  log: Log;
}): ApiCapabilities {
  const { api, clock, log } = options;
  const listeners = new Set<() => void>();
  const closing = new AbortController();
  let state: CapabilitiesState = { problem: "It has not been read yet.", isAway: true };
  let reading: Promise<CapabilitiesState> | undefined;

  function keep(next: CapabilitiesState): void {
    const changed = fingerprint(next) !== fingerprint(state);
    if (next.problem && next.problem !== state.problem) log.debug(`No description: ${next.problem}`);
    state = next;
    if (changed) for (const listener of [...listeners]) listener();
  }

  async function read(background: boolean): Promise<CapabilitiesState> {
    try {
      const describe = (signal: AbortSignal) => api.describe({ signal, background });
      const found = await withDeadline(clock, READ_LIMIT_MS, describe, closing.signal);
      if (!found) {
        const problem = `The API did not give its description within ${READ_LIMIT_MS / 1000} s.`;
        keep({ ...state, problem, isAway: true });
      } else if ("description" in found) {
        keep({ description: found.description, readAt: clock.now(), isAway: false });
      } else {
        keep({ problem: found.error.message, isAway: false });
      }
    } catch (error) {
      if (!closing.signal.aborted) keep({ ...state, problem: (error as ApiError).message, isAway: true });
    }
    return state;
  }

  function refresh(): Promise<CapabilitiesState> {
    if (closing.signal.aborted) return Promise.resolve(state);
    // In the background: whoever has stopped an API need not see it start again for this.
    reading ??= read(true).finally(() => {
      reading = undefined;
    });
    return reading;
  }

  return {
    state: () => state,
    hasEndpoint: (endpoint) => !state.description?.whole || state.description.endpoints.has(endpoint),
    describesEndpoint: (endpoint) => state.description?.endpoints.has(endpoint) === true,
    acceptsField: (field) => !state.description?.whole || !state.description.start.unknown.has(field),
    takesModel: () => state.description?.start.takesModel === true,
    takesIssue: () => state.description?.start.takesIssue === true,
    keyPrefix: () => state.description?.start.keyPrefix,
    async readKeyPrefix() {
      // Not shared with a reading that has begun before.
      const { description, problem } = await read(false);
      return problem === undefined ? description?.start.keyPrefix : undefined;
    },
    async readTakesCheck() {
      const { description, problem } = await read(false);
      return problem === undefined && description?.takesCheck === true;
    },
    refresh,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async start(budgetMs) {
      await withDeadline(clock, budgetMs, refresh);
    },
    close() {
      closing.abort();
      listeners.clear();
    },
  };
}

/** Equal for descriptions that say the same. */
function fingerprint({ description }: CapabilitiesState): string {
  return JSON.stringify(description, (_key, value) => (value instanceof Set ? [...value] : value)) ?? "";
}
