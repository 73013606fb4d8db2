import type { Transaction } from "../../store/database.js";
import { readFact, writeFact } from "./facts.js";
import type { StoredRun } from "./run-rows.js";

const DAY_MS = 24 * 60 * 60 * 1000;
/** Days that are remembered; more than any run is kept. */
const DAYS_KEPT = 100;
/** Values in one query; SQLite takes 32,766. */
const IDS_AT_ONCE = 500;

/**
 * Removes ended runs that are old or too many, with all that belongs to them, and the oldest events. A run's age is
 * counted in days on which the engine was in use: a clock that is set ahead makes everything look old, but is only
 * one more day.
 * @param options.now epoch ms
 * @param options.ended the runs that have ended
 * @returns the ids of the removed runs
 */
export async function pruneRuns(
  trx: Transaction,
  options: {
    now: number;
    ended: readonly StoredRun[];
    limits: { endedRuns: number; endedRunDays: number; eventsKept: number };
  },
): Promise<string[]> {
  const { now, ended, limits } = options;
  const days = await noteDay(trx, Math.floor(now / DAY_MS));
  const since = ({ run }: StoredRun) => {
    const day = Math.floor((run.endedAt ?? run.createdAt) / DAY_MS);
    return days.filter((one) => one > day).length;
  };
  const old = [...ended]
    // By their last events: a clock that was set does not change the order of those.
    .sort((a, b) => b.lastEvent - a.lastEvent)
    .filter((stored, index) => index >= limits.endedRuns || since(stored) >= limits.endedRunDays);
  const ids = old.map(({ run }) => run.runId);
  for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
    const some = ids.slice(from, from + IDS_AT_ONCE);
    await trx.deleteFrom("engine_messages").where("run_id", "in", some).execute();
    await trx.deleteFrom("engine_questions").where("run_id", "in", some).execute();
    await trx.deleteFrom("engine_events").where("run_id", "in", some).execute();
    await trx.deleteFrom("engine_runs").where("run_id", "in", some).execute();
  }
  if (old.length > 0) {
    const before = Number((await readFact(trx, "events_pruned_through")) ?? 0);
    const through = Math.max(before, ...old.map(({ lastEvent }) => lastEvent));
    await writeFact(trx, "events_pruned_through", String(through));
  }
  const oldest = await trx
    .selectFrom("engine_events")
    .select("id")
    .orderBy("id", "desc")
    .offset(limits.eventsKept)
    .limit(1)
    .executeTakeFirst();
  if (oldest) {
    await trx.deleteFrom("engine_events").where("id", "<=", oldest.id).execute();
    await writeFact(trx, "events_trimmed_through", String(oldest.id));
  }
  return ids;
}

/** Notes a day of use; gives all noted ones. */
async function noteDay(trx: Transaction, day: number): Promise<number[]> {
  const known = await trx.selectFrom("engine_days").selectAll().orderBy("position").execute();
  if (!known.some((one) => one.day === day)) {
    const noted = { day, position: (known.at(-1)?.position ?? 0) + 1 };
    await trx.insertInto("engine_days").values(noted).execute();
    known.push(noted);
  }
  // In the order in which they came: the oldest note goes, whatever its date says.
  const forgotten = known.slice(0, -DAYS_KEPT).map((one) => one.day);
  if (forgotten.length > 0) await trx.deleteFrom("engine_days").where("day", "in", forgotten).execute();
  return known.slice(-DAYS_KEPT).map((one) => one.day);
}
