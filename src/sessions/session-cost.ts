import { isOver } from "./sessions.js";
import type { Session } from "./types.js";

/**
 * What the runs of a session have cost together, in USD.
 * @returns undefined when no run's cost is known; `atLeast`: of some run not all is known, or it goes on
 */
export function costOfSession(session: Pick<Session, "runs">): { usd: number; atLeast: boolean } | undefined {
  // What has not begun has cost nothing.
  const begun = session.runs.filter((run) => !run.neverStarted && run.status !== "pending");
  const known = begun.flatMap(({ costUsd }) => costUsd ?? []);
  if (known.length === 0) return undefined;
  return {
    usd: Math.round(known.reduce((sum, usd) => sum + usd, 0) * 1e6) / 1e6,
    atLeast: begun.some((run) => run.costUsd === undefined || run.costAtLeast === true || !isOver(run)),
  };
}
