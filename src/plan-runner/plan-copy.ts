import { apply } from "../plans/machine/apply.js";
import type { PlanChange, PlanEvent } from "../plans/machine/events.js";
import type { PlanState } from "../plans/machine/state.js";
import { whyNot, whyNotNow } from "../plans/machine/why-not.js";
import type { Clock } from "../shared/clock.js";
import { createKeyedMutex } from "../shared/keyed-mutex.js";
import { StoreError } from "../store/store-error.js";
import type { JournalledPlan, PlanAct, PlanJournal } from "./journal.js";
import { PlanNameTaken } from "./name-taken.js";
import type { PlanHolder } from "./plan-owner.js";
import type { JournalEnd } from "./plan-rows.js";

/** A plan as this process knows it; others may add to it at any time. */
export interface PlanCopy extends Readonly<JournalEnd> {
  readonly state: PlanState;
  /**
   * Lets something happen: written down first, on the newest state. What comes while that is being done is written
   * together.
   * @returns why it cannot happen, worded for a person; undefined when it has
   * @throws StoreError when it could not be written, and has not happened
   */
  happen(change: PlanChange): Promise<string | undefined>;
  /** Takes in what others have added. @throws EarlierCopy when it does not follow on what is known; StoreError */
  catchUp(): Promise<void>;
  /** Resolves when what is being written now has its answer. Never rejects. */
  settled(): Promise<void>;
  /**
   * Notes that something is begun, if it is still wanted by the newest state.
   * @returns `unwanted`, or `lost` when the plan is not this owner's: nothing may be done then; `known` when it was
   * begun before
   * @throws StoreError
   */
  beginAct(
    act: PlanAct,
    isWanted: (state: PlanState) => boolean,
  ): Promise<"begun" | "known" | "unwanted" | "lost">;
}

/** What a process carries out with its copy. */
export interface CopyOwner {
  owner: PlanHolder;
  /** What follows from a change and is begun as soon as that is written, in the same write. */
  actsOf(before: PlanState, after: PlanState): readonly PlanAct[];
  /** How long the machine has slept in all, in ms: that goes into the journal before what comes after it. */
  slept(): number;
  /** Told which of these it was. */
  onBegun(ids: ReadonlySet<string>): void;
}

type Asked = { fail: (error: Error) => void } & (
  | { change: PlanChange; answer: (refused: string | undefined) => void }
  | {
      act: PlanAct;
      isWanted: (state: PlanState) => boolean;
      answer: (outcome: "begun" | "known" | "unwanted" | "lost") => void;
    }
);

/**
 * @param options.onChange called after every change of the state, whoever has made it
 * @param options.carrier left out where the plan is not carried out with this copy
 */
