import type { PlanSight } from "../../plan-runner/runner.js";
import { waitingFor } from "../../plans/machine/plan-status.js";
import type { Answer, Outcome } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { describePlanAnswer } from "./describe-plan-answer.js";
import { describeGate, lookAtGate } from "./look-at-gate.js";
import { findPlanWork, takeWork } from "./plan-work.js";
import { nextForPlan, outcomeOfPlan, tellPlan } from "./tell-plan.js";

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
  const found = await findPlanWork(sight, call, services);
  const { work } = found;
  const plan = { ...describePlanAnswer(sight, told.detailed), ...(work.length > 0 ? { work } : {}) };
  const next = nextForPlan(sight) ?? takeWork(plan.status, found);
  const gate = await describeOpenGate(sight, call, services);
  const happened = [told.first ?? "", ...(told.notes ?? [])];
  return {
    outcome: told.outcome ?? outcomeOfPlan(sight),
    summary: tellPlan(sight, plan, { gate, happened }),
    ...(told.first ? { happened: happened.filter(Boolean).join(" ") } : {}),
    plan,
    ...(next ? { next } : {}),
  };
}

/** What the first gate that is open is about: a person decides by that, whoever asks them. */
async function describeOpenGate({ state }: PlanSight, call: Call, services: Services): Promise<string> {
  const first = waitingFor(state).find(({ kind }) => kind === "gate");
  const gate = first && lookAtGate(state, first.step);
  return gate ? describeGate(state, gate, call, services) : "";
}
