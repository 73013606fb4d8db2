import type { PlanSight } from "../../plan-runner/runner.js";
import { mergedBranches, waitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";
import { optional } from "../../plans/plan.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Answer, NextStep, Outcome } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { describeWork } from "../describe-work.js";
import { describePlanAnswer, statusOf } from "./describe-plan-answer.js";
import { describeGate, lookAtGate } from "./look-at-gate.js";
import type { PlanAnswer } from "./plan-answer.js";
import { nextForPlan, outcomeOfPlan, tellPlan } from "./tell-plan.js";

/** Of so many branches the way to look at them is told; reading each of them is a request. */
const LOOKED_AT = 3;
const TOLD_BRANCHES = 8;
/** How long an answer waits for that, in ms. */
const LOOK_MS = 3_000;

type WorkAnswer = NonNullable<PlanAnswer["work"]>;

/**
 * How a plan stands, as an answer.
 * @param told.first what happened in this call, in sentences
 */
export async function answerPlan(
  sight: PlanSight,
  told: { outcome?: Outcome; first?: string; notes?: readonly string[]; detailed?: boolean },
  call: Call,
  services: Services,
): Promise<Answer> {
  // From here on the person knows.
  void services.plans
    .open()
    .then((plans) => plans.saw(sight.state))
    .catch(() => {});
  const work = await findWork(sight, call, services);
  const plan = { ...describePlanAnswer(sight, told.detailed), ...(work.length > 0 ? { work } : {}) };
  const next = nextForPlan(sight) ?? lookAtWork(plan);
  const gate = await describeOpenGate(sight, call, services);
  const happened = [told.first ?? "", ...(told.notes ?? [])];
  return {
    outcome: told.outcome ?? outcomeOfPlan(sight),
    summary: tellPlan(sight, plan, { gate, happened }),
    plan,
    ...(next ? { next } : {}),
  };
}

/** Of a plan that is over the newest work, where a run has left it. */
function lookAtWork({ work = [] }: PlanAnswer): NextStep | undefined {
  const last = work.findLast(({ run_id }) => run_id !== undefined);
  return (
    last && {
      action: "diff",
      arguments: { run_id: last.run_id },
      reason: "See what it has changed; `take` with the run merges it, once the person wants that.",
    }
  );
}

/** What the first gate that is open is about: a person decides by that, whoever asks them. */
async function describeOpenGate({ state }: PlanSight, call: Call, services: Services): Promise<string> {
  const first = waitingFor(state).find(({ kind }) => kind === "gate");
  const gate = first && lookAtGate(state, first.step);
  return gate ? describeGate(state, gate, call, services) : "";
}

/** The branches that nothing else of the plan has taken in, each with the way to look at it where it can be had soon. */
async function findWork(sight: PlanSight, call: Call, services: Services): Promise<WorkAnswer> {
  const found = branchesOf(sight.state).slice(-TOLD_BRANCHES);
  // While it goes on, the next look would be another one.
  if (statusOf(sight) === "running") return found;
  const looked = await Promise.all(
    found.map(async (one, index) => {
      const { run_id } = one;
      if (!run_id || index < found.length - LOOKED_AT) return one;
      const read = (signal: AbortSignal) => services.runs.read(run_id, signal);
      const run = await withDeadline(services.clock, LOOK_MS, read, call.signal).catch(() => undefined);
      return { ...one, ...optional("look", run && describeWork(run)?.look) };
    }),
  );
  return looked;
}

/** In the order of the plan, the newest work of each branch. */
function branchesOf(state: PlanState): WorkAnswer {
  const gone = new Set(mergedBranches(state));
  const sources = new Set<string>();
  const found = new Map<string, WorkAnswer[number]>();
  for (const step of state.plan.steps) {
    const now = state.steps[step.id];
    if (!now) continue;
    if (step.kind === "merge" && now.branch) found.set(now.branch, { step: step.id, branch: now.branch });
    if (step.kind !== "run") continue;
    const attempts = now.attempts.filter(({ round, branch }) => round === now.round && branch);
    for (const { branch, runId } of attempts) {
      if (!branch) continue;
      found.delete(branch);
      found.set(branch, { step: step.id, branch, ...optional("run_id", runId) });
    }
    // What begins at another step's branch has all of it.
    if (step.from !== undefined && attempts.length > 0) sources.add(step.from);
  }
  return [...found.values()].filter(({ step, branch }) => !gone.has(branch) && !sources.has(step));
}
