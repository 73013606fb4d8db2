import type { PlanSight } from "../../plan-runner/runner.js";
import { countRuns, tellUnsure } from "../../plans/machine/count-runs.js";
import { waitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState, StepStatus } from "../../plans/machine/state.js";
import { asSentence, cleanLine } from "../../shared/text.js";
import { formatUsd } from "../../shared/usd.js";
import type { NextStep, Outcome } from "../answer.js";
import { questionIdOf, statusOf, toIso } from "./describe-plan-answer.js";
import { lookAtGate } from "./look-at-gate.js";
import type { PlanAnswer } from "./plan-answer.js";
import { nameOfNeed } from "./plan-needs.js";

const WHAT_CHARS = 300;
/** Of what needs a person so many are told in words; the structure has all. */
const TOLD = 5;

/**
 * A plan in words, in this order: what needs the person; where it stands; what it cost; where the work is. What to do
 * next is the answer's next step.
 * @param more.gate what the open gate is about
 * @param more.happened what has happened in this call, in sentences
 */
export function tellPlan(
  sight: PlanSight,
  plan: PlanAnswer,
  more: { gate?: string; happened?: readonly string[] } = {},
): string {
  const parts = [
    tellNeeds(sight),
    more.gate,
    ...(more.happened ?? []),
    tellStand(sight, plan),
    tellCost(sight, plan),
    tellWork(plan),
    tellPullRequests(sight),
  ];
  return parts.filter(Boolean).join("\n");
}

/** "The plan login waits for you: ok (gate), since …: Build this?", a line for each thing; "" when nothing does. */
export function tellNeeds({ state, troubles }: PlanSight): string {
  const lines = waitingFor(state).map((need) => {
    const { kind, step, what, since } = need;
    const text = asSentence(cleanLine(what, WHAT_CHARS));
    const when = `since ${toIso(since).slice(0, 16)}Z`;
    switch (kind) {
      case "gate":
        return `Needs a decision ${when}, gate ${step}: ${text} (${tellChoices(state, step)})`;
      case "agreement":
        return `Needs agreement ${when}, step ${step}: ${text} (yes or no)`;
      case "question":
        return `Its agent asks ${when}, step ${nameOfNeed(state, need)}: ${text}`;
      case "lost":
        return `Needs a look ${when}, step ${step}: ${text}`;
      case "blocked":
        return `Blocked ${when}, step ${step}: ${text} (redo or skip the step, or change the plan)`;
    }
    return "";
  });
  for (const { step, reason, since } of troubles) {
    lines.push(
      `Blocked since ${toIso(since).slice(0, 16)}Z${step ? `, step ${step}` : ""}: ${asSentence(cleanLine(reason, WHAT_CHARS))} It is tried again by itself.`,
    );
  }
  const more = lines.length > TOLD ? [`(${lines.length - TOLD} more)`] : [];
  return [...lines.slice(0, TOLD), ...more].join("\n");
}

function tellStand({ state }: PlanSight, { name, plan_id, status, line }: PlanAnswer): string {
  const how = status === "waiting" ? "waiting for a person" : status;
  const version = state.version > 1 ? `, version ${state.version}` : "";
  return `Plan ${name} (${plan_id}${version}) is ${how}${line ? `: ${line}` : ""}`;
}

function tellCost(
  { state }: PlanSight,
  { cost_usd, known_cost_usd = 0, cost_limit_usd, near_limits }: PlanAnswer,
): string {
  const runs = countRuns(state);
  const of = cost_limit_usd === undefined ? "" : ` of ${formatUsd(cost_limit_usd)}`;
  const cost =
    cost_usd === undefined
      ? `${known_cost_usd > 0 ? `at least ${formatUsd(known_cost_usd)}; the rest is` : ""} unknown${of ? ` (limit${of.slice(3)})` : ""}`.trim()
      : `${formatUsd(cost_usd)}${of}`;
  const near = near_limits ? ` Near a limit: ${near_limits.join(" ")}` : "";
  return `Cost: ${cost}. Runs: ${runs.started} of ${runs.limit} started${tellUnsure(runs)}.${near}`;
}

