import type { Services } from "../actions/define-action.js";
import { type Figures, hasSucceeded, repositoryKey } from "../history/figures.js";
import { optional } from "../plans/plan.js";
import { spreadOf } from "../shared/spread.js";
import { cleanLine } from "../shared/text.js";
import { type Expected, expectEach } from "./expect-each.js";
import type { FigureGroup, FigureRow, FigureRows, FiguresBy, FiguresView } from "./views.js";

/** What was asked for. */
export interface FiguresQuery {
  by: FiguresBy;
  /** Epoch ms. */
  since: number;
}

const MOST_GROUPS = 200;
const MOST_ROWS = 500;
const NAME_CHARS = 200;
/** Where nobody has told by what they are grouped. */
const UNKNOWN = "";

/** What ended runs and plans have taken, in groups; each row counts where it ended. */
export async function readFigures(
  { by, since }: FiguresQuery,
  { sessions, clock }: Pick<Services, "sessions" | "clock">,
): Promise<FiguresView> {
  const { figures } = await sessions.history.read();
  const chosen = choose(figures, { by, since });
  const expected = expectEach(figures);
  const groups = new Map<string, Figures[]>();
  for (const one of chosen) {
    const key = keyOf(one, by);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const told = [...groups].map(([key, rows]) => toGroup(key, labelOf(key, rows, by), rows, expected));
  return {
    by,
    since,
    now: clock.now(),
    // Days as they come; of others those first of which there is most.
    groups: told
      .sort(
        by === "day"
          ? (a, b) => (a.key < b.key ? -1 : 1)
          : (a, b) => b.runs - a.runs || b.costUsd - a.costUsd,
      )
      .slice(by === "day" ? -MOST_GROUPS : 0, by === "day" ? undefined : MOST_GROUPS),
    total: toGroup("total", "All", chosen, expected),
  };
}

/** The rows behind one bar, the newest first. */
export async function readFigureRows(
  { by, since, key }: FiguresQuery & { key: string },
  { sessions }: Pick<Services, "sessions">,
): Promise<FigureRows> {
  const { figures } = await sessions.history.read();
  const expected = expectEach(figures);
  const rows = choose(figures, { by, since })
    .filter((one) => keyOf(one, by) === key)
    .sort((a, b) => timeOf(b) - timeOf(a));
  const names = planNames(figures);
  return {
    rows: rows.slice(0, MOST_ROWS).map((one) => toFigureRow(one, expected.get(one), names)),
    left: Math.max(0, rows.length - MOST_ROWS),
  };
}

/** By template plans are told, by all others runs. */
function choose(figures: readonly Figures[], { by, since }: FiguresQuery): Figures[] {
  const kind = by === "template" ? "plan" : "run";
  return figures.filter((one) => one.kind === kind && timeOf(one) >= since);
}

const timeOf = ({ endedAt, startedAt }: Figures) => endedAt ?? startedAt ?? 0;

function keyOf(one: Figures, by: FiguresBy): string {
  switch (by) {
    case "workflow":
      return one.workflow ?? UNKNOWN;
    case "template":
      return one.template ?? UNKNOWN;
    case "repository":
      return one.repository ? repositoryKey(one.repository) : UNKNOWN;
    case "day":
      return dayOf(timeOf(one));
  }
}

/** "2026-11-30", of this machine's days. */
function dayOf(time: number): string {
  const date = new Date(time);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

const NOTHING: Record<FiguresBy, string> = {
  workflow: "Workflow not known",
  template: "Without a template",
  repository: "Without a repository",
  day: "Day not known",
};

function labelOf(key: string, [first]: readonly Figures[], by: FiguresBy): string {
  if (key === UNKNOWN) return NOTHING[by];
  return cleanLine(by === "repository" ? (first?.repository ?? key) : key, NAME_CHARS);
}

function toGroup(
  key: string,
  label: string,
  rows: readonly Figures[],
  expected: ReadonlyMap<Figures, Expected>,
): FigureGroup {
  const count = (fits: (one: Figures) => boolean) => rows.filter(fits).length;
  const sum = (value: (one: Figures) => number | undefined) =>
    Math.round(rows.reduce((total, one) => total + (value(one) ?? 0), 0) * 1e4) / 1e4;
  const compared = compare(rows, expected);
  return {
    key,
    label,
    runs: rows.length,
    succeeded: count(hasSucceeded),
    failed: count((one) => one.outcome !== "killed" && !hasSucceeded(one)),
    killed: count(({ outcome }) => outcome === "killed"),
    costUsd: sum(({ costUsd, costAtLeastUsd }) => costUsd ?? costAtLeastUsd),
    costUnknown: count(({ costUsd }) => costUsd === undefined),
    ...optional("turns", spreadOf(rows.map(({ turns }) => turns))),
    ...optional("seconds", spreadOf(rows.map(({ seconds }) => seconds))),
    workS: sum(({ seconds, waitedS = 0 }) =>
      seconds === undefined ? undefined : Math.max(0, seconds - waitedS),
    ),
    waitedS: sum(({ waitedS }) => waitedS),
    ...optional("expected", compared),
  };
}

/** What was to be expected and what came, each only over those of which both are known. */
function compare(
  rows: readonly Figures[],
  expected: ReadonlyMap<Figures, Expected>,
): FigureGroup["expected"] | undefined {
  const sums: Required<NonNullable<FigureGroup["expected"]>> = {
    ...{ n: 0, turns: 0, turnsActual: 0, seconds: 0, secondsActual: 0, costUsd: 0, costActualUsd: 0 },
  };
  for (const one of rows) {
    const told = expected.get(one);
    if (!told || !hasSucceeded(one)) continue;
    sums.n++;
    for (const [what, actual] of [
      ["turns", "turnsActual"],
      ["seconds", "secondsActual"],
      ["costUsd", "costActualUsd"],
    ] as const) {
      const value = one[what];
      if (told[what] === undefined || value === undefined) continue;
      sums[what] += told[what];
      sums[actual] += value;
    }
  }
  return sums.n === 0 ? undefined : sums;
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
