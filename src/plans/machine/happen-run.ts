import { cleanText } from "../../shared/text.js";
import { optional, type PlanStep, type RunStep } from "../plan.js";
import { type Draft, edit, findAttempt, type Mutable, type MutableStep, setAttempt } from "./draft.js";
import type { PlanEvent } from "./events.js";
import { readOutput } from "./output.js";
import { type Attempt, hasEnded, type StepState } from "./state.js";

type EventOf<Type extends PlanEvent["type"]> = Extract<PlanEvent, { type: Type }>;

/** What of a run's result stays in the plan's state; the run itself has all of it. */
const MAX_RESULT_CHARS = 60_000;
/**
 * An interrupted run goes on by itself so often in a round of its step, each time as a paid run of its own: what ends an
 * engine again and again may be the run itself.
 */
const MAX_RESUMES = 3;
const NO_OWN_PLACE = "It has got no workspace of its own, and it does not work in another one's.";

/** What happens to one run of a plan. */
export type RunEvent = EventOf<
  | "run-started"
  | "run-not-started"
  | "start-unknown"
  | "workspace-shared"
  | "run-asks"
  | "run-goes-on"
  | "run-ended"
>;

/** What the event does to its run; what follows for the plan is `settle`'s. */
export function runHappened(draft: Draft, event: RunEvent): void {
  const id = findAttempt(draft.state, event.key)?.id;
  if (id === undefined) return;
  const step = edit(draft, id);
  const attempt = step.attempts.findLast((one) => one.key === event.key);
  if (!attempt) return;
  switch (event.type) {
    case "run-started":
      runStarted(draft, step, attempt, event);
      return;
    case "run-not-started":
      setAttempt(step, attempt, "refused", event.at);
      attempt.error = cleanText(event.reason, 2_000);
      draft.state.runsStarted--;
      release(draft, attempt, 0);
      if (!event.deterministic) retry(draft, id, step, attempt);
      return;
    case "start-unknown":
      setAttempt(step, attempt, "unknown", event.at);
      attempt.error = cleanText(event.reason, 2_000);
      return;
    case "workspace-shared":
      if (attempt.needsOwnPlace) attempt.stop = NO_OWN_PLACE;
      return;
    case "run-asks":
      setAttempt(step, attempt, "waiting", event.at);
      attempt.asks = cleanText(event.text, 2_000);
      return;
    case "run-goes-on":
      setAttempt(step, attempt, "running", event.at);
      return;
    case "run-ended":
      runEnded(draft, id, step, attempt, event);
      return;
  }
}

function runStarted(
  draft: Draft,
  step: MutableStep,
  attempt: Mutable<Attempt>,
  event: EventOf<"run-started">,
): void {
  const { runId, sessionId, sessionName, branch } = event;
  Object.assign(attempt, {
    runId,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(sessionName === undefined ? {} : { sessionName }),
    ...(branch === undefined ? {} : { branch }),
  });
  delete attempt.error;
  setAttempt(step, attempt, "running", event.at);
  const problem = problemOfPlace(draft, attempt, event);
  if (problem) attempt.stop = problem;
}

/** Why the run works where it is not to: it never falls back to another one's place. */
function problemOfPlace(
  { state }: Draft,
  attempt: Attempt,
  { branch, ownWorkspace }: { branch?: string | null; ownWorkspace?: boolean },
): string | undefined {
  if (!attempt.needsOwnPlace) return undefined;
  if (ownWorkspace === false) return NO_OWN_PLACE;
  const isTaken =
    typeof branch === "string" &&
    Object.values(state.steps).some(({ attempts }) =>
      attempts.some((other) => other.conversation !== attempt.conversation && other.branch === branch),
    );
  return isTaken ? `It has got the branch ${branch}, on which another run of the plan works.` : undefined;
}

