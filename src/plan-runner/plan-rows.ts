import { sql } from "kysely";
import { writeFigures } from "../history/history-rows.js";
import type { PlanEvent, PlanStarted } from "../plans/machine/events.js";
import type { PlanState } from "../plans/machine/state.js";
import { visibleName } from "../shared/text.js";
import type { Database, SharedDatabase, Transaction } from "../store/database.js";
import { digestOf } from "../store/digest.js";
import { figuresOfPlan, figuresOfRuns } from "./plan-figures.js";
import { type PlanHolder, textOf } from "./plan-owner.js";
import type { PlanPlace } from "./plan-place.js";
import { FINAL, isOver } from "./plan-summary.js";

/** The id of the act that starts a run under a key. */
export const startActOf = (key: string) => `start ${key}`;

/** What has ended by these events goes into the history with them. */
export async function keepFigures(
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

/** How far a plan's journal goes. */
export interface JournalEnd {
  /** How many entries it has. */
  entries: number;
  /**
   * What the newest of them is known by, as `markOf` has it; undefined for none. With as many entries and another one it is
   * another journal: an earlier copy of the database was put in its place, and others have gone on with that.
   */
  last: string | undefined;
}

/**
 * What an entry is known by, as it is stored: itself, or in a shared database, where it would be sent with each look, what
 * the server makes of it.
 */
export function markOf({ shared }: Database, data: string): string {
  return shared ? digestOf(data) : data;
}

/** The same of the newest entry, of a row of `plans`. */
export function lastOf({ shared }: Database) {
  const mark = shared?.digest("e.data") ?? sql.ref<string>("e.data");
  return () =>
    sql<
      string | null
    >`(select ${mark} from plan_entries e where e.plan_id = plans.plan_id and e.number = plans.entries)`.as(
      "last",
    );
}

/** Of what is selected of `plans`. */
export function endOf({ entries, last }: { entries: number; last: string | null }): JournalEnd {
  return { entries, last: last ?? undefined };
}

/** Whether nothing was added, and nothing is another one. */
export function isSameEnd(one: JournalEnd, other: JournalEnd): boolean {
  return one.entries === other.entries && one.last === other.last;
}

/** An event as its entry has it. */
export const dataOf = (event: PlanEvent) => JSON.stringify(event);

/** What is looked at of a plan before it is changed. @param last the mark of its newest entry, as `lastOf` asks for it */
export function rowOf(trx: Transaction, planId: string, last: ReturnType<typeof lastOf>) {
  const query = trx
    .selectFrom("plans")
    .select(["entries", "owner", "epoch", "status", "name", "place", last])
    .where("plan_id", "=", planId);
  return query.executeTakeFirst();
}

/** Names that look alike are the same to a person, who finds plans by them. */
export async function isNameOpen(trx: Transaction, upstream: string, name: string): Promise<boolean> {
  const query = trx.selectFrom("plans").select("name").where("upstream", "=", upstream);
  const open = await query.where("status", "not in", FINAL).execute();
  return open.some((plan) => visibleName(plan.name) === visibleName(name));
}

/** Adds them behind the first `entries`. */
export async function addEvents(
  trx: Transaction,
  planId: string,
  entries: number,
  events: readonly PlanEvent[],
): Promise<void> {
  for (const [at, event] of events.entries()) {
    const row = { plan_id: planId, number: entries + at + 1, at: event.at, type: event.type };
    await trx
      .insertInto("plan_entries")
      .values({ ...row, data: dataOf(event) })
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

/** How long the owner of a plan was silent; only in a shared database. */
export function silenceOf({ shared }: Database) {
  return () => (shared as SharedDatabase).silentSince("owner_seen").as("silent");
}

/** What was seen does not hold any more. */
export async function forgetSight(trx: Transaction, planId: string): Promise<void> {
  await trx.deleteFrom("plan_sights").where("plan_id", "=", planId).execute();
}

/** Whether the plan is this owner's. */
export async function isHeld(trx: Transaction, planId: string, owner: PlanHolder): Promise<boolean> {
  const query = trx.selectFrom("plans").select("plan_id").where("plan_id", "=", planId);
  const held = query.where("owner", "=", textOf(owner)).where("epoch", "=", owner.epoch);
  return (await held.executeTakeFirst()) !== undefined;
}
