import { randomUUID } from "node:crypto";
import type { WorkflowsApi } from "../api/client.js";
import { ApiError } from "../api/errors.js";
import type { Run, StartRequest } from "../api/types.js";

/** How the API takes keys (`Idempotency-Key`), under which two starts are one run, and what else it takes. */
export interface StartKeys {
  /** Whether it takes the issue that a run is about; where left out, it does not. */
  takesIssue?(): boolean;
  /** What a key begins with, as far as is known; undefined where the API keeps none. */
  keyPrefix(): string | undefined;
  /** The same as the API says now; also undefined when it does not answer. Never rejects. */
  readKeyPrefix(): Promise<string | undefined>;
}

/** What a start has of its own that may have to be sent again by another process. */
export interface OwnStart {
  /** Names it in place of a random name. */
  name: string;
  /** Asked before it is sent again by this process: another one may have taken that on. */
  mayRepeat?: () => Promise<boolean>;
}

/**
 * Makes what sends a start: one POST, and a second one only where that cannot be a second run.
 *
 * - The answer was lost, and the API says now what it said before of its keys: the same again, under the same key. The
 *   prefix is that of the API's database: after a loss of the database, or with another server at the address, it is
 *   another one or none, and nothing is sent again.
 * - The start was refused because the API has another database than when its description was read: nothing was started,
 *   so it is sent once more, with a new key.
 *
 * @param options.stopped aborts when the server stops: then nothing is sent again
 * @returns the same with a signal of the call, after which nothing is sent again either. It throws ApiError, of the first
 * request where the second has brought nothing
 */
export function createSendStart(options: {
  api: Pick<WorkflowsApi, "startRun">;
  keys?: StartKeys;
  stopped?: AbortSignal;
}): (request: StartRequest, signal?: AbortSignal, own?: OwnStart) => Promise<Run> {
  const { api, keys, stopped } = options;

  async function sendWithPrefix(
    request: StartRequest,
    prefix: string | undefined,
    name: string,
    mayRepeat: () => Promise<boolean>,
  ): Promise<Run> {
    const key = prefix === undefined ? undefined : `${prefix}${name}`;
    try {
      return await api.startRun(request, key);
    } catch (error) {
      const isLost = error instanceof ApiError && error.mayHaveActed;
      if (!isLost || key === undefined || !(await mayRepeat())) throw error;
      const isSameApi = (await keys?.readKeyPrefix()) === prefix;
      if (!isSameApi || !(await mayRepeat())) throw error;
      // What this answers says nothing of the first, unless it is the run.
      return api.startRun(request, key).catch(() => {
        throw error;
      });
    }
  }

  return async ({ issue, ...rest }, signal, own) => {
    const request = issue && keys?.takesIssue?.() ? { ...rest, issue } : rest;
    const isOver = () => stopped?.aborted || signal?.aborted;
    async function mayRepeat(): Promise<boolean> {
      // Where nobody can tell, it is left to who looks for it.
      return !isOver() && ((await own?.mayRepeat?.().catch(() => false)) ?? true) && !isOver();
    }
    const name = own?.name;
    try {
      return await sendWithPrefix(request, keys?.keyPrefix(), name ?? randomUUID(), mayRepeat);
    } catch (error) {
      if (!(error instanceof ApiError) || !error.staleKey || !(await mayRepeat())) throw error;
      const prefix = await keys?.readKeyPrefix();
      if (!(await mayRepeat())) throw error;
      return sendWithPrefix(request, prefix, name ?? randomUUID(), mayRepeat);
    }
  };
}
