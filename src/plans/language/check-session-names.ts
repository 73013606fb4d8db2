import type { NamedStep } from "./check-steps.js";
import { quote } from "./problems.js";
import { addProblem, type Reading, within } from "./read-object.js";

/**
 * Runs are found by the names of their sessions when the answer to their start was lost. No two steps may come to have
 * one name: `build-2` is that of the second run of a fan-out `build`, `build-again-2` that of a step's second start.
 */
export function checkSessionNames(steps: readonly NamedStep[], reading: Reading): void {
  const runs = new Map(steps.flatMap((step) => (step.kind === "run" ? [[step.id, step] as const] : [])));
  for (const { id, place, kind } of steps) {
    // Every name of a further run or start has a number behind a dash.
    if (kind !== "run" || !id.includes("-")) continue;
    const once = id.replace(/-again-\d+$/, "");
    const base = once.replace(/-\d+$/, "");
    const isAgain = once !== id && runs.has(once);
    const isItem = base !== once && runs.get(base)?.raw.for_each !== undefined;
    if (!isAgain && !isItem) continue;
    addProblem(reading, within(place, "id"), {
      message: `A run of step ${quote(isAgain ? once : base)} would have the same session name as step ${quote(id)}: give it another id.`,
    });
  }
}
