import { type Figures, hasSucceeded } from "../history/figures.js";
import {
  chooseFigures,
  type FigureBunch,
  type FiguresQuery,
  groupFigures,
  groupKeyOf,
  timeOf,
} from "../history/group-figures.js";
import { optional } from "../plans/plan.js";
import type { Clock } from "../shared/clock.js";
import { cleanLine } from "../shared/text.js";
import { type Expected, expectEach } from "./expect-each.js";
import type { FigureGroup, FigureRow, FigureRows, FiguresView } from "./views/figures.js";

const MOST_GROUPS = 200;
const MOST_ROWS = 500;
const NAME_CHARS = 200;

/** What is known of the past, as {@link Figures} of ended runs and plans. */
interface History {
  read(): Promise<{ figures: readonly Figures[] }>;
}

/** What ended runs and plans have taken, in groups, beside what was to be expected. */
export async function readFigures(
  query: FiguresQuery,
  { history, clock }: { history: History; clock: Pick<Clock, "now"> },
): Promise<FiguresView> {
  const { figures } = await history.read();
  const expected = expectEach(figures);
  const { groups, total } = groupFigures(figures, query);
  const toGroup = ({ sums, rows }: FigureBunch): FigureGroup => ({
    ...sums,
    ...optional("expected", compare(rows, expected)),
  });
  const { by, since } = query;
  return {
    by,
    since,
    now: clock.now(),
    groups: groups
      .slice(by === "day" ? -MOST_GROUPS : 0, by === "day" ? undefined : MOST_GROUPS)
      .map(toGroup),
    total: toGroup(total),
  };
}

/** The rows behind one bar, the newest first. */
export async function readFigureRows(
  { key, ...query }: FiguresQuery & { key: string },
  { history }: { history: History },
): Promise<FigureRows> {
  const { figures } = await history.read();
  const expected = expectEach(figures);
  const rows = chooseFigures(figures, query)
    .filter((one) => groupKeyOf(one, query.by) === key)
    .sort((a, b) => timeOf(b) - timeOf(a));
  const names = planNames(figures);
  return {
    rows: rows.slice(0, MOST_ROWS).map((one) => toFigureRow(one, expected.get(one), names)),
    left: Math.max(0, rows.length - MOST_ROWS),
  };
}

const COMPARED = [
  ["turns", "turnsActual"],
  ["seconds", "secondsActual"],
  ["costUsd", "costActualUsd"],
] as const;

/** What was to be expected of a run and what it took, on average, each only over those of which both are known. */
function compare(
  rows: readonly Figures[],
  expected: ReadonlyMap<Figures, Expected>,
): FigureGroup["expected"] | undefined {
  const compared = rows.filter((one) => hasSucceeded(one) && expected.has(one));
  if (compared.length === 0) return undefined;
  const told: NonNullable<FigureGroup["expected"]> = { n: compared.length };
  for (const [what, actual] of COMPARED) {
    const pairs = compared.flatMap((one) => {
      const [foreseen, taken] = [expected.get(one)?.[what], one[what]];
      return foreseen === undefined || taken === undefined ? [] : [{ foreseen, taken }];
    });
    if (pairs.length === 0) continue;
    told[what] = mean(pairs.map(({ foreseen }) => foreseen));
    told[actual] = mean(pairs.map(({ taken }) => taken));
  }
  return told;
}

function mean(values: readonly number[]): number {
  return Math.round((values.reduce((sum, value) => sum + value, 0) / values.length) * 1e4) / 1e4;
}

function planNames(figures: readonly Figures[]): Map<string, string> {
  return new Map(
    figures.flatMap((one) => (one.kind === "plan" && one.session ? [[one.id, one.session] as const] : [])),
  );
}

function toFigureRow(
  one: Figures,
  expected: Expected | undefined,
  names: ReadonlyMap<string, string>,
): FigureRow {
  const { kind, id, outcome, startedAt, endedAt, turns, seconds, costUsd, waitedS } = one;
  const line = (text: string | undefined) => (text ? cleanLine(text, NAME_CHARS) : undefined);
  return {
    ...{ kind, id, outcome },
    ...optional("failure", line(one.failure)),
    ...optional("workflow", line(one.workflow)),
    ...optional("template", line(one.template)),
    ...optional("session", line(one.session)),
    ...optional("plan", line(one.plan && (names.get(one.plan) ?? one.plan))),
    ...optional("repository", line(one.repository)),
    ...optional("model", line(one.model)),
    ...optional("task", line(one.task)),
    ...optional("startedAt", startedAt),
    ...optional("endedAt", endedAt),
    ...optional("turns", turns),
    ...optional("seconds", seconds),
    ...optional("costUsd", costUsd),
    ...optional("waitedS", waitedS),
    ...optional("expectedTurns", expected?.turns),
    ...optional("expectedSeconds", expected?.seconds),
    ...optional("expectedCostUsd", expected?.costUsd),
  };
}
