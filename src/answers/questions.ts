import { sql } from "kysely";
import type { NeedView } from "../dashboard/views/needs.js";
import type { Database, Transaction } from "../store/database.js";

/** A question that was asked by a service. */
export interface OutsideQuestion {
  code: string;
  needId: string;
  service: string;
  state: "open" | "taken" | "closed";
  need: NeedView;
  answer?: string | undefined;
  answeredBy?: string | undefined;
}

/** So long is kept what was asked, in ms. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

/** Those of an API that are open or being answered. */
export async function listOpen(db: Database | Transaction, upstream: string): Promise<OutsideQuestion[]> {
  const rows = await db
    .selectFrom("outside_questions")
    .selectAll()
    .where("upstream", "=", upstream)
    .where("state", "!=", "closed")
    .orderBy("created_at")
    .execute();
  return rows.map(toQuestion);
}

/** The question of a button; undefined for no such question. */
export async function findQuestion(
  db: Database | Transaction,
  code: string,
): Promise<OutsideQuestion | undefined> {
  const row = await db
    .selectFrom("outside_questions")
    .selectAll()
    .where("code", "=", code)
    .executeTakeFirst();
  return row && toQuestion(row);
}

/** Whether it was asked by the service before, whatever has come of it. */
export async function wasAsked(
  trx: Transaction,
  { upstream, service, needId }: { upstream: string; service: string; needId: string },
): Promise<boolean> {
  const query = trx.selectFrom("outside_questions").select("code").where("upstream", "=", upstream);
  const row = await query.where("service", "=", service).where("need_id", "=", needId).executeTakeFirst();
  return row !== undefined;
}

/** @param now epoch ms */
export async function addQuestion(
  trx: Transaction,
  upstream: string,
  { code, needId, service, need }: Pick<OutsideQuestion, "code" | "needId" | "service" | "need">,
  now: number,
): Promise<void> {
  const row = { code, upstream, service, need_id: needId, need: JSON.stringify(need), state: "open" };
  await trx
    .insertInto("outside_questions")
    .values({ ...row, created_at: now, changed_at: now })
    .execute();
  const old = trx.deleteFrom("outside_questions").where("state", "=", "closed");
  await old.where("changed_at", "<", now - KEPT_MS).execute();
}

/**
 * Notes who has answered what. The first answer counts, by whichever service it came.
 * @returns undefined when it is this one; else who was first, where that is known
 */
export async function takeQuestion(
  trx: Transaction,
  upstream: string,
  code: string,
  given: { answer: string; answeredBy: string },
  now: number,
): Promise<{ by?: string } | undefined> {
  const found = await findQuestion(trx, code);
  const first = found && (await whoAnswered(trx, upstream, found.needId));
  if (first) return first;
  if (found?.state !== "open") return {};
  const { answer, answeredBy } = given;
  const update = trx.updateTable("outside_questions");
  await update
    .set({ state: "taken", answer, answered_by: answeredBy, changed_at: now })
    .where("code", "=", code)
    .execute();
  return undefined;
}

/** Nothing more can come of it. @param counts whether an answer that was given to it does: else others may answer */
export async function closeQuestion(
  trx: Transaction,
  code: string,
  counts: boolean,
  now: number,
): Promise<void> {
  const nobody = counts ? {} : { answered_by: null };
  const update = trx.updateTable("outside_questions").set({ state: "closed", changed_at: now, ...nobody });
  await update.where("code", "=", code).execute();
}

/** Who has answered it by a service, where somebody has; `isGiven`: the answer counts. */
export async function whoAnswered(
  db: Database | Transaction,
  upstream: string,
  needId: string,
): Promise<{ by: string; service: string; isGiven: boolean } | undefined> {
  const row = await db
    .selectFrom("outside_questions")
    .select(["answered_by", "service", "state"])
    .where("upstream", "=", upstream)
    .where("need_id", "=", needId)
    .where("answered_by", "is not", null)
    .executeTakeFirst();
  if (!row?.answered_by) return undefined;
  return { by: row.answered_by, service: row.service, isGiven: row.state === "closed" };
}

/** When the oldest open question of a service was asked, epoch ms. */
export async function oldestOpen(db: Database, service: string): Promise<number | undefined> {
  const query = db.selectFrom("outside_questions").select(sql<number | null>`min(created_at)`.as("at"));
  const row = await query.where("service", "=", service).where("state", "=", "open").executeTakeFirst();
  return row?.at ?? undefined;
}

interface Row {
  code: string;
  need_id: string;
  service: string;
  state: string;
  need: string;
  answer: string | null;
  answered_by: string | null;
}

function toQuestion({ code, need_id, service, state, need, answer, answered_by }: Row): OutsideQuestion {
  return {
    ...{ code, service, needId: need_id, need: JSON.parse(need) as NeedView },
    state: state as OutsideQuestion["state"],
    ...(answer === null ? {} : { answer }),
    ...(answered_by === null ? {} : { answeredBy: answered_by }),
  };
}
