import type { RunStep } from "../plan.js";
import type { Attempt, StepState } from "./state.js";

/** What has come of one item of a step, or of the step's one run. */
export interface ItemOutcome {
  /** The run that did the work. */
  main?: Attempt;
  /** The newest one: the same, or the one that was asked for the output. */
  last?: Attempt;
  ok: boolean;
  /** Why not; a sentence. */
  problem?: string;
}

/** The outcome of a step's item in its current round, once none of its runs goes on. */
export function outcomeOf(step: RunStep, { attempts, round }: StepState, item?: number): ItemOutcome {
  const own = attempts.filter((attempt) => attempt.round === round && attempt.item === item);
  const main = own.findLast(({ why }) => why !== "question");
  const last = own.at(-1);
  if (!main || !last) return { ok: false, problem: "It was not started." };
  const found = { main, last };
  if (last.status !== "completed")
    return { ...found, ok: false, problem: last.error ?? `Its run was ${last.status}.` };
  if (step.output && !last.output)
    return { ...found, ok: false, problem: last.error ?? "It has not given its output." };
  return { ...found, ok: true };
}

/** The items of a fan-out; of any other step its one run. */
export function itemsOf(step: RunStep, { items = [] }: StepState): (number | undefined)[] {
  return step.forEach === undefined ? [undefined] : items.map((_, at) => at);
}
