import type { WorkflowsApi } from "../api/client.js";
import type { Run, StartRequest } from "../api/types.js";
import { CLOCK_TOLERANCE_MS, resembles } from "../runs/lost-starts.js";
import type { StartNote } from "./port.js";

/** Pages of the list that are looked through: runs of a long time away. */
const MAX_PAGES = 20;

/** When a start is sent, by our clock and the API's. */
export function noteOfStart(
  api: Pick<WorkflowsApi, "clockOffsetMs" | "apiTime">,
  now: number,
): { sentAt: number; offsetMs: number; apiTime: number | null } {
  return { sentAt: now, offsetMs: api.clockOffsetMs(), apiTime: api.apiTime() ?? null };
}

/**
 * The runs in the API's list that a start can have made which another process may have sent.
 * @param note of that start
 * @param taken runs that are known to be of others
 * @throws ApiError when the list cannot be read
 */
export async function findLostRuns(
  api: Pick<WorkflowsApi, "listRuns">,
  request: StartRequest,
  note: StartNote,
  taken: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Run[]> {
  const sentAt = Number(note.sentAt) + Number(note.offsetMs ?? 0);
  const since = Math.max(sentAt, Number(note.apiTime ?? 0)) - CLOCK_TOLERANCE_MS;
  const found = new Map<string, Run>();
  for (let page = 1; page <= MAX_PAGES; page++) {
    const { runs, last } = await api.listRuns({ workflowName: request.workflowName, page, signal });
    for (const run of runs)
      if (
        !taken.has(run.runId) &&
        run.startedAt !== undefined &&
        run.startedAt >= since &&
        resembles(run, request)
      )
        found.set(run.runId, run);
    // Newest first: what comes behind this was there before.
    if (last || runs.some(({ startedAt }) => startedAt !== undefined && startedAt < since)) break;
  }
  return [...found.values()];
}
