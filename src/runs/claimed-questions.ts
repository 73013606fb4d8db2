import type { RunQuestion } from "../api/types.js";
import { setBounded } from "../shared/bounded-map.js";
import type { RunWatcher } from "./run-watcher.js";

/** Questions of agents that a call is asking the person, or that were answered here: no other call asks them. */
export interface ClaimedQuestions {
  /** Claims the question; false when it is claimed already. */
  claim(runId: string, question: RunQuestion): boolean;
  /** It may be asked again. */
  release(runId: string, question: RunQuestion): void;
}

/** Runs whose questions are kept: one that nobody watches to its end is forgotten when so many newer ones have asked. */
const RUNS_KEPT = 1_000;

/** Keeps the questions of each run by themselves, since servers may number them anew for every run. */
export function createClaimedQuestions(watcher: Pick<RunWatcher, "onEvent">): ClaimedQuestions {
  const claimed = new Map<string, Set<string>>();
  watcher.onEvent(({ type, run }) => {
    if (type === "finished" || type === "lost") claimed.delete(run.runId);
  });
  return {
    claim(runId, { questionId }) {
      const ofRun = claimed.get(runId) ?? new Set();
      if (ofRun.has(questionId)) return false;
      ofRun.add(questionId);
      setBounded(claimed, runId, ofRun, RUNS_KEPT);
      return true;
    },
    release(runId, { questionId }) {
      const ofRun = claimed.get(runId);
      ofRun?.delete(questionId);
      if (ofRun?.size === 0) claimed.delete(runId);
    },
  };
}
