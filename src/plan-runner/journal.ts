import { replay, startPlan } from "../plans/machine/apply.js";
import { describePlan, progressLine } from "../plans/machine/describe-plan.js";
import type { PlanEvent, PlanStarted } from "../plans/machine/events.js";
import { type PlanStatus, planStatus, type WaitingFor, waitingFor } from "../plans/machine/plan-status.js";
import type { PlanState } from "../plans/machine/state.js";
import { type Database, type Transaction, transaction } from "../store/database.js";
import { type Ownership, type PlanOwner, readOwnership, textOf } from "./plan-owner.js";
import { createPlanSights, forgetSight, type PlanSights } from "./plan-sights.js";
import type { StartNote } from "./port.js";

/** Where a plan's runs work. */
export interface PlanPlace {
  repositoryUrl?: string;
  gitBranch?: string;
  /** The repository of this machine that the person has allowed. */
  consent?: { path: string; folders: readonly string[] };
}

/** What lists tell of a plan. Times are epoch ms, money is US dollars. */
export interface PlanSummary {
  planId: string;
  name: string;
  status: PlanStatus;
  createdAt: number;
  changedAt: number;
  /** Where it stands, on one line. */
  line: string;
  runs: { started: number; limit: number };
  /** Missing where a cost is unknown. */
  costUsd?: number;
  costLimitUsd?: number;
  waitingFor: WaitingFor[];
}

/** A plan as its journal has it. */
export interface JournalledPlan {
  state: PlanState;
  /** How many entries led to that. */
  entries: number;
  place: PlanPlace;
}

/** A plan that may have to be carried on. */
export interface OpenPlan extends Ownership {
  planId: string;
  entries: number;
}

/** Something that was begun outside and must not be begun again. */
export interface PlanAct {
  note: StartNote;
}

/**
 * The plans of one workflows API in the database. One change is one transaction, on condition that nothing was added
 * since the plan was read, so that any process may add what a person decides. All methods throw StoreError.
 */
export interface PlanJournal extends PlanSights {
  /** Writes a new plan down. @throws Error when there is one with its id */
  begin(start: PlanStarted, place: PlanPlace): Promise<PlanState>;
  /** Undefined when there is no such plan. */
  read(planId: string): Promise<JournalledPlan | undefined>;
  /** What was added behind the first `entries`. */
  readSince(planId: string, entries: number): Promise<PlanEvent[]>;
  /** All plans, newest first. */
  list(): Promise<PlanSummary[]>;
  /** Plans that have not ended, and those of this owner. */
  listOpen(owner: PlanOwner): Promise<OpenPlan[]>;
  /** Adds an event to what was read. False when somebody else has added one meanwhile: nothing is written then. */
  append(planId: string, entries: number, event: PlanEvent, next: PlanState): Promise<boolean>;
  /**
   * Takes a plan on: nobody else carries it out then.
   * @param former its owner so far, who is known to have ended
   * @returns false when somebody else was first
   */
  claim(planId: string, owner: PlanOwner, former: PlanOwner | undefined, now: number): Promise<boolean>;
  /** Says that the owner lives. */
  refresh(owner: PlanOwner, now: number): Promise<void>;
  /** Lets go of a plan, and of what was seen of it. */
  release(planId: string, owner: PlanOwner): Promise<void>;
  /**
   * Notes that something is begun, which its owner alone may do, and only on what was read.
   * @returns `behind`: somebody has added an event; `lost`: the plan is not this owner's. Nothing is written then
   */
  beginAct(
    planId: string,
    id: string,
    how: { entries: number; owner: PlanOwner; note: StartNote; now: number },
  ): Promise<"begun" | "behind" | "lost">;
  /** Undefined for what was never begun. */
  findAct(planId: string, id: string): Promise<PlanAct | undefined>;
  /** It is certain that nothing has come of it. */
  forgetAct(planId: string, id: string): Promise<void>;
  /** Runs that are known to be of plans. */
  takenRuns(): Promise<Set<string>>;
}

/** The id of the act that starts a run under a key. */
export const startActOf = (key: string) => `start ${key}`;

const FINAL: readonly PlanStatus[] = ["completed", "failed", "killed"];

/** True when the plan does nothing more by itself, so that nobody has to carry it out. */
export function isOver(state: PlanState): boolean {
  return FINAL.includes(planStatus(state));
}

