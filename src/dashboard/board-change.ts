import type { BoardChange, BoardView, ListChange } from "./views/board.js";

const KEYS = {
  needs: ({ id }) => id,
  running: ({ runId }) => runId,
  queue: ({ runId }) => runId,
  ended: ({ runId }) => runId,
  plans: ({ planId }) => planId,
} satisfies { [List in keyof BoardView]?: (entry: Entry<List>) => string };

type Entry<List extends keyof BoardView> = BoardView[List] extends (infer One)[] ? One : never;
type List = keyof typeof KEYS;

/** What is different on the newer board; undefined where nothing is. Entries that are equal are taken for the same. */
export function changeOf(older: BoardView, newer: BoardView): BoardChange | undefined {
  const change: BoardChange = {};
  for (const list of Object.keys(KEYS) as List[]) {
    const key = KEYS[list] as (entry: unknown) => string;
    const found = changeOfList(older[list], newer[list], key);
    if (found) Object.assign(change, { [list]: found });
  }
  if (JSON.stringify(older.totals) !== JSON.stringify(newer.totals)) change.totals = newer.totals;
  if (older.today !== newer.today) change.today = newer.today;
  if (older.endedLeft !== newer.endedLeft) change.endedLeft = newer.endedLeft;
  if (older.problem !== newer.problem) change.problem = newer.problem ?? "";
  if (older.unread !== newer.unread) change.unread = newer.unread ?? false;
  return Object.keys(change).length > 0 ? change : undefined;
}

function changeOfList<One>(
  older: readonly One[],
  newer: readonly One[],
  key: (entry: One) => string,
): ListChange<One> | undefined {
  const known = new Map(older.map((entry) => [key(entry), entry]));
  const set = newer.filter((entry) => {
    const before = known.get(key(entry));
    return before !== entry && JSON.stringify(before) !== JSON.stringify(entry);
  });
  const isOrdered =
    older.length === newer.length && older.every((entry, at) => key(entry) === key(newer[at] as One));
  if (set.length === 0 && isOrdered) return undefined;
  return { set, ...(isOrdered ? {} : { order: newer.map(key) }) };
}
