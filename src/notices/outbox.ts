import type { Database, Transaction } from "../store/database.js";
import type { Notice } from "./notice.js";

/**
 * How long, in ms, a notice waits for a window to say that its person knows: a call that follows the run answers at
 * once, but a model that looks every 45 s is between two looks for some seconds.
 */
export const GRACE_MS = 10_000;
/** What could not be told for so long is no news any more, in ms. */
const TOO_OLD_MS = 24 * 60 * 60 * 1000;
/** A notice is kept for so long, in ms, so that nothing tells its event a second time. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;
/**
 * After so long, in ms, whoever was at a delivery has ended: channels have a time limit below it, and the process may
 * be suspended meanwhile.
 */
const LEASE_MS = 60_000;

/** A delivery that this process is at. */
export interface Claimed {
  notice: Notice;
  channel: string;
  /** How many tries there were, this one among them. */
  tries: number;
}

/**
 * Writes a notice down; nothing happens when its event has been noted already.
 * @param at epoch ms
 */
export async function addNotice(trx: Transaction, runId: string, notice: Notice, at: number): Promise<void> {
  await trx
    .insertInto("notices")
    .values({
      key: notice.id,
      run_id: runId,
      kind: notice.event,
      created_at: at,
      due_at: at + GRACE_MS,
      state: "waiting",
      notice: JSON.stringify(notice),
    })
    .onConflict((conflict) => conflict.column("key").doNothing())
    .execute();
}

/** The notices of these keys are not told (any more): the person knows. */
export async function settleNotices(trx: Transaction, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  await trx.updateTable("notices").set({ state: "settled" }).where("key", "in", keys).execute();
}

/** The run waits for nobody any more. */
export async function settleQuestions(trx: Transaction, runId: string): Promise<void> {
  await trx
    .updateTable("notices")
    .set({ state: "settled" })
    .where("run_id", "=", runId)
    .where("kind", "=", "needs_you")
    .execute();
}

/** Those of the keys whose notices are still to be told: a look that changes nothing. */
export async function findUnsettled(db: Database, keys: readonly string[]): Promise<string[]> {
  if (keys.length === 0) return [];
  const query = db.selectFrom("notices").select("key").where("key", "in", keys);
  return (await query.where("state", "!=", "settled").execute()).map(({ key }) => key);
}

/** When there is something to do for one of the channels; epoch ms, undefined when there is nothing. */
export async function nextDueAt(db: Database, channels: readonly string[]): Promise<number | undefined> {
  const notice = await db
    .selectFrom("notices")
    .select("due_at")
    .where("state", "=", "waiting")
    .orderBy("due_at")
    .limit(1)
    .executeTakeFirst();
  const delivery = await db
    .selectFrom("notice_deliveries as delivery")
    .innerJoin("notices", "notices.key", "delivery.key")
    .select("delivery.next_at")
    .where("delivery.state", "in", ["waiting", "trying"])
    .where("notices.state", "=", "released")
    .where("delivery.channel", "in", channels)
    .orderBy("delivery.next_at")
    .limit(1)
    .executeTakeFirst();
  const times = [notice?.due_at, delivery?.next_at].filter((at) => at !== undefined);
  return times.length > 0 ? Math.min(...times) : undefined;
}

/**
 * Hands notices that nobody has settled in time to the channels, and notes deliveries whose process has ended. Of
 * several processes the one that comes first does it.
 * @param now epoch ms
 * @returns titles of notices of which it is not known whether they were told
 */
export async function releaseDue(
  trx: Transaction,
  channels: readonly string[],
  now: number,
): Promise<string[]> {
  const due = await trx
    .selectFrom("notices")
    .select(["key", "created_at"])
    .where("state", "=", "waiting")
    .where("due_at", "<=", now)
    .execute();
  for (const { key, created_at } of due) {
    const state = now - created_at > TOO_OLD_MS ? "settled" : "released";
    await trx.updateTable("notices").set({ state }).where("key", "=", key).execute();
    if (state === "settled") continue;
    const rows = channels.map((channel) => ({ key, channel, state: "waiting", tries: 0, next_at: now }));
    await trx.insertInto("notice_deliveries").values(rows).execute();
  }
  const abandoned = await trx
    .selectFrom("notice_deliveries as delivery")
    .innerJoin("notices", "notices.key", "delivery.key")
    .select(["delivery.key", "delivery.channel", "notices.notice"])
    .where("delivery.state", "=", "trying")
    .where("delivery.next_at", "<=", now)
    .execute();
  for (const { key, channel } of abandoned) await setDelivery(trx, key, channel, { state: "unknown" });
  await trx
    .deleteFrom("notices")
    .where("created_at", "<", now - KEPT_MS)
    .execute();
  return abandoned.map(({ notice }) => (JSON.parse(notice) as Notice).title);
}

/**
 * Takes the next delivery of a channel on: no other process is at it then.
 * @param now epoch ms
 */
export async function claimDelivery(
  trx: Transaction,
  channel: string,
  now: number,
): Promise<Claimed | undefined> {
  const row = await trx
    .selectFrom("notice_deliveries as delivery")
    .innerJoin("notices", "notices.key", "delivery.key")
    .select(["delivery.key", "delivery.tries", "notices.notice"])
    .where("delivery.channel", "=", channel)
    .where("delivery.state", "=", "waiting")
    .where("delivery.next_at", "<=", now)
    .where("notices.state", "=", "released")
    .orderBy("notices.created_at")
    .limit(1)
    .executeTakeFirst();
  if (!row) return undefined;
  const tries = row.tries + 1;
  await setDelivery(trx, row.key, channel, { state: "trying", tries, next_at: now + LEASE_MS });
  return { notice: JSON.parse(row.notice) as Notice, channel, tries };
}

/**
 * What has come of a claimed delivery.
 * @param how.tryAgainAt it failed, and is tried again then; epoch ms
 */
export async function finishDelivery(
  trx: Transaction,
  { notice, channel }: Claimed,
  how: { state: "sent" | "failed" } | { tryAgainAt: number },
): Promise<void> {
  const next = "state" in how ? how : { state: "waiting", next_at: how.tryAgainAt };
  await setDelivery(trx, notice.id, channel, next);
}

async function setDelivery(
  trx: Transaction,
  key: string,
  channel: string,
  next: { state: string; tries?: number; next_at?: number },
): Promise<void> {
  const update = trx.updateTable("notice_deliveries").set(next);
  await update.where("key", "=", key).where("channel", "=", channel).execute();
}
