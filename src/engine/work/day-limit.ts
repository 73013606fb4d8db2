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
  limits: Pick<EngineLimits, "costLimitUsd" | "costLimitPerDayUsd" | "costLimitPerDayAndCallerUsd">;
  clock: Pick<Clock, "now">;
}): DayLimit {
  const { runs, limits, clock } = options;
  /** Runs that may begin and are not yet written down as begun. */
  const granted = new Map<string, number | undefined>();

  /** What runs may still cost for which a limit of a run holds: of the others nothing is known. */
  function reservedUsd(of: readonly EngineRun[]): number {
    const { costLimitUsd } = limits;
    if (costLimitUsd === undefined) return 0;
    return of
      .filter((run) => !hasEnded(run))
      .reduce((sum, run) => {
        const mayCost = run.costLimitUsd ?? granted.get(run.runId) ?? costLimitUsd;
        return sum + Math.max(0, mayCost - run.costUsd);
      }, 0);
  }

  /** How the day stands by each limit that there is: that of all, and that of the caller. */
  function look(caller: Caller, counts: (run: EngineRun) => boolean = () => false): Day[] {
    const now = clock.now();
    const { from, to: endsAt } = dayOf(now);
    const day = (limitUsd: number, of: readonly EngineRun[]) => {
      const sums = { spentUsd: costSince(of, from), reservedUsd: reservedUsd(of.filter(counts)) };
      return { limitUsd, ...sums, leftUsd: limitUsd - sums.spentUsd - sums.reservedUsd, endsAt, now };
    };
    const { costLimitPerDayUsd: ofAll, costLimitPerDayAndCallerUsd: ofCaller } = limits;
    const all = runs.all();
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
