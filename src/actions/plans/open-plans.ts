import type { Plans } from "../../plan-runner/plans.js";
import { PlansUnavailable, StoreError } from "../../plan-runner/plans-access.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import { cleanLine } from "../../shared/text.js";
import { ActionError } from "../answer.js";
import type { Services } from "../define-action.js";

/** The arguments that can name a plan. */
export interface PlanTarget {
  plan_id?: string | undefined;
  session_name?: string | undefined;
}

/** @throws ActionError when there can be no plans here, or they cannot be read */
export function openPlans({ plans }: Pick<Services, "plans">): Promise<Plans> {
  return telling("Nothing was begun or changed.", () => plans.open());
}

/**
 * Does something with the plans.
 * @param left what is so when their database fails, as a sentence
 * @throws ActionError with that sentence when it does
 */
export async function telling<T>(left: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PlansUnavailable) throw new ActionError(error.message);
    if (error instanceof StoreError) throw new ActionError(`Plans: ${error.message} ${left}`);
    throw error;
  }
}

/** The plan with this id or name. @throws ActionError when there is none, naming the nearest */
export async function findPlan(idOrName: string, services: Services): Promise<PlanSight> {
  const plans = await openPlans(services);
  return telling("Nothing was changed.", async () => {
    const found = await plans.find(idOrName);
    if (found) return found;
    const nearest = await plans.nearest(idOrName);
    throw new ActionError(
      `There is no plan "${cleanLine(idOrName, 200)}"${nearest.length > 0 ? `; nearest: ${nearest.map((name) => cleanLine(name, 100)).join(", ")}` : ""}. Nothing was changed.`,
      { action: "list_plans", arguments: {}, reason: "See which plans there are." },
    );
  });
}

/**
 * The plan that a call is about, by its id or its name.
 * @returns undefined when the call is not about a plan
 * @throws ActionError when an id is given that no plan has
 */
export async function findNamedPlan(
  { plan_id, session_name }: PlanTarget,
  services: Services,
): Promise<PlanSight | undefined> {
  if (plan_id) return findPlan(plan_id, services);
  if (!session_name) return undefined;
  try {
    return await (await services.plans.openIfAny())?.find(session_name);
  } catch (error) {
    // Who asks for a session need not know of plans.
    if (error instanceof PlansUnavailable || error instanceof StoreError) return undefined;
    throw error;
  }
}
