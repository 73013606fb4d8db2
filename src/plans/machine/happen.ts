import { cleanText } from "../../shared/text.js";
import { optional, type PlanStep, type RunStep } from "../plan.js";
import {
  createStep,
  type Draft,
  edit,
  findAttempt,
  type Mutable,
  type MutableStep,
  setAttempt,
} from "./draft.js";
import type { PlanEvent } from "./events.js";
import { itemsOf, outcomeOf } from "./outcome.js";
import { readOutput } from "./output.js";
import { indexOf } from "./plan-index.js";
import { beginAgain, reset, resetDownstream } from "./reset.js";
import { commitsBehind } from "./sources.js";
import { conclude, SKIPPED } from "./start-run.js";
import { type Attempt, hasEnded, isGoing, type StepState } from "./state.js";
import { createTally } from "./tally.js";

type EventOf<Type extends PlanEvent["type"]> = Extract<PlanEvent, { type: Type }>;

/** What of a run's result stays in the plan's state; the run itself has all of it. */
const MAX_RESULT_CHARS = 60_000;

/** What the event itself does; what follows from it is `settle`'s. That it can happen was looked at (why-not.ts). */
export function happen(draft: Draft, event: PlanEvent): void {
  const { state } = draft;
  switch (event.type) {
    case "run-started":
      withAttempt(draft, event.key, (step, attempt) => runStarted(draft, step, attempt, event));
      return;
    case "run-not-started":
      withAttempt(draft, event.key, (step, attempt, id) => {
        setAttempt(step, attempt, "refused", event.at);
        attempt.error = cleanText(event.reason, 2_000);
        state.runsStarted--;
        release(draft, attempt, 0);
        if (!event.deterministic) retry(draft, id, step, attempt);
      });
      return;
    case "start-unknown":
      withAttempt(draft, event.key, (step, attempt) => {
        setAttempt(step, attempt, "unknown", event.at);
        attempt.error = cleanText(event.reason, 2_000);
      });
      return;
    case "run-asks":
      withAttempt(draft, event.key, (step, attempt) => {
        setAttempt(step, attempt, "waiting", event.at);
        attempt.asks = cleanText(event.text, 2_000);
      });
      return;
    case "run-goes-on":
      withAttempt(draft, event.key, (step, attempt) => setAttempt(step, attempt, "running", event.at));
      return;
    case "run-ended":
      withAttempt(draft, event.key, (step, attempt, id) => runEnded(draft, id, step, attempt, event));
      return;
    case "work-moved":
      workMoved(draft, event);
      return;
    case "gate-decided":
      gateDecided(draft, event);
      return;
    case "fan-out-answered": {
      const step = edit(draft, event.step);
      if (step.agreement) step.agreement = { ...step.agreement, agreed: event.agreed };
      return;
    }
    case "merged":
    case "merge-failed":
      mergeEnded(draft, event);
      return;
    case "paused":
      state.pausedAt = event.at;
      return;
    case "resumed":
      delete state.pausedAt;
      return;
    case "kill-asked":
      state.killAskedAt = event.at;
      delete state.pausedAt;
      return;
    case "step-skipped": {
      const step = edit(draft, event.step);
      step.skippedByPerson = true;
      // What has not begun keeps its place: what needs it still comes after all that it needs itself.
      if (step.begun) conclude(draft, event.step, "skipped", SKIPPED);
      return;
    }
    case "step-redone":
      redo(draft, event);
      return;
    case "plan-edited":
      changePlan(draft, event);
      return;
    case "tick":
      return;
  }
}

function withAttempt(
  draft: Draft,
  key: string,
  change: (step: MutableStep, attempt: Mutable<Attempt>, id: string) => void,
): void {
  const id = findAttempt(draft.state, key)?.id;
  if (id === undefined) return;
  const step = edit(draft, id);
  const attempt = step.attempts.findLast((one) => one.key === key);
  if (attempt) change(step, attempt, id);
}

function runStarted(
  draft: Draft,
  step: MutableStep,
  attempt: Mutable<Attempt>,
  event: EventOf<"run-started">,
): void {
  const needsOwn = attempt.request?.session.kind === "from" || attempt.item !== undefined;
  const { runId, sessionId, sessionName, branch } = event;
  Object.assign(attempt, {
    runId,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(sessionName === undefined ? {} : { sessionName }),
    ...(branch === undefined ? {} : { branch }),
  });
  delete attempt.error;
  setAttempt(step, attempt, "running", event.at);
  if (!needsOwn || attempt.conversation !== attempt.key) return;
  if (event.ownWorkspace === false)
    attempt.stop = "It has got no workspace of its own, and it does not work in another one's.";
  else if (branch !== undefined && isTaken(draft, attempt, branch))
    attempt.stop = `It has got the branch ${branch}, on which another run of the plan works.`;
}

function isTaken({ state }: Draft, attempt: Attempt, branch: string): boolean {
  return Object.values(state.steps).some(({ attempts }) =>
    attempts.some((other) => other.conversation !== attempt.conversation && other.branch === branch),
  );
}

