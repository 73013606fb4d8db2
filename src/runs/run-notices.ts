import { isFinal, openQuestions, type Run } from "../api/types.js";
import { endKey, type NoticeFacts, noticeOfEnd, noticeOfQuestion, questionKey } from "../notices/notice.js";
import type { Notifier } from "../notices/notifier.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import type { RunWatcher } from "./run-watcher.js";

/** Keeps a person from being told by a notification what a call of theirs tells them. */
export interface RunNotices {
  /** This server has started the run. */
  began(run: Run): void;
  /** A call tells the person how the run stands: that it has ended, or what it waits for. */
  saw(run: Run): void;
}

/** Runs of which is kept that they go on. */
const RUNS_KEPT = 1_000;

/**
 * Notes for a notification what happens to watched runs, and what of it the person knows already.
 * @param options.notifier left out: nothing is noted
 * @param options.isNotedElsewhere the engine that carries the runs out notes what happens to them
 */
export function createRunNotices(options: {
  watcher: Pick<RunWatcher, "onEvent">;
  notifier: Notifier | undefined;
  isNotedElsewhere: boolean;
  clock: Clock;
}): RunNotices {
  const { watcher, notifier, isNotedElsewhere, clock } = options;
  if (!notifier) return { began() {}, saw() {} };
  /** Runs that were seen going on, with their open questions: what had ended before is no news. */
  const active = new Map<string, Set<string>>();

  function noteActive(run: Run): void {
    const { runId } = run;
    const asked = openQuestions(run);
    const before = active.get(runId) ?? new Set();
    for (const question of asked) {
      if (before.has(question.questionId)) continue;
      const at = clock.now();
      notifier?.add(runId, noticeOfQuestion(factsOf(run), question, at), at);
    }
    const now = new Set(asked.map(({ questionId }) => questionId));
    const closed = [...before].filter((questionId) => !now.has(questionId));
    if (closed.length > 0) notifier?.settle(closed.map((questionId) => questionKey(runId, questionId)));
    setBounded(active, runId, now, RUNS_KEPT);
  }

  function noteEnd(run: Run): void {
    const { runId } = run;
    const asked = active.get(runId);
    if (!asked) return;
    active.delete(runId);
    if (asked.size > 0) notifier?.settle([...asked].map((questionId) => questionKey(runId, questionId)));
    const at = clock.now();
    const notice = noticeOfEnd(factsOf(run), at);
    if (notice) notifier?.add(runId, notice, at);
  }

  if (!isNotedElsewhere) {
    watcher.onEvent(({ type, run }) => {
      if (type === "finished") noteEnd(run);
      else if (type !== "lost" && type !== "unreachable" && run.status !== "unknown" && !isFinal(run.status))
        noteActive(run);
    });
  }

  return {
    began(run) {
      if (!isNotedElsewhere) noteActive(run);
    },
    saw(run) {
      const { runId } = run;
      const keys = isFinal(run.status)
        ? [endKey(runId)]
        : openQuestions(run).map(({ questionId }) => questionKey(runId, questionId));
      if (keys.length > 0) notifier.settle(keys);
    },
  };
}

function factsOf(run: Run): NoticeFacts {
  const { runId, sessionName, workflowName, status, turn, costUsd, costAtLeast, error, result } = run;
  return { runId, sessionName, workflowName, status, turns: turn, costUsd, costAtLeast, error, result };
}
