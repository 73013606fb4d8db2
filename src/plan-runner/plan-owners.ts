import { setTimeout as delay } from "node:timers/promises";
import type { PlanStatus } from "../plans/machine/plan-status.js";
import type { Database, Transaction } from "../store/database.js";
import type { WriteTogether } from "../store/write-together.js";
import type { DbosShifts } from "./dbos/dbos-shifts.js";
import {
  FOLDER_TIMES,
  type Ownership,
  type OwnerTimes,
  type PlanHolder,
  type PlanOwner,
  readOwnership,
  SHARED_TIMES,
  textOf,
} from "./plan-owner.js";
import { endOf, forgetSight, isHeld, isSameEnd, type JournalEnd, lastOf, silenceOf } from "./plan-rows.js";
import { FINAL } from "./plan-summary.js";
import type { PlanUpdates } from "./plan-updates.js";

/** A plan that may have to be carried on. */
export interface OpenPlan extends Ownership, JournalEnd {
  planId: string;
}

/** Who carries plans out, in the database. All methods throw StoreError. */
export interface PlanOwners {
  readonly times: OwnerTimes;
  /** Whether owners are on several machines. */
  readonly isShared: boolean;
  /** Plans that have not ended, and those of this owner. */
  listOpen(owner: PlanOwner): Promise<OpenPlan[]>;
  /**
   * Takes a plan on: nobody else carries it out then.
   * @param former its owner so far, who is known to have ended; where `ownerSeen` is given, he was not seen since
   * @param now epoch ms; a shared database has a clock of its own
   * @returns the plan's epoch from now on; undefined when somebody else was first, or its owner lives
   */
  claim(
    planId: string,
    owner: PlanOwner,
    former: (PlanHolder & { ownerSeen?: number }) | undefined,
    now: number,
  ): Promise<number | undefined>;
  /**
   * Takes a plan on whose shift has begun (dbos/dbos-shifts.ts): nobody else carries it out then.
   * @param after its epoch before the shift
   * @returns its epoch from now on; undefined when it is or was somebody else's
   */
  takeOn(planId: string, owner: PlanOwner, after: number): Promise<number | undefined>;
  /**
   * Takes a plan away from an owner who is known to have ended, or was not seen since, and has it carried on.
   * @returns false when he lives, or somebody else was first
   */
  setFree(planId: string, former: PlanHolder & { ownerSeen: number }): Promise<boolean>;
  /**
   * Has a plan carried on that nobody carries out.
   * @param isStuck nothing comes of the shift that was offered: another one is
   */
  offerAgain(planId: string, epoch: number, isStuck: boolean): Promise<void>;
  /** Says that the owner lives. */
  refresh(owner: PlanOwner, now: number): Promise<void>;
  /** Lets go of a plan, which is carried on by another one, and of what was seen of it. Nothing happens when it is another one's. */
  release(planId: string, owner: PlanHolder): Promise<void>;
  /** Whether somebody else has taken the plan on since this owner had it, also where it has let go of it meanwhile. */
  isReplaced(planId: string, epoch: number): Promise<boolean>;
  /**
   * Whether a plan is still as it was read, and this owner's, and stays that for the next seconds whatever happens to
   * this process.
   * @param read how far it was read
   */
  check(planId: string, read: JournalEnd, owner: PlanHolder): Promise<"current" | "behind" | "lost">;
}

const NOBODY = { owner: null, owner_seen: null };
/** What an owner is sure of when it begins something outside: nobody takes the plan over for so long, in ms. */
const SURE_PART = 0.5;
/** Another process is changing the plan; it is looked at again after so long, in ms. */
const AGAIN_MS = 50;

