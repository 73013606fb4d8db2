import type { PlanState } from "../plans/machine/state.js";
import type { PlanJournal } from "./journal.js";
import { EarlierCopy, type PlanCopy } from "./plan-copy.js";
import type { PlanHolder } from "./plan-owner.js";
import type { StartNote } from "./port.js";

/**
 * What is begun outside, from the writing down of it to the doing. Mostly it is written together with what it follows
 * from; until it is done it can be taken back.
 */
export interface BegunActs {
  /** These were written down, by this process. */
  note(ids: ReadonlySet<string>): void;
  /** It is written down, and surely not done yet. */
  isOpen(id: string): boolean;
  /**
   * To be asked right before it is done.
   * @returns true when it is written down, the plan is this process's, and wants it as it stands now
   * @throws StoreError; Error when it was begun before, and may have been done
   */
  mayDo(id: string, note: () => StartNote): Promise<boolean>;
  /**
   * To be asked right before anything else is done outside.
   * @returns true when the plan is this process's
   * @throws StoreError
   */
  isOurs(): Promise<boolean>;
  /** It is being done: from now on only its outcome tells what has become of it. */
  done(id: string): void;
  /** It was done, and it is certain that nothing has come of it. @throws StoreError */
  forget(id: string): Promise<void>;
  /** Takes it back if it is open. @throws StoreError */
  takeBack(id: string): Promise<void>;
  /** Takes back all that is open. @throws StoreError */
  takeAllBack(): Promise<void>;
}

/** @param options.onLost called when the plan turns out to be another process's */
export function createBegunActs(options: {
  copy: () => PlanCopy;
  journal: Pick<PlanJournal, "check" | "forgetAct" | "isShared">;
  planId: string;
  owner: PlanHolder;
  isWanted: (id: string, state: PlanState) => boolean;
  onLost: () => void;
}): BegunActs {
  const { copy, journal, planId, owner, isWanted, onLost } = options;
  const open = new Set<string>();

  function lose(): void {
    // It is the other one's to find out what has become of these.
    open.clear();
    onLost();
  }

  async function begin(id: string, note: StartNote): Promise<boolean> {
    const done = await copy().beginAct({ id, note }, (state) => isWanted(id, state));
    if (done === "known") throw new Error("It was begun before.");
    if (done === "lost") lose();
    return done === "begun";
  }

  async function forget(id: string): Promise<void> {
    if (!(await journal.forgetAct(planId, id, owner))) lose();
    open.delete(id);
  }

  async function takeBack(id: string): Promise<void> {
    if (open.has(id)) await forget(id);
  }

  return {
    note(ids) {
      for (const id of ids) open.add(id);
    },
    isOpen: (id) => open.has(id),
    async mayDo(id, note) {
      if (!open.has(id)) {
        const isBegun = await begin(id, note());
        // Another machine may have taken the plan over since that was written.
        if (!isBegun || !journal.isShared) return isBegun;
      }
      for (;;) {
        if (!isWanted(id, copy().state)) return false;
        const { entries, last } = copy();
        const now = await journal.check(planId, { entries, last }, owner);
        if (now === "current") return isWanted(id, copy().state);
        if (now === "lost") {
          lose();
          return false;
        }
        await copy().catchUp();
        if (copy().entries === entries) throw new EarlierCopy();
      }
    },
    async isOurs() {
      const { entries, last } = copy();
      if ((await journal.check(planId, { entries, last }, owner)) !== "lost") return true;
      lose();
      return false;
    },
    done: (id) => void open.delete(id),
    forget,
    takeBack,
    async takeAllBack() {
      for (const id of [...open]) await takeBack(id);
    },
  };
}
