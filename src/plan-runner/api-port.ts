import type { ApiCapabilities } from "../api/capabilities.js";
import type { WorkflowsApi } from "../api/client.js";
import { ApiError, isPassing } from "../api/errors.js";
import { isFinal, openQuestions, type Run, type StartRequest } from "../api/types.js";
import type { PlanState, StartOrder } from "../plans/machine/state.js";
import { optional } from "../plans/plan.js";
import { LOOKUP_PAUSES_MS } from "../runs/lost-starts.js";
import { bareRun } from "../runs/run-facts.js";
import type { RunWatcher } from "../runs/run-watcher.js";
import type { Runs } from "../runs/runs.js";
import { tellStandstill, tellTurn } from "../runs/tell-run.js";
import { type Clock, sleep } from "../shared/clock.js";
import { planRunKeyName } from "../shared/plan-run-key.js";
import { findLostRuns, noteOfStart } from "./find-lost-run.js";
import type { PlanPlace } from "./plan-place.js";
import type { IsReplaced, PlanNow, PlanPort, Postponed, RunEnd, StartOutcome } from "./port.js";
import { toEnd, toMerge } from "./run-facts-of-api.js";
import { requestOfStart } from "./start-request.js";

/** What a plan's runs are carried out with: the services by which single runs are. */
export interface ApiPortOptions {
  api: Pick<
    WorkflowsApi,
    "listRuns" | "killRun" | "takeWork" | "readHead" | "openPullRequest" | "clockOffsetMs" | "apiTime"
  >;
  runs: Pick<Runs, "start" | "read">;
  watcher: Pick<RunWatcher, "watch">;
  capabilities: Pick<
    ApiCapabilities,
    "state" | "acceptsField" | "describesEndpoint" | "keyPrefix" | "readKeyPrefix" | "refresh"
  >;
  clock: Clock;
  /** What every start of this server has: limits, the user, the form of the input. */
  defaults: Partial<StartRequest>;
  /** Writes down a run that was found after its answer was lost; others are noted by the starter. */
  onFound?: (run: Run, request: StartRequest) => Promise<unknown>;
  onGate?: (planId: string) => void;
  onChange?: (state: PlanState, now: PlanNow, isReplaced?: IsReplaced) => void;
}

/** How long a check of a merge may take, in s, and what the API needs beside it. */
const CHECK_TIMEOUT_S = 30 * 60;
const AROUND_CHECK_S = 5 * 60;
/** Opening a pull request is waited for so often and so long, in ms. */
const PULL_REQUEST_LOOKS = 30;
const PULL_REQUEST_PAUSE_MS = 1_000;
/** A key that is refused, or none, is put right by a person: it is looked at again after so long, in ms. */
const KEY_PAUSE_MS = 60_000;

