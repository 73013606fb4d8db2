import type { WorkflowsApi } from "../api/client.js";
import { ApiError } from "../api/errors.js";
import { isFinal, openQuestions, type Run, type RunQuestion, type StartRequest } from "../api/types.js";
import { setBounded } from "../shared/bounded-map.js";
import { type Clock, sleep } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import { createKeyedMutex } from "../shared/keyed-mutex.js";
import { cleanLine, visibleName } from "../shared/text.js";
import { mergeRun } from "./merge-run.js";
import type { RunEvent } from "./run-events.js";
import type { RunWatcher } from "./run-watcher.js";

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

/** Why following a run ended. */
export type FollowEnd =
  | { why: "asked"; run: Run; question: RunQuestion }
  | { why: "finished" | "stopped"; run: Run }
  /** The time is up; `error` when the API could not be asked last, since `errorSince` (epoch ms). */
  | { why: "waited"; run: Run; error?: ApiError; errorSince?: number }
  | { why: "stalled"; run: Run; quietMs: number }
  | { why: "lost"; run: Run; error: ApiError }
  | { why: "unreachable"; run: Run; error: ApiError };

export interface Runs {
  /**
   * Starts one run with one POST. When its fate is unknown it is looked up in the API's list and adopted when
   * found; it is never sent again. Starts of the same workflow and session name go one after the other. A run that was
   * started is written down before this resolves, so that nothing is forgotten that was told.
   * @param signal keeps a start from being sent; one that has been sent is seen through
   * @param mayStart asked when its turn has come: what was true before the wait for it may not be so any more
   * @throws ApiError when the API has certainly not started it; of kind `aborted` when the signal came first
   */
  start(request: StartRequest, signal?: AbortSignal, mayStart?: () => Promise<boolean>): Promise<StartResult>;
  /**
   * Follows a run until it ends, stalls or is lost, until `waitMs` have passed (undefined: no limit), or until
   * the signal aborts. The run itself goes on in any case.
   */
  follow(
    seed: Run,
    options: {
      waitMs: number | undefined;
      signal: AbortSignal;
      onEvent?: (event: RunEvent) => void;
      /** Ends with `asked` at the first open question for which this says true; it is not asked further then. */
      takesQuestion?: (question: RunQuestion) => boolean;
    },
  ): Promise<FollowEnd>;
  /** The run with all that can be told, an `error` from the list included. @throws ApiError */
  read(runId: string, signal?: AbortSignal): Promise<Run>;
  /** Adds what only the API's list tells of a failed run. Never throws: without it the run stays as it is. */
  explain(run: Run, signal?: AbortSignal): Promise<Run>;
}

/** Pauses before the looks into the list after a lost answer, in ms: the API may take a moment to show the run. */
const LOOKUP_PAUSES_MS = [0, 1_000, 3_000];
/** How far the API's clock may disagree with ours after its Date header (whole seconds) was taken into account. */
const CLOCK_TOLERANCE_MS = 2_000;
/** A start of unknown fate may still be acted on for this long, in ms: a server works off what waits in its queue. */
export const LATE_START_MS = 10 * 60_000;
/** Known runs are remembered up to this number: only those of the last minutes can be taken for a new start. */
const RUNS_KNOWN = 2_000;
/** A store that is stuck does not keep the news of a paid run back for longer, in ms. */
const WRITE_LIMIT_MS = 5_000;
/** With no answer to be had for this long, a waiting call says so instead of waiting on. */
const UNREACHABLE_LIMIT_MS = 60_000;

/** A run of which nothing but the id is known. */
export function bareRun(runId: string): Run {
  return {
    runId,
    workflowName: "",
    status: "unknown",
    toolsUsed: [],
    phasesCompleted: [],
    filesChanged: [],
    commits: [],
  };
}

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

/** A start under way: its number among those of this process, and when it was sent, by our clock and the API's. */
interface SentStart {
  number: number;
  sentAt: number;
  apiTime: number | undefined;
}

