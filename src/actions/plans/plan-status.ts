import type { PlanSight } from "../../plan-runner/runner.js";
import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { answerPlan } from "./answer-plan.js";
import { askAllOf, followPlan } from "./follow-plan.js";

/**
 * How a plan stands; with seconds to wait it is followed with progress. What it needs is put to the person, unless the
 * call is to be answered at once.
 */
export async function lookAtPlan(
  sight: PlanSight,
  { wait_seconds, detailed = false }: { wait_seconds?: number | undefined; detailed?: boolean | undefined },
  call: Call,
  services: Services,
): Promise<Answer> {
  if (wait_seconds) return followPlan(sight, { waitSeconds: wait_seconds, detailed }, call, services);
  if (wait_seconds === 0) return answerPlan(sight, { detailed }, call, services);
  const { sight: now, notes } = await askAllOf(sight, call, services);
  return answerPlan(now, { notes, detailed }, call, services);
}
