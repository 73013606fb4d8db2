import type { PlanSight } from "../../plan-runner/runner.js";
import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { answerPlan } from "./answer-plan.js";
import { followPlan } from "./follow-plan.js";

/** How a plan stands; with seconds to wait it is followed with progress. */
export function lookAtPlan(
  sight: PlanSight,
  { wait_seconds }: { wait_seconds?: number | undefined },
  call: Call,
  services: Services,
): Promise<Answer> {
  if (wait_seconds) return followPlan(sight, { waitSeconds: wait_seconds }, call, services);
  return answerPlan(sight, {}, call, services);
}
