import { ActionError, type Answer } from "../answer.js";
import type { Arguments } from "../arguments.js";
import type { Call, Services } from "../define-action.js";
import { answerPlan } from "./answer-plan.js";
import { changePlan } from "./change-plan.js";
import { followPlan } from "./follow-plan.js";
import { findPlan } from "./open-plans.js";
import { lookAtPlan } from "./plan-status.js";
import { type StartPlanArguments, startPlan } from "./start-plan.js";

type PlanArguments = StartPlanArguments & Arguments<"plan_id" | "change" | "step" | "message">;

/**
 * Begins a plan and follows it; with a plan's id, or its name and a change, what is said of that plan.
 * @throws ActionError when nothing was begun or changed
 */
export async function runPlan(args: PlanArguments, call: Call, services: Services): Promise<Answer> {
  const { plan_id, change, session_name } = args;
  if (plan_id || change) {
    const wanted = plan_id || session_name;
    if (!wanted)
      throw new ActionError("Say which plan is to be changed, by `plan_id`. Nothing was changed.", {
        action: "list_plans",
        arguments: {},
        reason: "See which plans there are.",
      });
    const found = await findPlan(wanted, services);
    if (change || args.steps || args.limits)
      return changePlan(found, { ...args, change: change ?? "edit" }, call, services);
    return lookAtPlan(found, args, call, services);
  }
  const begun = await startPlan(args, call, services);
  if ("outcome" in begun) return begun;
  const { sight, first, isNew } = begun;
  if (args.wait_seconds === 0) {
    const settings = isNew ? await services.tellOtherSettings() : undefined;
    return answerPlan(
      sight,
      { ...(isNew ? { outcome: "started" } : {}), first: [first, settings].filter(Boolean).join(" ") },
      call,
      services,
    );
  }
  return followPlan(sight, { waitSeconds: args.wait_seconds, first }, call, services);
}
