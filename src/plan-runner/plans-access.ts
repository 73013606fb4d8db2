import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "../shared/clock.js";
import { DATABASE_FILE } from "../shared/state-folder.js";
import type { Plans } from "./plans.js";

// What plans throw belongs to the way to them.
export { StoreError } from "../store/store-error.js";
export { PlanNameTaken } from "./name-taken.js";

/** No plans can be had here. The message says why, and that nothing was begun. */
export class PlansUnavailable extends Error {
  override name = "PlansUnavailable";
}

const STOPPING = "The server is stopping. Nothing was begun.";

/** The way to the plans of a server. Nothing of them is loaded or opened before they are asked for. */
export interface PlansAccess {
  /** @throws PlansUnavailable, StoreError */
  open(): Promise<Plans>;
  /** The same for who only looks: undefined where there was never a plan. */
  openIfAny(): Promise<Plans | undefined>;
  /** Makes sure that plans which are open are carried out, if there can be any. Never throws. */
  carryOn(): Promise<void>;
  /** Lets go of the plans; they go on elsewhere, or with the next process. */
  close(): Promise<void>;
}

/** An empty file in the state folder: plans were begun there. */
export const PLANS_MARK = "has-plans";

/**
 * @param options.folder the state folder
 * @param options.load opens the plans; called again when that has failed
 * @param options.onProblem gets what kept open plans from being carried on, worded for the log
 */
export function createPlansAccess(options: {
  folder: string;
  load: () => Promise<Plans>;
  onProblem: (message: string) => void;
}): PlansAccess {
  const file = join(options.folder, DATABASE_FILE);
  let opening: Promise<Plans> | undefined;
  /** The file that was opened. */
  let inode: number | undefined;
  let closed = false;

  async function load(): Promise<Plans> {
    try {
      const plans = await options.load();
      inode = readInode();
      return plans;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  }

  function readInode(): number | undefined {
    return statSync(file, { throwIfNoEntry: false })?.ino;
  }

  function open(): Promise<Plans> {
    if (closed) return Promise.reject(new PlansUnavailable(STOPPING));
    // Somebody has removed it, or a damaged one was moved aside: what was opened is nobody's any more.
    if (opening && inode !== undefined && readInode() !== inode) {
      void opening.then((former) => former.close(0)).catch(() => {});
      opening = undefined;
      inode = undefined;
    }
    opening ??= load();
    return opening;
  }

  // Neither the plans' code nor the database is loaded for those who have none.
  const mayHavePlans = () => existsSync(join(options.folder, PLANS_MARK));

  return {
    open,
    openIfAny: async () => (mayHavePlans() ? open() : undefined),
    async carryOn() {
      if (!mayHavePlans()) return;
      try {
        const plans = await open();
        if (await plans.hasOpen()) await plans.carryOn();
      } catch (error) {
        if (!closed) options.onProblem(`Open plans were not carried on: ${(error as Error).message}`);
      }
    },
    async close() {
      closed = true;
      await opening?.then((plans) => plans.close()).catch(() => {});
    },
  };
}

/** So long after open plans could not be carried on it is tried again, in ms. */
const AGAIN_MS = 5_000;

/**
 * The way to plans in a database that several servers share: nothing in the state folder tells whether there are any.
 * @param options.load opens the plans; called again when that has failed
 * @param options.carriesOut whether this process carries plans out itself: then it looks for such as others have left,
 * from `carryOn` on, and tries that again while the database is away
 * @param options.onProblem gets what keeps open plans from being carried on, once, worded for the log
 */
export function createSharedPlansAccess(options: {
  load: () => Promise<Plans>;
  carriesOut: boolean;
  clock: Clock;
  onProblem: (message: string) => void;
}): PlansAccess {
  const { carriesOut, clock } = options;
  const closing = new AbortController();
  let opening: Promise<Plans> | undefined;
  let carrying: Promise<void> | undefined;

  function open(): Promise<Plans> {
    if (closing.signal.aborted) return Promise.reject(new PlansUnavailable(STOPPING));
    opening ??= options.load().catch((error) => {
      opening = undefined;
      throw error;
    });
    return opening;
  }

  async function tryOn(): Promise<string | undefined> {
    try {
      const plans = await open();
      if (carriesOut || (await plans.hasOpen())) await plans.carryOn();
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  async function carryOn(): Promise<void> {
    let told: string | undefined;
    do {
      const problem = await tryOn();
      if (problem === undefined) return;
      if (!closing.signal.aborted && problem !== told)
        options.onProblem(`Open plans were not carried on: ${problem}`);
      told = problem;
    } while (carriesOut && (await sleep(clock, AGAIN_MS, closing.signal)));
  }

  return {
    open,
    openIfAny: open,
    carryOn() {
      carrying ??= carryOn().finally(() => {
        carrying = undefined;
      });
      return carrying;
    },
    async close() {
      closing.abort();
      await opening?.then((plans) => plans.close()).catch(() => {});
    },
  };
}

/** Where there is no place for plans. */
export function createNoPlans(why: string): PlansAccess {
  return {
    open: () => Promise.reject(new PlansUnavailable(why)),
    openIfAny: async () => undefined,
    carryOn: async () => {},
    close: async () => {},
  };
}
