import type { EngineRun, Spent } from "./run.js";

type Costly = Pick<EngineRun, "createdAt" | "startedAt" | "endedAt" | "costUsd" | "costs">;

/** What is told of within this time, in ms, stands together; the offset of every time zone is a multiple of it. */
const TOGETHER_MS = 15 * 60_000;
/** More entries than hours of any run; what comes beyond is added to the last one. */
const MOST_ENTRIES = 200;

/** When the run has cost what; of one that an earlier version has stored, only its end is known. */
export function costsOf(run: Costly): readonly Spent[] {
  if (run.costs) return run.costs;
  const at = run.endedAt ?? run.startedAt ?? run.createdAt;
  return run.costUsd > 0 ? [{ at, usd: run.costUsd }] : [];
}

/**
 * The costs of a run that is now known to have cost so much in all.
 * @param total USD
 * @param at when that was told, epoch ms
 */
export function addCost(run: Costly, total: number, at: number): Pick<EngineRun, "costUsd" | "costs"> {
  const costs = costsOf(run);
  const usd = total - run.costUsd;
  if (usd === 0) return { costUsd: total, costs };
  const last = costs.at(-1);
  const isTogether = last && Math.floor(last.at / TOGETHER_MS) === Math.floor(at / TOGETHER_MS);
  // Less than was told before: the agent had rounded it.
  if (last && (isTogether || usd < 0 || costs.length >= MOST_ENTRIES))
    return { costUsd: total, costs: [...costs.slice(0, -1), { at: last.at, usd: last.usd + usd }] };
  return { costUsd: total, costs: [...costs, { at, usd }] };
}

/** What runs have cost since the moment (epoch ms), in USD. What a clock that was ahead has noted for later counts, too. */
export function costSince(runs: readonly Costly[], from: number): number {
  return runs.reduce(
    (sum, run) => costsOf(run).reduce((total, { at, usd }) => (at >= from ? total + usd : total), sum),
    0,
  );
}

/**
 * Whether the run has cost more than is known: its agent worked on after it last told, or was ended before it could.
 * Earlier versions have not noted that, but kept 0 for a run whose agent never told.
 */
export function costsMore(run: Pick<EngineRun, "costOpen" | "costs" | "costUsd" | "turn">): boolean {
  return run.costOpen === true || (run.costs === undefined && run.costUsd === 0 && run.turn > 0);
}

/** The local calendar day of a moment: when it began and when the next one begins, epoch ms. It may have 23 or 25 hours. */
export function dayOf(now: number): { from: number; to: number } {
  const date = new Date(now);
  const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
  return { from: new Date(year, month, day).getTime(), to: new Date(year, month, day + 1).getTime() };
}

/** What was spent on a day, by all workflows or by one. */
export interface DayCost {
  usd: number;
  /** It was more: of a run not all is known, or it goes on. */
  atLeast: boolean;
  /** Runs that have cost something on that day, also what is not known. */
  runs: number;
}

/** A local calendar day. */
export interface DayCosts extends DayCost {
  /** 2026-11-29 */
  day: string;
  /** The dearest first. */
  workflows: (DayCost & { name: string })[];
}

/**
 * What the days up to now have cost, the newest first, those without costs too.
 * @param now epoch ms
 * @param days how many
 */
export function costsByDay(runs: readonly EngineRun[], now: number, days: number): DayCosts[] {
  let { from, to } = dayOf(now);
  // What a clock that was ahead has noted for later belongs to today, as it does for the limit.
  to = Number.POSITIVE_INFINITY;
  return Array.from({ length: days }, () => {
    const day = costsOfDay(runs, from, to);
    to = from;
    from = dayOf(from - 1).from;
    return day;
  });
}

function costsOfDay(runs: readonly EngineRun[], from: number, to: number): DayCosts {
  const isWithin = (at: number) => at >= from && at < to;
  const total: DayCost = { usd: 0, atLeast: false, runs: 0 };
  const workflows = new Map<string, DayCost & { name: string }>();
  for (const run of runs) {
    const spent = costsOf(run).filter(({ at }) => isWithin(at));
    const atLeast = costsMore(run) && isWithin(run.lastActivityAt ?? run.endedAt ?? run.createdAt);
    if (spent.length === 0 && !atLeast) continue;
    const name = run.request.workflowName;
    const own = workflows.get(name) ?? { name, usd: 0, atLeast: false, runs: 0 };
    workflows.set(name, own);
    for (const sum of [total, own]) {
      sum.usd += spent.reduce((usd, one) => usd + one.usd, 0);
      sum.atLeast ||= atLeast;
      sum.runs++;
    }
  }
  const date = new Date(from);
  const two = (value: number) => String(value).padStart(2, "0");
  return {
    day: `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    ...total,
    workflows: [...workflows.values()].sort((a, b) => b.usd - a.usd || (a.name < b.name ? -1 : 1)),
  };
}