export function createPlanCopy(
  read: JournalledPlan,
  options: { journal: PlanJournal; clock: Pick<Clock, "now">; onChange?: () => void; carrier?: CopyOwner },
): PlanCopy {
  const { journal, clock, onChange = () => {}, carrier } = options;
  const turns = createKeyedMutex();
  let { state, entries, last } = read;
  const { planId } = state;
  let waiting: Asked[] = [];
  /** Of the machine's sleep what the journal has already. */
  let sleepNoted = carrier?.slept() ?? 0;

  async function catchUp(): Promise<void> {
    // With the newest that is known, to see that it is still the same.
    const found = await journal.readSince(planId, Math.max(0, entries - 1));
    const added = entries === 0 ? found : found.slice(1);
    if (entries > 0 && found[0] && found[0].mark !== last) throw new EarlierCopy();
    if (added.length === 0) return;
    for (const { event } of added) state = apply(state, event);
    entries += added.length;
    last = added.at(-1)?.mark;
    onChange();
  }

  function ask(asked: Asked): void {
    waiting.push(asked);
    if (waiting.length === 1) void turns.run("", workOff);
  }

  /** Has all that waits written in one go. Never rejects. */
  async function workOff(): Promise<void> {
    const batch = waiting;
    waiting = [];
    try {
      await carryOut(batch);
    } catch (error) {
      for (const { fail } of batch) fail(error as Error);
    }
  }

  async function carryOut(batch: readonly Asked[]): Promise<void> {
    for (let isOurs = carrier !== undefined; ; ) {
      const decided = decide(batch, isOurs);
      const { events, next, acts, hasRefused, slept } = decided;
      // Others may have made possible meanwhile what cannot be.
      if (hasRefused) {
        const before = entries;
        await catchUp();
        if (entries !== before) continue;
      }
      let begun: ReadonlySet<string> = new Set();
      if (events.length > 0 || acts.length > 0) {
        const write = { entries, last, events, next, acts, owner: carrier?.owner, now: clock.now() };
        const written = await journal.write(planId, write);
        if (written === "behind") {
          await catchUp();
          if (entries === write.entries) throw new EarlierCopy();
          continue;
        }
        if (written === "name-taken")
          throw new PlanNameTaken(
            "Another plan of this name has begun since this one ended. Nothing was changed. This one can go on when that one has ended.",
          );
        if (written === "lost") {
          if (acts.length === 0) throw new PlanGone();
          isOurs = false;
          continue;
        }
        begun = written;
        state = next;
        entries += events.length;
        const newest = events.at(-1);
        if (newest) last = journal.markOf(newest);
      }
      sleepNoted = slept;
      carrier?.onBegun(begun);
      if (events.length > 0) onChange();
      decided.answer(begun);
      return;
    }
  }

  /** What becomes of it on the state as it is known, one after the other. */
  function decide(batch: readonly Asked[], isOurs: boolean) {
    const events: PlanEvent[] = [];
    const acts: PlanAct[] = [];
    const answers: ((begun: ReadonlySet<string>) => void)[] = [];
    let next = state;
    let hasRefused = false;
    const slept = carrier?.slept() ?? 0;
    const sleep: PlanEvent = { type: "slept", ms: slept - sleepNoted, at: clock.now() };
    if (sleep.ms > 0 && whyNot(next, sleep) === undefined) {
      next = apply(next, sleep);
      events.push(sleep);
    }
    for (const asked of batch) {
      if ("change" in asked) {
        const event = { ...asked.change, at: clock.now() };
        const why = whyNotNow(next, event);
        answers.push(() => asked.answer(why));
        if (why !== undefined) hasRefused = true;
        else {
          next = apply(next, event);
          events.push(event);
        }
      } else if (!asked.isWanted(next)) answers.push(() => asked.answer("unwanted"));
      else if (!isOurs) answers.push(() => asked.answer("lost"));
      else {
        acts.push(asked.act);
        answers.push((begun) => asked.answer(begun.has(asked.act.id) ? "begun" : "known"));
      }
    }
    if (isOurs && carrier && events.length > 0) acts.push(...carrier.actsOf(state, next));
    const answer = (begun: ReadonlySet<string>) => {
      for (const one of answers) one(begun);
    };
    return { events, next, acts, hasRefused, slept, answer };
  }

  return {
    get state() {
      return state;
    },
    get entries() {
      return entries;
    },
    get last() {
      return last;
    },
    happen: (change) => new Promise((answer, fail) => ask({ change, answer, fail })),
    catchUp: () => turns.run("", catchUp),
    settled: () => turns.run("", async () => {}),
    beginAct: (act, isWanted) => new Promise((answer, fail) => ask({ act, isWanted, answer, fail })),
  };
}

/**
 * Takes in what others have added.
 * @returns false where that does not follow on what is known: it is the journal of an earlier copy of the database
 * @throws StoreError
 */
export function isCaughtUp(copy: Pick<PlanCopy, "catchUp">): Promise<boolean> {
  return copy.catchUp().then(
    () => true,
    (error) => {
      if (error instanceof EarlierCopy) return false;
      throw error;
    },
  );
}

/** The plan was removed from the database while it was worked on. */
export class PlanGone extends Error {
  override name = "PlanGone";
  constructor() {
    super("The plan is not there any more. Nothing was changed.");
  }
}

/** The database has not got of the plan what is known here, or says that there is more, and there is not. */
export class EarlierCopy extends StoreError {
  override name = "EarlierCopy";
  constructor() {
    super(
      "The database has not all of this plan that was written: an earlier copy was put in its place. Nothing was changed.",
    );
  }
}
