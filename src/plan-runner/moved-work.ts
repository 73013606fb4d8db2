import { workBehind } from "../plans/machine/sources.js";
import type { PlanState } from "../plans/machine/state.js";
import type { PlanPort } from "./port.js";

/**
 * Work that a gate is about and that is not any more as it was at the end of its run: somebody has committed to its
 * branch since. Looked at when a gate opens and right before a decision at it counts.
 * @param toldSince work of runs that have ended since then (epoch ms) is where their ends have told it to be: nothing is
 * asked about it
 * @throws ApiError when it cannot be looked at
 */
export async function findMovedWork(
  state: PlanState,
  gate: string,
  port: Pick<PlanPort, "headOf">,
  toldSince = Number.POSITIVE_INFINITY,
): Promise<{ key: string; branch: string; commit: string }[]> {
  const looks = workBehind(state, gate).map(async ({ key, runId, branch, commit, endedAt }) => {
    if (endedAt >= toldSince) return [];
    const now = await port.headOf(runId);
    return now === undefined || now === commit ? [] : [{ key, branch, commit: now }];
  });
  return (await Promise.all(looks)).flat();
}