/** Starting, following and reading runs. */
export function createRuns(options: {
  api: Pick<WorkflowsApi, "startRun" | "listRuns" | "getRun" | "clockOffsetMs" | "apiTime">;
  feed: RunWatcher;
  clock: Clock;
  /** Writes down every run that this process has started or adopted; whether that has worked. Never rejects. */
  onStarted?: (run: Run, request: StartRequest) => Promise<boolean>;
  /** Aborts when the server stops: then nothing is looked for any more. */
  stopped?: AbortSignal;
  /** A key for a start, where two starts with the same key are one run. */
  newKey?: () => string | undefined;
}): Runs {
  const { api, feed, clock, stopped, newKey = () => undefined } = options;
  /** How many starts had been sent when each run became known here; -1 for those whose own start is settled. */
  const known = new Map<string, number>();
  let sent = 0;
  /** When starts were given up as unknown (monotonic clock), by their key: a run that turns up later may be theirs. */
  const unresolved = new Map<string, number>();
  // Two starts that look alike must not take each other's run, so the second waits until the first is settled.
  const starts = createKeyedMutex();
  const names = createKeyedMutex();
  feed.onEvent(({ run }) => {
    if (!known.has(run.runId)) setBounded(known, run.runId, sent, RUNS_KNOWN);
  });

  async function register(run: Run, request: StartRequest, adopted: boolean): Promise<StartResult> {
    setBounded(known, run.runId, -1, RUNS_KNOWN);
    const full = mergeRun(asRequested(run.runId, request), run);
    const written = options.onStarted?.(full, request) ?? Promise.resolve(true);
    const noted = (await withDeadline(clock, WRITE_LIMIT_MS, () => written)) ?? false;
    return { kind: "started", run: full, adopted, noted };
  }

  /** The runs in the API's list that a start sent at that time can have made. @throws ApiError */
  async function findCandidates(request: StartRequest, start: SentStart): Promise<Run[]> {
    // The looks are the retries: more of them would outlast the patience of clients.
    const { runs } = await api.listRuns({ workflowName: request.workflowName, retries: 0 });
    // By its own clock the API can have started it only after what it had answered before, which holds even when our
    // clock was set meanwhile.
    const since = Math.max(start.sentAt + api.clockOffsetMs(), start.apiTime ?? 0) - CLOCK_TOLERANCE_MS;
    return runs.filter(
      (run) =>
        resembles(run, request) &&
        run.startedAt !== undefined &&
        run.startedAt >= since &&
        (known.get(run.runId) ?? Number.POSITIVE_INFINITY) >= start.number,
    );
  }

  /** The one run that a lost answer can have been about, or why there is none. */
  async function lookUp(request: StartRequest, start: SentStart, contested: boolean) {
    let list: "empty" | "ambiguous" | "unreachable" = "unreachable";
    for (const pause of LOOKUP_PAUSES_MS) {
      if (!(await sleep(clock, pause, stopped))) break;
      try {
        const candidates = await findCandidates(request, start);
        const [found] = candidates;
        if (found && candidates.length === 1 && !contested) return found;
        list = found ? "ambiguous" : "empty";
      } catch {
        // The list is as unreachable as the start was; the next look may fare better.
      }
    }
    return list;
  }

  /** Sends a start; one whose answer was lost is sent again only under its key, which makes both one run. */
  async function send(request: StartRequest): Promise<Run> {
    const key = newKey();
    try {
      return await api.startRun(request, key);
    } catch (error) {
      const isLost = error instanceof ApiError && error.mayHaveActed;
      if (!isLost || key === undefined || stopped?.aborted) throw error;
      // What this answers says nothing of the first, unless it is the run.
      return api.startRun(request, key).catch(() => {
        throw error;
      });
    }
  }

  async function startOnce(request: StartRequest, key: string): Promise<StartResult> {
    const start = { number: ++sent, sentAt: clock.now(), apiTime: api.apiTime() };
    const began = clock.elapsed();
    try {
      const run = await send(request);
      if (run.status !== "failed") return await register(run, request, false);
      // Some of these are in the API's list all the same, where no other start may take them for its own.
      setBounded(known, run.runId, -1, RUNS_KNOWN);
      delete run.sessionId;
      delete run.sessionClaimed;
      return { kind: "failed", run };
    } catch (error) {
      if (!(error instanceof ApiError) || !error.mayHaveActed) throw error;
      const contested = began - (unresolved.get(key) ?? Number.NEGATIVE_INFINITY) < LATE_START_MS;
      const found = await lookUp(request, start, contested);
      if (typeof found !== "string") return register(found, request, true);
      for (const [one, since] of unresolved) {
        if (clock.elapsed() - since >= LATE_START_MS) unresolved.delete(one);
      }
      unresolved.set(key, clock.elapsed());
      return { kind: "unknown", error, list: found, candidates: () => findCandidates(request, start) };
    }
  }

  return {
    start(request, signal, mayStart) {
      const key = JSON.stringify([request.workflowName, visibleName(request.sessionName ?? "")]);
      // Whose name has to be free waits for all of that name, whatever their workflow: it has to see the one before it.
      const inTurn = (work: () => Promise<StartResult>) =>
        mayStart
          ? names.run(visibleName(request.sessionName ?? ""), () => starts.run(key, work))
          : starts.run(key, work);
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
          return startOnce(request, key);
        });
        // Who is called off while others are before it has not been sent, and need not wait for them.
        signal?.addEventListener("abort", giveUp, { once: true });
        if (signal?.aborted) giveUp();
        turn.then(resolve, reject).finally(() => signal?.removeEventListener("abort", giveUp));
      });
    },

    follow(seed, { waitMs, signal, onEvent, takesQuestion }) {
      return new Promise((resolve) => {
        let silence: { error: ApiError; errorSince: number; began: number } | undefined;
        let ended = false;
        const watch = feed.watch(seed, (event) => {
          onEvent?.(event);
          endAtQuestion(event.run);
          if (event.type !== "unreachable") silence = undefined;
          if (event.type === "finished") end({ why: "finished", run: event.run });
          else if (event.type === "stalled") end({ why: "stalled", run: event.run, quietMs: event.quietMs });
          else if (event.type === "lost") end({ why: "lost", run: event.run, error: event.error });
          else if (event.type === "unreachable") {
            silence = { errorSince: clock.now(), began: clock.elapsed(), ...silence, error: event.error };
            const hopeless = event.error.kind === "unauthorised" || event.error.kind === "no_key";
            if (hopeless || clock.elapsed() - silence.began >= UNREACHABLE_LIMIT_MS) {
              end({ why: "unreachable", run: event.run, error: event.error });
            }
          }
        });
        const cancelTimer = waitMs === undefined ? () => {} : clock.after(waitMs, endWaiting);
        const onAbort = () => end({ why: "stopped", run: watch.latest() });
        function endWaiting(): void {
          const run = watch.latest();
          // Its end may have become known in another way, and not be told to this watcher yet.
          if (isFinal(run.status)) {
            end({ why: "finished", run });
            return;
          }
          const { error, errorSince } = silence ?? {};
          end({ why: "waited", run, ...(error && errorSince ? { error, errorSince } : {}) });
        }
        function endAtQuestion(run: Run): void {
          if (!takesQuestion || ended || isFinal(run.status)) return;
          const question = openQuestions(run).find(takesQuestion);
          if (question) end({ why: "asked", run, question });
        }
        function end(result: FollowEnd): void {
          ended = true;
          cancelTimer();
          signal.removeEventListener("abort", onAbort);
          watch.stop();
          resolve(result);
        }
        signal.addEventListener("abort", onAbort, { once: true });
        if (signal.aborted) onAbort();
        else endAtQuestion(watch.latest());
      });
    },

    async read(runId, signal) {
      const run = await api.getRun(runId, { signal });
      return this.explain(run, signal);
    },

    async explain(run, signal) {
      if (run.status !== "failed" || run.error) return run;
      try {
        const { runs } = await api.listRuns({
          ...(run.workflowName ? { workflowName: run.workflowName } : {}),
          retries: 0,
          signal,
        });
        const listed = runs.find((one) => one.runId === run.runId);
        return listed?.error ? { ...run, error: listed.error } : run;
      } catch {
        return run;
      }
    },
  };
}

