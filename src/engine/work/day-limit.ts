import type { Clock } from "../../shared/clock.js";
import { cleanLine } from "../../shared/text.js";
import { formatUsd } from "../../shared/usd.js";
import type { EngineLimits } from "../engine-options.js";
import { costSince, dayOf } from "../runs/costs.js";
import { type EngineRun, hasEnded, type RunRequest } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";

/** What a run may cost: the limit of a run, or what is left of the day's where that is less. */
export interface Allowance {
  limitUsd?: number;
  /** It is what is left of the day. */
  isOfDay?: true;
}

/** Keeps to what all runs, and those of one caller, of a local calendar day may cost. Everything is read from the runs: it survives a restart. */
export interface DayLimit {
  /** Why a run for the caller cannot be taken on now, for the person; undefined when it can. */
  refusal(caller: Caller): string | undefined;
  /**
   * What a run may cost that begins now. It counts as granted at once, also while the beginning is written down.
   * @returns or why it cannot begin, for the person
   */
  grant(runId: string, caller: Caller): Allowance | { refusal: string };
  /** Whether nothing is left of the day for the caller: what goes on has to end. */
  isReached(caller: Caller): boolean;
  /** Why a run of the caller was ended by it, as a sentence. */
  tellReached(caller: Caller): string;
  /** That little is left of the day, as a sentence; undefined while there is enough, or no limit. */
  warning(caller: Caller): string | undefined;
}

export type DayLimits = Pick<
  EngineLimits,
  "costLimitUsd" | "costLimitPerDayUsd" | "costLimitPerDayAndCallerUsd"
>;

/** On whose behalf a run was started. All that name nobody are of one. */
export type Caller = Pick<RunRequest, "userId" | "userName">;

/** A limit of a day, and how the day stands. */
interface Day {
  limitUsd: number;
  spentUsd: number;
  /** What runs that go on may cost beside that. */
  reservedUsd: number;
  leftUsd: number;
  /** Epoch ms. */
  endsAt: number;
  now: number;
  /** Whose runs these are: "Today's runs of anna have cost $1.00 of the $2.00 that a caller's day may cost". */
  whose: string;
  what: string;
  variable: string;
}

/** From this part of the limit on the person is told. */
const NEAR = 0.8;
/** Of a caller's name so much is shown, in characters. */
const NAME_CHARACTERS = 64;

/** @param options.limits is read at each question: it may change while the engine runs */
export function createDayLimit(options: {
  runs: Pick<RunStore, "all" | "get">;
  limits: DayLimits;
  clock: Pick<Clock, "now">;
}): DayLimit {
  const { runs, limits, clock } = options;
  /** Runs that may begin and are not yet written down as begun. */
  const granted = new Map<string, number | undefined>();

  /** Asked at each turn of every agent: without a limit nobody goes through all runs. */
  function look(caller: Caller, counts: (run: EngineRun) => boolean = () => false): Day[] {
    if (!hasDayLimit(limits)) return [];
    return lookAtDay(caller, { all: runs.all(), limits, now: clock.now(), counts, granted });
  }

  return {
    refusal(caller) {
      const [least] = look(caller, () => true);
      return least && least.leftUsd <= 0 ? tellRefusal(least) : undefined;
    },
    grant(runId, caller) {
      for (const id of granted.keys()) if (runs.get(id)?.status !== "pending") granted.delete(id);
      const counts = (run: EngineRun) =>
        run.runId !== runId && (run.status !== "pending" || granted.has(run.runId));
      const [least] = look(caller, counts);
      const { costLimitUsd } = limits;
      if (least && least.leftUsd <= 0) return { refusal: tellRefusal(least) };
      const isOfDay = least !== undefined && (costLimitUsd === undefined || least.leftUsd < costLimitUsd);
      const limitUsd = isOfDay ? least.leftUsd : costLimitUsd;
      granted.set(runId, limitUsd);
      return { ...(limitUsd === undefined ? {} : { limitUsd }), ...(isOfDay ? { isOfDay } : {}) };
    },
    isReached: (caller) => look(caller).some(isSpent),
    tellReached(caller) {
      const days = look(caller);
      // What is left may have been less than a turn.
      const day = days.find(isSpent) ?? days[0];
      if (!day) return "The cost limit of the day was reached.";
      return `The cost limit of the day was reached. ${tellSpent(day)}. ${tellAnew(day)} ${tellRaise(day)}`;
    },
    warning(caller) {
      const near = look(caller).find(({ spentUsd, limitUsd }) => spentUsd >= NEAR * limitUsd);
      return near && `${tellSpent(near)}. ${tellAnew(near)}`;
    },
  };
}

