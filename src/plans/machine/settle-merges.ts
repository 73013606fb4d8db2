import { cleanLine } from "../../shared/text.js";
import type { MergeStep } from "../plan.js";
import { type Draft, edit, setStatus } from "./draft.js";
import { itemsOf, outcomeOf } from "./outcome.js";
import { conclude } from "./start-run.js";
import type { Merge, StepState } from "./state.js";

/** A merge step whose turn it is: the branches of all runs that have succeeded, in the order of the items. */
export function beginMerge(draft: Draft, step: MergeStep): void {
  const from = draft.index.steps.get(step.merge);
  const source = draft.state.steps[step.merge] as StepState;
  const next = edit(draft, step.id);
  next.round = Math.max(1, next.round);
  next.begun = true;
  if (from?.kind !== "run") {
    conclude(draft, step.id, "failed", "There is nothing to merge.");
    return;
  }
  const good = itemsOf(from, source)
    .map((item) => outcomeOf(from, source, item))
    .filter(({ ok }) => ok);
  for (const { main, last } of good) {
    const branch = last?.branch === undefined ? main?.branch : last.branch;
    const commit = last?.commit ?? main?.commit;
    // It has left nothing.
    if (branch === null || main?.item === undefined) continue;
    next.merges.push({
      round: next.round,
      item: main.item,
      branch: branch ?? "",
      ...(commit === undefined ? {} : { commit }),
      ...(branch === undefined
        ? { status: "failed", because: "error", reason: "Nobody knows on which branch its work is." }
        : { status: "waiting" }),
    });
  }
  if (good.length === 0) {
    const isEmpty = source.status === "skipped" && source.attempts.length === 0;
    conclude(
      draft,
      step.id,
      isEmpty ? "skipped" : "failed",
      isEmpty
        ? `Step ${step.merge} was skipped.`
        : `No run of ${step.merge} has succeeded, so there is nothing to merge.`,
    );
  }
}

/** One merge after another, each when the one before is sure; nothing of it while the plan is paused. */
export function continueMerge(draft: Draft, step: MergeStep): void {
  const now = draft.state.steps[step.id] as StepState;
  const merges = now.merges.filter(({ round }) => round === now.round);
  if (merges.some(({ status }) => status === "merging")) {
    setStatus(draft, step.id, "running");
    return;
  }
  const at = now.merges.findIndex(({ round, status }) => round === now.round && status === "waiting");
  if (at === -1) {
    concludeMerge(draft, step, merges);
    return;
  }
  if (draft.state.pausedAt !== undefined) {
    setStatus(draft, step.id, "pending", "The plan is paused.");
    return;
  }
  if (isMerging(draft)) {
    setStatus(draft, step.id, "pending", "Another merge goes on already.");
    return;
  }
  const merge = edit(draft, step.id).merges[at];
  if (merge) merge.status = "merging";
  setStatus(draft, step.id, "running");
}

function isMerging({ state }: Draft): boolean {
  return Object.values(state.steps).some(({ merges }) => merges.some(({ status }) => status === "merging"));
}

function concludeMerge(draft: Draft, step: MergeStep, merges: readonly Merge[]): void {
  const failed = merges.filter(({ status }) => status === "failed");
  const merged = merges.length - failed.length;
  const source = draft.state.steps[step.merge] as StepState;
  const left = (source.items?.length ?? 0) - merges.length;
  const apart =
    left > 0
      ? `${left} of ${source.items?.length} runs are not in it: they have not succeeded, or have left nothing.`
      : undefined;
  if (merges.length === 0) {
    // What comes behind it would be paid for, and have nothing to work on.
    const reason = `No run of ${step.merge} has left anything to merge. Redo ${step.merge}, or end the plan.`;
    conclude(draft, step.id, "blocked", reason);
    return;
  }
  if (failed.length === 0) {
    conclude(draft, step.id, "succeeded", apart);
    return;
  }
  const named = failed
    .slice(0, 5)
    .map(({ branch, item, because, files = [], reason }) => {
      const what =
        because === "conflict"
          ? `conflict in ${files.slice(0, 5).join(", ") || "unknown files"}`
          : (reason ?? "");
      return `${branch || source.items?.[item]}: ${cleanLine(what, 200)}`;
    })
    .join("; ");
  const problem = `${merged} of ${merges.length} were merged. Not merged, and kept: ${named}.`;
  if (merged === 0) {
    conclude(draft, step.id, "failed", problem);
    return;
  }
  if (step.join === "any_ok") {
    conclude(draft, step.id, "succeeded", problem);
    return;
  }
  // Whether to go on without them is a person's to say.
  conclude(draft, step.id, "blocked", `${problem} Skip the step to go on without them, or redo it.`);
}
