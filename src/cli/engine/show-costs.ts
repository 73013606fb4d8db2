import { type DayCosts, readStoredCosts } from "../../engine/background/index.js";
import type { Settings } from "../../settings/settings.js";
import { formatUsd } from "../../shared/usd.js";

/**
 * Shows what runs have cost, by day and workflow: those of this machine's engine, or of all that share a database with it.
 * Starts no engine.
 * @param options.now epoch ms
 * @returns the exit code
 * @throws StoreError when what is stored cannot be read
 */
export async function showCosts(
  stateFolder: string,
  options: {
    days: number;
    json: boolean;
    settings: Pick<Settings, "engineCostLimitPerDayUsd">;
    now: number;
    database?: string | undefined;
    out: (text: string) => void;
  },
): Promise<number> {
  const { now, days, database, json, out, settings } = options;
  const { costs, shared } = await readStoredCosts(stateFolder, { now, days, database });
  out(
    json
      ? `${JSON.stringify(toJson(costs, shared), null, 2)}\n`
      : renderCosts(costs, shared, settings.engineCostLimitPerDayUsd),
  );
  return 0;
}

/** Sums of floating-point numbers have more digits than anybody wants to read. */
const rounded = (usd: number) => Math.round(usd * 1e6) / 1e6;

function toJson(costs: readonly DayCosts[], shared: boolean) {
  const total = sumOf(costs);
  return {
    ...(shared ? { all_engines: true } : {}),
    time_zone: timeZone(),
    cost_usd: rounded(total.usd),
    at_least: total.atLeast,
    runs: total.runs,
    days: costs.map(({ day, usd, atLeast, runs, workflows }) => ({
      day,
      cost_usd: rounded(usd),
      at_least: atLeast,
      runs,
      workflows: workflows.map((one) => ({
        name: one.name,
        cost_usd: rounded(one.usd),
        at_least: one.atLeast,
        runs: one.runs,
      })),
    })),
  };
}

function timeZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** A run that worked over midnight is counted on both days. */
function sumOf(costs: readonly DayCosts[]): Pick<DayCosts, "usd" | "atLeast" | "runs"> {
  return costs.reduce(
    (sum, { usd, atLeast, runs }) => ({
      usd: sum.usd + usd,
      atLeast: sum.atLeast || atLeast,
      runs: sum.runs + runs,
    }),
    { usd: 0, atLeast: false as boolean, runs: 0 },
  );
}

type Row = [what: string, cost: string, runs: string];

function toRow(what: string, { usd, atLeast, runs }: Pick<DayCosts, "usd" | "atLeast" | "runs">): Row {
  const cost = runs === 0 ? "-" : `${atLeast ? "at least " : ""}${formatUsd(usd)}`;
  return [what, cost, runs === 0 ? "" : `${runs} ${runs === 1 ? "run" : "runs"}`];
}

function renderCosts(costs: readonly DayCosts[], shared: boolean, limitUsd: number | undefined): string {
  const rows = costs.flatMap((day, index) => [
    toRow(index === 0 ? `${day.day} (today)` : day.day, day),
    ...day.workflows.map((one) => toRow(`  ${one.name}`, one)),
  ]);
  const total = sumOf(costs);
  if (costs.length > 1) rows.push(toRow(`${costs.length} days`, total));
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const [whatWidth = 0, costWidth = 0] = widths;
  const lines = rows.map(([what, cost, runs]) =>
    `${what.padEnd(whatWidth)}  ${cost.padStart(costWidth)}  ${runs}`.trimEnd(),
  );
  const today = costs[0]?.usd ?? 0;
  const notes = [
    ...(total.atLeast
      ? ['"at least": a run goes on, or was ended before its agent could tell what it has cost.']
      : []),
    ...(limitUsd === undefined
      ? []
      : [
          `Limit of a day: ${formatUsd(limitUsd)}${today < limitUsd ? `, ${formatUsd(limitUsd - today)} of it left today` : ", which is reached"}.`,
        ]),
  ];
  const whose = shared ? "all engines of the database" : "this machine";
  return [`What runs of ${whose} have cost, by list prices (${timeZone()}):`, ...lines, ...notes, ""].join(
    "\n",
  );
}
