import { cleanLine } from "../../shared/text.js";
import { whoAndWhere } from "../../shared/whose.js";
import { optional, type PlanStep } from "../plan.js";
import { countRuns, type RunCount, tellUnsure } from "./count-runs.js";
import { itemsOf, outcomeOf } from "./outcome.js";
import { cutFields, tellOutput } from "./output.js";
import { type PlanStatus, planStatus, type WaitingFor, waitingFor } from "./plan-status.js";
import {
  type Attempt,
  type AttemptStatus,
  isGoing,
  type PlanState,
  type StepState,
  type StepStatus,
} from "./state.js";

export interface StepView {
  id: string;
  kind: PlanStep["kind"];
  status: StepStatus;
  /** The number of its newest run; of a gate how often it was opened. */
  attempt: number;
  runId?: string;
  sessionName?: string;
  branch?: string;
  /** How a run's result, a decision or a merge reads on one line. */
  outcome?: string;
  turns?: number;
  /** Over all its runs; missing where one of them is unknown. */
  costUsd?: number;
  since: number;
  reason?: string;
  /** Of a fan-out: runs that have succeeded, and all of them. */
  items?: { done: number; of: number };
  /** Of a fan-out: how each item stands, and where its work is. */
  runs?: ItemView[];
}

/** One item of a fan-out, by its newest run. */
export interface ItemView {
  /** On one line. */
  item: string;
  /** `pending` while it was not started. */
  status: AttemptStatus | "pending";
  attempt: number;
  runId?: string;
  sessionName?: string;
  branch?: string;
  turns?: number;
  costUsd?: number;
  reason?: string;
}

/** A plan as a person sees it. */
export interface PlanView {
  planId: string;
  name: string;
  version: number;
  status: PlanStatus;
  steps: StepView[];
  runs: RunCount;
  /** Missing where a cost is unknown; then `knownCostUsd` has the rest. */
  costUsd?: number;
  knownCostUsd: number;
  costLimitUsd?: number;
  waitingFor: WaitingFor[];
  /** Limits of which four fifths are used; sentences. */
  nearLimits: string[];
}

const OUTCOME_CHARS = 200;
const ITEM_CHARS = 80;
/** From this part of a limit on a person is told. */
const NEAR = 0.8;
/** Steps that are named in a line; of more that have ended only the number is told. */
const NAMED_STEPS = 8;

/** The plan as a person sees it: outcomes and items on one line and bounded; reasons and questions are as they came. */
export function describePlan(state: PlanState): PlanView {
  const { planId, plan, version, spentUsd, unknownCosts } = state;
  return {
    planId,
    name: plan.name,
    version,
    status: planStatus(state),
    steps: plan.steps.map((step) => describeStep(step, state.steps[step.id] as StepState)),
    runs: countRuns(state),
    ...optional("costUsd", unknownCosts === 0 ? spentUsd : undefined),
    knownCostUsd: spentUsd,
    ...optional("costLimitUsd", plan.limits.costUsd),
    waitingFor: waitingFor(state),
    nearLimits: nearLimits(state),
  };
}

function describeStep(step: PlanStep, now: StepState): StepView {
  const last = now.attempts.at(-1);
  const isOne = step.kind === "run" && step.forEach === undefined;
  const ended = now.attempts.filter((attempt) => !isGoing(attempt) && attempt.status !== "refused");
  const costs = ended.map(({ costUsd }) => costUsd);
  const turns = ended.map((attempt) => attempt.turns).filter((value) => value !== undefined);
  const branch = step.kind === "merge" ? now.branch : isOne ? (last?.branch ?? undefined) : undefined;
  return {
    id: step.id,
    kind: step.kind,
    status: now.status,
    attempt: isOne ? (last?.number ?? 0) : now.round,
    ...(isOne ? { ...optional("runId", last?.runId), ...optional("sessionName", last?.sessionName) } : {}),
    ...optional("branch", branch),
    ...optional("outcome", outcomeText(step, now, last)),
    ...optional("turns", turns.length > 0 ? turns.reduce((sum, value) => sum + value, 0) : undefined),
    ...optional(
      "costUsd",
      costs.length > 0 && costs.every((value) => value !== undefined)
        ? costs.reduce((sum, value) => sum + value, 0)
        : undefined,
    ),
    since: now.since,
    ...optional("reason", now.reason),
    ...optional("items", itemsText(step, now)),
    ...optional(
      "runs",
      now.items?.map((item, at) => describeItem(item, at, now)),
    ),
  };
}

function describeItem(text: string, item: number, now: StepState): ItemView {
  const last = now.attempts.findLast((attempt) => attempt.item === item && attempt.round === now.round);
  return {
    item: cleanLine(text, ITEM_CHARS),
    status: last?.status ?? "pending",
    attempt: last?.number ?? 0,
    ...optional("runId", last?.runId),
    ...optional("sessionName", last?.sessionName),
    ...optional("branch", last?.branch ?? undefined),
    ...optional("turns", last?.turns),
    ...optional("costUsd", last?.costUsd),
    ...optional("reason", last?.asks ?? last?.error),
  };
}

function itemsText(step: PlanStep, now: StepState): { done: number; of: number } | undefined {
  if (step.kind !== "run" || step.forEach === undefined || !now.items) return undefined;
  return {
    done: itemsOf(step, now).filter((item) => outcomeOf(step, now, item).ok).length,
    of: now.items.length,
  };
}