/** @param upstream names the workflows API: its plans are not carried out with another one */
export function createPlanJournal(options: { database: Database; upstream: string }): PlanJournal {
  const { database: db, upstream } = options;

  async function entriesOf(trx: Transaction, planId: string) {
    const query = trx.selectFrom("plans").select(["entries", "owner"]).where("plan_id", "=", planId);
    return query.executeTakeFirst();
  }

  async function readSince(planId: string, entries: number): Promise<PlanEvent[]> {
    const query = db.selectFrom("plan_entries").select("data").where("plan_id", "=", planId);
    const rows = await query.where("number", ">", entries).orderBy("number").execute();
    return rows.map(({ data }) => JSON.parse(data) as PlanEvent);
  }

  return {
    ...createPlanSights(options),

    async begin(start, place) {
      const state = startPlan(start);
      await transaction(db, async (trx) => {
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
      });
      return state;
    },

    async read(planId) {
      const query = db.selectFrom("plans").select(["start", "place"]).where("plan_id", "=", planId);
      const row = await query.where("upstream", "=", upstream).executeTakeFirst();
      if (!row) return undefined;
      const events = await readSince(planId, 0);
      const state = replay(JSON.parse(row.start), events);
      return { state, entries: events.length, place: JSON.parse(row.place) };
    },

    readSince,

    async list() {
      const query = db.selectFrom("plans").select("summary").where("upstream", "=", upstream);
      const rows = await query.orderBy("created_at", "desc").orderBy("plan_id").execute();
      return rows.map(({ summary }) => JSON.parse(summary) as PlanSummary);
    },

    async listOpen(owner) {
      const query = db
        .selectFrom("plans")
        .select(["plan_id", "entries", "owner", "owner_seen"])
        .where("upstream", "=", upstream)
        .where((is) => is.or([is("status", "not in", FINAL), is("owner", "=", textOf(owner))]));
      return (await query.orderBy("created_at").execute()).map((row) => ({
        planId: row.plan_id,
        entries: row.entries,
        ...readOwnership(row),
      }));
    },

    append(planId, entries, event, next) {
      return transaction(db, async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable("plans")
          .set({ ...columnsOf(next), entries: entries + 1 })
          .where("plan_id", "=", planId)
          .where("entries", "=", entries)
          .executeTakeFirst();
        if (numUpdatedRows !== 1n) return false;
        const { at, type } = event;
        const row = { plan_id: planId, number: entries + 1, at, type, data: JSON.stringify(event) };
        await trx.insertInto("plan_entries").values(row).execute();
        if (event.type === "run-started")
          await trx
            .updateTable("plan_acts")
            .set({ run_id: event.runId })
            .where("plan_id", "=", planId)
            .where("id", "=", startActOf(event.key))
            .execute();
        return true;
      });
    },

    claim(planId, owner, former, now) {
      return transaction(db, async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable("plans")
          .set({ owner: textOf(owner), owner_seen: now })
          .where("plan_id", "=", planId)
          .where((is) => (former ? is("owner", "=", textOf(former)) : is("owner", "is", null)))
          .executeTakeFirst();
        // What the former owner has seen is old.
        if (numUpdatedRows === 1n) await forgetSight(trx, planId);
        return numUpdatedRows === 1n;
      });
    },

    async refresh(owner, now) {
      await transaction(db, async (trx) => {
        await trx.updateTable("plans").set({ owner_seen: now }).where("owner", "=", textOf(owner)).execute();
      });
    },

    async release(planId, owner) {
      await transaction(db, async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable("plans")
          .set({ owner: null, owner_seen: null })
          .where("plan_id", "=", planId)
          .where("owner", "=", textOf(owner))
          .executeTakeFirst();
        if (numUpdatedRows === 1n) await forgetSight(trx, planId);
      });
    },

    beginAct(planId, id, { entries, owner, note, now }) {
      return transaction(db, async (trx) => {
        const row = await entriesOf(trx, planId);
        if (row?.owner !== textOf(owner)) return "lost";
        if (row.entries !== entries) return "behind";
        const act = { plan_id: planId, id, begun_at: now, note: JSON.stringify(note), run_id: null };
        await trx.insertInto("plan_acts").values(act).execute();
        return "begun";
      });
    },

    async findAct(planId, id) {
      const query = db.selectFrom("plan_acts").select("note").where("plan_id", "=", planId);
      const row = await query.where("id", "=", id).executeTakeFirst();
      return row && { note: JSON.parse(row.note) };
    },

    async forgetAct(planId, id) {
      await transaction(db, async (trx) => {
        await trx.deleteFrom("plan_acts").where("plan_id", "=", planId).where("id", "=", id).execute();
      });
    },

    async takenRuns() {
      const query = db.selectFrom("plan_acts").select("run_id").where("run_id", "is not", null);
      return new Set((await query.execute()).map(({ run_id }) => run_id as string));
    },
  };
}

/** What a plan's row tells without its journal. */
function columnsOf(state: PlanState) {
  const { name, status, runs, costUsd, costLimitUsd } = describePlan(state);
  const summary: PlanSummary = {
    planId: state.planId,
    name,
    status,
    createdAt: state.startedAt,
    changedAt: state.at,
    line: progressLine(state),
    runs,
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(costLimitUsd === undefined ? {} : { costLimitUsd }),
    waitingFor: waitingFor(state),
  };
  return { status, changed_at: state.at, summary: JSON.stringify(summary) };
}
