import type { PlanState } from "../plans/machine/state.js";
import type { PlanJournal } from "./journal.js";
import type { PlanCopy } from "./plan-copy.js";
import type { PlanOwner } from "./plan-owner.js";
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
  /** It is being done: from now on only its outcome tells what has become of it. */
  done(id: string): void;
  /** Takes it back if it is open. @throws StoreError */
  takeBack(id: string): Promise<void>;
  /** Takes back all that is open. @throws StoreError */
  takeAllBack(): Promise<void>;
}

/** @param options.onLost called when the plan turns out to be another process's */
export function createBegunActs(options: {
  copy: () => PlanCopy;
  journal: Pick<PlanJournal, "check" | "forgetAct">;
  planId: string;
  owner: PlanOwner;
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

  async function takeBack(id: string): Promise<void> {
    if (!open.has(id)) return;
    await journal.forgetAct(planId, id);
    open.delete(id);
  }

  return {
    note(ids) {
      for (const id of ids) open.add(id);
    },
    isOpen: (id) => open.has(id),
    async mayDo(id, note) {
      if (!open.has(id)) return begin(id, note());
      for (;;) {
        if (!isWanted(id, copy().state)) return false;
        const now = await journal.check(planId, copy().entries, owner);
        if (now === "current") return isWanted(id, copy().state);
        if (now === "lost") {
          lose();
          return false;
        }
        await copy().catchUp();
      }
    },
    done: (id) => void open.delete(id),
    takeBack,
    async takeAllBack() {
      for (const id of [...open]) await takeBack(id);
    },
  };
}
