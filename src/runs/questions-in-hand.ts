import type { RunQuestion } from "../api/types.js";
import { setBounded } from "../shared/bounded-map.js";
import type { RunWatcher } from "./run-watcher.js";

/** Questions of agents that are before a person right now, or were answered here: they are not brought up again. */
export interface QuestionsInHand {
  /** Takes the question, unless it is taken already: then false. */
  take(runId: string, question: RunQuestion): boolean;
  /** It may be brought up again. */
  release(runId: string, question: RunQuestion): void;
}

/** Runs whose questions are kept: one that nobody watches to its end is forgotten when so many newer ones have asked. */
const RUNS_KEPT = 1_000;

/** Keeps the questions of each run by themselves, since servers may number them anew for every run. */
export function createQuestionsInHand(feed: Pick<RunWatcher, "onEvent">): QuestionsInHand {
  const taken = new Map<string, Set<string>>();
  feed.onEvent(({ type, run }) => {
    if (type === "finished" || type === "lost") taken.delete(run.runId);
  });
  return {
    take(runId, { questionId }) {
      const ofRun = taken.get(runId) ?? new Set();
      if (ofRun.has(questionId)) return false;
      ofRun.add(questionId);
      setBounded(taken, runId, ofRun, RUNS_KEPT);
      return true;
    },
    release(runId, { questionId }) {
      const ofRun = taken.get(runId);
      ofRun?.delete(questionId);
      if (ofRun?.size === 0) taken.delete(runId);
    },
  };
}
