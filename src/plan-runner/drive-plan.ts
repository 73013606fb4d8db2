import { commandsOf, type PlanCommand } from "../plans/machine/commands.js";
import type { PlanChange } from "../plans/machine/events.js";
import type { PlanState } from "../plans/machine/state.js";
import { type Pauses, pauseAfter } from "../shared/backoff.js";
import { type Clock, sleep } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { StoreError } from "../store/store-error.js";
import { createBegunActs } from "./begun-acts.js";
import { createCarryOut, noteOfMerge } from "./carry-out.js";
import type { NotNow } from "./command-context.js";
import { guardPort } from "./guarded-port.js";
import type { JournalledPlan, PlanAct, PlanJournal } from "./journal.js";
import { createPlanCopy, type PlanCopy } from "./plan-copy.js";
import type { PlanHolder } from "./plan-owner.js";
import { isOver } from "./plan-summary.js";
import type { PlanNow, PlanPort } from "./port.js";
import { createWatchedNow } from "./watched-now.js";

/** A plan that this process carries out. */
export interface DrivenPlan extends Pick<PlanCopy, "state" | "entries" | "last" | "happen" | "catchUp"> {
  /** What is seen of it at the moment. */
  readonly now: PlanNow;
  /** Something is being done outside, or waited for there: more than a person's decision. */
  readonly isAtWork: boolean;
  /** Begins what is to be done as the plan stands. */
  begin(): void;
  /**
   * Nothing more is begun; resolves when what was sent has its answer, or after `graceMs`. Runs go on.
   * @param isOurs false when another process has the plan
   */
  stop(graceMs: number, isOurs: boolean): Promise<void>;
}

/** Before something that has failed is tried again. */
const PAUSES: Pauses = { firstMs: 1_000, longestMs: 60_000 };

/**
 * Carries a plan out: what its state asks for is begun, each thing once, and what comes of it is written down as events,
 * from which the next follows. Whatever fails outside is tried again or becomes an event; it never ends this.
 * @param options.slept how long the machine has slept in all, in ms
 * @param options.onSeen called with what is seen of it, often with the same
 * @param options.onLost the plan is another process's now; nothing more is done here
 * @param options.onOver nothing is to be done any more
 */