function outcomeText(step: PlanStep, now: StepState, last: Attempt | undefined): string | undefined {
  if (step.kind === "gate") {
    const decision = now.decisions.at(-1);
    if (!decision) return undefined;
    const said = `${decision.decision}${whoAndWhere(decision)}`;
    return cleanLine([said, decision.words].filter(Boolean).join(": "), OUTCOME_CHARS);
  }
  if (step.kind === "merge") {
    const merges = now.merges.filter(({ round }) => round === now.round);
    if (merges.length === 0) return undefined;
    return `${merges.filter(({ status }) => status === "merged").length} of ${merges.length} merged`;
  }
  if (step.forEach !== undefined) return undefined;
  if (now.output && last?.result !== undefined) {
    const words = cleanLine(cutFields(last.result, step.output), OUTCOME_CHARS);
    const told = cleanLine(tellOutput(now.output), OUTCOME_CHARS);
    return words ? `${words} (${told})` : told;
  }
  const text = last?.result ?? last?.error;
  return text ? cleanLine(text, OUTCOME_CHARS) : undefined;
}

function nearLimits(state: PlanState): string[] {
  const { plan, workMs, spentUsd, heldUsd } = state;
  const { runs, minutes, costUsd } = plan.limits;
  const near: string[] = [];
  const counted = countRuns(state);
  // It is told once: not of a start that may still be refused.
  if (counted.started + (counted.unknown ?? 0) >= runs * NEAR)
    near.push(`${counted.started} of ${runs} runs were started${tellUnsure(counted)}.`);
  if (workMs >= minutes * 60_000 * NEAR)
    near.push(`${Math.floor(workMs / 60_000)} of ${minutes} minutes of work are over.`);
  if (costUsd !== undefined && spentUsd >= costUsd * NEAR)
    near.push(`$${spentUsd.toFixed(2)} of $${costUsd.toFixed(2)} are spent.`);
  else if (costUsd !== undefined && spentUsd + heldUsd > costUsd)
    near.push(`With what is reserved, more than the $${costUsd.toFixed(2)} may be spent.`);
  return near;
}

/**
 * Where a plan stands, on one line: `design ✓ · ok ✓ · build 2/3: item 3: Turn 7/50: Writing · $1.84 of $20.00`. Steps whose
 * turn has not come are left out.
 * @param action what a run that goes on does at the moment, by its key
 */
export function progressLine(
  state: PlanState,
  action: (key: string) => string | undefined = () => undefined,
): string {
  const parts: string[] = [];
  let done = 0;
  for (const step of state.plan.steps) {
    const now = state.steps[step.id] as StepState;
    if (now.status === "succeeded" || now.status === "skipped") done++;
    const part = stepPart(step, now, action);
    if (part) parts.push(part);
  }
  const ended = parts.filter((part) => part.endsWith(" ✓"));
  const shown =
    parts.length > NAMED_STEPS && ended.length > 2
      ? [`${done} of ${state.plan.steps.length} steps ✓`, ...parts.filter((part) => !part.endsWith(" ✓"))]
      : parts;
  const more = shown.length > NAMED_STEPS ? [`and ${shown.length - NAMED_STEPS} more`] : [];
  return [...shown.slice(0, NAMED_STEPS), ...more, costPart(state)].filter(Boolean).join(" · ");
}

function stepPart(
  step: PlanStep,
  now: StepState,
  action: (key: string) => string | undefined,
): string | undefined {
  const items = itemsText(step, now);
  const name = items ? `${step.id} ${items.done}/${items.of}` : step.id;
  switch (now.status) {
    case "succeeded":
      return `${name} ✓`;
    case "pending":
    case "skipped":
      return undefined;
    case "running":
    case "waiting": {
      const going = now.attempts.filter(isGoing);
      const [said] = going.flatMap(({ key, asks, item }) => {
        const text = asks ?? action(key);
        if (text === undefined) return [];
        // Which of several runs at once it is.
        return [item === undefined || now.items?.length === 1 ? text : `item ${item + 1}: ${text}`];
      });
      return `${name}: ${cleanLine(said ?? silentPart(now, going), 120)}`;
    }
    default:
      // A step behind one that has failed says nothing new, nor does one that had not begun when all was ended.
      if (now.byNeed || (now.status === "killed" && now.round === 0)) return undefined;
      return `${name} ${now.status === "failed" ? "✗" : now.status}`;
  }
}

/** How a step stands of whose runs nothing more is known. */
function silentPart({ status }: StepState, going: readonly Attempt[]): string {
  if (status === "waiting") return "waits for you";
  return going.length > 0 && going.every((one) => one.status === "starting") ? "starting" : "goes on";
}

function costPart({ spentUsd, unknownCosts, plan }: PlanState): string {
  const limit = plan.limits.costUsd === undefined ? "" : ` of $${plan.limits.costUsd.toFixed(2)}`;
  if (unknownCosts > 0 && spentUsd === 0)
    return `cost unknown${limit && `, limit${limit.replace(" of", "")}`}`;
  if (spentUsd === 0) return "";
  return `${unknownCosts > 0 ? "at least " : ""}$${spentUsd.toFixed(2)}${limit}`;
}
