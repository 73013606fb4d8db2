import { findAttempt } from "./draft.js";
import type { PlanEvent } from "./events.js";
import { hasBegun } from "./happen.js";
import { planStatus } from "./plan-status.js";
import { openPullRequests } from "./pull-requests.js";
import { isBusy } from "./reset.js";
import { isGoing, type PlanState, type StepState } from "./state.js";

/**
 * Why an event cannot happen as things stand, worded for a person; undefined when it can. Such an event changes
 * nothing.
 */
export function whyNot(state: PlanState, event: PlanEvent): string | undefined {
  switch (event.type) {
    case "run-started":
    case "run-not-started":
    case "start-unknown":
    case "workspace-shared":
    case "run-asks":
    case "run-goes-on":
    case "run-ended":
      return whyNotRun(state, event);
    case "work-moved":
      return findAttempt(state, event.key)?.attempt.runId === undefined
        ? "The plan has no such run."
        : undefined;
    case "slept":
      return isAtWork(state) ? undefined : "No run is at work.";
    case "tick":
      return undefined;
    case "merged":
    case "merge-failed": {
      const merge = stepOf(state, event.step)?.merges.find(
        ({ round, item }) => round === event.attempt && item === event.item,
      );
      return merge?.status === "merging" ? undefined : "No such merge goes on.";
    }
    case "pull-request":
      return openPullRequests(state).some(({ branch }) => branch === event.branch)
        ? undefined
        : "No pull request is wanted for such a branch.";
    default:
      return whyNotPerson(state, event);
  }
}

/**
 * Why a change that comes now is refused. Beyond `whyNot`: what would change nothing of a plan that does nothing more.
 * Journals replay by `whyNot` alone, since older ones have such changes in them.
 */
export function whyNotNow(state: PlanState, event: PlanEvent): string | undefined {
  if (event.type !== "paused" && event.type !== "resumed") return whyNot(state, event);
  const status = planStatus(state);
  const canRedo = "Redo a step, or begin a new plan, to go on from its work.";
  if (status === "completed")
    return `The plan has ended, so nothing of it can be paused or resumed. ${canRedo}`;
  if (status === "failed")
    return `The plan has failed: nothing of it goes on that could be paused or resumed. ${canRedo}`;
  return whyNot(state, event);
}

function isAtWork({ steps, pausedAt }: PlanState): boolean {
  const statuses = Object.values(steps).flatMap(({ going, attempts }) =>
    going > 0 ? attempts.map(({ status }) => status) : [],
  );
  return statuses.some((status) => status === "running" || (status === "starting" && pausedAt === undefined));
}

function stepOf({ steps }: PlanState, id: string): StepState | undefined {
  return Object.hasOwn(steps, id) ? steps[id] : undefined;
}

function whyNotRun(state: PlanState, event: Extract<PlanEvent, { key: string }>): string | undefined {
  const found = findAttempt(state, event.key);
  if (!found) return "The plan has no such run.";
  const { attempt } = found;
  const isLost = attempt.status === "unknown";
  switch (event.type) {
    case "run-started":
    case "run-not-started":
      return attempt.status === "starting" || isLost
        ? undefined
        : "What has come of its start is known already.";
    case "start-unknown":
      return attempt.status === "starting" ? undefined : "What has come of its start is known already.";
    case "workspace-shared":
    case "run-asks":
    case "run-goes-on":
      return attempt.status === "running" || attempt.status === "waiting"
        ? undefined
        : "The run does not go on.";
    default:
      return isGoing(attempt) || isLost ? undefined : "The run has ended already.";
  }
}

