import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DATABASE_FILE } from "../shared/state-folder.js";
import type { Plans } from "./plans.js";

// What plans throw belongs to their door.
export { StoreError } from "../store/store-error.js";
export { PlanNameTaken } from "./name-taken.js";

/** No plans can be had here. The message says why, and that nothing was begun. */
export class PlansUnavailable extends Error {
  override name = "PlansUnavailable";
}

/** The way to the plans of a server. Nothing of them is loaded or opened before they are asked for. */
export interface PlansDoor {
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
export function createPlansDoor(options: {
  folder: string;
  load: () => Promise<Plans>;
  onProblem: (message: string) => void;
}): PlansDoor {
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
    if (closed) return Promise.reject(new PlansUnavailable("The server is stopping. Nothing was begun."));
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

/** Where there is no place for plans. */
export function createClosedDoor(why: string): PlansDoor {
  return {
    open: () => Promise.reject(new PlansUnavailable(why)),
    openIfAny: async () => undefined,
    carryOn: async () => {},
    close: async () => {},
  };
}
