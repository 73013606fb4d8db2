import { toCents } from "../actions/plans/describe-plan-answer.js";
import { questionOf } from "../plans/machine/resolve.js";
import { hasEnded, isGoing, type PlanState, type StepState } from "../plans/machine/state.js";
import { type GateStep, optional, type PlanStep } from "../plans/plan.js";
import { cleanLine, cleanText } from "../shared/text.js";
import { tellWhose } from "../shared/whose.js";
import type { GateView, TimelineEntry } from "./views/plan.js";

const ITEM_CHARS = 80;
const WORDS_CHARS = 2_000;
const QUESTION_CHARS = 1_000;
const COMMIT_CHARS = 10;

/** The bars of a plan's steps, in the order of the plan: each run, each opening of a gate, each series of merges. */
export function timelineOf(state: PlanState): TimelineEntry[] {
  return state.plan.steps.flatMap((step) => {
    const now = state.steps[step.id] as StepState;
    if (step.kind === "run") return runsOf(step.id, now);
    return step.kind === "gate" ? openingsOf(state, step, now) : mergesOf(state, step, now);
  });
}

function runsOf(step: string, now: StepState): TimelineEntry[] {
  return now.attempts.map((attempt) => {
    const { key, number, item, why, status, startedAt, endedAt, since, runId, turns, costUsd } = attempt;
    const itemText = item === undefined ? undefined : now.items?.[item];
    // Of a start that has come to nothing nobody tells an end.
    const to = isGoing(attempt) || status === "unknown" ? undefined : (endedAt ?? since);
    return {
      key,
      step,
      ...(item === undefined ? {} : { item: item + 1 }),
      ...optional("itemText", itemText && cleanLine(itemText, ITEM_CHARS)),
      kind: "run",
      status,
      attempt: number,
      ...optional("why", why === "first" ? undefined : why),
      from: startedAt,
      ...optional("to", to),
      ...optional("runId", runId),
      ...optional("turns", turns),
      ...optional("costUsd", costUsd === undefined ? undefined : toCents(costUsd)),
    };
  });
}

/** Each opening of the gate: until it was decided, or still. */
function openingsOf(state: PlanState, step: GateStep, now: StepState): TimelineEntry[] {
  return gateOf(state, step, now).map(({ attempt, openedAt, decision, decidedAt }) => ({
    key: `${state.planId}/${step.id}/${attempt}`,
    step: step.id,
    kind: "gate",
    status: decision ?? "waiting",
    attempt,
    from: openedAt ?? decidedAt ?? now.since,
    ...optional("to", decidedAt),
  }));
}

function mergesOf(state: PlanState, step: PlanStep, now: StepState): TimelineEntry[] {
  if (now.round === 0 || now.merges.length === 0) return [];
  const entry = { step: step.id, kind: "merge" as const, status: now.status, attempt: now.round };
  return [
    {
      key: `${state.planId}/${step.id}/${now.round}`,
      ...entry,
      from: Math.min(lastEndBefore(state, step, now.since), now.since),
      ...optional("to", hasEnded(now) || now.status === "blocked" ? now.since : undefined),
    },
  ];
}

/** All openings of all gates, in the order of the plan. */
export function gatesOf(state: PlanState): GateView[] {
  return state.plan.steps.flatMap((step) =>
    step.kind === "gate" ? gateOf(state, step, state.steps[step.id] as StepState) : [],
  );
}

function gateOf(state: PlanState, step: GateStep, now: StepState): GateView[] {
  const question = cleanLine(questionOf(state, step), QUESTION_CHARS);
  const commits = (all: readonly string[]) => all.map((commit) => cleanLine(commit, COMMIT_CHARS));
  const decided = now.decisions.map((made): GateView => {
    const { attempt, at, decision, words, via, by } = made;
    return {
      step: step.id,
      attempt,
      question,
      openedAt: lastEndBefore(state, step, at),
      commits: commits(made.commits),
      decision,
      ...optional("words", words && cleanText(words, WORDS_CHARS)),
      decidedAt: at,
      ...optional("via", via),
      ...optional("by", by),
      ...optional("decider", tellWhose(made) || undefined),
    };
  });
  if (!now.open) return decided;
  const open = { attempt: now.open.attempt, openedAt: now.since, commits: commits(now.open.commits) };
  return [...decided, { step: step.id, question, ...open }];
}

/** When the last of what a step needs had ended, as of a moment: then its turn has come. */
function lastEndBefore(state: PlanState, step: PlanStep, at: number): number {
  let last = state.startedAt;
  for (const need of step.needs) {
    const { attempts = [], decisions = [], since } = state.steps[need] ?? {};
    const ends = [...attempts.map(({ endedAt }) => endedAt), ...decisions.map((one) => one.at), since];
    for (const end of ends) if (end !== undefined && end <= at) last = Math.max(last, end);
  }
  return last;
}
