import type { Spread } from "../shared/spread.js";
import { formatUsd } from "../shared/usd.js";
import type { Expectation, Success } from "./expect.js";

/** "usually 12–20 turns, 10–15 min, about $0.40 (8 runs of short tasks in this repository)"; undefined where too little is known. */
export function tellUsual({ of, size, turns, seconds, costUsd }: Expectation): string | undefined {
  const known = turns ?? seconds ?? costUsd;
  if (!known) return undefined;
  const parts = [
    ...(turns ? [`${tellRange(turns, (one) => one)} turns`] : []),
    ...(seconds ? [`${tellRange(seconds, (one) => Math.max(1, Math.round(one / 60)))} min`] : []),
    ...(costUsd ? [`about ${formatUsd(costUsd.median)}`] : []),
  ];
  const which = `${size ? ` of ${size} tasks` : ""}${of === "repository" ? " in this repository" : ""}`;
  return `usually ${parts.join(", ")} (${known.n} runs${which})`;
}

/** From the middle one to what nine of ten did not exceed. */
function tellRange({ median, p90 }: Spread, round: (value: number) => number): string {
  const [low, high] = [round(median), round(p90)];
  return low === high ? `${low}` : `${low}\u2013${high}`;
}

/** "8 of 10 succeeded" */
export function tellSuccess({ succeeded, n }: Success): string {
  return `${succeeded} of ${n} succeeded`;
}