/** What only a person decides. */
function whyNotPerson(
  state: PlanState,
  event: Exclude<
    PlanEvent,
    { key: string } | { type: "slept" | "tick" | "merged" | "merge-failed" | "pull-request" }
  >,
): string | undefined {
  if (state.killAskedAt !== undefined)
    return "The plan was ended: nothing of it is started any more. What it has left stands in its status; begin a new plan to go on.";
  switch (event.type) {
    case "paused":
      if (state.pausedAt !== undefined) return "The plan is paused already: resume it to let it go on.";
      return planStatus(state) === "completed"
        ? "The plan has ended, so nothing of it can be paused. Redo a step, or begin a new plan, to go on from its work."
        : undefined;
    case "resumed":
      return state.pausedAt === undefined
        ? "The plan is not paused, so there is nothing to resume. Look at its status for what it waits for, if anything."
        : undefined;
    case "kill-asked":
      return planStatus(state) === "completed"
        ? "The plan has ended already: there is nothing to end. Look at its status for what it has left."
        : undefined;
    case "plan-edited":
      return whyNotEdit(state, event);
    default: {
      const step = stepOf(state, event.step);
      if (!step) return `The plan has no step ${event.step}.`;
      return whyNotStep(state, step, event);
    }
  }
}

function whyNotStep(
  state: PlanState,
  step: StepState,
  event: Extract<
    PlanEvent,
    { step: string; type: "gate-decided" | "fan-out-answered" | "step-skipped" | "step-redone" }
  >,
): string | undefined {
  const definition = state.plan.steps.find(({ id }) => id === event.step);
  switch (event.type) {
    case "gate-decided": {
      if (!step.open) return `Step ${event.step} waits for no decision.`;
      if (
        step.open.attempt !== event.attempt ||
        step.open.commits.join() !== [...event.commits].sort().join()
      )
        return `What was decided on is not what step ${event.step} is about now: it was opened again, or the work has changed. Look at it and decide anew.`;
      if (event.decision !== "send-back" || definition?.kind !== "gate") return undefined;
      if (!definition.backTo)
        return "This gate cannot send back: it names no step for that. Approve, or stop the plan.";
      return step.sentBack < definition.backTo.max
        ? undefined
        : `It was sent back ${step.sentBack} times, as often as it may. Approve, stop the plan, or redo step ${definition.backTo.step}.`;
    }
    case "fan-out-answered":
      return step.agreement?.attempt === event.attempt &&
        step.agreement.runs === event.runs &&
        step.agreement.agreed === undefined &&
        step.status === "waiting"
        ? undefined
        : `Step ${event.step} does not ask for agreement to ${event.runs} runs.`;
    case "step-skipped":
      if (definition?.kind === "gate")
        return "A gate is decided on, and not skipped: approve, send back, or stop.";
      if (isBusy(step)) return `Step ${event.step} goes on. Kill its run first.`;
      return step.status === "succeeded" || step.status === "skipped" || step.skippedByPerson
        ? `Step ${event.step} has ${step.status === "succeeded" ? "succeeded" : "been skipped"} already. Redo it to have it done again.`
        : undefined;
    case "step-redone":
      if (isBusy(step)) return `Step ${event.step} goes on. Kill its run first.`;
      if (step.status === "pending" && !hasBegun(step))
        return `Step ${event.step} has not begun yet: wait until what it needs is done, or edit it.`;
      if (step.queue.length > 0) return `Step ${event.step} is about to be started: wait for its end.`;
      return event.seen && (event.seen.round !== step.round || event.seen.attempts !== step.attempts.length)
        ? `Step ${event.step} was done again meanwhile, so that this would be once more. Look at it and decide anew.`
        : undefined;
  }
}

function whyNotEdit(
  state: PlanState,
  { plan, version }: Extract<PlanEvent, { type: "plan-edited" }>,
): string | undefined {
  // It would take back what was changed since, a lower limit perhaps, which nobody was asked about.
  if (version !== undefined && version !== state.version)
    return "The plan was changed meanwhile, so that this would not be the change that was shown. Look at it and change it anew.";
  const wanted = new Map(plan.steps.map((step) => [step.id, step]));
  for (const step of state.plan.steps) {
    if (!hasBegun(state.steps[step.id] as StepState)) continue;
    const other = wanted.get(step.id);
    if (!other) return `Step ${step.id} has begun, so it stays in the plan.`;
    if (JSON.stringify(other) !== JSON.stringify(step))
      return `Step ${step.id} has begun, so it cannot be another one now. Add a step behind it, or redo it.`;
  }
  return JSON.stringify(plan.inputs) === JSON.stringify(state.plan.inputs)
    ? undefined
    : "The inputs of a plan that has begun stay as they are.";
}
