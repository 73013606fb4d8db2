import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { answerPlan } from "./answer-plan.js";
import { followPlan } from "./follow-plan.js";
import { type StartPlanArguments, startPlan } from "./start-plan.js";

/** Begins a plan and follows it. @throws ActionError when nothing was begun */
export async function runPlan(args: StartPlanArguments, call: Call, services: Services): Promise<Answer> {
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
