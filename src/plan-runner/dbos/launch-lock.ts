import { setTimeout as delay } from "node:timers/promises";
import type { SharedDatabase } from "../../store/database.js";

/**
 * The lock's number is ours alone: any that others do not use. It ends with its transaction, also behind a pooler, which
 * holds up the making of DBOS's indexes only while it waits: so it is tried and not waited for.
 */
const TRY = 'select pg_try_advisory_xact_lock(5273194803) as "isOurs"';
/** A lock's transaction does nothing for as long as its owner begins, which takes no longer, in ms. */
const BEGINNING_MS = 60_000;
/** How often it is tried, in ms. */
const AGAIN_MS = 100;
/** Who holds the lock for so long, in ms, stands still. */
const GIVE_UP_AFTER_MS = 15_000;

/**
 * Lets one process after the other begin: those that make DBOS's tables at the same time bring each other to a deadlock.
 * @param begin.mayMigrate false where somebody who stands still may be in the middle of that
 * @throws what `begin` throws, and errors of `pg`
 */
export async function withLaunchLock(
  pool: ReturnType<SharedDatabase["openPool"]>,
  begin: (mayMigrate: boolean) => Promise<void>,
): Promise<void> {
  const client = await pool.connect();
  let isLost = false;
  const onError = () => {
    isLost = true;
  };
  client.on("error", onError);
  try {
    let isOurs = false;
    for (const until = performance.now() + GIVE_UP_AFTER_MS; ; await delay(AGAIN_MS)) {
      await client.query(`begin; set local idle_in_transaction_session_timeout = ${BEGINNING_MS}`);
      isOurs = (await client.query(TRY)).rows[0].isOurs;
      if (isOurs) break;
      await client.query("rollback");
      if (performance.now() > until) break;
    }
    await begin(isOurs);
    if (isOurs) await client.query("rollback");
  } catch (error) {
    // With the connection the lock ends.
    isLost = true;
    throw error;
  } finally {
    client.off("error", onError);
    client.release(isLost);
  }
}
