import { type ExpressionBuilder, sql } from "kysely";
import type { Database, Transaction } from "../store/database.js";
import type { Tables } from "../store/tables.js";
import type { Delivery } from "./target.js";

/**
 * After so long, in ms, whoever was at a delivery has ended: targets have a time limit below it, and the process may
 * be suspended meanwhile.
 */
const LEASE_MS = 60_000;
/**
 * What was written so much later than it is now was written by a clock that has been set back since, in ms: its times say
 * nothing.
 */
export const SET_BACK_MS = 1_000;
/** What has become of a delivery is kept for so long, in ms, so that nothing tells its event a second time. */
const KEPT_MS = 90 * 24 * 60 * 60 * 1000;

/** What is to be told to a target. */
export interface NewDelivery {
  /** The event's key. */
  id: string;
  target: string;
  kind: string;
  /** JSON, without secrets. */
  payload: unknown;
  /** Deliveries of a target with the same lane keep their order; a lane of its own unless told. */
  lane?: string;
  /** When it happened, epoch ms; now unless told. What happened first goes out first. */
  at?: number;
}

/** A delivery that this process is at. */
export interface Claimed extends Delivery {
  target: string;
  claims: number;
  version: number;
}

/** What has become of a try. */
export type Outcome =
  | { state: "sent"; remoteId?: string | undefined }
  | { state: "failed" | "unknown"; note: string }
  | { state: "again"; afterMs: number; note: string; maybeSent: boolean };

/**
 * Writes a delivery down, in the transaction of the event where that is possible; nothing happens when its event has been
 * written for this target already.
 * @param now epoch ms
 */
export async function addDelivery(trx: Transaction, delivery: NewDelivery, now: number): Promise<void> {
  await trx
    .insertInto("deliveries")
    .values(rowOf(delivery, now))
    .onConflict((conflict) => conflict.columns(["target", "id"]).doNothing())
    .execute();
}

/**
 * What the target shows of this id is to be this from now on: a message that is edited, a comment that is kept up to
 * date. What was not sent yet is not sent any more; what was is changed, by the remote id that the target gets. The same
 * once more changes nothing.
 * @param now epoch ms
 */
export async function showByDelivery(trx: Transaction, delivery: NewDelivery, now: number): Promise<void> {
  const row = rowOf(delivery, now);
  const { payload, kind } = row;
  const changed = { payload, kind, state: "pending", tries: 0, next_at: now, changed_at: now, note: null };
  await trx
    .insertInto("deliveries")
    .values(row)
    .onConflict((conflict) =>
      conflict
        .columns(["target", "id"])
        .doUpdateSet(({ ref }) => ({ ...changed, version: sql<number>`${ref("deliveries.version")} + 1` }))
        .where("deliveries.payload", "!=", payload),
    )
    .execute();
}

/**
 * What is shown of this id is over: it is shown so where something of it is there, or may be. What was not sent yet is not
 * sent any more, and what has not arrived stays told as that.
 * @param now epoch ms
 */
export async function showEndByDelivery(trx: Transaction, delivery: NewDelivery, now: number): Promise<void> {
  const { id, target } = delivery;
  const query = trx.selectFrom("deliveries").select(["state", "remote_id", "lease_until", "maybe_sent"]);
  const row = await query.where("id", "=", id).where("target", "=", target).executeTakeFirst();
  const isUnderWay = row?.state === "pending" && (row.lease_until !== null || row.maybe_sent === 1);
  if (row?.remote_id || row?.state === "sent" || isUnderWay) await showByDelivery(trx, delivery, now);
  else if (row?.state === "pending") await dropDeliveries(trx, [id]);
}

/** What of these events was not told yet is no news any more. */
export async function dropDeliveries(trx: Transaction, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const update = trx.updateTable("deliveries").set({ state: "dropped" });
  await update.where("id", "in", ids).where("state", "=", "pending").execute();
}

function rowOf({ id, target, kind, payload, lane = id, at }: NewDelivery, now: number) {
  return {
    ...{ id, target, kind, lane, payload: JSON.stringify(payload) },
    ...{ version: 0, state: "pending", tries: 0, claims: 0, maybe_sent: 0 },
    ...{ next_at: now, created_at: at ?? now, changed_at: now },
  };
}

/** Nothing of the same lane is still to go out before it. */
const isFirst = ({ not, exists, selectFrom }: ExpressionBuilder<Tables, "deliveries">) =>
  not(
    exists(
      selectFrom("deliveries as earlier")
        .select("earlier.id")
        .whereRef("earlier.target", "=", "deliveries.target")
        .whereRef("earlier.lane", "=", "deliveries.lane")
        .where("earlier.state", "=", "pending")
        .where(({ eb, or, and }) =>
          or([
            eb("earlier.created_at", "<", eb.ref("deliveries.created_at")),
            and([
              eb("earlier.created_at", "=", eb.ref("deliveries.created_at")),
              eb("earlier.id", "<", eb.ref("deliveries.id")),
            ]),
          ]),
        ),
    ),
  );

/** When there is something to do for one of the targets; epoch ms, undefined when there is nothing. @param now epoch ms */
export async function nextDeliveryAt(
  db: Database,
  targets: readonly string[],
  now: number,
): Promise<number | undefined> {
  if (targets.length === 0) return undefined;
  const due = sql<number>`case
    when lease_until is null and changed_at > ${now + SET_BACK_MS} then 0
    when lease_until > ${now + LEASE_MS} then 0
    else coalesce(lease_until, next_at) end`;
  const row = await db
    .selectFrom("deliveries")
    .select(due.as("due_at"))
    .where("state", "=", "pending")
    .where("target", "in", targets)
    .where(isFirst)
    .orderBy(due)
    .limit(1)
    .executeTakeFirst();
  return row?.due_at;
}

