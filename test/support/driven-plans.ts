import { randomUUID } from "node:crypto";
import { onTestFinished, vi } from "vitest";
import type { Script, StartInfo } from "../../mocks/types.js";
import type { PlanSummary } from "../../src/plan-runner/plan-summary.js";
import { describePlan } from "../../src/plans/machine/describe-plan.js";
import type { PlanChange, PlanStarted } from "../../src/plans/machine/events.js";
import { planStatus, waitingFor } from "../../src/plans/machine/plan-status.js";
import type { PlanState } from "../../src/plans/machine/state.js";
import type { BranchingApi } from "./branching-api.js";
import { silentLog } from "./harness.js";
import { openPlans, type PlanProcess, planOf } from "./plan-place.js";

/** The plans of one process, as a test drives them. */
export interface DrivenPlans extends PlanProcess {
  /** Waits until the plan fits; gives it. */
  until(planId: string, fits: (state: PlanState) => boolean): Promise<PlanState>;
  /** Waits until what a list tells of the plan fits; gives it. */
  untilListed(planId: string, fits: (summary: PlanSummary) => boolean): Promise<PlanSummary>;
  /** Checks a plan and begins it; gives its id. */
  begin(raw: object, more?: Partial<Pick<PlanStarted, "agreeAbove" | "inputs">>): Promise<string>;
}

/** Opens plans as a process of their own would; closed when the test ends. In memory without a folder. */
export async function openDrivenPlans(
  api: Pick<BranchingApi, "url">,
  folder?: string,
  more: Partial<Parameters<typeof openPlans>[0]> = {},
): Promise<DrivenPlans> {
  const plans = await openPlans({ url: api.url, log: silentLog, ...(folder ? { folder } : {}), ...more });
  let isOpen = true;
  const opened: DrivenPlans = {
    ...plans,
    async close() {
      if (isOpen) await plans.close();
      isOpen = false;
    },
    until: (planId, fits) =>
      vi.waitFor(
        async () => {
          const sight = await plans.runner.look(planId);
          if (sight && fits(sight.state)) return sight.state;
          throw new Error(
            `It does not fit: ${sight && JSON.stringify([describePlan(sight.state), sight.troubles])}`,
          );
        },
        { timeout: 60_000, interval: 20 },
      ),
    untilListed: (planId, fits) =>
      vi.waitFor(
        async () => {
          const summary = (await plans.runner.list()).find((one) => one.planId === planId);
          if (summary && fits(summary)) return summary;
          throw new Error(`It does not fit: ${JSON.stringify(summary)}`);
        },
        { timeout: 60_000, interval: 20 },
      ),
    async begin(raw, given = {}) {
      const planId = randomUUID();
      await plans.runner.begin({ planId, plan: planOf(raw), inputs: {}, ...given }, { gitBranch: "main" });
      return planId;
    },
  };
  onTestFinished(() => opened.close());
  return opened;
}

/** Agents that do what the plan needs of them. */
export function scriptOf({ workflowName, body }: StartInfo): Script {
  const design = '```json\n{"parts": ["one", "two"]}\n```';
  return {
    result: workflowName === "architect" ? `A design.\n${design}` : `Done: ${body.message.slice(0, 40)}`,
    costUsd: 0.5,
    actions: ["Working"],
  };
}

export const isAtGate = (state: PlanState) => waitingFor(state).some(({ kind }) => kind === "gate");
export const hasEnded = (state: PlanState) => planStatus(state) === "completed";

/** The decision at an open gate, as it is shown now. @throws Error when it is not open */
export function decide(
  state: PlanState,
  decision: "approve" | "send-back" | "stop",
  words?: string,
  step = "ok",
): PlanChange {
  const opening = state.steps[step]?.open;
  if (!opening) throw new Error("No gate is open.");
  const { attempt, commits } = opening;
  return { type: "gate-decided", step, attempt, commits, decision, ...(words ? { words } : {}) };
}
