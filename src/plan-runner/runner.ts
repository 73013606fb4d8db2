import { randomUUID } from "node:crypto";
import type { PlanChange, PlanStarted } from "../plans/machine/events.js";
import type { PlanState } from "../plans/machine/state.js";
import { whyNot } from "../plans/machine/why-not.js";
import { setBounded } from "../shared/bounded-map.js";
import { type Clock, sleep } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { isGone, ownIdentity } from "../shared/process-identity.js";
import { type DrivenPlan, drivePlan } from "./drive-plan.js";
import type { PlanJournal, PlanPlace } from "./journal.js";
import { findMovedWork } from "./moved-work.js";
import { PlanNameTaken } from "./name-taken.js";
import { createPlanCopy, type PlanCopy } from "./plan-copy.js";
import type { Ownership, PlanOwner } from "./plan-owner.js";
import type { PlanSummary } from "./plan-summary.js";
import type { PlanNow, PlanPort } from "./port.js";
import { createSightWriter } from "./sight-writer.js";
import { createSleepMeter } from "./sleep-meter.js";

/**
 * A plan as it stands, and what is seen of it at the moment: where another process carries it out, as that has last
 * written it, about a second ago; nothing where nobody carries it out.
 */
export interface PlanSight extends PlanNow {
  state: PlanState;
  place: PlanPlace;
}

/** Begins plans, lets people decide on them, and carries them out; any number of processes may have one each. */
export interface PlanRunner {
  /**
   * Writes a new plan down; it is carried out as soon as a process that carries out is there.
   * @throws PlanNameTaken when an open plan has its name, StoreError; nothing was begun then
   */
  begin(start: Omit<PlanStarted, "type" | "at">, place: PlanPlace): Promise<PlanState>;
  /**
   * A person's decision or change, from any process.
   * @returns the plan after it, or why it cannot be, worded for a person; undefined when there is no such plan
   * @throws StoreError when nothing has changed
   */
  tell(planId: string, change: PlanChange): Promise<{ state: PlanState; refused?: string } | undefined>;
  /** Undefined when there is no such plan. @throws StoreError */
  look(planId: string): Promise<PlanSight | undefined>;
  /** All plans of this API, newest first. @throws StoreError */
  list(): Promise<PlanSummary[]>;
  /** Plans that this process carries out. */
  driven(): string[];
  /**
   * How many plans have not ended that this process carries out or would, and whether anything of them is under way or to
   * be done, also by what other processes have written until now. @throws StoreError
   */
  lookAtWork(): Promise<{ open: number; isBusy: boolean }>;
  /** From now on this process carries out all plans that go on and that no other process carries out. */
  start(): void;
  /** Lets go of all plans; another process may carry them on. Runs go on. */
  close(graceMs?: number): Promise<void>;
}

/** How often the database is looked at for what other processes have added, in ms. */
const LOOK_MS = 500;
/** How often an owner says that it lives, in ms. */
const REFRESH_MS = 15_000;
/**
 * An owner of whom nothing else can be known (another machine or container on the same folder; a system that does not
 * tell when a process began) and that was silent for so long is gone, in ms: eight refreshes missed.
 */
const SILENT_MS = 120_000;
/** How often plans that ended long ago are looked for, in ms. */
const PRUNE_MS = 60 * 60_000;
/** What was sent gets its answer within this time, in ms, or is looked up by the next process. */
const GRACE_MS = 10_000;

/** Plans of others that are kept as they were read, so that a look reads only what has come since. */
const LOOKED_KEPT = 20;
const NOTHING_SEEN: PlanNow = { troubles: [], actions: new Map() };

