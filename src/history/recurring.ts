import { type Figures, hasSucceeded, repositoryKey } from "./figures.js";

/** Runs of different workflows that followed each other in sessions again and again, and went well. */
export interface Recurring {
  workflows: string[];
  /** In how many sessions. */
  times: number;
  /** The newest of these sessions. */
  session: string;
}

/** In fewer sessions it is chance. */
const LEAST_TIMES = 3;
const MOST_SHOWN = 3;

/**
 * The sequences of workflows that sessions went through in which every run succeeded, the most frequent first; those of
 * one repository where that is given. Runs of plans do not count: they have a plan already. The same workflow twice in
 * a row is one step.
 */
export function findRecurring(figures: readonly Figures[], repository?: string): Recurring[] {
  const key = repository && repositoryKey(repository);
  const sessions = new Map<string, Figures[]>();
  for (const one of figures) {
    if (one.kind !== "run" || one.plan !== undefined || one.session === undefined) continue;
    const place = one.repository === undefined ? "" : repositoryKey(one.repository);
    if (key && place !== key) continue;
    const session = JSON.stringify([place, one.session]);
    sessions.set(session, [...(sessions.get(session) ?? []), one]);
  }
  const found = new Map<string, Recurring & { at: number }>();
  for (const runs of sessions.values()) {
    if (!runs.every(hasSucceeded)) continue;
    const sorted = [...runs].sort((one, other) => (one.startedAt ?? 0) - (other.startedAt ?? 0));
    const workflows = sorted.flatMap(({ workflow = "" }, at) =>
      workflow !== sorted[at - 1]?.workflow ? [workflow] : [],
    );
    const last = sorted.at(-1);
    if (workflows.length < 2 || !last?.session) continue;
    const name = workflows.join("\n");
    const before = found.get(name);
    const at = last.endedAt ?? 0;
    const newest = before && before.at > at ? before : { session: last.session, at };
    found.set(name, { workflows, times: (before?.times ?? 0) + 1, session: newest.session, at: newest.at });
  }
  return [...found.values()]
    .filter(({ times }) => times >= LEAST_TIMES)
    .sort((one, other) => other.times - one.times || other.at - one.at)
    .slice(0, MOST_SHOWN)
    .map(({ at: _, ...recurring }) => recurring);
}
