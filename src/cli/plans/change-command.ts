import type { Answer } from "../../actions/answer.js";
import type { Call } from "../../actions/define-action.js";
import { changePlan } from "../../actions/plans/change-plan.js";
import { killPlan } from "../../actions/plans/kill-plan.js";
import type { Plans } from "../../plan-runner/plans.js";
import type { PlanLimits } from "../../plans/plan.js";
import type { OpenServices } from "../sessions/open-services.js";
import { findPlan } from "./find-plan.js";
import { tellAnswer } from "./tell-answer.js";

/** What can be done with a plan that goes on, beside deciding at its gates. */
export type Change =
  | { deed: "pause" | "resume" }
  | { deed: "kill" }
  | { deed: "skip" | "redo"; step?: string | undefined; words?: string | undefined }
  /** The plan becomes what the text says. */
  | { deed: "edit"; text: string }
  | { deed: "limits"; limits: Partial<PlanLimits> };

export interface ChangeOptions {
  plans: Plans;
  /** Without asking; the call then has no forms. What is agreed to word for word is not said by it. */
  yes: boolean;
  call: Call;
  out: (text: string) => void;
}

/**
 * Changes or ends a plan, as `plan` and `kill` in a chat client do; asks first where that ends runs, costs something, or
 * lets a command run.
 * @returns the exit code: 0 done, 1 not
 * @throws UnknownPlan, ActionError, StoreError when nothing was changed
 */
export async function changeInTerminal(
  wanted: string,
  change: Change,
  { services }: Pick<OpenServices, "services">,
  options: ChangeOptions,
): Promise<number> {
  const { plans, yes, call, out } = options;
  const sight = await findPlan(wanted, plans);
  const confirm = yes ? true : undefined;
  const answer =
    change.deed === "kill"
      ? await killPlan(sight, confirm, call, services)
      : await changePlan(sight, { ...toArguments(change), confirm }, call, services);
  out(`${tellAnswer(answer, yes ? "" : "--yes does it without asking.")}\n`);
  return isDone(answer) ? 0 : 1;
}

function toArguments(change: Exclude<Change, { deed: "kill" }>) {
  switch (change.deed) {
    case "edit":
      return { change: "edit" as const, plan: change.text };
    case "limits": {
      const { costUsd, ...limits } = change.limits;
      const all = costUsd === undefined ? limits : { ...limits, cost_usd: costUsd };
      return { change: "edit" as const, limits: JSON.stringify(all) };
    }
    case "skip":
    case "redo":
      return { change: change.deed, step: change.step, message: change.words };
    default:
      return { change: change.deed };
  }
}

/** What was done, or what has ended by it. */
function isDone({ outcome }: Answer): boolean {
  return outcome === "ok" || outcome === "killed" || outcome === "running";
}
