import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { upstreamFolderName } from "../../src/sessions/store/file-names.js";
import { runBin, spawnBin, temporaryFolder, toVariables } from "./bin.js";
import type { BranchingApi } from "./branching-api.js";
import { type DrivenPlans, openDrivenPlans } from "./driven-plans.js";
import { endAll, processesWith } from "./one-machine.js";

/** A person's home with plans in it, and `plan …` in a terminal there. */
export interface PlanTerminal {
  home: string;
  /** The variables of whatever runs there. */
  env: Record<string, string>;
  /** `plan …` to its end, by the published bin and without a terminal in which anybody could be asked. */
  plan(args?: string[], env?: Record<string, string>): ReturnType<typeof runBin>;
  /** The same while it goes on. */
  begin(args: string[]): ReturnType<typeof spawnBin>;
  /** Writes a file; gives its path. */
  file(text: string, name?: string): string;
}

/** @param api the workflows API; left out, the engine of this machine is meant */
export function createPlanTerminal(api?: Pick<BranchingApi, "url">): PlanTerminal {
  const home = temporaryFolder();
  onTestFinished(() => endAll(processesWith(home)));
  const elsewhere = api ? { BASE_URL: api.url, API_KEY: "test-key", POLLING_INTERVAL: "0.2" } : {};
  const variables = { HOME: home, ...toVariables({ STATE_DIR: home, ...elsewhere }) };
  return {
    home,
    env: variables,
    plan: (args = [], env = {}) => runBin(["plan", ...args], { ...variables, ...env }),
    begin: (args) => spawnBin(["plan", ...args], variables),
    file(text, name = "ship.yaml") {
      writeFileSync(join(home, name), text);
      return join(home, name);
    },
  };
}

/** The plans that are in a terminal's home, carried out by this process. */
export async function drivePlansOf(
  { home }: Pick<PlanTerminal, "home">,
  api: Pick<BranchingApi, "url">,
): Promise<DrivenPlans> {
  const plans = await openDrivenPlans(api, home, { upstream: upstreamFolderName(api.url) });
  plans.runner.start();
  return plans;
}