/**
 * Frees deliveries whose process has ended, and forgets what is long over.
 * @param now epoch ms
 */
export async function freeAbandoned(
  trx: Transaction,
  targets: readonly string[],
  now: number,
): Promise<void> {
  if (targets.length === 0) return;
  await trx
    .updateTable("deliveries")
    .set({ lease_until: null, maybe_sent: 1, next_at: now, note: "its process has ended" })
    .where("state", "=", "pending")
    .where("target", "in", targets)
    .where(({ eb, or }) => or([eb("lease_until", "<=", now), eb("lease_until", ">", now + LEASE_MS)]))
    .execute();
  await trx
    .updateTable("deliveries")
    .set({ next_at: now, changed_at: now })
    .where("state", "=", "pending")
    .where("target", "in", targets)
    .where("lease_until", "is", null)
    .where("changed_at", ">", now + SET_BACK_MS)
    .execute();
  const old = trx.deleteFrom("deliveries").where("state", "!=", "pending");
  await old.where("changed_at", "<", now - KEPT_MS).execute();
}

/**
 * Takes the next delivery of a target on: no other process is at it then.
 * @param now epoch ms
 */
export async function claimDelivery(
  trx: Transaction,
  target: string,
  now: number,
): Promise<Claimed | undefined> {
  const row = await trx
    .selectFrom("deliveries")
    .selectAll()
    .where("target", "=", target)
    .where("state", "=", "pending")
    .where("lease_until", "is", null)
    .where("next_at", "<=", now)
    .where(isFirst)
    .orderBy("created_at")
    .orderBy("id")
    .limit(1)
    .executeTakeFirst();
  if (!row) return undefined;
  const { id, kind, version, maybe_sent, remote_id } = row;
  const taken = { tries: row.tries + 1, claims: row.claims + 1 };
  const update = trx.updateTable("deliveries").set({ ...taken, lease_until: now + LEASE_MS });
  await update.where("id", "=", id).where("target", "=", target).execute();
  return {
    ...{ id, target, kind, version, ...taken },
    payload: JSON.parse(row.payload) as unknown,
    mayHaveBeenSent: maybe_sent === 1,
    ...(remote_id === null ? {} : { remoteId: remote_id }),
  };
}

/**
 * What has come of a claimed delivery. Whose lease was taken by another process changes nothing.
 * @param now epoch ms
 */
export async function finishDelivery(
  trx: Transaction,
  { id, target, claims, version }: Claimed,
  outcome: Outcome,
  now: number,
): Promise<void> {
  const row = await trx
    .selectFrom("deliveries")
    .select(["version", "state"])
    .where("id", "=", id)
    .where("target", "=", target)
    .where("claims", "=", claims)
    .executeTakeFirst();
  if (!row) return;
  const update = trx.updateTable("deliveries").where("id", "=", id).where("target", "=", target);
  const free = { lease_until: null, changed_at: now };
  const isReplaced = row.version !== version && row.state === "pending";
  // What has come meanwhile is still to go out.
  const state = isReplaced ? { state: "pending", next_at: now } : {};
  if (outcome.state === "sent") {
    const { remoteId } = outcome;
    const known = remoteId === undefined ? {} : { remote_id: remoteId };
    await update.set({ state: "sent", note: null, maybe_sent: 0, ...free, ...known, ...state }).execute();
  } else if (outcome.state === "again") {
    const { afterMs, note, maybeSent } = outcome;
    const maybe = maybeSent ? { maybe_sent: 1 } : {};
    await update.set({ next_at: now + afterMs, note, ...free, ...maybe }).execute();
  } else {
    const maybe = { maybe_sent: outcome.state === "unknown" ? 1 : 0 };
    const dropped = row.state === "dropped" ? {} : { state: outcome.state };
    await update.set({ note: outcome.note, ...dropped, ...free, ...maybe, ...state }).execute();
  }
}

/** A delivery of which it is not known whether it has arrived, or that has not. */
export interface TroubledDelivery {
  target: string;
  kind: string;
  state: "unknown" | "failed";
  /** JSON, as it was written. */
  payload: string;
  /** Why, in words. */
  note: string | null;
  /** Since when, epoch ms. */
  changedAt: number;
}

/** Those that are not known or failed, the last ones first. @param most how many of them */
export async function listTroubled(db: Database, most: number): Promise<TroubledDelivery[]> {
  const rows = await db
    .selectFrom("deliveries")
    .select(["target", "kind", "state", "payload", "note", "changed_at"])
    .where("state", "in", ["unknown", "failed"])
    .orderBy("changed_at", "desc")
    .orderBy("id")
    .limit(most)
    .execute();
  return rows.map(({ changed_at, state, ...rest }) => ({
    ...rest,
    state: state === "failed" ? "failed" : "unknown",
    changedAt: changed_at,
  }));
}

/** How many deliveries of each target are in which state, those left out that became no news. */
export async function countDeliveries(
  db: Database,
): Promise<{ target: string; state: string; count: number }[]> {
  const rows = await db
    .selectFrom("deliveries")
    .select(["target", "state", ({ fn }) => fn.countAll().as("count")])
    .where("state", "!=", "dropped")
    .groupBy(["target", "state"])
    .orderBy("target")
    .orderBy("state")
    .execute();
  return rows.map(({ target, state, count }) => ({ target, state, count: Number(count) }));
}
