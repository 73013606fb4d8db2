import type { EngineRun } from "../runs/run.js";
import type { QueueStats } from "../types.js";

/**
 * How the messages to a run stand.
 * @param now epoch ms
 */
export function statsOf({ queue: { waiting, added, consumed } }: EngineRun, now: number): QueueStats {
  const oldest = waiting[0]?.addedAt;
  return {
    waiting: waiting.length,
    added,
    consumed,
    ...(oldest === undefined ? {} : { oldestAgeS: Math.max(0, now - oldest) / 1000 }),
  };
}
