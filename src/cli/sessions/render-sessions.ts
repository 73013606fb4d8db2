import type { Answer } from "../../actions/answer.js";
import { renderRows } from "../table.js";
import { tellSpan } from "./fit-text.js";

/** A session as `list_sessions` answers it. */
export type SessionLine = NonNullable<Answer["sessions"]>[number];

export interface TableOptions {
  /** Cells of the terminal's line; undefined for no limit. */
  width: number | undefined;
  /** Puts a colour on a text, where colours are wanted. */
  paint: (text: string, state: "waiting" | "running" | "failed") => string;
  /** Epoch ms. */
  now: number;
}

const COLUMNS = ["name", "state", "workflow", "turn", "branch", "changes", "cost", "age"] as const;
type Column = (typeof COLUMNS)[number];

/** To how many cells columns shrink, one after the other, until a line fits; at 0 a column is left out. */
const SHRINK: readonly [Column, number][] = [
  ["state", 34],
  ["branch", 16],
  ["name", 20],
  ["branch", 0],
  ["changes", 0],
  ["cost", 0],
  ["workflow", 0],
  // "waits for you, 12 min"
  ["state", 22],
  ["turn", 0],
  ["name", 10],
];

/** How the session stands: who it waits for, since when and for what, or the state of its newest run. */
export function tellState(session: SessionLine, now: number): string {
  if (session.waits_for !== undefined) {
    const since =
      session.waits_since === undefined ? "" : `, ${tellSpan(now - Date.parse(session.waits_since))}`;
    return `waits for you${since}: ${session.waits_for}`;
  }
  if (session.waits_for_slot !== undefined) return tellQueued(session);
  if (session.status === "pending") return "queued";
  return session.error_code === "interrupted" ? "interrupted" : session.status;
}

/** "queued, position 2, about 4 min", or what else hinders it */
function tellQueued({ status, slot_position, slot_in_s }: SessionLine): string {
  const state = status === "pending" ? "queued" : "answered, waits for a slot";
  const position = slot_position === undefined ? "" : `, position ${slot_position}`;
  return `${state}${position}${slot_in_s === undefined ? "" : `, about ${tellSpan(slot_in_s * 1000)}`}`;
}

function toneOf({ waits_for, status }: SessionLine): Parameters<TableOptions["paint"]>[1] | undefined {
  if (waits_for !== undefined) return "waiting";
  if (status === "running" || status === "pending") return "running";
  return status === "failed" || status === "lost" ? "failed" : undefined;
}

/** Before the names of branches that the engine, or a plan, has made. */
const MADE_BRANCHES = "automagik/";

/** "+15 -1 merged", "none" of work that was thrown away; of a plan's step, whose branch only its plan has, which one. */
function tellChanges({ insertions, deletions = 0, merged_into }: SessionLine): string {
  if (insertions === undefined) return "";
  if (insertions === 0 && deletions === 0) return "none";
  const size = `+${insertions} -${deletions}`;
  if (merged_into === undefined) return size;
  return merged_into.startsWith(MADE_BRANCHES)
    ? `${size} in ${merged_into.slice(MADE_BRANCHES.length)}`
    : `${size} merged`;
}

/** The branch of a session, where it can be there: what is made for a session goes when nothing was committed to it. */
function tellBranch({ git_branch = "", insertions, deletions, status }: SessionLine): string {
  const isOver = status !== "running" && status !== "pending";
  const isEmpty = insertions === undefined && isOver && git_branch.startsWith(MADE_BRANCHES);
  return isEmpty || (insertions === 0 && deletions === 0) ? "" : git_branch;
}

function toCells(session: SessionLine, now: number): Record<Column, string> {
  const { turn, max_turns, expected_turns, cost_usd, cost_at_least } = session;
  const isUsual =
    session.status === "running" && expected_turns !== undefined && (turn ?? 0) <= expected_turns;
  const most = isUsual ? `~${expected_turns}` : max_turns;
  return {
    name: session.session_name,
    state: tellState(session, now),
    workflow: session.workflow_name,
    turn: turn === undefined ? "" : `${turn}${most === undefined ? "" : `/${most}`}`,
    branch: tellBranch(session),
    changes: tellChanges(session),
    cost: cost_usd === undefined ? "" : `$${cost_usd.toFixed(2)}${cost_at_least ? "+" : ""}`,
    age: tellSpan(session.age_s * 1000),
  };
}

/** One line for each session, below a line of headings; what no session tells has no column. No line break at the end. */
export function renderTable(sessions: readonly SessionLine[], options: TableOptions): string {
  const rows = sessions.map((session) => ({ cells: toCells(session, options.now), tone: toneOf(session) }));
  return renderRows(rows, { columns: COLUMNS, shrink: SHRINK, toned: "state", ...options });
}