/** The world outside for plans whose runs are at a workflows API. */
export function createApiPort(
  options: ApiPortOptions,
): (plan: { planId: string; place: PlanPlace }) => PlanPort {
  const { api, runs, watcher, capabilities, clock } = options;
  /** Runs of which the answer to their start says that they have failed; the API may not know them. */
  const failed = new Map<string, Run>();
  const requestFor = (order: StartOrder, place: PlanPlace) =>
    requestOfStart(order, place, {
      defaults: options.defaults,
      takes: capabilities.state().description?.start,
    });

  function toStarted(run: Run): StartOutcome {
    const { runId, sessionId, sessionClaimed, sessionName, work, ownWorkspace } = run;
    return {
      kind: "started",
      runId,
      ...(sessionId && !sessionClaimed ? { sessionId } : {}),
      ...(sessionName ? { sessionName } : {}),
      ...(work ? { branch: work.branch } : {}),
      ...(ownWorkspace === undefined ? {} : { ownWorkspace }),
    };
  }

  async function send(
    key: string,
    request: StartRequest,
    maySend: () => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<StartOutcome> {
    try {
      const own = { name: planRunKeyName(key), mayRepeat: maySend };
      const result = await runs.start(request, signal, maySend, own);
      if (result.kind === "withdrawn") return { kind: "withdrawn" };
      if (result.kind === "unknown") return { kind: "unknown", reason: result.error.message };
      if (result.run.neverStarted)
        return { kind: "not-started", reason: result.run.error ?? "The API gave no reason." };
      if (result.kind === "failed") failed.set(result.run.runId, result.run);
      return toStarted(result.run);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.kind === "aborted") return { kind: "withdrawn" };
      // A conflict mostly passes, as where another run goes on in the session; one that never does is no news to wait for.
      const notNow =
        pauseFor(error) ??
        (error.status === 409 ? { ...whenever(error), isRefusal: true as const } : undefined);
      if (notNow) return notNow;
      return { kind: "not-started", reason: error.message, deterministic: true };
    }
  }

  /** What the API can do decides how a step is started, and what it cannot. @throws ApiError while nobody knows */
  async function knowApi(): Promise<void> {
    const { description, isAway } = capabilities.state();
    if (description || !isAway) return;
    const { problem, isAway: isStillAway } = await capabilities.refresh();
    if (isStillAway)
      throw new ApiError("unreachable", `It is not known yet what the API can do. ${problem ?? ""}`.trim());
  }

  return ({ planId, place }) => ({
    noteOfStart: () => ({
      ...noteOfStart(api, clock.now()),
      keyPrefix: capabilities.keyPrefix() ?? null,
    }),

    async startRun(key, order, mayStart, signal) {
      await knowApi();
      const request = requestFor(order, place);
      if ("problem" in request) return { kind: "not-started", reason: request.problem, deterministic: true };
      return send(key, request, mayStart, signal);
    },

    async lookUp(key, order, { note, taken, maySend }, signal) {
      await knowApi();
      const request = requestFor(order, place);
      if ("problem" in request) return { kind: "unknown", reason: request.problem };
      let found: Run[] = [];
      for (const pause of LOOKUP_PAUSES_MS) {
        if (!(await sleep(clock, pause, signal))) break;
        found = await findLostRuns(api, request, note, taken, signal);
        if (found.length > 0) break;
      }
      const [run] = found;
      if (run && found.length === 1) {
        await options.onFound?.(run, request);
        return toStarted(run);
      }
      if (run)
        return { kind: "unknown", reason: `${found.length} runs in the API's list may be this start's.` };
      const prefix = note.keyPrefix;
      // Under one key there is one run, as long as the API has the same database.
      if (maySend && !signal.aborted && typeof prefix === "string") {
        if ((await capabilities.readKeyPrefix()) === prefix) {
          const sent = await send(key, request, maySend, signal);
          // The refusal may be about the second request alone.
          return sent.kind === "started"
            ? sent
            : { kind: "unknown", reason: "reason" in sent ? sent.reason : "" };
        }
      }
      return { kind: "unknown", reason: "The API's list does not show it." };
    },

    waitForRun(runId, { isContinuation, onShared, onAsk, onAction }, signal) {
      const seed = failed.get(runId) ?? bareRun(runId);
      if (isFinal(seed.status)) return Promise.resolve(toEnd(seed));
      return new Promise((resolve, reject) => {
        let asked = false;
        let isShared = false;
        const watch = watcher.watch(isContinuation ? { ...seed, resumes: runId } : seed, (event) => {
          const { run } = event;
          if (event.type === "finished") end(readEnd(run));
          else if (event.type === "lost")
            end({
              status: "failed",
              error: `The API does not know the run any more. ${event.error.message}`,
              deterministic: true,
            });
          else {
            place(run);
            onAction(tellStandstill(event, clock.now()) ?? tellTurn(run));
            if (event.type !== "unreachable") ask(run);
          }
        });
        function place({ ownWorkspace }: Run): void {
          if (ownWorkspace === false && !isShared) onShared();
          isShared ||= ownWorkspace === false;
        }
        function ask(run: Run): void {
          const [question] = openQuestions(run);
          if (!question && !asked && run.status !== "running") return;
          asked = question !== undefined;
          onAsk(question?.text);
        }
        function end(result: RunEnd | Promise<RunEnd> | undefined): void {
          watch.stop();
          signal.removeEventListener("abort", stop);
          Promise.resolve(result).then(resolve, reject);
        }
        const stop = () => end(undefined);
        signal.addEventListener("abort", stop, { once: true });
        const now = watch.latest();
        if (signal.aborted) stop();
        else if (isFinal(now.status)) end(readEnd(now));
        else {
          place(now);
          onAction(tellTurn(now));
          ask(now);
        }
      });
    },

    async headOf(runId) {
      if (!capabilities.describesEndpoint("work")) return undefined;
      try {
        return (await api.readHead(runId)).headCommit;
      } catch (error) {
        // It has no work any more that could be looked at; whatever begins there says so.
        if (error instanceof ApiError && (error.kind === "not_found" || error.status === 409))
          return undefined;
        throw error;
      }
    },

    async openGate() {
      options.onGate?.(planId);
    },

    async merge({ branch, check }, { runId, into }, signal) {
      const checkTimeoutS = check === undefined ? undefined : CHECK_TIMEOUT_S;
      const request = {
        into: into.branch,
        ...(into.isNew ? { newBranch: true as const } : {}),
        ...(check === undefined ? {} : { check, checkTimeoutS: CHECK_TIMEOUT_S }),
      };
      try {
        const timeoutMs = ((checkTimeoutS ?? 0) + AROUND_CHECK_S) * 1000;
        return toMerge(await api.takeWork(runId, request, { signal, timeoutMs }), branch, into.branch);
      } catch (error) {
        if (!(error instanceof ApiError) || error.mayHaveActed || error.kind === "aborted") throw error;
        return pauseFor(error) ?? { kind: "failed", because: "error", reason: error.message };
      }
    },

    async openPullRequest({ runId, branch, isOwn }, { comment, ...text }, signal) {
      if (!capabilities.describesEndpoint("open_pull_request"))
        return {
          kind: "asked",
          state: "failed",
          problem: "This workflows API does not say that it opens pull requests.",
        };
      try {
        // Of its own branch the run itself tells how it stands.
        await api.openPullRequest(runId, { ...text, ...(isOwn ? {} : { branch, comment }) });
      } catch (error) {
        if (!(error instanceof ApiError) || error.mayHaveActed || error.kind === "aborted") throw error;
        return pauseFor(error) ?? { kind: "asked", state: "failed", problem: error.message };
      }
      // What takes longer is told by the run, when somebody looks.
      for (let look = 0; look < PULL_REQUEST_LOOKS; look++) {
        if (!(await sleep(clock, PULL_REQUEST_PAUSE_MS, signal))) return undefined;
        const { pullRequest } = await runs.read(runId, signal);
        if (!pullRequest || pullRequest.state === "pending") continue;
        // That of another branch, of which the run was asked before.
        if (!isOwn && pullRequest.branch !== undefined && pullRequest.branch !== branch) continue;
        const { state, url, problem } = pullRequest;
        return { kind: "asked", state, ...optional("url", url), ...optional("problem", problem) };
      }
      return { kind: "asked", state: "pending" };
    },

    async kill(runId, force) {
      try {
        await api.killRun(runId, force);
      } catch (error) {
        // It has ended already, as its watcher will see.
        if (!(error instanceof ApiError) || (error.kind !== "not_found" && error.status !== 409)) throw error;
      }
    },

    publish(state, now, isReplaced) {
      options.onChange?.(state, now, isReplaced);
    },
  });

  /** With its result, and the reason of its failure, which some ways of watching leave out. */
  async function readEnd(run: Run): Promise<RunEnd> {
    const isTold = run.status === "completed" ? run.result !== undefined : run.error !== undefined;
    // Without its branch nothing could be merged, or begun where the run has left off.
    const knowsWork = run.work || run.hasNoWork || !capabilities.describesEndpoint("work");
    const read = (isTold && knowsWork) || run.status === "killed" ? run : await runs.read(run.runId);
    return toEnd({ ...read, ...(run.resumes ? { resumes: run.resumes } : {}) });
  }
}

/** What the API has not done, and may do later, is tried again; undefined for what it will not do. */
function pauseFor(error: ApiError): Postponed | undefined {
  const isKey = error.kind === "unauthorised" || error.kind === "no_key";
  if (isKey) return { ...whenever(error), afterMs: KEY_PAUSE_MS };
  return isPassing(error) || error.status === 503 ? whenever(error) : undefined;
}

function whenever({ message, retryAfterMs }: ApiError): Postponed {
  return { kind: "not-now", reason: message, ...optional("afterMs", retryAfterMs) };
}
