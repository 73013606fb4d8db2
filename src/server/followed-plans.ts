import type { PlansAccess } from "../plan-runner/plans-access.js";
import type { PlanSight } from "../plan-runner/runner.js";
import { type Clock, sleep } from "../shared/clock.js";
import { planNameOf } from "./plan-resource.js";

/** A plan that is over may be done again, and one that is not there may be begun: so often is looked, in ms. */
const QUIET_LOOK_MS = 5_000;

/** Follows plans for as long as somebody subscribes to them; nothing is read while nobody does. */
export interface FollowedPlans {
  /**
   * @param uri the address of a plan, by its id or its name
   * @returns ends this subscription; undefined when the address is no plan's
   */
  follow(uri: string): (() => void) | undefined;
  close(): void;
}

/** @param onChange called with the address when what it tells has changed, and once when a plan is first seen */
export function createFollowedPlans(options: {
  plans: PlansAccess;
  clock: Clock;
  onChange: (uri: string) => void;
}): FollowedPlans {
  const { plans, clock, onChange } = options;
  /** One look for all sessions that subscribe to an address. */
  const followed = new Map<string, { subscribers: number; stop: AbortController }>();

  async function look(uri: string, name: string, signal: AbortSignal): Promise<void> {
    let last: string | undefined;
    const see = ({ state, troubles, actions }: PlanSight) => {
      const mark = JSON.stringify([state.at, state.version, troubles, [...actions]]);
      if (mark !== last) onChange(uri);
      last = mark;
    };
    do {
      try {
        const open = await plans.openIfAny();
        const found = await open?.find(name);
        if (open && found) await open.follow(found.state.planId, signal, see);
      } catch {
        // Whoever reads it is told what is wrong.
      }
    } while (await sleep(clock, QUIET_LOOK_MS, signal));
  }

  return {
    follow(uri) {
      const name = planNameOf(uri);
      if (name === undefined) return undefined;
      const known = followed.get(uri);
      const plan = known ?? { subscribers: 0, stop: new AbortController() };
      plan.subscribers++;
      if (!known) {
        followed.set(uri, plan);
        void look(uri, name, plan.stop.signal);
      }
      return () => {
        if (--plan.subscribers > 0) return;
        plan.stop.abort();
        followed.delete(uri);
      };
    },
    close() {
      for (const { stop } of followed.values()) stop.abort();
      followed.clear();
    },
  };
}
