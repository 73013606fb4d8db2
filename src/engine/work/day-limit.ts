import type { Clock } from "../../shared/clock.js";
import { formatUsd } from "../../shared/usd.js";
import type { EngineLimits } from "../engine-options.js";
import { costSince, dayOf } from "../runs/costs.js";
import { type EngineRun, hasEnded } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";

/** What a run may cost: the limit of a run, or what is left of the day's where that is less. */
export interface Allowance {
  limitUsd?: number;
  /** It is what is left of the day. */
  isOfDay?: true;
}

/** Keeps to what all runs of a local calendar day may cost. Everything is read from the runs: it survives a restart. */
export interface DayLimit {
  /** Why no run can be taken on now, for the person; undefined when one can. */
  refusal(): string | undefined;
  /**
   * What a run may cost that begins now. It counts as granted at once, also while the beginning is written down.
   * @returns or why it cannot begin, for the person
   */
  grant(runId: string): Allowance | { refusal: string };
  /** Whether nothing is left of the day: what goes on has to end. */
  isReached(): boolean;
  /** Why a run was ended by it, as a sentence. */
  tellReached(): string;
  /** That little is left of the day, as a sentence; undefined while there is enough, or no limit. */
  warning(): string | undefined;
}

/** From this part of the limit on the person is told. */
const NEAR = 0.8;
const HOW_TO_RAISE =
  "To allow more, set AUTOMAGIK_WORKFLOWS_ENGINE_COST_LIMIT_PER_DAY to a higher sum, and start your chat client anew.";

/** @param options.limits is read at each question: it may change while the engine runs */
export function createDayLimit(options: {
  runs: Pick<RunStore, "all" | "get">;
  limits: Pick<EngineLimits, "costLimitUsd" | "costLimitPerDayUsd">;
  clock: Pick<Clock, "now">;
}): DayLimit {
  const { runs, limits, clock } = options;
  /** Runs that may begin and are not yet written down as begun. */
  const granted = new Map<string, number | undefined>();

  /** What runs may still cost for which a limit of a run holds: of the others nothing is known. */
  function reservedUsd(counts: (run: EngineRun) => boolean): number {
    const { costLimitUsd } = limits;
    if (costLimitUsd === undefined) return 0;
    return runs
      .all()
      .filter((run) => !hasEnded(run) && counts(run))
      .reduce((sum, run) => {
        const mayCost = run.costLimitUsd ?? granted.get(run.runId) ?? costLimitUsd;
        return sum + Math.max(0, mayCost - run.costUsd);
      }, 0);
  }

  /** How the day stands; undefined where it has no limit. */
  function look(counts: (run: EngineRun) => boolean = () => false) {
    const { costLimitPerDayUsd: limitUsd } = limits;
    if (limitUsd === undefined) return undefined;
    const now = clock.now();
    const day = dayOf(now);
    const spentUsd = costSince(runs.all(), day.from);
    const reserved = reservedUsd(counts);
    return { limitUsd, spentUsd, reservedUsd: reserved, leftUsd: limitUsd - spentUsd - reserved, day, now };
  }
  type Day = NonNullable<ReturnType<typeof look>>;

  function tellSpent({ spentUsd, limitUsd }: Day): string {
    return `Today's runs have cost ${formatUsd(spentUsd)} of the ${formatUsd(limitUsd)} that a day may cost`;
  }

  function tellAnew({ day, now }: Day): string {
    const minutes = Math.max(1, Math.round((day.to - now) / 60_000));
    const hours = Math.floor(minutes / 60);
    const span = hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
    return `The day begins anew at midnight (local time), in ${span}.`;
  }

  function tellRefusal(day: Day): string {
    const held = day.spentUsd < day.limitUsd;
    const rest = held
      ? `, and the runs that go on or wait may cost ${formatUsd(day.reservedUsd)} more. Wait until one of them has ended.`
      : ".";
    return `${tellSpent(day)}${rest} ${tellAnew(day)} ${HOW_TO_RAISE}`;
  }

  return {
    refusal() {
      const day = look(() => true);
      return day && day.leftUsd <= 0 ? tellRefusal(day) : undefined;
    },
    grant(runId) {
      for (const id of granted.keys()) if (runs.get(id)?.status !== "pending") granted.delete(id);
      const day = look((run) => run.runId !== runId && (run.status !== "pending" || granted.has(run.runId)));
      const { costLimitUsd } = limits;
      if (day && day.leftUsd <= 0) return { refusal: tellRefusal(day) };
      const isOfDay = day !== undefined && (costLimitUsd === undefined || day.leftUsd < costLimitUsd);
      const limitUsd = isOfDay ? day.leftUsd : costLimitUsd;
      granted.set(runId, limitUsd);
      return { ...(limitUsd === undefined ? {} : { limitUsd }), ...(isOfDay ? { isOfDay } : {}) };
    },
    isReached() {
      const day = look();
      return day !== undefined && day.spentUsd >= day.limitUsd;
    },
    tellReached() {
      const day = look();
      if (!day) return "The cost limit of the day was reached.";
      return `The cost limit of the day was reached. ${tellSpent(day)}. ${tellAnew(day)} ${HOW_TO_RAISE}`;
    },
    warning() {
      const day = look();
      if (!day || day.spentUsd < NEAR * day.limitUsd) return undefined;
      return `${tellSpent(day)}. ${tellAnew(day)}`;
    },
  };
}
