import type { Database } from "../store/database.js";
import type { WriteTogether } from "../store/write-together.js";
import { type Ownership, type PlanOwner, readOwnership } from "./plan-owner.js";
import { endOf, forgetSight, isHeld, type JournalEnd, lastOf, silenceOf } from "./plan-rows.js";
import type { PlanUpdates } from "./plan-updates.js";
import type { PlanNow, Trouble } from "./port.js";

/** What other processes see of a plan without its journal. */
export interface PlanRow extends Ownership, JournalEnd {
  /** As its owner has written it last; undefined where that has seen nothing, or where nobody carries it out. */
  now: PlanNow | undefined;
}

/** What is seen at the moment of plans that are carried out, in the database. All methods throw StoreError. */
export interface PlanSights {
  /**
   * Writes down what is seen of these plans; of those that the owner does not carry out (any more) nothing is written.
   * @param sights by the plans' ids, with the epochs in which the owner has them
   * @param at epoch ms
   */
  writeSights(
    owner: PlanOwner,
    sights: ReadonlyMap<string, { now: PlanNow; epoch: number }>,
    at: number,
  ): Promise<void>;
  /** Undefined when there is no such plan. */
  readRow(planId: string): Promise<PlanRow | undefined>;
}

/** What a row has, as JSON. */
interface StoredSight {
  troubles: Trouble[];
  actions: Record<string, string>;
}

/** @param options.write as the plans themselves are written */
export function createPlanSights(options: {
  database: Database;
  upstream: string;
  write: WriteTogether;
  announce: PlanUpdates["announce"];
}): PlanSights {
  const { database: db, upstream, write, announce } = options;
  return {
    writeSights(owner, sights, at) {
      return write(async (trx) => {
        for (const [planId, { now, epoch }] of sights) {
          if (!(await isHeld(trx, planId, { ...owner, epoch }))) continue;
          await announce(trx, "seen", planId);
          const { troubles, actions } = now;
          if (troubles.length === 0 && actions.size === 0) {
            await forgetSight(trx, planId);
            continue;
          }
          const stored: StoredSight = { troubles: [...troubles], actions: Object.fromEntries(actions) };
          const row = { at, data: JSON.stringify(stored) };
          await trx
            .insertInto("plan_sights")
            .values({ plan_id: planId, ...row })
            .onConflict((is) => is.column("plan_id").doUpdateSet(row))
            .execute();
        }
      });
    },

    async readRow(planId) {
      const row = await db
        .selectFrom("plans")
        .leftJoin("plan_sights", "plan_sights.plan_id", "plans.plan_id")
        .select(["entries", "owner", "owner_seen", "epoch", "data", lastOf(db)])
        .$if(db.shared !== undefined, (is) => is.select(silenceOf(db)))
        .where("plans.plan_id", "=", planId)
        .where("upstream", "=", upstream)
        .executeTakeFirst();
      if (!row) return undefined;
      return {
        ...endOf(row),
        ...readOwnership(row),
        now: row.data === null ? undefined : readSight(row.data),
      };
    },
  };
}

function readSight(data: string): PlanNow {
  const { troubles, actions } = JSON.parse(data) as StoredSight;
  return { troubles, actions: new Map(Object.entries(actions)) };
}