export function drivePlan(
  plan: JournalledPlan,
  options: {
    journal: PlanJournal;
    port: PlanPort;
    owner: PlanHolder;
    slept: () => number;
    clock: Clock;
    log: Log;
    onSeen: (now: PlanNow) => void;
    onLost: () => void;
    onOver: () => void;
  },
): DrivenPlan {
  const { journal, port, owner, slept, clock, log, onSeen, onLost, onOver } = options;
  const { planId } = plan.state;
  const isWanted = (id: string, state = copy.state) => commandsOf(state).some((command) => command.id === id);
  const begun = createBegunActs({ copy: () => copy, journal, planId, owner, isWanted, onLost });
  const copy = createPlanCopy(plan, {
    ...{ journal, clock },
    onChange: () => isDriven && next(),
    carrier: { owner, actsOf, slept, onBegun: begun.note },
  });
  /** What was begun here, by the ids of its commands, until it is not wanted any more. */
  const acts = new Map<string, { abort: AbortController; isDone: boolean }>();
  const watched = createWatchedNow({ clock, onChange: publish });
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  const handle = createCarryOut({
    ...{ copy, journal, clock, log, begun, watched, tell },
    port: guardPort(port, begun.isOurs),
    isWanted: (id) => isWanted(id),
    stopping: stopping.signal,
  });
  let isDriven = false;

  const isReplaced = journal.isShared ? () => journal.isReplaced(planId, owner.epoch) : undefined;

  /** What is sent once, and follows from a change: it is begun in the same write. */
  function actsOf(before: PlanState, after: PlanState): PlanAct[] {
    if (!isDriven || stopping.signal.aborted) return [];
    const known = new Set(commandsOf(before).map(({ id }) => id));
    return commandsOf(after).flatMap((command) => {
      if (known.has(command.id)) return [];
      if (command.type === "start") return [{ id: command.id, note: port.noteOfStart() }];
      return command.type === "merge" ? [{ id: command.id, note: noteOfMerge(command, after) }] : [];
    });
  }

  function next(): void {
    if (stopping.signal.aborted) return;
    const commands = commandsOf(copy.state);
    const ids = new Set(commands.map(({ id }) => id));
    for (const [id, act] of acts) {
      if (ids.has(id)) continue;
      act.abort.abort();
      acts.delete(id);
      watched.forget(id);
    }
    for (const command of commands) {
      if (acts.has(command.id)) continue;
      const act = { abort: new AbortController(), isDone: false };
      acts.set(command.id, act);
      const work = carryOut(command, act.abort.signal).finally(() => {
        underWay.delete(work);
        act.isDone = true;
        endWhenOver();
      });
      underWay.add(work);
    }
    publish();
    endWhenOver();
  }

  /** What was looked for in vain is not waited for: a person has to say what is to become of it. */
  function endWhenOver(): void {
    if (stopping.signal.aborted || !isOver(copy.state)) return;
    const isLeft = ({ id, type }: PlanCommand) =>
      type !== "finish" && !(type === "look-up" && acts.get(id)?.isDone);
    if (!commandsOf(copy.state).some(isLeft)) onOver();
  }

  function publish(): void {
    try {
      onSeen(watched.get());
      port.publish(copy.state, watched.get(), isReplaced);
    } catch (error) {
      log.error("A change of a plan could not be told:", error);
    }
  }

  /** Until it is done or not wanted any more. Never rejects. */
  async function carryOut(command: PlanCommand, signal: AbortSignal): Promise<void> {
    for (let tries = 1; !signal.aborted; tries++) {
      let notNow: NotNow | undefined;
      try {
        notNow = await handle(command, signal);
      } catch (error) {
        // What is no error for people is a defect: its text may hold anything.
        const isKnown = error instanceof StoreError || (error as Error).name === "ApiError";
        if (!isKnown) log.error(`The plan could not go on (${command.type}):`, error);
        notNow = {
          reason: isKnown ? (error as Error).message : "Internal error in this server. It is tried again.",
        };
      }
      if (signal.aborted) return;
      watched.setTrouble(command, notNow?.isFine ? undefined : notNow?.reason);
      if (!notNow) return;
      await sleep(clock, notNow.afterMs ?? pauseAfter(tries, PAUSES), signal);
    }
  }

  async function tell(change: PlanChange): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      try {
        // What cannot happen any more is old news.
        await copy.happen(change);
        return true;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        log.warn(`The plan cannot be written: ${error.message}`);
      }
      if (!(await sleep(clock, pauseAfter(tries, PAUSES), stopping.signal))) return false;
    }
  }

  /** What was written down and not sent is nothing that the next process has to look for. */
  async function takeAllBack(): Promise<void> {
    await begun
      .takeAllBack()
      .catch((error: Error) => log.warn(`A start that was not sent is noted as begun: ${error.message}`));
  }

  return {
    get state() {
      return copy.state;
    },
    get entries() {
      return copy.entries;
    },
    get last() {
      return copy.last;
    },
    get now() {
      return watched.get();
    },
    get isAtWork() {
      return underWay.size > 0;
    },
    happen: copy.happen,
    catchUp: copy.catchUp,
    begin() {
      isDriven = true;
      next();
    },
    async stop(graceMs, isOurs) {
      stopping.abort();
      for (const act of acts.values()) act.abort.abort();
      const settled = new AbortController();
      void Promise.allSettled(underWay).then(() => settled.abort());
      await sleep(clock, graceMs, settled.signal);
      if (!isOurs) return;
      // A decision that is being written may note a start, which nobody sends here any more.
      await copy.settled();
      await takeAllBack();
    },
  };
}
