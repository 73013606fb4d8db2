import type { SeenCall } from "./observed.js";

/** What came of a sequence. */
export interface SequenceReport {
  /** Of the sequence, within its seed. */
  number: number;
  violations: string[];
  /** How often each fault struck, each outcome was answered, each kind of call made. */
  faults: Record<string, number>;
  outcomes: Record<string, number>;
  /** What the client did beside plain calls: on protocol 2026-07-28 only. */
  deeds: Record<string, number>;
  calls: number;
  runs: number;
  posts: number;
  /** Most bytes of one answer read, by endpoint. */
  taken: Record<string, number>;
  tookMs: number;
}

/** How often the calls of each action came to each end. */
export function countOutcomes(calls: readonly SeenCall[]): Record<string, number> {
  const outcomes: Record<string, number> = {};
  for (const call of calls) {
    const name = `${call.action}: ${endOf(call)}`;
    outcomes[name] = (outcomes[name] ?? 0) + 1;
  }
  return outcomes;
}

function endOf({ answer, cancelledAt, task }: SeenCall): string {
  if (answer?.isError) return "error";
  if (answer) return String(answer.data?.outcome);
  if (task && cancelledAt === undefined) return "left as a task";
  return cancelledAt === undefined ? "closed" : "called off";
}
