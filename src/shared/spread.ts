/** What a number of like things have taken. */
export interface Spread {
  /** The middle one. */
  median: number;
  /** Nine of ten took no more. */
  p90: number;
  /** Of how many this is known. */
  n: number;
}

/** Of fewer nothing is said: a guess without data is worse than none. */
export const LEAST_RUNS = 3;
/** How far back runs count for what is usual, in ms. */
export const USUAL_PERIOD_MS = 90 * 24 * 60 * 60 * 1000;

/** The one rule for what is usual, by those of the values that are known; undefined where these are fewer than three. */
export function spreadOf(values: readonly (number | undefined)[]): Spread | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const n = sorted.length;
  if (n < LEAST_RUNS) return undefined;
  const [median = 0, p90 = 0] = [sorted[Math.floor((n - 1) / 2)], sorted[Math.ceil(0.9 * n) - 1]];
  return { median, p90, n };
}
