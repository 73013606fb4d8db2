import { randomUUID } from "node:crypto";
import type { PlanChange, PlanStarted } from "../plans/machine/events.js";
import type { PlanState } from "../plans/machine/state.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { CarrierContext, PlanTies } from "./carrier.js";
import { createDbosCarrier } from "./dbos/dbos-carrier.js";
import { type DrivenPlan, drivePlan } from "./drive-plan.js";
import { createFolderCarrier } from "./folder-carrier.js";
import { createHeardUpdates } from "./heard-updates.js";
import type { PlanJournal } from "./journal.js";
import { PlanNameTaken } from "./name-taken.js";
import { createPlanCopy, isCaughtUp, type PlanCopy } from "./plan-copy.js";
import { identifyOwner, isFree, type Ownership, type PlanOwner } from "./plan-owner.js";
import type { PlanPlace } from "./plan-place.js";
import { isSameEnd, type JournalEnd } from "./plan-rows.js";
import type { PlanSummary } from "./plan-summary.js";
import type { PlanNow, PlanPort } from "./port.js";
import { createSightWriter } from "./sight-writer.js";
import { createSleepMeter } from "./sleep-meter.js";
import { whyNotDecided } from "./why-not-decided.js";

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
  /**
   * Tells that another process has changed a plan, or what it sees of it, where the database tells that at once; the
   * answer takes the listener off.
   * @param listener must not throw; without an id it may be any plan
   */
  onUpdate(listener: (planId?: string) => void): () => void;
  /** Whether there are open plans that nobody carries out, or a process of this machine. @throws StoreError */
  isCarrierWanted(): Promise<boolean>;
  /** From now on this process carries out all plans that go on and that no other process carries out. */
  start(): void;
  /** Lets go of all plans; another process may carry them on. Runs go on. */
  close(graceMs?: number): Promise<void>;
}

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
  const plans = new Map<
    string,
    DrivenPlan & { place: PlanPlace; epoch: number; ties: PlanTies | undefined }
  >();
  const me = identifyOwner(randomUUID(), journal.isShared);
  const mayTake = (row: Ownership, own: PlanOwner) =>
    isFree(row, own, { now: clock.now(), times: journal.times });
  const updates = createHeardUpdates(journal);
  const sleeps = createSleepMeter(clock);
  const sights = createSightWriter({ sights: journal, owner: me, clock, log });
  const looked = new Map<string, PlanCopy & { place: PlanPlace }>();

  /** What was told of this last, so that it is told once and not with every look. */
  const told = new Map<string, string>();
  function tellOnce(what: string, problem: string | undefined): void {
    if (problem === undefined) told.delete(what);
    else if (told.get(what) !== problem) log.warn(problem);
    if (problem !== undefined) told.set(what, problem);
  }

  const context: CarrierContext = {
    ...{ journal, owner: me, clock, log, plans, drive, letGo, release, tellOnce },
    mayTake: async (row) => mayTake(row, await me),
    slept: sleeps.look,
  };
  const { shifts } = journal;
  const carrier = shifts ? createDbosCarrier(context, shifts) : createFolderCarrier(context);

  async function drive(planId: string, epoch: number, ties?: PlanTies): Promise<void> {
    const owner = await me;
    const read = await journal.read(planId);
    if (!read || plans.has(planId)) return;
    const port = portFor({ planId, place: read.place });
    const plan = drivePlan(read, {
      journal,
      owner: { ...owner, epoch },
      slept: sleeps.look,
      clock,
      log,
      port: ties?.port(port) ?? port,
      onSeen: (now) => plans.has(planId) && sights.note(planId, now, epoch),
      onLost: () => void letGo(planId),
      onOver: () => void release(planId),
    });
    plans.set(planId, Object.assign(plan, { place: read.place, epoch, ties }));
    plan.begin();
  }

  /** @param graceMs left out when it is another process's */
  async function detach(planId: string, graceMs?: number): Promise<PlanTies | undefined> {
    const plan = plans.get(planId);
    plans.delete(planId);
    sights.forget(planId);
    await plan?.stop(graceMs ?? 0, graceMs !== undefined);
    return plan?.ties;
  }

  async function letGo(planId: string): Promise<void> {
    (await detach(planId))?.onGone();
  }

  /** @param graceMs what was sent is waited for: else the next process would look for what is still on its way */
  async function release(planId: string, graceMs = GRACE_MS): Promise<void> {
    const { epoch } = plans.get(planId) ?? {};
    const ties = await detach(planId, graceMs);
    if (epoch === undefined) return;
    await journal
      .release(planId, { ...(await me), epoch })
      .catch((error: Error) => log.warn(`A plan was not given back: ${error.message}`));
    ties?.onGone();
  }

  async function sightOf(planId: string): Promise<PlanSight | undefined> {
    const own = plans.get(planId);
    if (own && (await isCaughtUp(own))) return { state: own.state, place: own.place, ...own.now };
    const row = await journal.readRow(planId);
    const found = row && (await copyOf(planId, row));
    if (!row || !found) return undefined;
    const now = row.owner && !(await mayTake(row, await me)) ? row.now : undefined;
    return { state: found.state, place: found.place, ...(now ?? NOTHING_SEEN) };
  }

  /** @param end how far its journal goes at least */
  async function copyOf(
    planId: string,
    end: JournalEnd,
  ): Promise<(PlanCopy & { place: PlanPlace }) | undefined> {
    let copy = looked.get(planId);
    const isThat = copy && (copy.entries < end.entries ? await isCaughtUp(copy) : isSameEnd(copy, end));
    if (!copy || !isThat) {
      const read = await journal.read(planId);
      if (!read) return undefined;
      copy = Object.assign(createPlanCopy(read, { journal, clock }), { place: read.place });
    }
    setBounded(looked, planId, copy, LOOKED_KEPT);
    return copy;
  }

  return {
    async begin(start, place) {
      const state = await journal.begin({ type: "plan-started", at: clock.now(), ...start }, place);
      carrier.wake();
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
      carrier.wake();
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
        if (!plan && !(await mayTake(row, owner))) continue;
        open++;
        isBusy ||= !plan || plan.isAtWork || row.entries > plan.entries;
      }
      return { open, isBusy };
    },
    onUpdate: (listener) => updates.on((_, planId) => listener(planId)),
    async isCarrierWanted() {
      const own = await me;
      const rows = await journal.listOpen(own);
      const isHere = ({ owner }: Ownership) => owner?.place === own.place && owner.boot === own.boot;
      const wanted = rows.map(async (row) => isHere(row) || (await mayTake(row, own)));
      return (await Promise.all(wanted)).includes(true);
    },
    start: carrier.start,
    async close(graceMs = GRACE_MS) {
      await carrier.stop();
      sights.close();
      await Promise.all([...plans.keys()].map((planId) => release(planId, graceMs)));
      await carrier.close();
    },
  };
}
