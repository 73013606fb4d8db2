import { tellInterruption } from "../../shared/interruption.js";
import { planRunKey } from "../../shared/plan-run-key.js";
import { optional, type RunStep } from "../plan.js";
import { type Draft, edit, setStatus } from "./draft.js";
import { shareOf } from "./limits.js";
import { composeMessage } from "./resolve.js";
import { continueOf, continuing, sessionFor } from "./sources.js";
import type { Attempt, PlanState, QueuedRun, StartOrder, StartSession, StepState } from "./state.js";

/**
 * Decides on the next run of a step's queue: from here on it counts, and its key is taken. The limits of the whole plan
 * were looked at.
 * @returns why it was not, where it was not; nothing when it was, or when the step cannot go on
 */
export function startNext(draft: Draft, step: RunStep): string | undefined {
  const now = draft.state.steps[step.id] as StepState;
  const queued = now.queue[0] as QueuedRun;
  const place = placeOf(draft, step, now, queued);
  if ("problem" in place) {
    // It never begins in another one's place.
    conclude(draft, step.id, "failed", `It was not started: ${place.problem}.`);
    return undefined;
  }
  if (place.conversation !== undefined && isInUse(draft, place.conversation))
    return "Another run goes on with the same conversation, or may do so.";
  const share = shareOf(draft, step.workflow, queued.why === "question");
  if (share && "reason" in share) return share.reason;
  const message = messageFor(draft, step, queued, place.session);
  if ("problem" in message) {
    conclude(draft, step.id, "blocked", `It cannot begin: ${message.problem}.`);
    return undefined;
  }
  const own = now.attempts.filter(({ item }) => item === queued.item).length + 1;
  const key = planRunKey(draft.state.planId, step.id, own, queued.item);
  const request: StartOrder = {
    workflow: step.workflow,
    ...optional("agent", step.agent),
    message: message.value,
    session: place.session,
    ...optional("costLimitUsd", share?.value),
    ...optional("output", step.output),
    ...(place.session.kind === "continue"
      ? {}
      : {
          sessionName: nameSession(draft.state, step.id, { number: own, item: queued.item }),
        }),
  };
  const attempt: Attempt = {
    key,
    number: own,
    ...optional("item", queued.item),
    round: now.round,
    why: queued.why,
    ...optional("words", queued.words),
    ...optional("isRework", queued.isRework),
    status: "starting",
    since: draft.at,
    startedAt: draft.at,
    request,
    conversation: place.conversation ?? key,
    ...(place.session.kind === "from" || (place.session.kind === "new" && queued.item !== undefined)
      ? { needsOwnPlace: true as const }
      : {}),
    ...optional("reservedUsd", share?.value),
  };
  const next = edit(draft, step.id);
  next.queue.shift();
  next.attempts.push(attempt);
  next.going++;
  draft.state.runsStarted++;
  draft.state.heldUsd += share?.value ?? 0;
  return undefined;
}

function placeOf(
  draft: Draft,
  step: RunStep,
  now: StepState,
  { why, item, isRework }: QueuedRun,
): { session: StartSession; conversation?: string } | { problem: string } {
  if (why === "question" || why === "resume") {
    const asked = now.attempts.findLast((attempt) => attempt.round === now.round && attempt.item === item);
    return asked ? continuing(step.id, asked) : { problem: "the run that would go on is not known" };
  }
  return (isRework ? continueOf(draft, step.id) : undefined) ?? sessionFor(draft, step);
}

function messageFor(
  draft: Draft,
  step: RunStep,
  { why, item, words, isRework }: QueuedRun,
  session: StartSession,
): { value: string } | { problem: string } {
  if (why === "question") return { value: words ?? "" };
  // The task stands in the conversation.
  if (why === "resume")
    return composeMessage(draft, step, { session, isRework: true, words: tellInterruption() });
  return composeMessage(draft, step, {
    session,
    ...optional("isRework", isRework),
    ...optional("item", item),
    ...optional("words", words),
  });
}

/** Two runs never go on with one conversation at the same time; what was lost may go on. */
function isInUse({ state }: Draft, conversation: string): boolean {
  return Object.values(state.steps).some(({ attempts }) =>
    attempts.some((one) => one.conversation === conversation && one.endedAt === undefined && !one.abandoned),
  );
}

/** Said of a step that a person has skipped. */
export const SKIPPED = "A person has skipped it.";

/** The step does nothing more in this round. */
export function conclude(
  draft: Draft,
  id: string,
  status: "succeeded" | "failed" | "killed" | "blocked" | "skipped",
  reason?: string,
): void {
  const step = edit(draft, id);
  step.concluded = true;
  step.queue = [];
  setStatus(draft, id, status, reason);
}

/** The name of the session that a run of a step begins. */
export function nameSession(
  { plan }: Pick<PlanState, "plan">,
  step: string,
  { number, item }: { number: number; item?: number | undefined },
): string {
  const which = item === undefined ? [] : [item + 1];
  return [plan.name, step, ...which, ...(number === 1 ? [] : [`again-${number}`])].join("-");
}
