import { lineOf, questionIdOf } from "../../actions/plans/describe-plan-answer.js";
import { needsNow } from "../../actions/plans/plan-needs.js";
import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import { describePlan, type PlanView } from "../../plans/machine/describe-plan.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import { cleanLine } from "../../shared/text.js";
import type { LiveLine } from "./live-line.js";
import { nameForShell } from "./render-plan.js";

export interface FollowOptions {
  plans: Pick<Plans, "follow">;
  line: LiveLine;
  /** Ends the following; the plan goes on. */
  signal: AbortSignal;
  /**
   * Asks the person about what waits for them, and closes the question by itself when that is decided elsewhere. Left
   * out where nobody can be asked.
   */
  ask?: ((sight: PlanSight, need: WaitingFor) => Promise<void>) | undefined;
}

/**
 * Shows how a plan goes on until it has ended or the signal comes: on one line, with what has happened above it or, where
 * no line can change, below each other. What waits for the person is asked once.
 * @returns the plan as it was seen last
 * @throws StoreError when it cannot be read any more
 */
export async function followPlan(first: PlanSight, options: FollowOptions): Promise<PlanSight> {
  const { plans, line, signal, ask } = options;
  const asked = new Set<string>();
  let last = first;
  let before: PlanView | undefined;
  let question: Promise<void> | undefined;
  let failure: unknown;
  const stopped = new AbortController();

  function look(sight: PlanSight): void {
    last = sight;
    if (question) return;
    const view = describePlan(sight.state);
    for (const text of tellChanges(before, view)) line.note(text);
    before = view;
    line.show(lineOf(sight));
    askNext(sight);
  }

  function askNext(sight: PlanSight): void {
    const next = ask && needsNow(sight.state).find((need) => !asked.has(keyOf(sight, need)));
    if (!ask || !next) return;
    asked.add(keyOf(sight, next));
    line.clear();
    question = ask(sight, next)
      .catch((error) => {
        failure ??= error;
        stopped.abort();
      })
      .then(() => {
        question = undefined;
        if (!stopped.signal.aborted && !signal.aborted) look(last);
      });
  }

  await plans.follow(first.state.planId, AbortSignal.any([signal, stopped.signal]), look);
  while (question) await question;
  line.clear();
  if (failure !== undefined) throw failure;
  return last;
}

/** What tells this opening of a gate, or this question, from the next one. */
function keyOf({ state }: PlanSight, need: WaitingFor): string {
  return questionIdOf(state, need) ?? `${need.key} ${need.since}`;
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
  if (now.status === "paused" && before?.status !== "paused") changes.push(tellPause(now));
  else if (before && before.status !== now.status) changes.push(`Plan ${now.name}: ${now.status}`);
  return changes;
}

/** A paused plan says nothing by itself any more: what is waited for has to be told. */
function tellPause({ name, planId }: PlanView): string {
  const resume = `\`automagik-workflows-mcp plan resume ${nameForShell(name, planId)}\``;
  return `Plan ${name}: paused. Nothing new is started until it is resumed (${resume}, in another terminal); this waits for that. Ctrl+C ends the waiting.`;
}
