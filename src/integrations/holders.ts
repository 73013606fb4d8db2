import type { Transaction } from "../store/database.js";

/** Who holds something says so again within this time, in ms; after three times of it, it is free. */
export const RENEW_MS = 10_000;

/**
 * Takes or keeps something of which there is to be one among all processes of a database, such as the connection to a
 * service.
 * @param now epoch ms, by the database's clock
 * @returns whether it is this holder's
 */
export async function hold(trx: Transaction, name: string, holder: string, now: number): Promise<boolean> {
  const found = await trx.selectFrom("holders").selectAll().where("name", "=", name).executeTakeFirst();
  // One whose end is far ahead was written by a clock that was set back since.
  const isHeld = found && found.held_until > now && found.held_until <= now + 3 * RENEW_MS;
  if (found && isHeld && found.holder !== holder) return false;
  const row = { holder, held_until: now + 3 * RENEW_MS };
  await trx
    .insertInto("holders")
    .values({ name, ...row })
    .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
    .execute();
  return true;
}

/** Lets go of all that a holder has. */
export async function letGo(trx: Transaction, holder: string): Promise<void> {
  await trx.deleteFrom("holders").where("holder", "=", holder).execute();
}
