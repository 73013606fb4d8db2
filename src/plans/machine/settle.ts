import type { PlanStep } from "../plan.js";
import { type Draft, edit, inOrder, setStatus } from "./draft.js";
import { readinessOf } from "./join.js";
import { isBusy, resetDownstream } from "./reset.js";
import { holds } from "./resolve.js";
import { beginMerge, continueMerge } from "./settle-merges.js";
import { beginRun, concludeRun } from "./settle-runs.js";
import { commitsBehind } from "./sources.js";
import { startQueued } from "./start-queued.js";
import { conclude, SKIPPED } from "./start-run.js";
import { hasEnded, isGoing, type StepState } from "./state.js";
import { refreshTally } from "./tally.js";

/**
 * After an event: everything that now follows by itself, in one go, so that a plan never stands still unseen.
 * @param isWhole all steps are looked at, and not only those that were written to and what needs them
 */
export function settle(draft: Draft, isWhole: boolean): void {
  const { state, tally } = draft;
  const changed = new Set(tally.stale);
  let whole = isWhole;
  do {
    draft.again = false;
    if (whole) for (const id of draft.index.graph.order) visit(draft, id);
    else goThrough(draft);
    for (const id of tally.stale) changed.add(id);
    if (state.killAskedAt === undefined) startQueued(draft);
    whole = draft.again;
  } while (draft.again || tally.touched.size > 0);
  for (const id of changed) showRuns(draft, id);
  refreshTally(tally, draft);
  tally.touched.clear();
}

/** Each step that was touched, behind all that it needs; what is touched by that comes later. */
function goThrough(draft: Draft): void {
  const { touched } = draft.tally;
  while (touched.size > 0)
    for (const id of inOrder(draft, touched)) {
      visit(draft, id);
      touched.delete(id);
    }
}

function visit(draft: Draft, id: string): void {
  const { state, index } = draft;
  const step = index.steps.get(id) as PlanStep;
  let now = state.steps[id] as StepState;
  if (state.killAskedAt !== undefined) {
    end(draft, id, now);
    return;
  }
  if (hasEnded(now) || now.concluded) return;
  if (!now.begun) begin(draft, step, now);
  now = state.steps[id] as StepState;
  if (now.begun && !now.concluded) goOn(draft, step, now);
}

/** The plan is being ended: what goes on is waited for, everything else is over. */
function end(draft: Draft, id: string, now: StepState): void {
  if (hasEnded(now)) return;
  if (isBusy(now)) {
    setStatus(draft, id, "running", "It is being ended.");
    return;
  }
  if (now.queue.length > 0 || now.open) {
    const step = edit(draft, id);
    step.queue = [];
    delete step.open;
  }
  setStatus(draft, id, "killed", "The plan was ended.");
}

function begin(draft: Draft, step: PlanStep, now: StepState): void {
  const readiness = readinessOf(draft, step);
  if (now.skippedByPerson && readiness !== "wait") {
    conclude(draft, step.id, "skipped", SKIPPED);
    return;
  }
  // While it was stuck, what needs it may have gone past it.
  if (now.byNeed && (readiness === "wait" || readiness === "ready")) {
    resetDownstream(draft, step.id);
    setStatus(draft, step.id, "pending");
  }
  if (isBusy(now)) {
    setStatus(
      draft,
      step.id,
      "pending",
      "An earlier step is done again: what still goes on of this one will not count.",
    );
    return;
  }
  if (readiness === "wait") {
    setStatus(draft, step.id, "pending");
    return;
  }
  if (readiness !== "ready") {
    setStatus(draft, step.id, "blocked", readiness.problem, true);
    return;
  }
  // What was sent back is done, whatever has led past it before.
  if (step.when !== undefined && !now.next?.isRework) {
    const condition = holds(draft, step.when);
    if ("problem" in condition) {
      setStatus(draft, step.id, "blocked", `Its condition cannot be told: ${condition.problem}.`);
      return;
    }
    if (!condition.value) {
      conclude(draft, step.id, "skipped", "Its condition does not hold.");
      return;
    }
  }
  if (step.kind === "run") {
    beginRun(draft, step);
    return;
  }
  if (step.kind === "merge") {
    beginMerge(draft, step);
    return;
  }
  const next = edit(draft, step.id);
  next.round = Math.max(1, next.round);
  next.begun = true;
  next.open = { attempt: next.round, commits: commitsBehind(draft, step.id) };
  setStatus(draft, step.id, "waiting", "A person has to decide.");
}

function goOn(draft: Draft, step: PlanStep, now: StepState): void {
  if (step.kind === "merge") {
    continueMerge(draft, step);
    return;
  }
  if (step.kind === "gate" || now.going > 0 || now.queue.length > 0) return;
  const lost = now.attempts.filter(
    ({ round, status, abandoned }) => round === now.round && status === "unknown" && !abandoned,
  ).length;
  if (lost === 0) {
    concludeRun(draft, step);
    return;
  }
  setStatus(
    draft,
    step.id,
    "waiting",
    "Nobody knows whether its run was started. Look for it; redo the step only when there is none, since it would be paid twice.",
  );
}

const RESUMED =
  "A run of it was interrupted, since the engine or the machine went away, and goes on in the same session.";

/** A step with runs that go on runs; it waits for a person when all of them do. */
function showRuns(draft: Draft, id: string): void {
  const now = draft.state.steps[id] as StepState;
  if (now.going === 0 || hasEnded(now) || !now.begun || draft.state.killAskedAt !== undefined) return;
  const atWork = now.attempts.some(({ status }) => status === "starting" || status === "running");
  const isResumed = now.attempts.some((one) => one.why === "resume" && isGoing(one));
  const reason = isResumed ? RESUMED : undefined;
  setStatus(draft, id, atWork ? "running" : "waiting", atWork ? reason : "Its agent asks something.");
}