function runEnded(
  draft: Draft,
  id: string,
  step: MutableStep,
  attempt: Mutable<Attempt>,
  event: EventOf<"run-ended">,
): void {
  const { result, error, costUsd, turns, sessionId, sessionName, branch, commit } = event;
  const isStopped = attempt.stop !== undefined;
  setAttempt(step, attempt, isStopped ? "failed" : event.status, event.at);
  const asked =
    attempt.why === "question"
      ? step.attempts.findLast((one) => one !== attempt && one.item === attempt.item)
      : undefined;
  Object.assign(attempt, {
    ...(result === undefined ? {} : { result: cleanText(result, MAX_RESULT_CHARS) }),
    ...(error === undefined ? {} : { error: cleanText(error, 2_000) }),
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(turns === undefined ? {} : { turns }),
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
  const since = own.findLastIndex((one) => one.why !== "retry" && one.why !== "question");
  if (own.slice(since).filter((one) => one.why === "retry").length >= definition.retry) return;
  step.queue.push({
    why: "retry",
    ...optional("item", item),
    ...optional("words", words),
    ...optional("isRework", isRework),
  });
}

function workMoved(draft: Draft, { key, commit }: EventOf<"work-moved">): void {
  withAttempt(draft, key, (_step, attempt) => {
    attempt.commit = commit;
  });
  for (const [id, { open }] of Object.entries(draft.state.steps)) {
    const commits = open && commitsBehind(draft, id);
    if (!commits || commits.join() === open.commits.join()) continue;
    // What was shown is not there any more, so that it is asked anew.
    const gate = edit(draft, id);
    gate.round++;
    gate.open = { attempt: gate.round, commits };
    gate.since = draft.at;
  }
}

function gateDecided(draft: Draft, event: EventOf<"gate-decided">): void {
  const { step: id, attempt, commits, decision, at } = event;
  const gate = edit(draft, id);
  const words = event.words === undefined ? undefined : cleanText(event.words, 20_000);
  gate.decisions.push({ attempt, commits: [...commits], decision, at, ...(words ? { words } : {}) });
  delete gate.open;
  if (decision === "approve") {
    conclude(draft, id, "succeeded");
    return;
  }
  if (decision === "stop") {
    draft.state.killAskedAt = at;
    return;
  }
  const definition = draft.index.steps.get(id) as PlanStep;
  if (definition.kind !== "gate" || !definition.backTo) return;
  gate.sentBack++;
  beginAgain(draft, definition.backTo.step, {
    why: "rework",
    isRework: true,
    words:
      words ||
      "The person has sent this back without saying what should change. Look for what is weak in it.",
  });
}

function mergeEnded(draft: Draft, event: EventOf<"merged"> | EventOf<"merge-failed">): void {
  const step = edit(draft, event.step);
  const merge = step.merges.find(({ round, item }) => round === event.attempt && item === event.item);
  if (!merge) return;
  if (event.type === "merged") {
    merge.status = "merged";
    if (step.round !== event.attempt) return;
    step.branch = event.branch;
    step.commit = event.commit;
    return;
  }
  merge.status = "failed";
  merge.because = event.because;
  merge.reason = cleanText(event.reason, 2_000);
  if (event.files) merge.files = event.files.slice(0, 100);
}

function redo(draft: Draft, { step: id, words }: EventOf<"step-redone">): void {
  const step = edit(draft, id);
  delete step.skippedByPerson;
  step.sentBack = 0;
  // Nobody waits any more for what was lost: the person knows.
  for (const attempt of step.attempts) if (attempt.status === "unknown") attempt.abandoned = true;
  const definition = draft.index.steps.get(id) as PlanStep;
  const extra = words ? { words: cleanText(words, 20_000) } : {};
  if (definition.kind !== "run") {
    resetDownstream(draft, id);
    reset(draft, id);
    return;
  }
  if (definition.forEach !== undefined && step.items) {
    const bad = itemsOf(definition, step).filter((item) => !outcomeOf(definition, step, item).ok);
    if (bad.length > 0) {
      resetDownstream(draft, id);
      delete step.concluded;
      step.begun = true;
      step.status = "pending";
      step.since = draft.at;
      delete step.reason;
      step.queue = bad.map((item) => ({ why: "redo", ...optional("item", item), ...extra }));
      return;
    }
  }
  // What was sent back to it is still to be done.
  const rework = step.attempts.findLast(({ round, isRework }) => round === step.round && isRework);
  resetDownstream(draft, id);
  reset(draft, id);
  if (definition.forEach !== undefined) return;
  // Whether it is its turn is looked at anew.
  step.next = {
    why: "redo",
    ...optional("words", rework?.words),
    ...extra,
    ...optional("isRework", rework?.isRework),
  };
}

function changePlan(draft: Draft, { plan, at }: EventOf<"plan-edited">): void {
  const { state } = draft;
  state.earlier = [...state.earlier, { version: state.version, until: at, plan: state.plan }];
  state.version++;
  state.plan = plan;
  const before = draft.index.steps;
  draft.index = indexOf(plan);
  const steps: Record<string, StepState> = {};
  for (const step of plan.steps) {
    const now = before.has(step.id) ? (state.steps[step.id] as StepState) : undefined;
    // What a person has seen of a step that is another one now does not count for it.
    const isSame = now && (hasBegun(now) || JSON.stringify(before.get(step.id)) === JSON.stringify(step));
    steps[step.id] = isSame ? now : createStep(at);
  }
  state.steps = steps;
  draft.tally = createTally(draft);
}

/** True for a step of which something was done or decided, so that it stays in the plan as it is. */
export function hasBegun(step: StepState): boolean {
  return (
    step.begun === true ||
    hasEnded(step) ||
    step.attempts.length > 0 ||
    step.decisions.length > 0 ||
    step.merges.length > 0 ||
    step.attempts.some(isGoing)
  );
}
