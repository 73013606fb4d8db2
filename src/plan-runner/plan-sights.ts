import type { Database, Transaction } from "../store/database.js";
import type { WriteTogether } from "../store/write-together.js";
import { type Ownership, type PlanOwner, readOwnership, textOf } from "./plan-owner.js";
import type { PlanNow, Trouble } from "./port.js";

/** What other processes see of a plan without its journal. */
export interface PlanRow extends Ownership {
  /** How many entries its journal has. */
  entries: number;
  /** As its owner has written it last; undefined where that has seen nothing, or where nobody carries it out. */
  now: PlanNow | undefined;
}

/** What is seen at the moment of plans that are carried out, in the database. All methods throw StoreError. */
export interface PlanSights {
  /**
   * Writes down what is seen of these plans; of those that the owner does not carry out (any more) nothing is written.
   * @param at epoch ms
   */
  writeSights(owner: PlanOwner, sights: ReadonlyMap<string, PlanNow>, at: number): Promise<void>;
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
}): PlanSights {
  const { database: db, upstream, write } = options;
  return {
    writeSights(owner, sights, at) {
      return write(async (trx) => {
        for (const [planId, { troubles, actions }] of sights) {
          const own = trx.selectFrom("plans").select("plan_id").where("plan_id", "=", planId);
          if (!(await own.where("owner", "=", textOf(owner)).executeTakeFirst())) continue;
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
        .select(["entries", "owner", "owner_seen", "data"])
        .where("plans.plan_id", "=", planId)
        .where("upstream", "=", upstream)
        .executeTakeFirst();
      if (!row) return undefined;
      return {
        entries: row.entries,
        ...readOwnership(row),
        now: row.data === null ? undefined : readSight(row.data),
      };
    },
  };
}

/** What was seen does not hold any more. */
export async function forgetSight(trx: Transaction, planId: string): Promise<void> {
  await trx.deleteFrom("plan_sights").where("plan_id", "=", planId).execute();
}

function readSight(data: string): PlanNow {
  const { troubles, actions } = JSON.parse(data) as StoredSight;
  return { troubles, actions: new Map(Object.entries(actions)) };
}
