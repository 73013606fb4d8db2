import { existsSync } from "node:fs";
import { join } from "node:path";
import { expectRun, successOf } from "../../history/expect.js";
import { toCsv, toRow } from "../../history/export.js";
import { type Figures, repositoryKey } from "../../history/figures.js";
import { deleteRepository, forgetOld, readAll } from "../../history/history-rows.js";
import { takeOverHistory } from "../../sessions/store/take-over-history.js";
import { SettingsError } from "../../settings/settings.js";
import { isLocalRepository } from "../../shared/git/repository-address.js";
import type { Spread } from "../../shared/spread.js";
import { DATABASE_FILE } from "../../shared/state-folder.js";
import { cleanLine } from "../../shared/text.js";
import { formatUsd } from "../../shared/usd.js";
import { type Database, openDatabase } from "../../store/database.js";
import { renderRows } from "../table.js";

/** Where history is, and what a command needs of the process. */
export interface HistoryPlace {
  /** The state folder, absolute. */
  folder: string;
  /** Of the PostgreSQL database that has it in place of the folder. */
  address?: string | undefined;
  /** How long history is kept. */
  days: number;
  /** Epoch ms. */
  now: number;
  out: (text: string) => void;
  note: (text: string) => void;
}

/** Which of the history a command is about. */
interface Selection {
  repository?: string | undefined;
  /** Epoch ms: what ended from then on. */
  since?: number | undefined;
}

const NONE = "There is no history yet: no run or plan has ended.";

/** Opens the database that has the history; undefined where there is none yet. @throws StoreError */
async function open({ folder, address, now, note }: HistoryPlace): Promise<Database | undefined> {
  if (address !== undefined) {
    const { PostgresDatabase } = await import("../../store/postgres.js");
    const db = await PostgresDatabase.open(address);
    await db.prepare(now).catch(async (error) => {
      await db.destroy();
      throw error;
    });
    return db;
  }
  if (!existsSync(join(folder, DATABASE_FILE))) return undefined;
  return openDatabase({ folder, clock: { now: () => now }, onProblem: (one) => note(`${one.message}\n`) });
}

/** Does something with the history. Starts nothing, and asks no API. @throws StoreError */
async function onHistory<T>(place: HistoryPlace, none: T, work: (db: Database) => Promise<T>): Promise<T> {
  const { days, now } = place;
  const db = await open(place);
  if (!db) return none;
  try {
    await takeOverHistory(db, now);
    await forgetOld(db, days, now);
    return await work(db);
  } finally {
    await db.destroy();
  }
}

async function read(place: HistoryPlace, { repository, since = 0 }: Selection) {
  const all = await onHistory(place, [], readAll);
  const key = repository === undefined ? undefined : repositoryKey(repository);
  return all.filter(
    (one) =>
      (one.endedAt ?? 0) >= since &&
      (key === undefined || (one.repository !== undefined && repositoryKey(one.repository) === key)),
  );
}

/** `history export`: all rows, oldest first, as JSON or CSV. @returns the exit code @throws StoreError */
export async function exportHistory(
  place: HistoryPlace,
  selection: Selection & { format: "json" | "csv" },
): Promise<number> {
  const rows = (await read(place, selection)).map(toRow);
  place.out(selection.format === "csv" ? toCsv(rows) : `${JSON.stringify(rows, null, 2)}\n`);
  return 0;
}

/**
 * `history delete`: what is known of a repository, after asking.
 * @param options.agree asks; undefined where nobody can be asked
 * @returns the exit code
 * @throws StoreError
 */
export async function deleteHistory(
  place: HistoryPlace,
  options: { repository: string; agree: ((question: string) => Promise<boolean>) | undefined },
): Promise<number> {
  const { repository, agree } = options;
  const { out, now } = place;
  const shown = cleanLine(repository, 200);
  const found = await read(place, { repository });
  const count = `${found.length} ${found.length === 1 ? "row" : "rows"}`;
  const question = `Delete ${count} of history of ${shown}? Sessions, runs and branches stay.`;
  if (!agree) {
    out(`${question} Nobody can be asked here, so nothing was deleted. With --yes it is not asked.\n`);
    return 1;
  }
  if (!(await agree(question))) {
    out("Nothing was deleted.\n");
    return 1;
  }
  const deleted = await onHistory(place, 0, (db) => deleteRepository(db, repository, now));
  out(
    `Deleted ${deleted} ${deleted === 1 ? "row" : "rows"} of history of ${shown}. What has ended so far does not come back.\n`,
  );
  return 0;
}

