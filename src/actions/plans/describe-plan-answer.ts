import { createHash } from "node:crypto";
import type { PlanSight } from "../../plan-runner/runner.js";
import {
  describePlan,
  type ItemView,
  progressLine,
  type StepView,
} from "../../plans/machine/describe-plan.js";
import type { PlanStatus, WaitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";
import { optional } from "../../plans/plan.js";
import { cleanLine } from "../../shared/text.js";
import type { PlanAnswer } from "./plan-answer.js";
import { nameOfNeed } from "./plan-needs.js";

/** Steps in an answer, in characters: they stand in it twice, and the smallest known limit is 25,000 tokens. */
const STEPS_LIMIT = 8_000;
const DETAILED_LIMIT = 20_000;
const WHAT_CHARS = 500;
/** All that a plan waits for has so many characters together; of each at least its beginning is told. */
const ALL_WHATS_CHARS = 8_000;
const LEAST_WHAT_CHARS = 80;
const REASON_CHARS = 300;

type StepAnswer = PlanAnswer["steps"][number];

/**
 * The plan in the published names; what is not known is left out.
 * @param detailed with the runs of each fan-out
 */
export function describePlanAnswer(sight: PlanSight, detailed = false): PlanAnswer {
  const { state } = sight;
  const view = describePlan(state);
  const share = Math.floor(ALL_WHATS_CHARS / Math.max(1, view.waitingFor.length));
  const whatChars = Math.max(LEAST_WHAT_CHARS, Math.min(WHAT_CHARS, share));
  return {
    plan_id: view.planId,
    name: cleanLine(view.name, 100),
    status: statusOf(sight),
    version: view.version,
    line: lineOf(sight),
    steps: shortenSteps(
      view.steps.map((step) => describeStep(step, sight, detailed)),
      detailed,
    ),
    runs: { started: view.runs.started, limit: view.runs.limit },
    ...(view.costUsd === undefined
      ? { known_cost_usd: toCents(view.knownCostUsd) }
      : { cost_usd: toCents(view.costUsd) }),
    ...optional("cost_limit_usd", view.costLimitUsd),
    waiting_for: view.waitingFor.map((one) => ({
      step: nameOfNeed(state, one),
      what: cleanLine(one.what, whatChars),
      since: toIso(one.since),
      kind: one.kind,
      ...optional("question_id", questionIdOf(state, one)),
    })),
    ...(view.nearLimits.length > 0 ? { near_limits: view.nearLimits } : {}),
  };
}

/** Where the plan stands, on one line; what is held up from outside reads as blocked. */
export function lineOf({ state, actions, troubles }: PlanSight): string {
  const isHeldUp = (key: string) =>
    troubles.some(({ step }) => step !== undefined && key.startsWith(`${state.planId}/${step}/`));
  return cleanLine(
    progressLine(state, (key) => (isHeldUp(key) ? "blocked" : actions.get(key))),
    600,
  );
}

/** The plan's status: `blocked` also where whatever goes on is held up by something outside. */
export function statusOf({ state, troubles }: PlanSight): PlanStatus {
  const { status, steps } = describePlan(state);
  if (status !== "running" || troubles.length === 0) return status;
  const going = steps.filter((step) => step.status === "running");
  const isHeldUp = going.every(({ id }) => troubles.some(({ step }) => step === id));
  return isHeldUp && going.length > 0 ? "blocked" : status;
}

function describeStep(step: StepView, { troubles }: PlanSight, detailed: boolean): StepAnswer {
  const trouble = troubles.find((one) => one.step === step.id);
  const status = trouble && step.status === "running" ? "blocked" : step.status;
  return {
    id: step.id,
    kind: step.kind,
    status,
    attempt: step.attempt,
    ...optional("run_id", step.runId),
    ...optional("session_name", step.sessionName),
    ...optional("branch", step.branch),
    ...optional("outcome", step.outcome),
    ...optional("turns", step.turns),
    ...optional("cost_usd", step.costUsd === undefined ? undefined : toCents(step.costUsd)),
    since: toIso(trouble?.since ?? step.since),
    ...optional("reason", reasonOf(trouble?.reason ?? step.reason)),
    ...optional("items", step.items && `${step.items.done}/${step.items.of}`),
    ...optional("runs", detailed ? step.runs?.map(describeItem) : undefined),
  };
}

function describeItem(item: ItemView) {
  return {
    item: item.item,
    status: item.status,
    attempt: item.attempt,
    ...optional("run_id", item.runId),
    ...optional("session_name", item.sessionName),
    ...optional("branch", item.branch),
    ...optional("turns", item.turns),
    ...optional("cost_usd", item.costUsd === undefined ? undefined : toCents(item.costUsd)),
    ...optional("reason", reasonOf(item.reason)),
  };
}

function reasonOf(reason: string | undefined): string | undefined {
  return reason === undefined ? undefined : cleanLine(reason, REASON_CHARS);
}

/** As many as there is room for, in the order of the plan; those that have ended or not begun are left out first. */
function shortenSteps(steps: StepAnswer[], detailed: boolean): StepAnswer[] {
  let room = detailed ? DETAILED_LIMIT : STEPS_LIMIT;
  const isQuiet = ({ status }: StepAnswer) =>
    status === "succeeded" || status === "pending" || status === "skipped";
  const kept = new Set<StepAnswer>();
  for (const step of [...steps.filter((one) => !isQuiet(one)), ...steps.filter(isQuiet)]) {
    room -= JSON.stringify(step).length;
    if (room >= 0) kept.add(step);
  }
  return steps.filter((step) => kept.has(step));
}

/**
 * Names what a decision is bound to: an opening of a gate with the commits that it shows, or the agreement to a number
 * of runs. Undefined for what is not decided by `answer`.
 */
export function questionIdOf(state: PlanState, { step, kind }: WaitingFor): string | undefined {
  const { open, agreement } = state.steps[step] ?? {};
  if (kind === "gate" && open) {
    const commits = createHash("sha256").update(open.commits.join()).digest("hex").slice(0, 7);
    return `${step}/${open.attempt}${open.commits.length > 0 ? `/${commits}` : ""}`;
  }
  if (kind === "agreement" && agreement) return `${step}/${agreement.attempt}/${agreement.runs}`;
  return undefined;
}

/** @param time epoch ms */
export function toIso(time: number): string {
  return new Date(time).toISOString();
}

/** Sums of cents drift. */
export function toCents(usd: number): number {
  return Math.round(usd * 1e4) / 1e4;
}
