import { type Spread, spreadOf } from "../shared/spread.js";
import { cleanLine } from "../shared/text.js";
import { type Figures, hasSucceeded, repositoryKey } from "./figures.js";

export const GROUPINGS = ["workflow", "template", "repository", "day"] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** Which rows, and how they are put together. */
export interface FiguresQuery {
  by: Grouping;
  /** Epoch ms: what ended from then on. */
  since: number;
}

/** What the runs (of templates the plans) of one group have taken. Sums are over what is known. */
export interface FigureSums {
  key: string;
  label: string;
  runs: number;
  succeeded: number;
  failed: number;
  killed: number;
  costUsd: number;
  /** How many told no cost, or not all of it. */
  costUnknown: number;
  turns?: Spread;
  seconds?: Spread;
  /** Sums in s: agents at work, and waits for people. */
  workS: number;
  waitedS: number;
}

/** A group with its rows. */
export interface FigureBunch {
  sums: FigureSums;
  rows: readonly Figures[];
}

const NAME_CHARS = 200;
/** Where nobody has told by what they are grouped. */
const UNKNOWN = "";

/** In groups, days as they come, of others those first of which there is most; each row counts where it ended. */
export function groupFigures(
  figures: readonly Figures[],
  query: FiguresQuery,
): { groups: FigureBunch[]; total: FigureBunch } {
  const { by } = query;
  const chosen = chooseFigures(figures, query);
  const groups = new Map<string, Figures[]>();
  for (const one of chosen) {
    const key = groupKeyOf(one, by);
    const rows = groups.get(key) ?? [];
    rows.push(one);
    groups.set(key, rows);
  }
  const told = [...groups].map(([key, rows]) => sumUp(key, labelOf(key, rows, by), rows));
  return {
    groups: told.sort(({ sums: a }, { sums: b }) =>
      by === "day" ? (a.key < b.key ? -1 : 1) : b.runs - a.runs || b.costUsd - a.costUsd,
    ),
    total: sumUp("total", "All", chosen),
  };
}

/** By template plans are told, by all others runs. */
export function chooseFigures(figures: readonly Figures[], { by, since }: FiguresQuery): Figures[] {
  const kind = by === "template" ? "plan" : "run";
  return figures.filter((one) => one.kind === kind && timeOf(one) >= since);
}

/** When it counts, epoch ms. */
export const timeOf = ({ endedAt, startedAt }: Figures): number => endedAt ?? startedAt ?? 0;

export function groupKeyOf(one: Figures, by: Grouping): string {
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

const NOTHING: Record<Grouping, string> = {
  workflow: "Workflow not known",
  template: "Without a template",
  repository: "Without a repository",
  day: "Day not known",
};

function labelOf(key: string, [first]: readonly Figures[], by: Grouping): string {
  if (key === UNKNOWN) return NOTHING[by];
  return cleanLine(by === "repository" ? (first?.repository ?? key) : key, NAME_CHARS);
}

function sumUp(key: string, label: string, rows: readonly Figures[]): FigureBunch {
  const count = (fits: (one: Figures) => boolean) => rows.filter(fits).length;
  const sum = (value: (one: Figures) => number | undefined) =>
    Math.round(rows.reduce((total, one) => total + (value(one) ?? 0), 0) * 1e4) / 1e4;
  const turns = spreadOf(rows.map((one) => one.turns));
  const seconds = spreadOf(rows.map((one) => one.seconds));
  return {
    rows,
    sums: {
      key,
      label,
      runs: rows.length,
      succeeded: count(hasSucceeded),
      failed: count((one) => one.outcome !== "killed" && !hasSucceeded(one)),
      killed: count(({ outcome }) => outcome === "killed"),
      costUsd: sum(({ costUsd, costAtLeastUsd }) => costUsd ?? costAtLeastUsd),
      costUnknown: count(({ costUsd }) => costUsd === undefined),
      ...(turns ? { turns } : {}),
      ...(seconds ? { seconds } : {}),
      workS: sum((one) =>
        one.seconds === undefined ? undefined : Math.max(0, one.seconds - (one.waitedS ?? 0)),
      ),
      waitedS: sum(({ waitedS }) => waitedS),
    },
  };
}