/** @param options.write as the plans themselves are written */
export function createPlanOwners(options: {
  database: Database;
  upstream: string;
  write: WriteTogether;
  announce: PlanUpdates["announce"];
  shifts: DbosShifts | undefined;
  times?: OwnerTimes | undefined;
}): PlanOwners {
  const { database: db, upstream, write, announce, shifts } = options;
  const { shared } = db;
  const silence = silenceOf(db);
  const last = lastOf(db);
  const times = options.times ?? (shared ? SHARED_TIMES : FOLDER_TIMES);

  async function refresh(owner: PlanOwner, now: number): Promise<void> {
    if (!shared) {
      await write(async (trx) => {
        await trx.updateTable("plans").set({ owner_seen: now }).where("owner", "=", textOf(owner)).execute();
      });
      return;
    }
    // It waits for no change of others, nor for one that a stopped process is in the middle of.
    const own = db.selectFrom("plans").select("plan_id").where("owner", "=", textOf(owner));
    await db
      .updateTable("plans")
      .set({ owner_seen: shared.now })
      .where("plan_id", "in", own.forUpdate().skipLocked())
      .execute();
  }

  /** Has a plan carried on that is nobody's any more, if there is something to be done. */
  async function goOn(
    trx: Transaction,
    planId: string,
    { status, epoch }: { status: string; epoch: number },
  ): Promise<void> {
    if (!FINAL.includes(status as PlanStatus)) await shifts?.offer(trx, planId, epoch);
  }

  return {
    times,
    isShared: shared !== undefined,
    refresh,

    async listOpen(owner) {
      const query = db
        .selectFrom("plans")
        .select(["plan_id", "entries", "owner", "owner_seen", "epoch", last])
        .$if(shared !== undefined, (is) => is.select(silence))
        .where("upstream", "=", upstream)
        .where((is) => is.or([is("status", "not in", FINAL), is("owner", "=", textOf(owner))]));
      return (await query.orderBy("created_at").execute()).map((row) => ({
        planId: row.plan_id,
        ...endOf(row),
        ...readOwnership(row),
      }));
    },

    claim(planId, owner, former, now) {
      return write(async (trx) => {
        const claimed = await trx
          .updateTable("plans")
          .set((is) => ({
            owner: textOf(owner),
            owner_seen: shared?.now ?? now,
            epoch: is("epoch", "+", 1),
          }))
          .where("plan_id", "=", planId)
          .where((is) =>
            former
              ? is.and([
                  is("owner", "=", textOf(former)),
                  is("epoch", "=", former.epoch),
                  ...(former.ownerSeen === undefined ? [] : [is("owner_seen", "=", former.ownerSeen)]),
                ])
              : is("owner", "is", null),
          )
          .returning("epoch")
          .executeTakeFirst();
        // What the former owner has seen is old.
        if (claimed) await forgetSight(trx, planId);
        return claimed?.epoch;
      });
    },

    takeOn(planId, owner, after) {
      return write(async (trx) => {
        const taken = await trx
          .updateTable("plans")
          .set({ owner: textOf(owner), owner_seen: shared?.now ?? 0, epoch: after + 1 })
          .where("plan_id", "=", planId)
          .where("owner", "is", null)
          .where("epoch", "=", after)
          .returning("epoch")
          .executeTakeFirst();
        return taken?.epoch;
      });
    },

    async setFree(planId, former) {
      await shifts?.ready();
      return write(async (trx) => {
        const row = await trx
          .updateTable("plans")
          .set(NOBODY)
          .where("plan_id", "=", planId)
          .where("owner", "=", textOf(former))
          .where("epoch", "=", former.epoch)
          .where("owner_seen", "=", former.ownerSeen)
          .returning(["status", "epoch"])
          .executeTakeFirst();
        if (!row) return false;
        await forgetSight(trx, planId);
        await goOn(trx, planId, row);
        return true;
      });
    },

    async offerAgain(planId, epoch, isStuck) {
      await shifts?.ready();
      await write(async (trx) => {
        const row = await trx
          .updateTable("plans")
          .set({ epoch: isStuck ? epoch + 1 : epoch })
          .where("plan_id", "=", planId)
          .where("owner", "is", null)
          .where("epoch", "=", epoch)
          .where("status", "not in", FINAL)
          .returning("epoch")
          .executeTakeFirst();
        if (row) await shifts?.insist(trx, planId, row.epoch);
      });
    },

    async release(planId, owner) {
      await shifts?.ready();
      await write(async (trx) => {
        if (!(await isHeld(trx, planId, owner))) return;
        const row = await trx
          .updateTable("plans")
          .set(NOBODY)
          .where("plan_id", "=", planId)
          .returning(["status", "epoch"])
          .executeTakeFirstOrThrow();
        await forgetSight(trx, planId);
        await announce(trx, "free", planId);
        await goOn(trx, planId, row);
      });
    },

    async isReplaced(planId, epoch) {
      const row = await db
        .selectFrom("plans")
        .select("epoch")
        .where("plan_id", "=", planId)
        .executeTakeFirst();
      return row?.epoch !== epoch;
    },

    async check(planId, read, owner) {
      for (;;) {
        const askedAt = [performance.now(), Date.now()] as const;
        const row = await db
          .selectFrom("plans")
          .select(["entries", "owner", "owner_seen", "epoch", last])
          .$if(shared !== undefined, (is) => is.select(silence))
          .where("plan_id", "=", planId)
          .executeTakeFirst();
        if (!row || row.owner !== textOf(owner) || row.epoch !== owner.epoch) return "lost";
        const tookMs = Math.max(performance.now() - askedAt[0], Date.now() - askedAt[1]);
        const { silentMs } = readOwnership(row);
        if (silentMs === undefined || silentMs + tookMs < times.silentMs * SURE_PART)
          return isSameEnd(endOf(row), read) ? "current" : "behind";
        await refresh(owner, 0);
        await delay(AGAIN_MS, undefined, { ref: false });
      }
    },
  };
}
