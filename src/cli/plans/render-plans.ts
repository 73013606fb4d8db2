import type { PlanSummary } from "../../plan-runner/plan-summary.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import { planStatus } from "../../plans/machine/plan-status.js";
import { cleanLine } from "../../shared/text.js";
import { tellSpan } from "../sessions/fit-text.js";
import { renderRows } from "../table.js";

/** How a state is painted. */
export type Tone = "waiting" | "running" | "failed";

export interface PaintOptions {
  /** Cells of the terminal's line; undefined for no limit. */
  width: number | undefined;
  /** Puts a colour on a text, where colours are wanted. */
  paint: (text: string, tone: Tone) => string;
  /** Epoch ms. */
  now: number;
}

const COLUMNS = ["name", "state", "runs", "cost", "begun", "changed", "progress"] as const;
type Column = (typeof COLUMNS)[number];

const SHRINK: readonly [Column, number][] = [
  ["progress", 30],
  ["changed", 0],
  ["state", 34],
  ["name", 20],
  ["progress", 0],
  ["runs", 0],
  ["state", 22],
  ["cost", 0],
  ["name", 10],
];

/** A status of a plan, a step or a run, as a tone. */
export function toneOf(status: string): Tone | undefined {
  if (status === "waiting" || status === "blocked" || status === "unknown") return "waiting";
  if (status === "running" || status === "starting") return "running";
  return status === "failed" ? "failed" : undefined;
}

/** Who a plan waits for, since when and for what, or its status. */
function tellState({ status, waitingFor }: PlanSummary, now: number): string {
  const [first, ...others] = waitingFor;
  if (!first || status === "completed" || status === "failed" || status === "killed") return status;
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  const what = cleanLine(`${first.step}: ${first.what}`, 120);
  const state = status === "waiting" || status === "running" ? "waits for you" : status;
  return `${state}, ${tellSpan(now - first.since)}: ${what}${more}`;
}

/** "$1.84 of $20.00"; a cost that is not known is not told as 0. */
export function tellCost({
  costUsd,
  costLimitUsd,
  knownCostUsd = 0,
}: {
  costUsd?: number;
  costLimitUsd?: number;
  knownCostUsd?: number;
}): string {
  const limit = costLimitUsd === undefined ? "" : ` of $${costLimitUsd.toFixed(2)}`;
  if (costUsd !== undefined) return `$${costUsd.toFixed(2)}${limit}`;
  const known = knownCostUsd > 0 ? `at least $${knownCostUsd.toFixed(2)}` : "unknown";
  return `${known}${limit}`;
}

/** "3 h ago": with the column's head it says since when. */
function tellAgo(ms: number): string {
  return `${tellSpan(ms)} ago`;
}

/** The line of progress without the cost at its end, which has a column. */
function progressOf({ line }: PlanSummary): string {
  const parts = cleanLine(line, 1_000).split(" · ");
  const last = parts.at(-1) ?? "";
  return (/^(?:at least )?\$\d|^cost unknown/.test(last) ? parts.slice(0, -1) : parts).join(" · ");
}

/** One line for each plan, those first that wait for the person, then the others that go on, then the ended ones. */
export function renderPlans(plans: readonly PlanSummary[], options: PaintOptions): string {
  const rows = sortPlans(plans).map((plan) => {
    const { name, runs, createdAt, changedAt, waitingFor, status } = plan;
    const cells: Record<Column, string> = {
      name: cleanLine(name, 100),
      state: tellState(plan, options.now),
      runs: `${runs.started}/${runs.limit}`,
      cost: tellCost(plan),
      begun: tellAgo(options.now - createdAt),
      changed: tellAgo(options.now - changedAt),
      progress: progressOf(plan),
    };
    return { cells, tone: isOpen(plan) && waitingFor.length > 0 ? ("waiting" as const) : toneOf(status) };
  });
  return renderRows(rows, { columns: COLUMNS, shrink: SHRINK, toned: "state", ...options });
}

/** True when it has not ended. */
export function isOpen({ status }: Pick<PlanSummary, "status">): boolean {
  return status !== "completed" && status !== "failed" && status !== "killed";
}

function sortPlans(plans: readonly PlanSummary[]): PlanSummary[] {
  const rank = (plan: PlanSummary) => (!isOpen(plan) ? 2 : plan.waitingFor.length > 0 ? 0 : 1);
  return [...plans].sort((a, b) => rank(a) - rank(b) || b.changedAt - a.changedAt);
}

/** The exit code of a command that has followed a plan: 1 when it has ended without its work done. */
export function exitCodeOf({ state }: Pick<PlanSight, "state">): number {
  const status = planStatus(state);
  return status === "failed" || status === "killed" ? 1 : 0;
}
