import type { WorkflowsApi } from "../api/client.js";
import { ApiError } from "../api/errors.js";
import type { Run, StartRequest } from "../api/types.js";
import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import { createKeyedMutex } from "../shared/keyed-mutex.js";
import { visibleName } from "../shared/text.js";
import { createLostStarts } from "./lost-starts.js";
import { mergeRun } from "./merge-run.js";
import { bareRun } from "./run-facts.js";
import type { RunWatcher } from "./run-watcher.js";
import { createSendStart, type OwnStart, type StartKeys } from "./send-start.js";

/** How a start went. Only `started` means that a run is known to exist. */
export type StartResult =
  | {
      kind: "started";
      run: Run;
      /** Found in the API's list after its answer was lost. */
      adopted: boolean;
      /** Whether the run is written down where sessions are kept. */
      noted: boolean;
    }
  /** The API took the request and said that the run failed; the id may be unknown to it. */
  | { kind: "failed"; run: Run }
  /** Its turn came and it was not to be sent any more. */
  | { kind: "withdrawn" }
  /**
   * The answer was lost and the run may or may not exist: the API's list shows nothing new that could be it, or
   * something that may as well be another start's, or cannot be read.
   */
  | {
      kind: "unknown";
      error: ApiError;
      list: "empty" | "ambiguous" | "unreachable";
      /** Looks into the API's list once more for runs that can be this start's. @throws ApiError */
      candidates(): Promise<Run[]>;
    };

/** Starts runs. */
export interface RunStarter {
  /**
   * Starts one run with one POST. When its fate is unknown it is looked up in the API's list and adopted when
   * found; it is sent again only where that cannot be a second run (send-start.ts). Starts of the same workflow and
   * session name go one after the other. A run that was started is written down before this resolves, so that nothing is
   * forgotten that was told.
   * @param signal keeps a start from being sent, or sent again; one that has been sent is seen through
   * @param mayStart asked when its turn has come: what was true before the wait for it may not be so any more
   * @param own.name what its `Idempotency-Key` has behind the API's prefix; random when left out
   * @param own.mayRepeat asked before it is sent again
   * @throws ApiError when the API has certainly not started it; of kind `aborted` when the signal came first
   */
  start(
    request: StartRequest,
    signal?: AbortSignal,
    mayStart?: () => Promise<boolean>,
    own?: OwnStart,
  ): Promise<StartResult>;
}

/** A start of unknown fate may still be acted on for this long, in ms: a server works off what waits in its queue. */
export const LATE_START_MS = 10 * 60_000;
/** A store that is stuck does not keep what is known of a paid run back for longer, in ms. */
const WRITE_LIMIT_MS = 5_000;

/** What the request tells of its run. */
function asRequested(runId: string, request: StartRequest): Run {
  const { sessionId, sessionName, maxTurns, repositoryUrl, gitBranch } = request;
  return {
    ...bareRun(runId),
    ...(sessionId ? { resumes: sessionId } : {}),
    ...(sessionName ? { sessionName } : {}),
    ...(maxTurns ? { maxTurns } : {}),
    ...(repositoryUrl ? { repositoryUrl } : {}),
    ...(gitBranch ? { gitBranch } : {}),
  };
}

/** What a starter works with. */
export interface StartOptions {
  api: Pick<WorkflowsApi, "startRun" | "listRuns" | "clockOffsetMs" | "apiTime">;
  watcher: Pick<RunWatcher, "onEvent">;
  clock: Clock;
  /** Writes down every run that this process has started or adopted; whether that has worked. Never rejects. */
  onStarted?: (run: Run, request: StartRequest) => Promise<boolean>;
  /** Aborts when the server stops: then nothing is looked for any more. */
  stopped?: AbortSignal;
  /** Where left out, starts have no keys. */
  keys?: StartKeys;
}

/** Starts runs, each with one POST. */
export function createRunStarter(options: StartOptions): RunStarter {
  const { api, watcher, clock, stopped } = options;
  const send = createSendStart(options);
  const lostStarts = createLostStarts({ api, watcher, clock, stopped });
  /** When starts were given up as unknown (monotonic clock), by their key: a run that turns up later may be theirs. */
  const unresolved = new Map<string, number>();
  // Two starts that look alike must not take each other's run, so the second waits until the first is settled.
  const starts = createKeyedMutex();
  const sessions = createKeyedMutex();

  async function register(run: Run, request: StartRequest, adopted: boolean): Promise<StartResult> {
    lostStarts.settle(run.runId);
    const full = mergeRun(asRequested(run.runId, request), run);
    const written = options.onStarted?.(full, request) ?? Promise.resolve(true);
    const noted = (await withDeadline(clock, WRITE_LIMIT_MS, () => written)) ?? false;
    return { kind: "started", run: full, adopted, noted };
  }

  async function startOnce(
    request: StartRequest,
    key: string,
    signal: AbortSignal | undefined,
    own: OwnStart | undefined,
  ): Promise<StartResult> {
    const start = lostStarts.begin();
    const began = clock.elapsed();
    try {
      const run = await send(request, signal, own);
      if (run.status !== "failed") return await register(run, request, false);
      // Some of these are in the API's list all the same, where no other start may take them for its own.
      lostStarts.settle(run.runId);
      delete run.sessionId;
      delete run.sessionClaimed;
      return { kind: "failed", run };
    } catch (error) {
      if (!(error instanceof ApiError) || !error.mayHaveActed) throw error;
      const isContested = began - (unresolved.get(key) ?? Number.NEGATIVE_INFINITY) < LATE_START_MS;
      const found = await lostStarts.find(request, start, isContested);
      if (typeof found !== "string") return register(found, request, true);
      for (const [one, since] of unresolved) {
        if (clock.elapsed() - since >= LATE_START_MS) unresolved.delete(one);
      }
      unresolved.set(key, clock.elapsed());
      return { kind: "unknown", error, list: found, candidates: () => lostStarts.candidates(request, start) };
    }
  }

  return {
    start(request, signal, mayStart, own) {
      const { workflowName, sessionId } = request;
      const name = visibleName(request.sessionName ?? "");
      const key = JSON.stringify([workflowName, name]);
      // A start whose name or conversation has to be free waits for all others in it, whatever their workflow: it has to
      // see the run of the one before.
      const session = JSON.stringify(sessionId === undefined ? { name } : { sessionId });
      const inTurn = (work: () => Promise<StartResult>) =>
        mayStart ? sessions.run(session, () => starts.run(key, work)) : starts.run(key, work);
      return new Promise((resolve, reject) => {
        let isSent = false;
        const giveUp = () => {
          const why = `Workflow ${request.workflowName} was not started: the call was cancelled.`;
          if (!isSent) reject(new ApiError("aborted", why));
        };
        const turn = inTurn(async () => {
          const isFree = !signal?.aborted && (!mayStart || (await mayStart()));
          if (!isFree || signal?.aborted) return { kind: "withdrawn" };
          isSent = true;
          return startOnce(request, key, signal, own);
        });
        // Who is called off while others are before it has not been sent, and need not wait for them.
        signal?.addEventListener("abort", giveUp, { once: true });
        if (signal?.aborted) giveUp();
        turn.then(resolve, reject).finally(() => signal?.removeEventListener("abort", giveUp));
      });
    },
  };
}