/** Whether the list's entry can be the run that was asked for, as far as the list tells. */
function resembles(run: Run, request: StartRequest): boolean {
  const { sessionName, sessionId, message } = request;
  const named =
    sessionName === undefined
      ? // The public server makes up a name that ends with the run's id; others keep a resumed session's own.
        run.sessionName === undefined ||
        run.sessionName.endsWith(run.runId) ||
        (sessionId !== undefined && run.sessionId === sessionId)
      : visibleName(run.sessionName ?? "") === visibleName(sessionName);
  const sameMessage = cleanLine(message, Number.POSITIVE_INFINITY).startsWith(run.messageStart ?? "");
  return run.workflowName === request.workflowName && named && sameMessage;
}

/** How a run stands, as far as it shows whether its agent did anything. */
type Traces = Pick<Run, "status" | "turn" | "costUsd" | "tokens">;

/**
 * The public server's signature of an agent that did not start, or would not resume its conversation: the run says
 * `completed`, with no turn and no cost.
 */
export function looksRefused(run: Traces): boolean {
  return run.status === "completed" && run.turn === 0 && !run.costUsd && !run.tokens;
}

/** Whether a run was to continue a conversation and its agent would not: a failure, whatever the API calls it. */
export function refusedResume(run: Traces & Pick<Run, "resumes">): boolean {
  return run.resumes !== undefined && looksRefused(run);
}

/** How the run ended or goes on, in the words of an answer's `outcome`; `unknown` when the API has told nothing. */
export function outcomeOf(run: Run): "running" | "completed" | "failed" | "killed" | "unknown" {
  if (run.status === "unknown") return "unknown";
  if (refusedResume(run)) return "failed";
  return isFinal(run.status) ? (run.status as "completed" | "failed" | "killed") : "running";
}
