import { describeSummary } from "../../actions/plans/list-all-plans.js";
import type { Plans } from "../../plan-runner/plans.js";
import { isOpen, type PaintOptions, renderPlans } from "./render-plans.js";

/** How many ended plans are shown unless all are asked for. */
const RECENT = 5;

/**
 * Shows plans: those that wait for the person first, then those that go on, then the ended ones.
 * @param plans undefined where there was never a plan
 * @param options.all also those that ended long ago
 * @returns the exit code: 0, also when there are none
 * @throws StoreError
 */
export async function listPlansInTerminal(
  plans: Plans | undefined,
  options: { all: boolean; json: boolean; out: (text: string) => void } & PaintOptions,
): Promise<number> {
  const found = (await plans?.list()) ?? [];
  const ended = found.filter((plan) => !isOpen(plan));
  const shown = options.all ? found : [...found.filter(isOpen), ...ended.slice(0, RECENT)];
  const left = found.length - shown.length;
  if (options.json) {
    options.out(`${JSON.stringify({ plans: shown.map(describeSummary) }, null, 2)}\n`);
    return 0;
  }
  const lines = [shown.length === 0 ? "No plans." : renderPlans(shown, options)];
  if (left > 0) lines.push("", `${left} more ${left === 1 ? "has" : "have"} ended; --all shows them.`);
  if (shown.some((plan) => isOpen(plan) && plan.waitingFor.length > 0))
    lines.push("", "`automagik-workflows-mcp plan show NAME` tells what one waits for, and how to answer.");
  options.out(`${lines.join("\n")}\n`);
  return 0;
}
