import { measure, pad, shorten } from "./sessions/fit-text.js";

const GAP = "  ";

/** One line of a table; `tone` is that of its toned column. */
export interface TableRow<Column extends string, Tone> {
  cells: Record<Column, string>;
  tone?: Tone | undefined;
}

/**
 * One line for each row, below a line of headings; a column of which no row tells anything is left out. No line break
 * at the end.
 * @param options.shrink to how many cells columns shrink, one after the other, until a line fits; at 0 one is left out
 * @param options.width cells of the terminal's line; undefined for no limit
 * @param options.toned the column that gets a colour
 */
export function renderRows<Column extends string, Tone>(
  rows: readonly TableRow<Column, Tone>[],
  options: {
    columns: readonly Column[];
    shrink: readonly (readonly [Column, number])[];
    width: number | undefined;
    toned: Column;
    paint: (text: string, tone: Tone) => string;
  },
): string {
  const { columns, shrink, width, toned, paint } = options;
  const heading = Object.fromEntries(columns.map((name) => [name, name.toUpperCase()])) as Record<
    Column,
    string
  >;
  const told = columns.filter((column) => rows.some(({ cells }) => cells[column] !== ""));
  const natural = (column: Column) =>
    Math.max(...[heading, ...rows.map(({ cells }) => cells)].map((one) => measure(one[column])));
  const widths = fitColumns(told, natural, shrink, width);
  const shown = told.filter((column) => (widths.get(column) ?? 0) > 0);
  function renderRow({ cells, tone }: TableRow<Column, Tone>): string {
    const parts = shown.map((column, index) => {
      const cell = widths.get(column) ?? 0;
      const text = shorten(cells[column], cell);
      const padded = index === shown.length - 1 ? text : pad(text, cell);
      return column === toned && tone !== undefined ? paint(padded, tone) : padded;
    });
    return parts.join(GAP).trimEnd();
  }
  return [renderRow({ cells: heading }), ...rows.map(renderRow)].join("\n");
}

/** The width of each column, so that a line has no more cells than there are. */
function fitColumns<Column extends string>(
  columns: readonly Column[],
  natural: (column: Column) => number,
  shrink: readonly (readonly [Column, number])[],
  width: number | undefined,
): Map<Column, number> {
  const widths = new Map(columns.map((column) => [column, natural(column)]));
  if (width === undefined) return widths;
  const excess = () => {
    const used = [...widths.values()].filter((one) => one > 0);
    return used.reduce((sum, one) => sum + one, 0) + GAP.length * (used.length - 1) - width;
  };
  for (const [column, least] of shrink) {
    const present = widths.get(column);
    if (present === undefined || excess() <= 0) continue;
    widths.set(column, Math.min(present, Math.max(least, present - excess())));
  }
  return widths;
}