/** @param options.portFor the world outside for one plan */
export function createPlanRunner(options: {
  journal: PlanJournal;
  portFor: (plan: { planId: string; place: PlanPlace }) => PlanPort;
  clock: Clock;
  log: Log;
}): PlanRunner {
  const { journal, portFor, clock, log } = options;
  const plans = new Map<string, DrivenPlan & { place: PlanPlace }>();
  const closing = new AbortController();
  const wake = { up: () => {} };
  const me = ownIdentity().then((own): PlanOwner => ({ ...own, instance: randomUUID() }));
  const sleeps = createSleepMeter(clock);
  const sights = createSightWriter({ sights: journal, owner: me, clock, log });
  const looked = new Map<string, PlanCopy & { place: PlanPlace }>();
  let loop: Promise<void> | undefined;

  /** What was told of this last, so that it is told once and not with every look. */
  const told = new Map<string, string>();
  function tellOnce(what: string, problem: string | undefined): void {
    if (problem === undefined) told.delete(what);
    else if (told.get(what) !== problem) log.warn(problem);
    if (problem !== undefined) told.set(what, problem);
  }

  async function goOn(): Promise<void> {
    const owner = await me;
    let refreshedAt = clock.elapsed();
    let prunedAt = Number.NEGATIVE_INFINITY;
    let slept = 0;
    while (!closing.signal.aborted) {
      try {
        // The journal gets it with whatever is written next; nobody is waited for meanwhile.
        if (sleeps.look() > slept)
          for (const plan of plans.values()) plan.happen({ type: "tick" }).catch(() => {});
        slept = sleeps.look();
        if (clock.elapsed() - refreshedAt >= REFRESH_MS) {
          await journal.refresh(owner, clock.now());
          refreshedAt = clock.elapsed();
        }
        await look(owner);
        tellOnce("all", undefined);
        if (clock.elapsed() - prunedAt >= PRUNE_MS) {
          prunedAt = clock.elapsed();
          await journal.prune();
        }
      } catch (error) {
        tellOnce("all", `The plans could not be read: ${(error as Error).message}`);
      }
      const woken = new AbortController();
      wake.up = () => woken.abort();
      await sleep(clock, LOOK_MS, AbortSignal.any([woken.signal, closing.signal]));
    }
  }

  async function look(owner: PlanOwner): Promise<void> {
    const open = await journal.listOpen(owner);
    for (const [planId, plan] of plans) {
      const row = open.find((one) => one.planId === planId);
      if (row && isSame(row.owner, owner)) {
        if (row.entries > plan.entries) await plan.catchUp();
      } else await letGo(planId);
    }
    for (const row of open) {
      if (closing.signal.aborted) return;
      if (plans.has(row.planId) || !(await isFree(row, owner))) continue;
      try {
        if (!(await journal.claim(row.planId, owner, row.owner, clock.now()))) continue;
        await drive(row.planId, owner);
        tellOnce(row.planId, undefined);
      } catch (error) {
        // The others go on all the same.
        tellOnce(row.planId, `A plan could not be carried on: ${(error as Error).message}`);
      }
    }
  }

  /** True when nobody carries it out, or surely nobody any more. */
  async function isFree({ owner: other, ownerSeen }: Ownership, own: PlanOwner): Promise<boolean> {
    if (!other || isSame(other, own)) return true;
    if (await isGone(other, own)) return true;
    const canTell = other.place === own.place && other.began !== "0";
    return !canTell && clock.now() - ownerSeen > SILENT_MS;
  }

  async function drive(planId: string, owner: PlanOwner): Promise<void> {
    const read = await journal.read(planId);
    if (!read || plans.has(planId)) return;
    const plan = drivePlan(read, {
      journal,
      owner,
      slept: sleeps.look,
      clock,
      log,
      port: portFor({ planId, place: read.place }),
      onSeen: (now) => plans.has(planId) && sights.note(planId, now),
      onLost: () => void letGo(planId),
      onOver: () => void release(planId),
    });
    plans.set(planId, Object.assign(plan, { place: read.place }));
    plan.begin();
  }

  /** @param graceMs left out when it is another process's */
  async function letGo(planId: string, graceMs?: number): Promise<void> {
    const plan = plans.get(planId);
    plans.delete(planId);
    sights.forget(planId);
    await plan?.stop(graceMs ?? 0, graceMs !== undefined);
  }

  /** @param graceMs what was sent is waited for: else the next process would look for what is still on its way */
  async function release(planId: string, graceMs = GRACE_MS): Promise<void> {
    await letGo(planId, graceMs);
    await journal
      .release(planId, await me)
      .catch((error: Error) => log.warn(`A plan was not given back: ${error.message}`));
  }

  async function sightOf(planId: string): Promise<PlanSight | undefined> {
    const own = plans.get(planId);
    if (own) {
      await own.catchUp();
      return { state: own.state, place: own.place, ...own.now };
    }
    const row = await journal.readRow(planId);
    const found = row && (await copyOf(planId, row.entries));
    if (!row || !found) return undefined;
    const now = row.owner && !(await isFree(row, await me)) ? row.now : undefined;
    return { state: found.state, place: found.place, ...(now ?? NOTHING_SEEN) };
  }

  /** @param entries how many its journal has at least */
  async function copyOf(
    planId: string,
    entries: number,
  ): Promise<(PlanCopy & { place: PlanPlace }) | undefined> {
    let copy = looked.get(planId);
    // With fewer it is another journal: an earlier copy of the database was put back.
    if (!copy || copy.entries > entries) {
      const read = await journal.read(planId);
      if (!read) return undefined;
      copy = Object.assign(createPlanCopy(read, { journal, clock }), { place: read.place });
    } else if (copy.entries < entries) await copy.catchUp();
    setBounded(looked, planId, copy, LOOKED_KEPT);
    return copy;
  }

  return {
    async begin(start, place) {
      const state = await journal.begin({ type: "plan-started", at: clock.now(), ...start }, place);
      wake.up();
      return state;
    },
    async tell(planId, change) {
      const own = plans.get(planId);
      const found = own ? undefined : await journal.read(planId);
      if (!own && !found) return undefined;
      const plan = own ?? createPlanCopy(found as NonNullable<typeof found>, { journal, clock });
      const place = own?.place ?? found?.place ?? {};
      const refused =
        (await whyNotDecided(plan, change, portFor({ planId, place }))) ??
        (await plan.happen(change).catch((error: Error) => {
          if (error instanceof PlanNameTaken) return error.message;
          throw error;
        }));
      wake.up();
      return { state: plan.state, ...(refused === undefined ? {} : { refused }) };
    },
    look: sightOf,
    list: () => journal.list(),
    driven: () => [...plans.keys()],
    async lookAtWork() {
      const owner = await me;
      let [open, isBusy] = [0, false];
      for (const row of await journal.listOpen(owner)) {
        const plan = plans.get(row.planId);
        if (!plan && !(await isFree(row, owner))) continue;
        open++;
        isBusy ||= !plan || plan.isAtWork || row.entries > plan.entries;
      }
      return { open, isBusy };
    },
    start() {
      loop ??= goOn();
    },
    async close(graceMs = GRACE_MS) {
      closing.abort();
      await loop;
      sights.close();
      await Promise.all([...plans.keys()].map((planId) => release(planId, graceMs)));
    },
  };
}

