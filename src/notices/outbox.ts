import { addDelivery, dropDeliveries, SET_BACK_MS } from "../integrations/outbox.js";
import type { Database, Transaction } from "../store/database.js";
import type { Tables } from "../store/tables.js";
import type { Channel } from "./channel.js";
import type { Notice } from "./notice.js";

/**
 * How long, in ms, a notice waits for a window to say that its person knows: a call that follows the run answers at
 * once, but a model that looks every 45 s is between two looks for some seconds.
 */
export const GRACE_MS = 10_000;
/** What a service may ask is left to it for so long, in ms: whoever asks waits as long, and looks every few seconds. */
export const ASKED_BY_MS = GRACE_MS + 10_000;
/** So often it is looked whether it has asked, in ms. */
const LOOK_EVERY_MS = 1_000;
/** What could not be told for so long is no news any more, in ms. */
const TOO_OLD_MS = 24 * 60 * 60 * 1000;
/** A notice is kept for so long, in ms, so that nothing tells its event a second time. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;
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
  await dropDeliveries(trx, keys);
}

/** The run waits for nobody any more. */
export async function settleQuestions(trx: Transaction, runId: string): Promise<void> {
  const query = trx.selectFrom("notices").select("key").where("run_id", "=", runId);
  const rows = await query.where("kind", "=", "needs_you").where("state", "!=", "settled").execute();
  await settleNotices(
    trx,
    rows.map(({ key }) => key),
  );
}

/** Those of the keys whose notices are still to be told: a look that changes nothing. */
export async function findUnsettled(db: Database, keys: readonly string[]): Promise<string[]> {
  if (keys.length === 0) return [];
  const query = db.selectFrom("notices").select("key").where("key", "in", keys);
  return (await query.where("state", "!=", "settled").execute()).map(({ key }) => key);
}

/** When the next notice has waited long enough; epoch ms, undefined when none waits. @param now epoch ms */
export async function nextNoticeAt(db: Database, now: number): Promise<number | undefined> {
  const query = db.selectFrom("notices").select("due_at").where("state", "=", "waiting");
  const next = (await query.orderBy("due_at").limit(1).executeTakeFirst())?.due_at;
  // The first of those that a clock has written which was set back since: how long it has waited nobody knows.
  const isSetBack = next !== undefined && next > now + ASKED_BY_MS + SET_BACK_MS;
  return isSetBack ? now : next;
}

type Way = Pick<Channel, "name" | "asks">;

/**
 * Hands notices that nobody has settled in time to the outbox, for each of the channels. Of several processes the one
 * that comes first does it. What a service has asked is not told by it, too.
 * @param now epoch ms
 */
export async function releaseDue(trx: Transaction, channels: readonly Way[], now: number): Promise<void> {
  await trx
    .updateTable("notices")
    .set({ created_at: now, due_at: now + GRACE_MS })
    .where("state", "=", "waiting")
    .where("created_at", ">", now + SET_BACK_MS)
    .execute();
  const due = await trx
    .selectFrom("notices")
    .selectAll()
    .where("state", "=", "waiting")
    .where("due_at", "<=", now)
    .orderBy("created_at")
    .execute();
  for (const { key, kind, created_at, notice } of due) {
    const stored = { key, kind, created_at, notice };
    const { told, isAwaited } = await leaveToAsk(trx, stored, channels, now);
    const isOld = now - created_at > TOO_OLD_MS;
    const change = isAwaited ? { due_at: now + LOOK_EVERY_MS } : { state: isOld ? "settled" : "released" };
    await trx.updateTable("notices").set(change).where("key", "=", key).execute();
    if (!isOld) await hand(trx, stored, told, now);
  }
  const names = channels.map(({ name }) => name);
  await adoptFormer(trx, names, now);
  const old = trx.deleteFrom("notices").where("created_at", "<", now - KEPT_MS);
  await old.execute();
}

type Stored = Pick<Tables["notices"], "key" | "kind" | "created_at" | "notice">;

/** By which channels it is told now, and whether a service may still ask what it is about. */
async function leaveToAsk(
  trx: Transaction,
  { kind, created_at, notice }: Stored,
  channels: readonly Way[],
  now: number,
): Promise<{ told: string[]; isAwaited: boolean }> {
  const told: string[] = [];
  let isAwaited = false;
  for (const { name, asks } of channels) {
    const leaves = asks !== undefined && kind === "needs_you";
    if (leaves && (await hasAsked(trx, asks, JSON.parse(notice) as Notice, created_at))) continue;
    if (leaves && now - created_at < ASKED_BY_MS) isAwaited = true;
    else told.push(name);
  }
  return { told, isAwaited };
}

/** Of a plan everything is asked that it waits for: what was asked since then does for all. @param since epoch ms */
async function hasAsked(trx: Transaction, service: string, notice: Notice, since: number): Promise<boolean> {
  const { run, question, plan } = notice;
  const query = trx.selectFrom("outside_questions").select("code").where("service", "=", service);
  const found = plan
    ? query.where("need_id", "like", `${plan.plan_id} %`).where("created_at", ">=", since)
    : query.where("need_id", "=", `${run?.run_id} ${question?.question_id}`);
  return (await found.executeTakeFirst()) !== undefined;
}

async function hand(
  trx: Transaction,
  { key, kind, created_at, notice }: Stored,
  channels: readonly string[],
  now: number,
): Promise<void> {
  const payload = JSON.parse(notice) as Notice;
  for (const target of channels)
    await addDelivery(trx, { id: key, target, kind, payload, at: created_at }, now);
}

/** What an older release has left to be told, in the table that was its outbox. */
async function adoptFormer(trx: Transaction, channels: readonly string[], now: number): Promise<void> {
  if (channels.length === 0) return;
  const left = await trx
    .selectFrom("notice_deliveries as former")
    .innerJoin("notices", "notices.key", "former.key")
    .select(["former.channel", "notices.key", "notices.kind", "notices.created_at", "notices.notice"])
    .where("former.state", "=", "waiting")
    .where("former.channel", "in", channels)
    .where("notices.state", "=", "released")
    .execute();
  for (const { channel, ...notice } of left) {
    const old = trx.deleteFrom("notice_deliveries").where("key", "=", notice.key);
    await old.where("channel", "=", channel).execute();
    if (now - notice.created_at <= TOO_OLD_MS) await hand(trx, notice, [channel], now);
  }
}
