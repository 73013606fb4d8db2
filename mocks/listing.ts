import type { Entry } from "./agent.js";
import { ApiRefusal } from "./refusal.js";
import type { ListQuery, Profile, RunPage, RunState } from "./types.js";

const FILTERS = ["pending", "running", "completed", "failed", "timeout"];
const SQLITE_MAX = 2 ** 63 - 1;

const SORTS: Record<string, (run: RunState) => number | null> = {
  started_at: (run) => run.startedAt,
  completed_at: (run) => run.completedAt,
  execution_time: (run) => (run.completedAt === null ? null : run.completedAt - run.startedAt),
  total_cost: (run) => (run.finished && run.costUsd > 0 ? run.costUsd : null),
};

/** One page of runs, checked in the API's order. `killed` cannot be filtered for on the public server. */
export function pageOf(entries: Entry[], query: Partial<ListQuery>, profile: Profile): RunPage {
  const {
    page = 1,
    page_size: pageSize = 20,
    sort_by: sortBy = "started_at",
    sort_order: order = "desc",
  } = query;
  if (page < 1) throw new ApiRefusal(400, "Page must be >= 1");
  if (pageSize < 1 || pageSize > 100) throw new ApiRefusal(400, "Page size must be between 1 and 100");
  const filters = profile === "contract" ? [...FILTERS, "killed"] : FILTERS;
  if (query.status !== undefined && !filters.includes(query.status)) {
    throw new ApiRefusal(400, "Invalid status filter");
  }
  const key = Object.hasOwn(SORTS, sortBy) ? SORTS[sortBy] : undefined;
  if (key === undefined) throw new ApiRefusal(400, "Invalid sort_by field");
  if (order !== "asc" && order !== "desc") throw new ApiRefusal(400, "Sort order must be 'asc' or 'desc'");
  if ((page - 1) * pageSize > SQLITE_MAX) {
    throw new ApiRefusal(500, "Failed to list runs: Python int too large to convert to SQLite INTEGER");
  }
  const status = query.status === "timeout" ? "failed" : query.status;
  const found = entries
    .map((entry) => entry.state)
    .filter(
      (run) =>
        (status === undefined || run.status === status) &&
        (query.workflow_name === undefined || run.workflowName === query.workflow_name) &&
        (query.user_id === undefined || run.userId === query.user_id),
    )
    // The database puts what is unset below every value; equal keys keep the order in which the runs began.
    .sort((a, b) => (key(a) ?? Number.NEGATIVE_INFINITY) - (key(b) ?? Number.NEGATIVE_INFINITY) || 0);
  if (order === "desc") found.reverse();
  const from = (page - 1) * pageSize;
  return {
    runs: found.slice(from, from + pageSize).map((run) => structuredClone(run)),
    total: found.length,
    page,
    pageSize,
    hasNext: from + pageSize < found.length,
  };
}
