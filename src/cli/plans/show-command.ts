import { describePlanAnswer } from "../../actions/plans/describe-plan-answer.js";
import type { Plans } from "../../plan-runner/plans.js";
import { findPlan } from "./find-plan.js";
import { type FollowOptions, followPlan } from "./follow-plan.js";
import { renderPlan, tellLeft } from "./render-plan.js";
import { exitCodeOf, type PaintOptions } from "./render-plans.js";

/**
 * Shows how a plan stands: what needs the person, its steps, its cost, the next command.
 * @param options.follow shows it on until the plan has ended, or the signal comes
 * @param options.json for programs, in the words of the chat's answers
 * @returns the exit code: 0; of one that was followed 1 when it has not come to its end
 * @throws UnknownPlan, StoreError
 */
export async function showPlanInTerminal(
  plans: Plans,
  wanted: string,
  options: {
    follow: boolean;
    json: boolean;
    out: (text: string) => void;
    paintOptions: () => PaintOptions;
  } & Omit<FollowOptions, "plans">,
): Promise<number> {
  const { follow, json, out, paintOptions, signal } = options;
  const sight = await findPlan(wanted, plans);
  const last = follow && !json ? await followPlan(sight, { ...options, plans }) : sight;
  if (signal.aborted && follow) {
    if (!json) out(tellLeft(last, paintOptions()));
    return 0;
  }
  if (json) out(`${JSON.stringify(describePlanAnswer(last), null, 2)}\n`);
  else out(`${follow ? "\n" : ""}${renderPlan(last, paintOptions())}\n`);
  return follow && !json ? exitCodeOf(last) : 0;
}
