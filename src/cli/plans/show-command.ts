import type { Plans } from "../../plan-runner/plans.js";
import { findPlan } from "./find-plan.js";
import { type FollowOptions, followPlan } from "./follow-plan.js";
import { renderPlan } from "./render-plan.js";
import type { PaintOptions } from "./render-plans.js";

/**
 * Shows how a plan stands: what needs the person, its steps, its cost, the next command.
 * @param options.follow shows it on until the plan has ended, or the signal comes
 * @returns the exit code: 0
 * @throws UnknownPlan, StoreError
 */
export async function showPlanInTerminal(
  plans: Plans | undefined,
  wanted: string,
  options: {
    follow: boolean;
    out: (text: string) => void;
    paintOptions: PaintOptions;
  } & Omit<FollowOptions, "plans">,
): Promise<number> {
  const { follow, out, paintOptions, signal } = options;
  const sight = await findPlan(wanted, plans);
  const last = follow && plans ? await followPlan(sight, { ...options, plans }) : sight;
  if (signal.aborted && follow) return 0;
  out(`${renderPlan(last, paintOptions)}\n`);
  return 0;
}
