import { writeFigures } from "../history/history-rows.js";
import { replay, startPlan } from "../plans/machine/apply.js";
import type { PlanEvent, PlanStarted } from "../plans/machine/events.js";
import type { PlanStatus } from "../plans/machine/plan-status.js";
import type { PlanState } from "../plans/machine/state.js";
import { visibleName } from "../shared/text.js";
import type { Database, Transaction } from "../store/database.js";
import { createWriteTogether } from "../store/write-together.js";
import { PlanNameTaken } from "./name-taken.js";
import { figuresOfPlan, figuresOfRuns } from "./plan-figures.js";
import { type Ownership, type PlanOwner, readOwnership, textOf } from "./plan-owner.js";
import { createPlanSights, forgetSight, type PlanSights } from "./plan-sights.js";
import { columnsOf, FINAL, isOver, type PlanSummary } from "./plan-summary.js";
import type { StartNote } from "./port.js";
import { ENDED_KEPT, prunePlans } from "./prune-plans.js";

/** Where a plan's runs work. */
export interface PlanPlace {
  repositoryUrl?: string;
  gitBranch?: string;
  /** The repository of this machine that the person has allowed. */
  consent?: { path: string; folders: readonly string[] };
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

/** Something that is begun outside, and must not be begun again. */
export interface PlanAct {
  /** The command's. */
  id: string;
  note: StartNote;
}

/** What is written of a plan in one go. */
export interface PlanWrite {
  /** How many entries were read; nothing is written when there are more. */
  entries: number;
  events: readonly PlanEvent[];
  /** The plan after them. */
  next: PlanState;
  /** What is begun as soon as this is written; only its owner may do so. */
  acts: readonly PlanAct[];
  owner: PlanOwner | undefined;
  /** Epoch ms. */
  now: number;
}

/**
 * The plans of one workflows API in the database. One change is one transaction, on condition that nothing was added
 * since the plan was read, so that any process may add what a person decides. All methods throw StoreError.
 */
export interface PlanJournal extends PlanSights {
  /**
   * Writes a new plan down, if no open one has its name: of two processes with one name one begins.
   * @throws PlanNameTaken, and Error when there is one with its id
   */
  begin(start: PlanStarted, place: PlanPlace): Promise<PlanState>;
  /** Undefined when there is no such plan. */
  read(planId: string): Promise<JournalledPlan | undefined>;
  /** What was added behind the first `entries`. */
  readSince(planId: string, entries: number): Promise<PlanEvent[]>;
  /** All plans, newest first. */
  list(): Promise<PlanSummary[]>;
  /** Plans that have not ended, and those of this owner. */
  listOpen(owner: PlanOwner): Promise<OpenPlan[]>;
  /**
   * Adds to what was read.
   * @returns the ids of the acts that are begun by this, those left out that were begun before; `behind`: somebody else
   * has added something; `lost`: something is to be begun, and the plan is not this owner's, or there is no such plan
   * any more; `name-taken`: it had ended and would go on, and another one has begun under its name. Nothing is written
   * then
   */
  write(planId: string, write: PlanWrite): Promise<ReadonlySet<string> | "behind" | "lost" | "name-taken">;
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
  /** Whether a plan is still as it was read, and this owner's. */
  check(planId: string, entries: number, owner: PlanOwner): Promise<"current" | "behind" | "lost">;
  /** Undefined for what was never begun. */
  findAct(planId: string, id: string): Promise<PlanAct | undefined>;
  /** It is certain that nothing has come of it. */
  forgetAct(planId: string, id: string): Promise<void>;
  /** Runs that are known to be of plans. */
  takenRuns(): Promise<Set<string>>;
  /** Removes plans that ended long ago and of which nothing is left (prune-plans.ts). */
  prune(): Promise<void>;
}

/** The id of the act that starts a run under a key. */
export const startActOf = (key: string) => `start ${key}`;

/**
 * @param options.upstream names the workflows API: its plans are not carried out with another one
 * @param options.endedKept how many plans that have ended are kept in any case
 */
export function createPlanJournal(options: {
  database: Database;
  upstream: string;
  endedKept?: number;
}): PlanJournal {
  const { database: db, upstream, endedKept: kept = ENDED_KEPT } = options;
  const write = createWriteTogether(db);

  async function readSince(planId: string, entries: number): Promise<PlanEvent[]> {
    const query = db.selectFrom("plan_entries").select("data").where("plan_id", "=", planId);
    const rows = await query.where("number", ">", entries).orderBy("number").execute();
    return rows.map(({ data }) => JSON.parse(data) as PlanEvent);
  }

  return {
    ...createPlanSights({ database: db, upstream, write }),

    async begin(start, place) {
      const state = startPlan(start);
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
        return false;
      });
      if (isTaken) throw new PlanNameTaken("Another open plan has this name. Nothing was begun.");
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

    write(planId, { entries, events, next, acts, owner, now }) {
      const columns = events.length > 0 ? columnsOf(next) : undefined;
      return write(async (trx) => {
        const row = await rowOf(trx, planId);
        if (!row) return "lost";
        if (row.entries !== entries) return "behind";
        if (acts.length > 0 && (!owner || row.owner !== textOf(owner))) return "lost";
        if (columns) {
          const goesOn = FINAL.includes(row.status as PlanStatus) && !FINAL.includes(columns.status);
          if (goesOn && (await isNameOpen(trx, upstream, row.name))) return "name-taken";
          const plan = { ...columns, entries: entries + events.length };
          await trx.updateTable("plans").set(plan).where("plan_id", "=", planId).execute();
          await addEvents(trx, planId, entries, events);
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

    async check(planId, entries, owner) {
      const row = await rowOf(db, planId);
      if (row?.owner !== textOf(owner)) return "lost";
      return row.entries === entries ? "current" : "behind";
    },

    claim(planId, owner, former, now) {
      return write(async (trx) => {
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
      await write(async (trx) => {
        await trx.updateTable("plans").set({ owner_seen: now }).where("owner", "=", textOf(owner)).execute();
      });
    },

    async release(planId, owner) {
      await write(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable("plans")
          .set({ owner: null, owner_seen: null })
          .where("plan_id", "=", planId)
          .where("owner", "=", textOf(owner))
          .executeTakeFirst();
        if (numUpdatedRows === 1n) await forgetSight(trx, planId);
      });
    },

    async findAct(planId, id) {
      const query = db.selectFrom("plan_acts").select("note").where("plan_id", "=", planId);
      const row = await query.where("id", "=", id).executeTakeFirst();
      return row && { id, note: JSON.parse(row.note) };
    },

    async forgetAct(planId, id) {
      await write(async (trx) => {
        await trx.deleteFrom("plan_acts").where("plan_id", "=", planId).where("id", "=", id).execute();
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

/** What has ended by these events goes into the history with them. */
async function keepFigures(
  trx: Transaction,
  planId: string,
  events: readonly PlanEvent[],
  next: PlanState,
): Promise<void> {
  const query = trx.selectFrom("plans").select(["upstream", "start", "place"]);
  const row = await query.where("plan_id", "=", planId).executeTakeFirstOrThrow();
  const begun = { start: JSON.parse(row.start) as PlanStarted, place: JSON.parse(row.place) as PlanPlace };
  const figures = figuresOfRuns(events, next, begun);
  if (isOver(next)) {
    const entries = trx.selectFrom("plan_entries").select("data").where("plan_id", "=", planId);
    const journal = (await entries.orderBy("number").execute()).map(
      ({ data }) => JSON.parse(data) as PlanEvent,
    );
    const own = figuresOfPlan(begun, journal, next);
    if (own) figures.push(own);
  }
  await writeFigures(trx, row.upstream, figures);
}

function rowOf(db: Transaction | Database, planId: string) {
  const query = db
    .selectFrom("plans")
    .select(["entries", "owner", "status", "name"])
    .where("plan_id", "=", planId);
  return query.executeTakeFirst();
}

/** Names that look alike are the same to a person, who finds plans by them. */
async function isNameOpen(trx: Transaction, upstream: string, name: string): Promise<boolean> {
  const query = trx.selectFrom("plans").select("name").where("upstream", "=", upstream);
  const open = await query.where("status", "not in", FINAL).execute();
  return open.some((plan) => visibleName(plan.name) === visibleName(name));
}

async function addEvents(
  trx: Transaction,
  planId: string,
  entries: number,
  events: readonly PlanEvent[],
): Promise<void> {
  for (const [at, event] of events.entries()) {
    const row = { plan_id: planId, number: entries + at + 1, at: event.at, type: event.type };
    await trx
      .insertInto("plan_entries")
      .values({ ...row, data: JSON.stringify(event) })
      .execute();
    if (event.type === "run-started") {
      const act = trx.updateTable("plan_acts").set({ run_id: event.runId });
      await act.where("plan_id", "=", planId).where("id", "=", startActOf(event.key)).execute();
    }
    // It is certain that nothing has come of it.
    if (event.type === "run-not-started") {
      const act = trx.deleteFrom("plan_acts").where("plan_id", "=", planId);
      await act.where("id", "=", startActOf(event.key)).execute();
    }
  }
}