/** Whether there is a limit of a day, for all or for each caller. */
export function hasDayLimit(limits: DayLimits): boolean {
  return limits.costLimitPerDayUsd !== undefined || limits.costLimitPerDayAndCallerUsd !== undefined;
}

/** What is known of runs when it is asked how a day stands. */
interface Known {
  /** All of them, or at least those that have cost something on the day or go on. */
  all: readonly EngineRun[];
  limits: DayLimits;
  /** Epoch ms. */
  now: number;
  /** Whether what a run may still cost counts, too. */
  counts: (run: EngineRun) => boolean;
  /** What runs may cost of which it is not written yet, USD. */
  granted: ReadonlyMap<string, number | undefined>;
}

/** How the day stands by each limit that there is, that of all and that of the caller: the one with the least left first. */
function lookAtDay(caller: Caller, { all, limits, now, counts, granted }: Known): Day[] {
  const { from, to: endsAt } = dayOf(now);
  const day = (limitUsd: number, of: readonly EngineRun[]) => {
    const reservedUsd = reservedBy(of.filter(counts), limits, granted);
    const sums = { spentUsd: costSince(of, from), reservedUsd };
    return { limitUsd, ...sums, leftUsd: limitUsd - sums.spentUsd - sums.reservedUsd, endsAt, now };
  };
  const { costLimitPerDayUsd: ofAll, costLimitPerDayAndCallerUsd: ofCaller } = limits;
  const days: Day[] = [];
  if (ofAll !== undefined)
    days.push({ ...day(ofAll, all), whose: "", what: "a day", variable: "ENGINE_COST_LIMIT_PER_DAY" });
  if (ofCaller !== undefined) {
    const own = all.filter(({ request }) => request.userId === caller.userId);
    const name = cleanLine(caller.userName ?? caller.userId ?? "", NAME_CHARACTERS);
    days.push({
      ...day(ofCaller, own),
      whose: name ? ` of ${name}` : " that name no caller",
      what: "a caller's day",
      variable: "ENGINE_COST_LIMIT_PER_DAY_AND_CALLER",
    });
  }
  return days.sort((a, b) => a.leftUsd - b.leftUsd);
}

/** What runs may still cost for which a limit of a run holds: of the others nothing is known. */
function reservedBy(
  of: readonly EngineRun[],
  { costLimitUsd }: DayLimits,
  granted: Known["granted"],
): number {
  if (costLimitUsd === undefined) return 0;
  return of
    .filter((run) => !hasEnded(run))
    .reduce((sum, run) => {
      const mayCost = run.costLimitUsd ?? granted.get(run.runId) ?? costLimitUsd;
      return sum + Math.max(0, mayCost - run.costUsd);
    }, 0);
}

/** Sums of money are not exact, in USD. */
const ROUNDING = 1e-6;

/**
 * Whether a run may begin with what it was granted, by all other runs as the database has them at that moment: another
 * engine may have granted the same to one of its own.
 * @param caller whose it is
 * @param costLimitUsd what it was granted
 * @param others all of them, or at least those that have cost something today or go on
 */
export function mayBegin(
  caller: Caller,
  costLimitUsd: number | undefined,
  { others, limits, now }: { others: readonly EngineRun[]; limits: DayLimits; now: number },
): boolean {
  const counts = ({ status }: EngineRun) => status !== "pending";
  const [least] = lookAtDay(caller, { all: others, limits, now, counts, granted: new Map() });
  if (!least) return true;
  // Without a limit of a run each has all that is left, and ends with the day.
  if (limits.costLimitUsd === undefined) return least.leftUsd > 0;
  return least.leftUsd + ROUNDING >= (costLimitUsd ?? limits.costLimitUsd);
}

const isSpent = ({ spentUsd, limitUsd }: Day) => spentUsd >= limitUsd;

function tellSpent({ spentUsd, limitUsd, whose, what }: Day): string {
  return `Today's runs${whose} have cost ${formatUsd(spentUsd)} of the ${formatUsd(limitUsd)} that ${what} may cost`;
}

function tellAnew({ endsAt, now }: Day): string {
  const minutes = Math.max(1, Math.round((endsAt - now) / 60_000));
  const hours = Math.floor(minutes / 60);
  const span = hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
  return `The day begins anew at midnight (local time), in ${span}.`;
}

function tellRefusal(day: Day): string {
  const held = `, and the runs that go on or wait may cost ${formatUsd(day.reservedUsd)} more. Wait until one of them has ended.`;
  return `${tellSpent(day)}${isSpent(day) ? "." : held} ${tellAnew(day)} ${tellRaise(day)}`;
}

function tellRaise({ variable }: Day): string {
  return `To allow more, set AUTOMAGIK_WORKFLOWS_${variable} to a higher sum, and start your chat client anew.`;
}
