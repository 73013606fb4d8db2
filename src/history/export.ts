import type { Figures } from "./figures.js";

/** One row of an export: names as they are published, times UTC, what is unknown null. */
export type ExportedRow = Record<(typeof COLUMNS)[number][0], string | number | null>;

/** What was added up has digits that nobody has measured. */
const round = (value: number | undefined) =>
  value === undefined ? undefined : Math.round(value * 1_000) / 1_000;
const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());

/** The columns in their order. Durations are seconds, money is US dollars. */
const COLUMNS = [
  ["api", ({ api }) => api],
  ["kind", ({ kind }) => kind],
  ["id", ({ id }) => id],
  ["started_at", ({ startedAt }) => iso(startedAt)],
  ["ended_at", ({ endedAt }) => iso(endedAt)],
  ["outcome", ({ outcome }) => outcome],
  ["failure", ({ failure }) => failure],
  ["workflow", ({ workflow }) => workflow],
  ["template", ({ template }) => template],
  ["plan_id", ({ plan }) => plan],
  ["step", ({ step }) => step],
  ["session_name", ({ session }) => session],
  ["repository", ({ repository }) => repository],
  ["model", ({ model }) => model],
  ["turns", ({ turns }) => turns],
  ["max_turns", ({ maxTurns }) => maxTurns],
  ["seconds", ({ seconds }) => round(seconds)],
  ["cost_usd", ({ costUsd }) => costUsd],
  ["cost_at_least_usd", ({ costAtLeastUsd }) => costAtLeastUsd],
  ["tokens", ({ tokens }) => tokens],
  ["insertions", ({ insertions }) => insertions],
  ["deletions", ({ deletions }) => deletions],
  ["questions", ({ questions }) => questions],
  ["waited_seconds", ({ waitedS }) => round(waitedS)],
  ["longest_silence_seconds", ({ quietS }) => round(quietS)],
  ["runs", ({ runs }) => runs],
  ["retries", ({ retries }) => retries],
  ["gate_rejections", ({ gateRejections }) => gateRejections],
  ["task", ({ task }) => task],
] as const satisfies readonly [string, (figures: Figures & { api: string }) => string | number | undefined][];

/** The figures under published names. */
export function toRow(figures: Figures & { api: string }): ExportedRow {
  return Object.fromEntries(COLUMNS.map(([name, read]) => [name, read(figures) ?? null])) as ExportedRow;
}

/** The rows as CSV (RFC 4180), with a heading; unknown is an empty cell. */
export function toCsv(rows: readonly ExportedRow[]): string {
  const names = COLUMNS.map(([name]) => name);
  const lines = rows.map((row) => names.map((name) => toCell(row[name])).join(","));
  return [names.join(","), ...lines, ""].join("\r\n");
}

/** What a spreadsheet takes for a formula where a cell begins with it. */
const FORMULA = /^\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/;

/** Names and tasks come from others: none of them may become a formula in a spreadsheet. */
function toCell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
