import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { PlanOwner } from "./plan-owner.js";
import type { PlanSights } from "./plan-sights.js";
import type { PlanNow } from "./port.js";

/** Between two writes pass so many ms at least: agents change what they do many times a second. */
const PAUSE_MS = 1_000;

/** Has what is seen of all plans of this process written down for others, together, and only when it has changed. */
export interface SightWriter {
  /** @param epoch in which this process has the plan */
  note(planId: string, now: PlanNow, epoch: number): void;
  /** The plan is not this process's any more. */
  forget(planId: string): void;
  /** Nothing more is written. */
  close(): void;
}

/** Creates it; nothing is written before something was seen. */
export function createSightWriter(options: {
  sights: Pick<PlanSights, "writeSights">;
  owner: Promise<PlanOwner>;
  clock: Clock;
  log: Log;
}): SightWriter {
  const { sights, owner, clock, log } = options;
  const noted = new Map<string, { now: PlanNow; text: string; epoch: number }>();
  /** What the database has, as far as this process has written it. */
  const written = new Map<string, string>();
  let cancel: (() => void) | undefined;
  let wroteAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;

  function plan(): void {
    if (isClosed) return;
    cancel ??= clock.after(Math.max(0, wroteAt + PAUSE_MS - clock.elapsed()), () => void write());
  }

  async function write(): Promise<void> {
    const changed = [...noted].filter(([planId, { text }]) => written.get(planId) !== text);
    wroteAt = clock.elapsed();
    try {
      const wanted = new Map(changed);
      if (wanted.size > 0) await sights.writeSights(await owner, wanted, clock.now());
      for (const [planId, { text }] of changed) if (noted.has(planId)) written.set(planId, text);
    } catch (error) {
      // What is written next has it.
      log.debug(`What is seen of plans could not be written: ${(error as Error).message}`);
    }
    cancel = undefined;
    if ([...noted].some(([planId, { text }]) => written.get(planId) !== text)) plan();
  }

  return {
    note(planId, now, epoch) {
      const text = JSON.stringify([now.troubles, [...now.actions]]);
      if ((noted.get(planId)?.text ?? NOTHING) === text) return;
      noted.set(planId, { now, text, epoch });
      plan();
    },
    forget(planId) {
      noted.delete(planId);
      written.delete(planId);
    },
    close() {
      isClosed = true;
      cancel?.();
    },
  };
}

const NOTHING = JSON.stringify([[], []]);
