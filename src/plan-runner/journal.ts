import { replay, startPlan } from "../plans/machine/apply.js";
import type { PlanEvent, PlanStarted } from "../plans/machine/events.js";
import type { PlanStatus } from "../plans/machine/plan-status.js";
import type { PlanState } from "../plans/machine/state.js";
import type { Database } from "../store/database.js";
import { createWriteTogether } from "../store/write-together.js";
import { createDbosShifts, type DbosShifts } from "./dbos/dbos-shifts.js";
import { PlanNameTaken } from "./name-taken.js";
import { noteIssueOfPlan } from "./plan-issue.js";
import type { OwnerTimes, PlanHolder } from "./plan-owner.js";
import { createPlanOwners, type PlanOwners } from "./plan-owners.js";
import type { PlanPlace } from "./plan-place.js";
import {
  addEvents,
  dataOf,
  endOf,
  isHeld,
  isNameOpen,
  isSameEnd,
  type JournalEnd,
  keepFigures,
  lastOf,
  markOf,
  rowOf,
} from "./plan-rows.js";
import { createPlanSights, type PlanSights } from "./plan-sights.js";
import { columnsOf, FINAL, type PlanSummary } from "./plan-summary.js";
import { createPlanUpdates, type PlanUpdates } from "./plan-updates.js";
import type { StartNote } from "./port.js";
import { ENDED_KEPT, prunePlans } from "./prune-plans.js";

/** A plan as its journal has it, and the entries that led to that. */
export interface JournalledPlan extends JournalEnd {
  state: PlanState;
  place: PlanPlace;
}

/** Something that is begun outside, and must not be begun again. */
export interface PlanAct {
  /** The command's. */
  id: string;
  note: StartNote;
}

/** An entry of a plan's journal, and what it is known again by. */
export interface PlanEntry {
  event: PlanEvent;
  mark: string;
}

/** What is written of a plan in one go, behind what was read: nothing is written when there is more, or something else. */
export interface PlanWrite extends JournalEnd {
  events: readonly PlanEvent[];
  /** The plan after them. */
  next: PlanState;
  /** What is begun as soon as this is written; only its owner may do so. */
  acts: readonly PlanAct[];
  owner: PlanHolder | undefined;
  /** Epoch ms. */
  now: number;
}

/**
 * The plans of one workflows API in the database. One change is one transaction, on condition that nothing was added
 * since the plan was read, so that any process may add what a person decides. All methods throw StoreError.
 */
export interface PlanJournal extends PlanSights, PlanOwners, Pick<PlanUpdates, "listen"> {
  /** Where an engine brings the plans to those who carry them out; absent in a database of one machine. */
  readonly shifts: DbosShifts | undefined;
  /**
   * Writes a new plan down, if no open one has its name: of two processes with one name one begins.
   * @throws PlanNameTaken, and Error when there is one with its id
   */
  begin(start: PlanStarted, place: PlanPlace): Promise<PlanState>;
  /** Undefined when there is no such plan. */
  read(planId: string): Promise<JournalledPlan | undefined>;
  /** What was added behind the first `entries`. */
  readSince(planId: string, entries: number): Promise<PlanEntry[]>;
  /** What the entry of an event is known again by. */
  markOf(event: PlanEvent): string;
  /** All plans, newest first. */
  list(): Promise<PlanSummary[]>;
  /**
   * Adds to what was read.
   * @returns the ids of the acts that are begun by this, those left out that were begun before; `behind`: somebody else
   * has added something, or it is another journal; `lost`: something is to be begun, and the plan is not this owner's, or there is no such plan
   * any more; `name-taken`: it had ended and would go on, and another one has begun under its name. Nothing is written
   * then
   */
  write(planId: string, write: PlanWrite): Promise<ReadonlySet<string> | "behind" | "lost" | "name-taken">;
  /** Undefined for what was never begun. */
  findAct(planId: string, id: string): Promise<PlanAct | undefined>;
  /**
   * It is certain that nothing has come of it.
   * @returns false when the plan is not this owner's, and nothing was forgotten
   */
  forgetAct(planId: string, id: string, owner: PlanHolder): Promise<boolean>;
  /** Runs that are known to be of plans. */
  takenRuns(): Promise<Set<string>>;
  /** Removes plans that ended long ago and of which nothing is left (prune-plans.ts). */
  prune(): Promise<void>;
}

/**
 * @param options.upstream names the workflows API: its plans are not carried out with another one
 * @param options.endedKept how many plans that have ended are kept in any case
 * @param options.times of owners; those of the kind of database unless told
 */
