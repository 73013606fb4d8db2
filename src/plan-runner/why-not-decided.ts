import type { PlanChange } from "../plans/machine/events.js";
import { whyNot } from "../plans/machine/why-not.js";
import { findMovedWork } from "./moved-work.js";
import type { PlanCopy } from "./plan-copy.js";
import type { PlanPort } from "./port.js";

/**
 * Why a decision at a gate does not count: what was decided on is not there any more, or cannot be looked at. To stop a
 * plan nothing has to be looked at.
 */
export async function whyNotDecided(
  plan: Pick<PlanCopy, "state" | "happen" | "catchUp">,
  change: PlanChange,
  port: PlanPort,
): Promise<string | undefined> {
  if (change.type !== "gate-decided" || change.decision === "stop") return undefined;
  await plan.catchUp();
  if (whyNot(plan.state, { ...change, at: plan.state.at })) return undefined;
  try {
    const moved = await findMovedWork(plan.state, change.step, port);
    if (moved.length === 0) return undefined;
    for (const { key, commit } of moved) await plan.happen({ type: "work-moved", key, commit });
    const branches = moved.map(({ branch }) => branch).join(", ");
    return `Somebody has committed to ${branches} since this was shown. Nothing was decided: look at step ${change.step} again and decide anew.`;
  } catch (error) {
    if ((error as Error).name !== "ApiError") throw error;
    return `Whether the work is still what was shown cannot be looked at now. Nothing was decided: try again in a while. ${(error as Error).message}`;
  }
}
