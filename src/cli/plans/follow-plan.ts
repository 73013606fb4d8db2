import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import { describePlan, type PlanView, progressLine } from "../../plans/machine/describe-plan.js";
import { cleanLine } from "../../shared/text.js";
import type { LiveLine } from "./live-line.js";

/** Something that waits for the person, and by what it is known not to have been asked yet. */
type Asked = Set<string>;

export interface FollowOptions {
  plans: Pick<Plans, "follow">;
  line: LiveLine;
  /** Ends the following; the plan goes on. */
  signal: AbortSignal;
  /**
   * Asks the person about what waits for them; its signal closes the question, when it is decided elsewhere. Left out
   * where nobody can be asked.
   */
  ask?: ((sight: PlanSight, step: string, signal: AbortSignal) => Promise<void>) | undefined;
}

/**
 * Shows how a plan goes on until it has ended or the signal comes: on one line, with what has happened above it or, where
 * no line can change, below each other. What waits for the person is asked once.
 * @returns the plan as it was seen last
 * @throws StoreError when it cannot be read any more
 */
export async function followPlan(first: PlanSight, options: FollowOptions): Promise<PlanSight> {
  const { plans, line, signal, ask } = options;
  const asked: Asked = new Set();
  let last = first;
  let before: PlanView | undefined;
  let question: { step: string; closed: AbortController; done: Promise<void> } | undefined;
  let failure: unknown;
  const stopped = new AbortController();

  function look(sight: PlanSight): void {
    last = sight;
    const view = describePlan(sight.state);
    const isAsking = question !== undefined;
    if (question && !waits(sight, question.step)) question.closed.abort();
    if (!isAsking) {
      for (const text of tellChanges(before, view)) line.note(text);
      before = view;
      line.show(tellNow(sight));
      askNext(sight);
    }
  }

  function askNext(sight: PlanSight): void {
    const next = ask && keysOf(sight).find(({ key }) => !asked.has(key));
    if (!ask || !next) return;
    asked.add(next.key);
    line.clear();
    const closed = new AbortController();
    const done = ask(sight, next.step, AbortSignal.any([closed.signal, signal]))
      .catch((error) => {
        failure ??= error;
        stopped.abort();
      })
      .then(() => {
        question = undefined;
        if (!stopped.signal.aborted && !signal.aborted) look(last);
      });
    question = { step: next.step, closed, done };
  }

  await plans.follow(first.state.planId, AbortSignal.any([signal, stopped.signal]), look);
  while (question) await question.done;
  line.clear();
  if (failure !== undefined) throw failure;
  return last;
}

/** Gates and agreements that are open, each with what tells this opening from the next one. */
function keysOf({ state }: PlanSight): { step: string; key: string }[] {
  return describePlan(state).waitingFor.flatMap(({ step, kind }) => {
    const { open, agreement } = state.steps[step] ?? {};
    if (kind === "gate" && open) return [{ step, key: `${step}/${open.attempt}` }];
    if (kind === "agreement" && agreement)
      return [{ step, key: `${step}/${agreement.attempt}/${agreement.runs}` }];
    return [];
  });
}

function waits(sight: PlanSight, step: string): boolean {
  return keysOf(sight).some((one) => one.step === step);
}

/** The whole plan on one line. */
export function tellNow({ state, actions }: PlanSight): string {
  return cleanLine(
    progressLine(state, (key) => actions.get(key)),
    1_000,
  );
}

/** A line for each step that stands otherwise than before: what a person wants to read afterwards. */
function tellChanges(before: PlanView | undefined, now: PlanView): string[] {
  const changes: string[] = [];
  for (const step of now.steps) {
    const old = before?.steps.find(({ id }) => id === step.id);
    const isNew = old?.status !== step.status || old.attempt !== step.attempt;
    const hasMore = step.items !== undefined && old?.items?.done !== step.items.done;
    if ((!isNew && !hasMore) || step.status === "pending") continue;
    const items = step.items ? ` ${step.items.done}/${step.items.of}` : "";
    const waits = now.waitingFor.find((one) => one.step === step.id);
    const more = waits?.what ?? step.reason ?? (step.status === "running" ? "" : step.outcome);
    changes.push(`${step.id}${items}: ${step.status}${more ? `: ${cleanLine(more, 200)}` : ""}`);
  }
  if (before && before.status !== now.status) changes.push(`Plan ${now.name}: ${now.status}`);
  return changes;
}