export function createPlanJournal(options: {
  database: Database;
  upstream: string;
  endedKept?: number;
  times?: OwnerTimes;
}): PlanJournal {
  const { database: db, upstream, endedKept: kept = ENDED_KEPT } = options;
  const write = createWriteTogether(db);
  const { announce, listen } = createPlanUpdates(options);
  const shifts = db.shared && createDbosShifts({ shared: db.shared, upstream });
  const common = { ...options, write, announce, shifts };

  const last = lastOf(db);

  async function readSince(planId: string, entries: number): Promise<PlanEntry[]> {
    const query = db.selectFrom("plan_entries").select("data").where("plan_id", "=", planId);
    const rows = await query.where("number", ">", entries).orderBy("number").execute();
    return rows.map(({ data }) => ({ event: JSON.parse(data) as PlanEvent, mark: markOf(db, data) }));
  }

  return {
    ...createPlanSights(common),
    ...createPlanOwners(common),
    listen,
    shifts,

    async begin(start, place) {
      const state = startPlan(start);
      await shifts?.ready();
      const isTaken = await write(async (trx) => {
        if (await isNameOpen(trx, upstream, start.plan.name)) return true;
        await trx
          .insertInto("plans")
          .values({
            plan_id: start.planId,
            upstream,
            name: start.plan.name,
            created_at: start.at,
            entries: 0,
            start: JSON.stringify(start),
            place: JSON.stringify(place),
            owner: null,
            owner_seen: null,
            ...columnsOf(state),
          })
          .execute();
        await noteIssueOfPlan(trx, place, state, start.at);
        await announce(trx, "free", start.planId);
        await shifts?.offer(trx, start.planId, 0);
        return false;
      });
      if (isTaken) throw new PlanNameTaken("Another open plan has this name. Nothing was begun.");
      return state;
    },

    async read(planId) {
      const query = db.selectFrom("plans").select(["start", "place"]).where("plan_id", "=", planId);
      const row = await query.where("upstream", "=", upstream).executeTakeFirst();
      if (!row) return undefined;
      const entries = await readSince(planId, 0);
      const events = entries.map(({ event }) => event);
      const state = replay(JSON.parse(row.start), events);
      const end = { entries: entries.length, last: entries.at(-1)?.mark };
      return { state, ...end, place: JSON.parse(row.place) };
    },

    readSince,
    markOf: (event) => markOf(db, dataOf(event)),

    async list() {
      const query = db.selectFrom("plans").select("summary").where("upstream", "=", upstream);
      const rows = await query.orderBy("created_at", "desc").orderBy("plan_id").execute();
      return rows.map(({ summary }) => JSON.parse(summary) as PlanSummary);
    },

    async write(planId, { events, next, acts, owner, now, ...read }) {
      const { entries } = read;
      const columns = events.length > 0 ? columnsOf(next) : undefined;
      await shifts?.ready();
      return write(async (trx) => {
        const row = await rowOf(trx, planId, last);
        if (!row) return "lost";
        if (!isSameEnd(endOf(row), read)) return "behind";
        const isOurs = owner !== undefined && (await isHeld(trx, planId, owner));
        if (acts.length > 0 && !isOurs) return "lost";
        if (columns) {
          const goesOn = FINAL.includes(row.status as PlanStatus) && !FINAL.includes(columns.status);
          if (goesOn && (await isNameOpen(trx, upstream, row.name))) return "name-taken";
          const plan = { ...columns, entries: entries + events.length };
          await trx.updateTable("plans").set(plan).where("plan_id", "=", planId).execute();
          await announce(trx, row.owner === null ? "free" : "changed", planId);
          if (row.owner !== null && !isOurs)
            await shifts?.tell(trx, { planId, epoch: row.epoch, entries: plan.entries });
          if (row.owner === null && !FINAL.includes(columns.status))
            await shifts?.offer(trx, planId, row.epoch);
          await addEvents(trx, planId, entries, events);
          await noteIssueOfPlan(trx, JSON.parse(row.place), next, now);
          if (FINAL.includes(columns.status) || events.some(({ type }) => type === "run-ended"))
            await keepFigures(trx, planId, events, next);
        }
        const begun = new Set<string>();
        for (const { id, note } of acts) {
          const act = { plan_id: planId, id, begun_at: now, note: JSON.stringify(note), run_id: null };
          const insert = trx
            .insertInto("plan_acts")
            .values(act)
            .onConflict((is) => is.doNothing());
          const { numInsertedOrUpdatedRows } = await insert.executeTakeFirst();
          if (numInsertedOrUpdatedRows === 1n) begun.add(id);
        }
        return begun;
      });
    },

    async findAct(planId, id) {
      const query = db.selectFrom("plan_acts").select("note").where("plan_id", "=", planId);
      const row = await query.where("id", "=", id).executeTakeFirst();
      return row && { id, note: JSON.parse(row.note) };
    },

    forgetAct(planId, id, owner) {
      return write(async (trx) => {
        if (!(await isHeld(trx, planId, owner))) return false;
        await trx.deleteFrom("plan_acts").where("plan_id", "=", planId).where("id", "=", id).execute();
        return true;
      });
    },

    async takenRuns() {
      const query = db.selectFrom("plan_acts").select("run_id").where("run_id", "is not", null);
      return new Set((await query.execute()).map(({ run_id }) => run_id as string));
    },

    async prune() {
      await write((trx) => prunePlans(trx, { upstream, kept }));
    },
  };
}
