import type { Clock } from "../../shared/clock.js";
import type { RunStoreProblem } from "./run-store.js";

/** That the database cannot be written at the moment: told once, and tried again after a while. */
export interface WriteFailure {
  /** Why the last try has failed; undefined while it works. */
  cause(): Error | undefined;
  /** It has failed a moment ago, and is not tried for what can wait. */
  isResting(): boolean;
  note(cause: Error): void;
  /** It works. */
  clear(): void;
  /** Nothing is tried any more. */
  close(): void;
}

/**
 * @param options.consequence what is told behind the cause, in sentences
 * @param options.askAgain has what waits written
 */
export function createWriteFailure(options: {
  consequence: string;
  retryAfterMs: number;
  askAgain: () => void;
  clock: Pick<Clock, "after">;
  onProblem: (problem: RunStoreProblem) => void;
}): WriteFailure {
  const { consequence, retryAfterMs, askAgain, clock, onProblem } = options;
  let failure: Error | undefined;
  let isResting = false;
  let cancelRetry = () => {};
  return {
    cause: () => failure,
    isResting: () => isResting,
    note(cause) {
      const message = `The runs cannot be written: ${cause.message} ${consequence}`;
      if (!failure) onProblem({ kind: "unwritable", message });
      failure = cause;
      isResting = true;
      cancelRetry();
      cancelRetry = clock.after(retryAfterMs, () => {
        isResting = false;
        askAgain();
      });
    },
    clear() {
      failure = undefined;
      isResting = false;
      cancelRetry();
    },
    close: () => cancelRetry(),
  };
}
