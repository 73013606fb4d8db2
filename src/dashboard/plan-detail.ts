import { lineOf, statusOf, toCents } from "../actions/plans/describe-plan-answer.js";
import type { PlanSight } from "../plan-runner/runner.js";
import { buildGraph } from "../plans/graph.js";
import { describePlan, type StepView } from "../plans/machine/describe-plan.js";
import type { PlanChange } from "../plans/machine/events.js";
import type { PlanState } from "../plans/machine/state.js";
import { optional, type Plan, type PlanStep } from "../plans/plan.js";
import { cleanLine } from "../shared/text.js";
import { whoAndWhere } from "../shared/whose.js";
import { changesOf, mayHappen } from "./may-happen.js";
import { needsOfPlan } from "./needs.js";
import { gatesOf, timelineOf } from "./plan-timeline.js";
import type { PlanDetail, PlanEdge, PlanNode, PlanVersion } from "./views/plan.js";

const NAME_CHARS = 120;
const TEXT_CHARS = 300;

/** The whole of a plan for its page. @param now epoch ms */
export function toPlanDetail(sight: PlanSight, now: number): PlanDetail {
  const { state, place } = sight;
  const view = describePlan(state);
  return {
    planId: state.planId,
    name: cleanLine(view.name, NAME_CHARS),
    status: statusOf(sight),
    line: lineOf(sight),
    version: view.version,
    now,
    startedAt: state.startedAt,
    changedAt: state.at,
    ...optional("repository", place.repositoryUrl && cleanLine(place.repositoryUrl, TEXT_CHARS)),
    ...optional("branch", place.gitBranch && cleanLine(place.gitBranch, NAME_CHARS)),
    inputs: Object.entries(state.inputs).map(([name, value]) => ({
      name: cleanLine(name, NAME_CHARS),
      value: cleanLine(Array.isArray(value) ? value.join(", ") : String(value), TEXT_CHARS),
    })),
    nodes: nodesOf(sight, view.steps),
    edges: edgesOf(state.plan),
    timeline: timelineOf(state),
    gates: gatesOf(state),
    versions: versionsOf(state),
    needs: needsOfPlan(state),
    runs: view.runs,
    ...optional("costUsd", view.costUsd === undefined ? undefined : toCents(view.costUsd)),
    knownCostUsd: toCents(view.knownCostUsd),
    heldUsd: toCents(state.heldUsd),
    ...optional("costLimitUsd", view.costLimitUsd),
    workMs: state.workMs,
    limitMinutes: state.plan.limits.minutes,
    nearLimits: view.nearLimits,
    may: (["pause", "resume", "kill"] as const).filter((one) => mayHappen(state, DEEDS[one])),
  };
}

const DEEDS = {
  pause: { type: "paused" },
  resume: { type: "resumed" },
  kill: { type: "kill-asked" },
} as const satisfies Record<string, PlanChange>;

function nodesOf({ state, troubles, actions }: PlanSight, views: readonly StepView[]): PlanNode[] {
  const graph = buildGraph(state.plan.steps);
  const steps = new Map(state.plan.steps.map((step) => [step.id, step]));
  return views.map((view) => {
    const step = steps.get(view.id) as PlanStep;
    const trouble = troubles.find((one) => one.step === view.id);
    const going = [...actions].find(([key]) => key.startsWith(`${state.planId}/${view.id}/`));
    const isHeldUp = trouble !== undefined && view.status === "running";
    const reason = trouble?.reason ?? view.reason;
    return {
      id: view.id,
      kind: view.kind,
      status: isHeldUp ? "blocked" : view.status,
      depth: graph.depthOf(view.id),
      about: cleanLine(aboutOf(step), TEXT_CHARS),
      attempt: view.attempt,
      since: trouble?.since ?? view.since,
      ...optional("runId", view.runId),
      ...optional("session", view.sessionName && cleanLine(view.sessionName, NAME_CHARS)),
      ...optional("branch", view.branch && cleanLine(view.branch, NAME_CHARS)),
      ...optional("outcome", step.kind === "gate" ? decisionOf(state, view.id) : view.outcome),
      ...optional("reason", reason && cleanLine(reason, TEXT_CHARS)),
      ...optional("action", isHeldUp ? undefined : going && cleanLine(going[1], TEXT_CHARS)),
      ...optional("turns", view.turns),
      ...optional("costUsd", view.costUsd === undefined ? undefined : toCents(view.costUsd)),
      ...optional("items", view.items),
      may: changesOf(state, view.id),
    };
  });
}

const DECIDED = { approve: "approved", "send-back": "sent back", stop: "stopped" } as const;

/** What was decided at a gate, in words; undefined while it is open, whatever was decided at an earlier opening. */
function decisionOf({ steps }: PlanState, gate: string): string | undefined {
  const { open, decisions = [] } = steps[gate] ?? {};
  const last = decisions.at(-1);
  if (open || !last) return undefined;
  const said = `${DECIDED[last.decision]}${whoAndWhere(last)}`;
  return cleanLine([said, last.words].filter(Boolean).join(": "), TEXT_CHARS);
}

function aboutOf(step: PlanStep): string {
  if (step.kind === "run") return step.workflow;
  return step.kind === "gate" ? step.question : step.merge;
}

function edgesOf({ steps }: Plan): PlanEdge[] {
  return steps.flatMap((step) => [
    ...step.needs.map((from) => ({ from, to: step.id, kind: "needs" as const })),
    ...(step.kind !== "merge" && step.backTo
      ? [{ from: step.id, to: step.backTo.step, kind: "back" as const }]
      : []),
  ]);
}

function versionsOf({ earlier, plan, version, startedAt }: PlanState): PlanVersion[] {
  const all = [...earlier, { version, until: undefined, plan }];
  return all.map((one, at) => {
    const before = all[at - 1];
    return {
      version: one.version,
      from: before?.until ?? startedAt,
      ...optional("until", one.until),
      ...compare(before?.plan, one.plan),
    };
  });
}

function compare(older: Plan | undefined, newer: Plan): Pick<PlanVersion, "added" | "removed" | "changed"> {
  const before = new Map(older?.steps.map((step) => [step.id, JSON.stringify(step)]));
  const ids = newer.steps.map(({ id }) => id);
  if (!older) return { added: [], removed: [], changed: [] };
  return {
    added: ids.filter((id) => !before.has(id)),
    removed: [...before.keys()].filter((id) => !ids.includes(id)),
    changed: newer.steps.flatMap((step) =>
      before.has(step.id) && before.get(step.id) !== JSON.stringify(step) ? [step.id] : [],
    ),
  };
}
