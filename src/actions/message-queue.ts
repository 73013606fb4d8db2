import type { QueueCounters } from "../api/types.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { resolveTarget, TARGET_ABOUT } from "./resolve-target.js";

const QUEUE_PARAMETERS = ["run_id", "session_name", "session_id"] as const;

/** Tells the counters of a run's message queue. */
export const messageQueueAction = defineAction({
  name: "message_queue",
  toolName: "get_message_queue",
  title: "Look at a run's message queue",
  summary: "whether feedback was taken up.",
  description: "Tells how many messages wait for a run and how many its agent has taken up.",
  searchHint: "was feedback delivered taken up workflow message queue automagik",
  parameters: QUEUE_PARAMETERS,
  about: TARGET_ABOUT,
  endpoint: "message_queue",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  answerParts: ["queue"],

  async handle(
    args: Arguments<(typeof QUEUE_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const { run } = await resolveTarget(args, "active", call, services);
    const queue = await services.api.getQueue(run.runId, { signal: call.signal });
    if (!queue) return { outcome: "ok", summary: `Nothing was ever queued for run ${run.runId}.` };
    return { outcome: "ok", summary: `Run ${run.runId}: ${tellQueue(queue)}`, queue: toQueueAnswer(queue) };
  },
});

export function toQueueAnswer(queue: QueueCounters): NonNullable<Answer["queue"]> {
  return {
    waiting: queue.waiting,
    added: queue.added,
    consumed: queue.consumed,
    ...(queue.oldestAgeS === undefined ? {} : { oldest_age_s: Math.round(queue.oldestAgeS * 10) / 10 }),
  };
}

/** The counters as a sentence. Only what was consumed counts as delivered. */
export function tellQueue(queue: QueueCounters): string {
  return `${queue.added} message${queue.added === 1 ? "" : "s"} queued so far, ${queue.consumed} taken up by the agent, ${queue.waiting} waiting.`;
}
