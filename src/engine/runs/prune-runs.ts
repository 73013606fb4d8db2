import type { Transaction } from "../../store/database.js";
import { pruneBundles } from "../workers/session-bundles.js";
import { costSince, dayOf } from "./costs.js";
import { readFact, writeFact } from "./facts.js";
import { deleteRuns, type StoredRun, trimEvents } from "./run-rows.js";

const DAY_MS = 24 * 60 * 60 * 1000;
/** Days that are remembered; more than any run is kept. */
const DAYS_KEPT = 100;

/**
 * Removes ended runs that are old or too many, with all that belongs to them, and the oldest events. A run's age is
 * counted in days on which the engine was in use: a clock that is set ahead makes everything look old, but is only
 * one more day. One that has cost something today stays, for the limit of a day.
 * @param options.now epoch ms; `sharedNow`: by the clock of a database that several engines share
 * @param options.ended the runs that have ended
 * @param options.goneThrough up to this number events may be gone already
 * @returns the ids of the removed runs, and up to which number events may be gone now
 */
export async function pruneRuns(
  trx: Transaction,
  options: {
    now: number;
    sharedNow?: number;
    ended: readonly StoredRun[];
    goneThrough: number;
    limits: { endedRuns: number; endedRunDays: number; eventsKept: number };
  },
): Promise<{ removed: string[]; goneThrough: number }> {
  const { now, ended, limits } = options;
  const today = dayOf(now).from;
  const days = await noteDay(trx, Math.floor(now / DAY_MS));
  const daysSinceEnd = ({ run }: StoredRun) => {
    const day = Math.floor((run.endedAt ?? run.createdAt) / DAY_MS);
    return days.filter((one) => one > day).length;
  };
  const old = [...ended]
    // By their last events: a clock that was set does not change the order of those.
    .sort((a, b) => b.lastEvent - a.lastEvent)
    .filter((stored, index) => index >= limits.endedRuns || daysSinceEnd(stored) >= limits.endedRunDays)
    // What today has cost must stay known while today is counted.
    .filter(({ run }) => costSince([run], today) === 0);
  const removed = old.map(({ run }) => run.runId);
  await deleteRuns(trx, removed);
  await pruneBundles(trx, options.sharedNow ?? now);
  const trimmed = await trimEvents(trx, limits.eventsKept);
  const goneThrough = Math.max(options.goneThrough, trimmed, ...old.map(({ lastEvent }) => lastEvent));
  if (goneThrough > options.goneThrough) await writeFact(trx, "events_gone_through", String(goneThrough));
  return { removed, goneThrough };
}

/** Notes a day of use; gives all noted ones. The oldest note goes, whatever its date says. */
async function noteDay(trx: Transaction, day: number): Promise<number[]> {
  const known: number[] = JSON.parse((await readFact(trx, "days_of_use")) ?? "[]");
  if (known.includes(day)) return known;
  const days = [...known, day].slice(-DAYS_KEPT);
  await writeFact(trx, "days_of_use", JSON.stringify(days));
  return days;
}