function runEnded(
  draft: Draft,
  id: string,
  step: MutableStep,
  attempt: Mutable<Attempt>,
  event: EventOf<"run-ended">,
): void {
  const { result, error, costUsd, turns, sessionId, sessionName, branch, commit } = event;
  const problem = attempt.stop ?? problemOfPlace(draft, attempt, event);
  if (problem) attempt.stop = problem;
  const isStopped = attempt.stop !== undefined;
  setAttempt(step, attempt, isStopped ? "failed" : event.status, event.at);
  const asked =
    attempt.why === "question" || attempt.why === "resume"
      ? step.attempts.findLast((one) => one !== attempt && one.item === attempt.item)
      : undefined;
  Object.assign(attempt, {
    ...(result === undefined ? {} : { result: cleanText(result, MAX_RESULT_CHARS) }),
    ...(error === undefined ? {} : { error: cleanText(error, 2_000) }),
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(turns === undefined ? {} : { turns }),
    ...optional("interrupted", event.interrupted),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(sessionName === undefined ? {} : { sessionName }),
    ...(branch === undefined ? optional("branch", attempt.branch ?? asked?.branch) : { branch }),
    ...(commit === undefined ? optional("commit", asked?.commit) : { commit }),
  });
  if (attempt.stop !== undefined) attempt.error = attempt.stop;
  release(draft, attempt, costUsd);
  const now = draft.state.steps[id] as StepState;
  // What does not count any more, or is over, asks and repeats nothing.
  if (attempt.round !== now.round || hasEnded(now) || draft.state.killAskedAt !== undefined) return;
  const definition = draft.index.steps.get(id) as PlanStep;
  if (definition.kind !== "run" || isStopped) return;
  if (event.status === "failed" && !event.deterministic) {
    if (event.interrupted && resume(step, attempt)) return;
    retry(draft, id, step, attempt);
    return;
  }
  if (event.status !== "completed" || !definition.output) return;
  const read = readOutput(result, definition.output);
  if ("output" in read) {
    attempt.output = read.output;
    return;
  }
  attempt.error = `It has not given its output: ${read.problem}.`;
  if (attempt.why !== "question")
    step.queue.unshift({ why: "question", words: read.question, ...optional("item", attempt.item) });
}

/**
 * An interrupted run goes on with its conversation, by a new run that counts as any other. What was asked is asked
 * again.
 * @returns false where it cannot, or has done so too often
 */
function resume(step: MutableStep, attempt: Attempt): boolean {
  const { item, why, round, words, isRework, sessionId } = attempt;
  if (sessionId === undefined || round !== step.round || !step.begun || step.concluded) return false;
  const before = step.attempts.filter(
    (one) => one.round === round && one.item === item && one.interrupted && one !== attempt,
  );
  if (before.length >= MAX_RESUMES) return false;
  step.queue.unshift({
    why: why === "question" ? "question" : "resume",
    ...optional("item", item),
    ...optional("words", words),
    ...optional("isRework", isRework),
  });
  return true;
}

/** Gives back what was reserved beyond the cost. Of an unknown cost nothing comes back: it is not 0. */
function release(draft: Draft, attempt: Attempt, costUsd: number | undefined): void {
  const { state } = draft;
  if (costUsd === undefined) {
    state.unknownCosts++;
    return;
  }
  state.spentUsd += costUsd;
  // Sums of cents drift.
  state.heldUsd = Math.max(0, Math.round((state.heldUsd - (attempt.reservedUsd ?? 0)) * 1e6) / 1e6);
}

/** A failed run is started again as often as the step says; what was asked of an agent once is not. */
function retry(draft: Draft, id: string, step: MutableStep, attempt: Attempt): void {
  const { item, why, round, words, isRework } = attempt;
  const definition = draft.index.steps.get(id) as RunStep;
  if (why === "question" || round !== step.round || !step.begun || step.concluded) return;
  const own = step.attempts.filter((one) => one.round === step.round && one.item === item);
  const since = own.findLastIndex(({ why: reason }) => !["retry", "question", "resume"].includes(reason));
  if (own.slice(since).filter((one) => one.why === "retry").length >= definition.retry) return;
  step.queue.push({
    why: "retry",
    ...optional("item", item),
    ...optional("words", words),
    ...optional("isRework", isRework),
  });
}
