import type { ApiError } from "../api/errors.js";
import { isFinal, openQuestions, type Run, type RunQuestion } from "../api/types.js";
import type { Clock } from "../shared/clock.js";
import type { RunEvent } from "./run-events.js";
import type { RunWatcher } from "./run-watcher.js";

/** Why following a run ended. */
export type FollowEnd =
  | { why: "asked"; run: Run; question: RunQuestion }
  | { why: "finished" | "stopped"; run: Run }
  /** The time is up; `error` when the API could not be asked last, since `errorSince` (epoch ms). */
  | { why: "waited"; run: Run; error?: ApiError; errorSince?: number }
  | { why: "stalled"; run: Run; quietMs: number }
  | { why: "lost"; run: Run; error: ApiError }
  | { why: "unreachable"; run: Run; error: ApiError };

/** Follows runs. */
export interface RunFollower {
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
}

/** With no answer to be had for this long, a waiting call says so instead of waiting on. */
const UNREACHABLE_LIMIT_MS = 60_000;

/** Follows runs by what their watcher tells. */
export function createRunFollower(options: {
  watcher: Pick<RunWatcher, "watch">;
  clock: Clock;
}): RunFollower {
  const { watcher, clock } = options;
  return {
    follow(seed, { waitMs, signal, onEvent, takesQuestion }) {
      return new Promise((resolve) => {
        let silence: { error: ApiError; errorSince: number; began: number } | undefined;
        let ended = false;
        const watch = watcher.watch(seed, (event) => {
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
  };
}
