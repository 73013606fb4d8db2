import * as z from "zod";
import type { QueueCounters } from "../types.js";
import { compact, count, number, told } from "./fields.js";

const queueStats = z.looseObject({
  current_size: number,
  total_added: number,
  total_consumed: number,
  oldest_message_age: number,
});
export const queueWire = z.looseObject({ queue_size: number, queue_stats: told(queueStats) });

export function toQueueCounters(runId: string, wire: z.output<typeof queueWire>): QueueCounters {
  const stats = wire.queue_stats;
  const waiting = count(stats?.current_size) ?? count(wire.queue_size) ?? 0;
  const consumed = count(stats?.total_consumed) ?? 0;
  return compact<QueueCounters>({
    runId,
    waiting,
    consumed,
    added: count(stats?.total_added) ?? waiting + consumed,
    oldestAgeS: count(stats?.oldest_message_age),
  });
}
