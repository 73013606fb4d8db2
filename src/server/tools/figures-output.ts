import type { Answer } from "../../actions/answer.js";
import { cutText } from "../../shared/text.js";
import { formatUsd } from "../../shared/usd.js";

type FiguresAnswer = NonNullable<Answer["figures"]>;
type Group = FiguresAnswer["groups"][number];

const NAME_CHARS = 60;

/** What stands below each head; of one figure only its own columns are shown. */
const COLUMNS: Record<string, { head: string; text(group: Group): string }> = {
  runs: { head: "runs", text: ({ runs }) => String(runs) },
  success: {
    head: "succeeded",
    text: ({ succeeded, failed, killed }) =>
      `${succeeded} of ${succeeded + failed}${killed > 0 ? ` (${killed} killed)` : ""}`,
  },
  cost: {
    head: "cost",
    text: ({ cost_usd, cost_unknown = 0 }) => `${cost_unknown > 0 ? "> " : ""}${formatUsd(cost_usd)}`,
  },
  turns: { head: "turns: median, 9 of 10", text: ({ turns, turns_p90 }) => spread(turns, turns_p90, String) },
  time: {
    head: "time: median, 9 of 10",
    text: ({ seconds, seconds_p90 }) => spread(seconds, seconds_p90, tellTime),
  },
  waiting: { head: "waited for people", text: ({ waited_s }) => tellTime(waited_s) },
};

/** A small table, as Markdown: clients that draw none show it as lines that can be read. */
export function renderFigures({ by, figure, groups }: FiguresAnswer): string {
  const wanted = figure === "all" ? Object.keys(COLUMNS) : [...new Set(["runs", figure])];
  const columns = wanted.flatMap((name) => COLUMNS[name] ?? []);
  const row = (cells: string[]) => `| ${cells.join(" | ")} |`;
  if (groups.length === 0) return "";
  return [
    row([by, ...columns.map(({ head }) => (by === "template" && head === "runs" ? "plans" : head))]),
    row([by, ...columns].map(() => "---")),
    ...groups.map((group) => row([nameOf(group), ...columns.map(({ text }) => text(group))])),
  ].join("\n");
}

/** A name of others can end no cell. */
const nameOf = ({ name }: Group) => cutText(name, NAME_CHARS).replaceAll("|", "/");

function spread(
  median: number | undefined,
  p90: number | undefined,
  write: (value: number) => string,
): string {
  if (median === undefined || p90 === undefined) return "-";
  return median === p90 ? write(median) : `${write(median)}, ${write(p90)}`;
}

function tellTime(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
