import type { BoardChange, BoardView, ListChange, PlanRow } from "../views/board.js";
import type { NeedView } from "../views/needs.js";
import type { LogEntry, RunRow } from "../views/run.js";

/** The board with what has changed of it. Lists that did not change stay the same objects. */
export function applyChange(board: BoardView, change: BoardChange): BoardView {
  const { needs, running, queue, ended, plans, problem, unread, ...rest } = change;
  const { problem: earlier, unread: wasUnread, ...kept } = board;
  const now = problem === undefined ? earlier : problem;
  return {
    ...kept,
    ...rest,
    needs: changeList(board.needs, needs, (need: NeedView) => need.id),
    running: changeList(board.running, running, runKey),
    queue: changeList(board.queue, queue, runKey),
    ended: changeList(board.ended, ended, runKey),
    plans: changeList(board.plans, plans, (plan: PlanRow) => plan.planId),
    ...(now ? { problem: now } : {}),
    ...((unread ?? wasUnread) ? { unread: true as const } : {}),
  };
}

const runKey = (run: RunRow) => run.runId;

function changeList<Entry>(
  list: Entry[],
  change: ListChange<Entry> | undefined,
  keyOf: (entry: Entry) => string,
): Entry[] {
  if (!change) return list;
  const entries = new Map(list.map((entry) => [keyOf(entry), entry]));
  for (const entry of change.set) entries.set(keyOf(entry), entry);
  if (!change.order) return [...entries.values()];
  return change.order.flatMap((key) => entries.get(key) ?? []);
}

/** Adds what is newer than the last entry to the log, in place: of what comes again after a reconnect nothing doubles. */
export function addToLog(log: LogEntry[], entries: readonly LogEntry[]): void {
  for (const entry of entries) if (entry.key > (log.at(-1)?.key ?? -1)) log.push(entry);
}
