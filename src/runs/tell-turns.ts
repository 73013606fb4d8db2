import type { Run } from "../api/types.js";

/** From this part of its limit on, the limit is what matters of a run's turns. */
const NEAR_LIMIT = 0.8;
/** What a run has done of its way when it has taken as many turns as usual, in percent. */
const USUAL_PERCENT = 90;

/** What runs of the workflow usually take; undefined where only the limit says something. */
function usualTurns({ expectedTurns, maxTurns }: Run): number | undefined {
  if (!expectedTurns || (maxTurns !== undefined && expectedTurns >= maxTurns)) return undefined;
  return expectedTurns;
}

/**
 * How far a run is, against what is usual, or against its limit where that comes near or is all there is: "3 of about
 * 12", "15 (usually about 12)", "42 of at most 50". Undefined before its first turn.
 * @param limited how the limit is told where it is all there is
 */
export function tellTurns(run: Run, limited: (turn: number, maxTurns: number) => string): string | undefined {
  const { turn, maxTurns } = run;
  if (!turn) return undefined;
  const usual = usualTurns(run);
  if (usual === undefined) return maxTurns === undefined ? String(turn) : limited(turn, maxTurns);
  if (maxTurns !== undefined && turn >= NEAR_LIMIT * maxTurns) return `${turn} of at most ${maxTurns}`;
  return turn <= usual ? `${turn} of about ${usual}` : `${turn} (usually about ${usual})`;
}

/**
 * The same as numbers: of its turns where only the limit is known, else in percent, which rises slowly beyond what is
 * usual, and reaches 100 at the limit only.
 */
export function measureTurns(run: Run): { progress: number; total?: number } {
  const { turn = 0, maxTurns } = run;
  const usual = usualTurns(run);
  if (usual === undefined) return { progress: turn, ...(maxTurns === undefined ? {} : { total: maxTurns }) };
  const beyond = turn - usual;
  const part =
    beyond <= 0
      ? (USUAL_PERCENT * turn) / usual
      : USUAL_PERCENT + (100 - USUAL_PERCENT) * (beyond / (maxTurns === undefined ? turn : maxTurns - usual));
  return { progress: Math.round(Math.min(part, 100) * 100) / 100, total: 100 };
}
