import type { BoardChange, BoardView } from "./board.js";
import type { PlanDetail } from "./plan.js";
import type { LogEntry, RunDetail } from "./run.js";

/**
 * Events of `GET /dashboard/api/events?after=<at>[&run=<run id>][&plan=<plan id>]`, as `event:` with their `data:`. The
 * browser sends Last-Event-ID by itself when it connects again.
 */
export interface StreamEvents {
  /** The whole board: at the beginning unless what has come since `after` is known, and whenever something was missed. */
  board: BoardView;
  /** What has changed of it; comes with an id. */
  change: BoardChange;
  /** Of the plan that was asked for: the whole of it, at the beginning and after each change. */
  plan: PlanDetail;
  /** Of the run that was asked for: at the beginning (with its log), and after each change (with no log). */
  run: RunDetail;
  /** New entries of its log. */
  log: { runId: string; entries: LogEntry[] };
  /** The run or plan that was asked for is not there any more. */
  gone: { kind: "run" | "plan"; id: string; why: string };
  /** The session has ended: open a new link. */
  bye: { why: string };
}