type Column = "workflow" | "n" | "succeeded" | "turns" | "time" | "cost";

/** `history`: what runs of each workflow have taken. @returns the exit code @throws StoreError */
export async function showHistory(
  place: HistoryPlace,
  selection: Selection & { json: boolean; width: number | undefined },
): Promise<number> {
  const { now, out, days } = place;
  const figures = await read(place, selection);
  const groups = [...groupBy(figures)].map(([name, own]) => describe(name, own, now));
  if (selection.json) {
    out(
      `${JSON.stringify(
        groups.map(({ cells: _, ...told }) => told),
        null,
        2,
      )}\n`,
    );
    return 0;
  }
  if (groups.length === 0) {
    out(`${NONE}\n`);
    return 0;
  }
  const table = renderRows<Column, never>(
    groups.map(({ cells }) => ({ cells })),
    {
      columns: ["workflow", "n", "succeeded", "turns", "time", "cost"],
      shrink: [["workflow", 12]],
      width: selection.width,
      toned: "workflow",
      paint: (text) => text,
    },
  );
  out(
    `${table}\nTurns, time and cost: the median of successful runs of the last 90 days, and what nine of ten did not exceed; ` +
      `"-" in any column where fewer than three tell it. Kept for ${days} days.\n`,
  );
  return 0;
}

/** Runs by their workflow, then plans by their template. */
function groupBy(figures: readonly Figures[]): Map<string, Figures[]> {
  const groups = new Map<string, Figures[]>();
  const nameOf = ({ kind, workflow, template }: Figures) =>
    kind === "run" ? (workflow ?? "(unknown)") : `plan ${template ?? "(no template)"}`;
  const sorted = [...figures].sort((a, b) => Number(a.kind === "plan") - Number(b.kind === "plan"));
  for (const one of sorted) groups.set(nameOf(one), [...(groups.get(nameOf(one)) ?? []), one]);
  return groups;
}

function describe(name: string, own: readonly Figures[], now: number) {
  const success = successOf(own);
  const workflow = own[0]?.workflow;
  const { turns, seconds, costUsd } = workflow === undefined ? {} : expectRun(own, { workflow, now });
  const minutes = (s: number) => `${Math.max(1, Math.round(s / 60))}`;
  return {
    name,
    n: own.length,
    ...(success ? { succeeded: success.succeeded, ended: success.n } : {}),
    ...(turns ? { turns } : {}),
    ...(seconds ? { seconds } : {}),
    ...(costUsd ? { cost_usd: costUsd } : {}),
    cells: {
      workflow: cleanLine(name, 60),
      n: String(own.length),
      succeeded: success ? `${success.succeeded} of ${success.n}` : "-",
      turns: tell(turns, String),
      time: seconds ? `${tell(seconds, minutes)} min` : "-",
      cost: tell(costUsd, formatUsd),
    },
  };
}

function tell(spread: Spread | undefined, show: (value: number) => string): string {
  if (!spread) return "-";
  const [median, p90] = [show(spread.median), show(spread.p90)];
  return median === p90 ? median : `${median} to ${p90}`;
}

/** `2026-11-01`, `2026-11-01T08:00:00Z`, or an age as `30d`; epoch ms. @throws SettingsError */
export function readSince(text: string, now: number): number {
  const [, days] = /^(\d{1,5})d$/.exec(text) ?? [];
  if (days !== undefined) return now - Number(days) * 86_400_000;
  // Without a time zone a moment would be another one on each machine.
  const moment = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?Z)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(moment))
    throw new SettingsError(
      "--since: a day as 2026-11-01, a moment as 2026-11-01T08:00:00Z, or an age as 30d",
    );
  return moment;
}

/** The repository that is meant: paths as they are, addresses without what is secret. @throws SettingsError */
export function readRepository(text: string | undefined, folder: string): string | undefined {
  if (text === undefined) return undefined;
  if (text.trim() === "") throw new SettingsError("--repository: a folder or an address");
  return text === "." || (isLocalRepository(text) && text.startsWith(".")) ? join(folder, text) : text;
}
