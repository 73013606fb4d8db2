import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import { cleanLine } from "../../shared/text.js";

/** A plan is meant that is not there. */
export class UnknownPlan extends Error {
  override name = "UnknownPlan";
}

/**
 * Finds the plan of a name or an id.
 * @param plans undefined where there was never a plan
 * @throws UnknownPlan naming what is nearest; StoreError
 */
export async function findPlan(wanted: string, plans: Plans | undefined): Promise<PlanSight> {
  const found = await plans?.find(wanted);
  if (found) return found;
  throw await unknownPlan(wanted, plans);
}

/** What is said when there is no such plan. */
export async function unknownPlan(
  wanted: string,
  plans: Pick<Plans, "nearest"> | undefined,
): Promise<UnknownPlan> {
  const near = (await plans?.nearest(wanted)) ?? [];
  const names = near.map((name) => `"${cleanLine(name, 100)}"`).join(", ");
  const hint = names ? ` Is one of these meant: ${names}?` : "";
  return new UnknownPlan(
    `There is no plan "${cleanLine(wanted, 100)}".${hint} \`plan list --all\` shows all. Nothing was done.`,
  );
}
