import { apply } from "../plans/machine/apply.js";
import type { PlanChange } from "../plans/machine/events.js";
import type { PlanState } from "../plans/machine/state.js";
import { whyNot } from "../plans/machine/why-not.js";
import type { Clock } from "../shared/clock.js";
import { createKeyedMutex } from "../shared/keyed-mutex.js";
import type { JournalledPlan, PlanJournal } from "./journal.js";
import type { PlanOwner } from "./plan-owner.js";
import type { StartNote } from "./port.js";

/** A plan as this process knows it; others may add to it at any time. */
export interface PlanCopy {
  readonly state: PlanState;
  readonly entries: number;
  /**
   * Lets something happen: written down first, on the newest state.
   * @returns why it cannot happen, worded for a person; undefined when it has
   * @throws StoreError when it could not be written, and has not happened
   */
  happen(change: PlanChange): Promise<string | undefined>;
  /** Takes in what others have added. @throws StoreError */
  catchUp(): Promise<void>;
  /**
   * Notes that something is begun, if it is still wanted by the newest state.
   * @returns `unwanted`, or `lost` when the plan is not this owner's: nothing may be done then
   * @throws StoreError
   */
  beginAct(
    id: string,
    how: { owner: PlanOwner; note: StartNote; isWanted: (state: PlanState) => boolean },
  ): Promise<"begun" | "unwanted" | "lost">;
}

/** @param onChange called after every change of the state, whoever has made it */
export function createPlanCopy(
  read: JournalledPlan,
  options: { journal: PlanJournal; clock: Pick<Clock, "now">; onChange?: () => void },
): PlanCopy {
  const { journal, clock, onChange = () => {} } = options;
  const turns = createKeyedMutex();
  let { state, entries } = read;
  const { planId } = state;

  async function catchUp(): Promise<void> {
    const added = await journal.readSince(planId, entries);
    if (added.length === 0) return;
    for (const event of added) state = apply(state, event);
    entries += added.length;
    onChange();
  }

  return {
    get state() {
      return state;
    },
    get entries() {
      return entries;
    },
    happen: (change) =>
      turns.run("", async () => {
        for (;;) {
          const event = { ...change, at: clock.now() };
          const why = whyNot(state, event);
          // Others may have made it possible meanwhile.
          if (why !== undefined) {
            const before = entries;
            await catchUp();
            if (entries === before) return why;
            continue;
          }
          const next = apply(state, event);
          if (await journal.append(planId, entries, event, next)) {
            state = next;
            entries++;
            onChange();
            return undefined;
          }
          await catchUp();
        }
      }),
    catchUp: () => turns.run("", catchUp),
    beginAct: (id, { owner, note, isWanted }) =>
      turns.run("", async () => {
        for (;;) {
          if (!isWanted(state)) return "unwanted";
          const done = await journal.beginAct(planId, id, { entries, owner, note, now: clock.now() });
          if (done !== "behind") return done;
          await catchUp();
        }
      }),
  };
}