function tellWork({ work = [] }: PlanAnswer): string {
  if (work.length === 0) return "";
  const lines = work.map(
    ({ step, branch, look, take, run_id }) =>
      `  ${step}: branch ${branch}${run_id ? ` (run ${run_id})` : ""}${look ? `: ${look}` : ""}${take ? `; to take it: ${take}` : ""}`,
  );
  return ["Work:", ...lines].join("\n");
}

function tellPullRequests({ state }: PlanSight): string {
  const known = Object.entries(state.pullRequests ?? {});
  const lines = known.map(([branch, { state: how, url, problem }]) => {
    const what = {
      pending: "is being opened; the status of its run tells when it is there",
      open: url ?? "is open",
      pushed: "was pushed",
      failed: "was not opened",
    }[how];
    return `  ${branch}: ${what}${problem ? `. ${asSentence(cleanLine(problem, WHAT_CHARS))}` : ""}`;
  });
  return lines.length > 0 ? ["Pull requests:", ...lines].join("\n") : "";
}

/** How a call about a plan ends that was not about a single decision. */
export function outcomeOfPlan(sight: PlanSight): Outcome {
  const status = statusOf(sight);
  switch (status) {
    case "waiting":
      return "input_required";
    case "blocked":
      return waitingFor(sight.state).length > 0 ? "input_required" : "running";
    case "paused":
      return waitingFor(sight.state).length > 0 ? "input_required" : "ok";
    default:
      return status;
  }
}

/** The step that a plan needs or offers most. */
export function nextForPlan(sight: PlanSight): NextStep | undefined {
  const { state } = sight;
  const { planId } = state;
  const [first] = waitingFor(state);
  switch (first?.kind) {
    case "gate":
    case "agreement":
      return {
        action: "answer",
        arguments: { plan_id: planId, question_id: questionIdOf(state, first), answer: "…" },
        reason:
          first.kind === "gate"
            ? `Fill in what the person decides: ${tellChoices(state, first.step)}.`
            : "Fill in what the person says: yes or no.",
      };
    case "question":
      return {
        action: "answer",
        arguments: { plan_id: planId, step: nameOfNeed(state, first), answer: "…" },
        reason: "Fill in the person's answer to the agent; the run's status has its question in full.",
      };
    case "lost":
      return {
        action: "list_sessions",
        arguments: { active_only: false },
        reason: "Look whether there is such a run before the step is redone: it would be paid twice.",
      };
    case "blocked":
      return redo(state, first.step);
  }
  switch (statusOf(sight)) {
    case "running":
    case "blocked":
      return watchPlan(planId, "Follow the plan with progress; it goes on by itself.");
    case "waiting":
      return watchPlan(planId, "See what it waits for.");
    case "paused":
      return {
        action: "plan",
        arguments: { plan_id: planId, change: "resume" },
        reason: "Goes on with it, once the person wants that.",
      };
    case "failed": {
      const failed = whyFailed(state);
      return failed === undefined ? undefined : redo(state, failed);
    }
    default:
      return undefined;
  }
}

/** The step to which a plan came that has failed: one that has failed itself, else one whose run was killed. */
function whyFailed({ plan, steps }: PlanState): string | undefined {
  const first = (status: StepStatus) => plan.steps.find(({ id }) => steps[id]?.status === status)?.id;
  return first("failed") ?? first("killed");
}

function tellChoices(state: PlanState, step: string): string {
  const { mayGoBack } = lookAtGate(state, step) ?? {};
  return mayGoBack ? "approve, send back: <what should change>, or stop" : "approve or stop";
}

function redo({ planId }: PlanState, step: string): NextStep {
  return {
    action: "plan",
    arguments: { plan_id: planId, change: "redo", step },
    reason: "Does the step again once its cause is put right; it is paid for: ask the person first.",
  };
}

/** Follows a plan. */
export function watchPlan(planId: string, reason: string): NextStep {
  return { action: "status", arguments: { plan_id: planId, wait_seconds: 45 }, reason };
}
