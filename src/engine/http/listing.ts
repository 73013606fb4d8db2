import type { EngineRun, RunStatus } from "../runs/run.js";
import { HttpRefusal } from "./refusal.js";
import { secondsOf, startOf } from "./run-wire.js";

/** How a list of runs is asked for. */
export interface ListOrder {
  page: number;
  page_size: number;
  status?: string | undefined;
  sort_by: string;
  sort_order: string;
}

/** The contract's words, and what we have under them. */
const STATUSES: Record<string, readonly RunStatus[]> = {
  pending: ["pending"],
  running: ["running", "waiting"],
  completed: ["completed"],
  failed: ["failed", "interrupted"],
  // The contract has this word besides, and reads it so.
  timeout: ["failed", "interrupted"],
  killed: ["killed"],
};

const SORTS: Record<string, (run: EngineRun) => number | null> = {
  started_at: startOf,
  completed_at: (run) => run.endedAt ?? null,
  execution_time: (run) => (run.endedAt === undefined ? null : secondsOf(run, run.endedAt)),
  total_cost: (run) => run.costUsd || null,
};

/**
 * Checks the list's parameters in the contract's order.
 * @returns the statuses to look for
 * @throws HttpRefusal 400
 */
export function checkOrder(order: ListOrder): readonly RunStatus[] | undefined {
  if (order.page < 1) throw new HttpRefusal(400, "Page must be >= 1");
  if (order.page_size < 1 || order.page_size > 100) {
    throw new HttpRefusal(400, "Page size must be between 1 and 100");
  }
  const { status } = order;
  if (status !== undefined && !Object.hasOwn(STATUSES, status))
    throw new HttpRefusal(400, "Invalid status filter");
  if (!Object.hasOwn(SORTS, order.sort_by)) throw new HttpRefusal(400, "Invalid sort_by field");
  if (order.sort_order !== "asc" && order.sort_order !== "desc") {
    throw new HttpRefusal(400, "Sort order must be 'asc' or 'desc'");
  }
  return status === undefined ? undefined : STATUSES[status];
}

/**
 * One page of runs. What is unset sorts below every value, and of equal ones the later run counts as the larger, so
 * that pages neither repeat nor lose a run.
 * @param newestFirst all runs that fit
 */
export function pageOf(newestFirst: readonly EngineRun[], order: ListOrder) {
  const key = SORTS[order.sort_by] ?? startOf;
  const found = [...newestFirst].reverse();
  // Equal keys give NaN for two infinities and 0 otherwise; both mean "as they were".
  found.sort((a, b) => (key(a) ?? Number.NEGATIVE_INFINITY) - (key(b) ?? Number.NEGATIVE_INFINITY) || 0);
  if (order.sort_order === "desc") found.reverse();
  const from = (order.page - 1) * order.page_size;
  return {
    runs: found.slice(from, from + order.page_size),
    total: found.length,
    hasNext: from + order.page_size < found.length,
  };
}
