import type { Services } from "../actions/define-action.js";
import { PlansUnavailable, StoreError } from "../plan-runner/plans-access.js";
import type { PlanSight } from "../plan-runner/runner.js";
import { cleanLine } from "../shared/text.js";
import { renderPlanSteps } from "./tools/plan-output.js";

/** Why a resource cannot be read, in words for whoever has asked for it. */
export class ResourceProblem extends Error {
  /** @param isMissing there is none of that name; else it could not be read now */
  constructor(
    message: string,
    readonly isMissing: boolean,
  ) {
    super(message);
  }
}

const PLANS = "plan://";

/** The id or name of the plan that a resource's address is about; undefined for any other address. */
export function planNameOf(uri: string): string | undefined {
  if (!uri.startsWith(PLANS)) return undefined;
  const encoded = uri.slice(PLANS.length);
  if (encoded === "" || encoded.includes("/")) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

/**
 * A plan as the answer about it has it, and the same in words.
 * @param value the id or the name that stands in the address, decoded
 * @throws ResourceProblem that names the wanted plan only, or says why plans cannot be read
 */
export async function readPlan(
  value: string,
  services: Pick<Services, "plans">,
): Promise<{ plan: unknown; words: string }> {
  const sight = await findPlan(value, services);
  // Loaded with the first plan.
  const [{ describePlanAnswer }, { tellPlan }] = await Promise.all([
    import("../actions/plans/describe-plan-answer.js"),
    import("../actions/plans/tell-plan.js"),
  ]);
  const plan = describePlanAnswer(sight);
  return { plan, words: `${tellPlan(sight, plan)}\n\n${renderPlanSteps(plan)}` };
}

async function findPlan(value: string, { plans }: Pick<Services, "plans">): Promise<PlanSight> {
  try {
    const found = await (await plans.openIfAny())?.find(value);
    if (found) return found;
  } catch (error) {
    if (error instanceof PlansUnavailable) throw new ResourceProblem(error.message, false);
    if (error instanceof StoreError) throw new ResourceProblem(`Plans: ${error.message}`, false);
    throw error;
  }
  throw new ResourceProblem(`There is no plan "${cleanLine(value, 200)}".`, true);
}