/**
 * Why a decision at a gate does not count: what was decided on is not there any more, or cannot be looked at. To stop a
 * plan nothing has to be looked at.
 */
async function whyNotDecided(
  plan: Pick<PlanCopy, "state" | "happen" | "catchUp">,
  change: PlanChange,
  port: PlanPort,
): Promise<string | undefined> {
  if (change.type !== "gate-decided" || change.decision === "stop") return undefined;
  await plan.catchUp();
  if (whyNot(plan.state, { ...change, at: plan.state.at })) return undefined;
  try {
    const moved = await findMovedWork(plan.state, change.step, port);
    if (moved.length === 0) return undefined;
    for (const { key, commit } of moved) await plan.happen({ type: "work-moved", key, commit });
    const branches = moved.map(({ branch }) => branch).join(", ");
    return `Somebody has committed to ${branches} since this was shown. Nothing was decided: look at step ${change.step} again and decide anew.`;
  } catch (error) {
    if ((error as Error).name !== "ApiError") throw error;
    return `Whether the work is still what was shown cannot be looked at now. Nothing was decided: try again in a while. ${(error as Error).message}`;
  }
}

function isSame(a: PlanOwner | undefined, b: PlanOwner): boolean {
  return a?.instance === b.instance && a.pid === b.pid && a.began === b.began && a.place === b.place;
}
