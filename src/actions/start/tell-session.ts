import { newestRun } from "../../sessions/sessions.js";
import type { Session } from "../../sessions/types.js";

/** "architect, completed, 3 runs, last 2026-11-25 12:00 UTC": what tells sessions of one name apart. */
export function tellSession(session: Session): string {
  const run = newestRun(session);
  const when = new Date(session.updatedAt).toISOString().slice(0, 16).replace("T", " ");
  return `${run?.workflowName ?? "no run"}, ${run?.status ?? ""}, ${session.runs.length} run${session.runs.length === 1 ? "" : "s"}, last ${when} UTC`;
}
