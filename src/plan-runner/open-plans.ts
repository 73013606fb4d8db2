import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Notifier } from "../notices/notifier.js";
import type { Log } from "../shared/log.js";
import { openStore, type StorePlace } from "../store/open-store.js";
import { type ApiPortOptions, createApiPort } from "./api-port.js";
import { assertDbos } from "./dbos/load-dbos.js";
import { createPlanJournal, type PlanJournal } from "./journal.js";
import { createPlanNotices } from "./plan-notices.js";
import { createPlans, type Plans, type PlansOptions } from "./plans.js";
import { PLANS_MARK } from "./plans-access.js";
import { createPlanRunner } from "./runner.js";

/** What the plans of a server are made of. */
export interface OpenPlansOptions
  extends StorePlace,
    Omit<ApiPortOptions, "capabilities">,
    Omit<PlansOptions, "runner" | "carryOut" | "capabilities"> {
  capabilities: ApiPortOptions["capabilities"] & PlansOptions["capabilities"];
  /** Names the workflows API: plans of another one are not seen. */
  upstream: string;
  log: Log;
  /** Tells the person of plans that no call follows; nobody when left out. */
  notifier?: Notifier | undefined;
  /** Finds or starts the process that carries plans out; left out, this process does so. */
  findDriver?: (() => Promise<void>) | undefined;
}

/**
 * Opens the plans that are in the database of a state folder, or in the one that several servers share.
 * @throws StoreError when it cannot be used
 */
export async function openPlans(options: OpenPlansOptions): Promise<Plans> {
  const { folder, address, upstream, clock, log, findDriver } = options;
  if (address !== undefined) assertDbos();
  const onProblem = ({ message }: { message: string }) => log.warn(message);
  const database = await openStore({ folder, address, clock, onProblem });
  const stored = createPlanJournal({ database, upstream });
  const journal = address === undefined ? markPlans(stored, folder) : stored;
  const notices = createPlanNotices(options.notifier, clock);
  const listeners = new Set<(planId: string) => void>();
  /** Plans that are about an issue: what it is to be told is written with their changes. */
  const aboutIssues = new Set<string>();
  const portOf = createApiPort({
    ...options,
    onChange(state, now, isReplaced) {
      notices.changed(state, isReplaced);
      if (aboutIssues.has(state.planId)) options.notifier?.look();
      options.onChange?.(state, now);
      for (const listener of [...listeners]) listener(state.planId);
    },
  });
  const portFor: typeof portOf = (plan) => {
    if (plan.place.issue) aboutIssues.add(plan.planId);
    return portOf(plan);
  };
  const runner = createPlanRunner({ journal, portFor, clock, log });
  async function carryOut(): Promise<void> {
    if (!findDriver) return runner.start();
    try {
      // Other machines may carry out all there is.
      if (!journal.isShared || (await runner.isCarrierWanted())) await findDriver();
    } catch (error) {
      log.warn(`Plans are not carried out at the moment: ${(error as Error).message}`);
    }
  }
  const plans = createPlans({ ...options, runner, carryOut });
  return {
    ...plans,
    saw: notices.saw,
    onChange(listener) {
      listeners.add(listener);
      const offUpdates = runner.onUpdate((planId) => planId !== undefined && listener(planId));
      return () => {
        offUpdates();
        listeners.delete(listener);
      };
    },
    async close(graceMs) {
      await plans.close(graceMs);
      await database.destroy();
    },
  };
}

/** Notes in the state folder that plans are begun there, before each is: without the note none is looked for. */
export function markPlans(journal: PlanJournal, folder: string): PlanJournal {
  return {
    ...journal,
    async begin(start, place) {
      await writeFile(join(folder, PLANS_MARK), "", { mode: 0o600 });
      return journal.begin(start, place);
    },
  };
}
