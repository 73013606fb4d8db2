import type { RunStep } from "../plan.js";
import type { Draft } from "./draft.js";
import { indexOf } from "./plan-index.js";
import { type Attempt, isGoing, type PlanState, type StartSession, type StepState } from "./state.js";

type Sight = Pick<Draft, "state" | "index">;

/** What a step has left: a branch; nothing, so that the work stands where the plan began; or nobody knows. */
export type LeftWork = { branch: string; commit?: string; step: string } | "base" | { problem: string };

/**
 * The branch that has a step's work. A step that was skipped, or that has left no commits, stands where it would have
 * begun itself.
 */
export function workOf(sight: Sight, id: string): LeftWork {
  const { state, index } = sight;
  let at: string | undefined = id;
  // Each of them comes before the last one, so that this ends.
  while (at !== undefined) {
    const step = index.steps.get(at);
    const now = state.steps[at];
    if (!step || !now || step.kind === "gate") return "base";
    if (step.kind === "merge") {
      if (now.branch !== undefined)
        return { branch: now.branch, step: at, ...(now.commit === undefined ? {} : { commit: now.commit }) };
      return "base";
    }
    const last = lastWork(now);
    if (last?.branch)
      return { branch: last.branch, step: at, ...(last.commit === undefined ? {} : { commit: last.commit }) };
    if (last && last.branch === undefined)
      return { problem: `nobody knows on which branch step ${at} has left its work` };
    at = step.from ?? step.continue;
  }
  return "base";
}

/** The same of a plan as it stands. */
export function leftWork(state: PlanState, id: string): LeftWork {
  return workOf({ state, index: indexOf(state.plan) }, id);
}

/** The newest run since the step was last begun anew. */
function lastWork({ attempts, round }: StepState): Attempt | undefined {
  return attempts.findLast(
    (attempt) => attempt.round === round && attempt.runId !== undefined && !isGoing(attempt),
  );
}

/** Where a run of the step works. */
export function sessionFor(
  sight: Sight,
  step: RunStep,
): { session: StartSession; conversation?: string } | { problem: string } {
  if (step.continue !== undefined) {
    const found = continueOf(sight, step.continue);
    if (found) return found;
  }
  const source = step.from ?? step.continue;
  if (source === undefined) return { session: { kind: "new" } };
  const work = workOf(sight, source);
  if (work === "base") return { session: { kind: "new" } };
  return "problem" in work ? work : { session: { kind: "from", ...work } };
}

/** Going on with the newest conversation of a step, or of the one that it would have continued. */
export function continueOf(
  { state, index }: Sight,
  id: string,
): { session: StartSession; conversation: string } | undefined {
  let at: string | undefined = id;
  while (at !== undefined) {
    const last: Attempt | undefined = state.steps[at]?.attempts.findLast(
      (attempt) => attempt.runId !== undefined && !isGoing(attempt) && attempt.stop === undefined,
    );
    if (last) return continuing(at, last);
    const step = index.steps.get(at);
    at = step?.kind === "run" ? step.continue : undefined;
  }
  return undefined;
}

/** Going on with the conversation of one run. */
export function continuing(
  step: string,
  { runId, sessionId, sessionName, conversation }: Attempt,
): { session: StartSession; conversation: string } {
  return {
    conversation,
    session: {
      kind: "continue",
      step,
      ...(runId === undefined ? {} : { runId }),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(sessionName === undefined ? {} : { sessionName }),
    },
  };
}

/** The commits that a gate is about: those of the work that it stands behind, sorted. */
export function commitsBehind(sight: Sight, gate: string): string[] {
  const found = walkBack(sight, gate).flatMap(({ now, runs }) => [
    now.commit,
    ...runs.map(({ commit }) => commit),
  ]);
  return [...new Set(found.filter((commit) => commit !== undefined))].sort();
}

/**
 * The runs whose branches a gate is about, each with the commit that is known of its branch. Of several runs on one
 * branch it is the newest, and none where one goes on.
 */
export function workBehind(
  state: PlanState,
  gate: string,
): { key: string; runId: string; branch: string; commit: string; endedAt: number }[] {
  const all = Object.values(state.steps).flatMap(({ attempts }) => attempts);
  return walkBack({ state, index: indexOf(state.plan) }, gate)
    .flatMap(({ runs }) => runs)
    .flatMap(({ key, runId, branch, commit, endedAt = 0 }) => {
      const others = all.filter((one) => one.branch === branch);
      const newest = others.reduce<Attempt | undefined>(
        (last, one) => (last && last.startedAt > one.startedAt ? last : one),
        undefined,
      );
      if (!runId || !branch || !commit || newest?.key !== key || others.some(isGoing)) return [];
      return [{ key, runId, branch, commit, endedAt }];
    });
}

/** The nearest steps before a gate that have left commits: their completed runs, or the commit of a merge. */
function walkBack(
  { state, index }: Sight,
  gate: string,
): { now: Pick<StepState, "commit">; runs: readonly Attempt[] }[] {
  const left: { now: Pick<StepState, "commit">; runs: readonly Attempt[] }[] = [];
  const seen = new Set<string>();
  const open = [...(index.steps.get(gate)?.needs ?? [])];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const step = index.steps.get(id);
    const now = state.steps[id];
    if (!step || !now) continue;
    const runs = now.attempts.filter(
      ({ status, round, commit }) => status === "completed" && round === now.round && commit !== undefined,
    );
    if (now.commit !== undefined || runs.length > 0) left.push({ now, runs });
    else open.push(...step.needs);
  }
  return left;
}
