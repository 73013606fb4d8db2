import { cleanText } from "../../shared/text.js";
import { readWhose } from "../../shared/whose.js";
import { optional, type PlanStep } from "../plan.js";
import { createStep, type Draft, edit, findAttempt } from "./draft.js";
import type { PlanEvent } from "./events.js";
import { runHappened } from "./happen-run.js";
import { itemsOf, outcomeOf } from "./outcome.js";
import { indexOf } from "./plan-index.js";
import { beginAgain, reset, resetDownstream } from "./reset.js";
import { commitsBehind } from "./sources.js";
import { conclude, SKIPPED } from "./start-run.js";
import { hasEnded, isGoing, type StepState } from "./state.js";
import { createTally } from "./tally.js";

type EventOf<Type extends PlanEvent["type"]> = Extract<PlanEvent, { type: Type }>;

/** What the event itself does; what follows from it is `settle`'s. That it can happen was looked at (why-not.ts). */
export function happen(draft: Draft, event: PlanEvent): void {
  const { state } = draft;
  switch (event.type) {
    case "run-started":
    case "run-not-started":
    case "start-unknown":
    case "workspace-shared":
    case "run-asks":
    case "run-goes-on":
    case "run-ended":
      runHappened(draft, event);
      return;
    case "work-moved":
      workMoved(draft, event);
      return;
    case "gate-decided":
      gateDecided(draft, event);
      return;
    case "fan-out-answered": {
      const step = edit(draft, event.step);
      if (step.agreement) step.agreement = { ...step.agreement, agreed: event.agreed, ...readWhose(event) };
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
      // Its branches get new commits, of which their pull requests are to tell.
      delete state.pullRequests;
      redo(draft, event);
      return;
    case "plan-edited":
      changePlan(draft, event);
      return;
    case "pull-request": {
      const { branch, state: how, url, problem } = event;
      const known = { state: how, ...optional("url", url), ...optional("problem", problem) };
      state.pullRequests = { ...state.pullRequests, [branch]: known };
      return;
    }
    case "slept":
    case "tick":
      return;
  }
}

function workMoved(draft: Draft, { key, commit }: EventOf<"work-moved">): void {
  const found = findAttempt(draft.state, key);
  const moved = found && edit(draft, found.id).attempts.findLast((one) => one.key === key);
  if (moved) moved.commit = commit;
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
  const decided = { attempt, commits: [...commits], decision, at, ...readWhose(event) };
  gate.decisions.push({ ...decided, ...(words ? { words } : {}) });
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
    steps[step.id] = isSame ? now : { ...createStep(at), round: roundAfterEdit(state, step, now) };
  }
  state.steps = steps;
  draft.tally = createTally(draft);
}

/** A step that is another one now asks for its runs anew: a yes to those that it had does not count for these. */
function roundAfterEdit(
  { version, earlier }: Draft["state"],
  step: PlanStep,
  now: StepState | undefined,
): number {
  if (step.kind !== "run" || step.forEach === undefined) return 0;
  if (now) return now.round === 0 ? 0 : now.round + 1;
  return earlier.some(({ plan }) => plan.steps.some(({ id }) => id === step.id)) ? version : 0;
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
