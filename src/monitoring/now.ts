import type { Services } from "../actions/define-action.js";
import { activeRun } from "../sessions/sessions.js";

/** What goes on and what waits at one moment. */
export interface Now {
  active: number;
  waiting: Record<"question" | "slot" | "gate" | "plan", number>;
}

/**
 * Counts what goes on and what waits, by the API's list and the plans that are kept here.
 * @throws ApiError, StoreError when that cannot be read: then nothing is known, and nothing is told
 */
export async function readNow({ sessions, plans }: Pick<Services, "sessions" | "plans">): Promise<Now> {
  const now: Now = { active: 0, waiting: { question: 0, slot: 0, gate: 0, plan: 0 } };
  const all = await sessions.all();
  // What was read before may be over by now.
  const problem = sessions.problem();
  if (problem) throw problem;
  for (const session of all) {
    const record = activeRun(session);
    if (!record) continue;
    now.active++;
    const listed = sessions.listed(record.runId);
    if (listed?.waitsForAnswer) now.waiting.question++;
    else if (listed?.waitsForSlot) now.waiting.slot++;
  }
  const open = await plans.openIfAny();
  for (const { waitingFor } of (await open?.list()) ?? []) {
    for (const { kind } of waitingFor) {
      if (kind === "gate" || kind === "agreement") now.waiting.gate++;
      // A question is one of its run's, and counted there.
      else if (kind !== "question") now.waiting.plan++;
    }
  }
  return now;
}
