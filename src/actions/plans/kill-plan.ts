import type { PlanSight } from "../../plan-runner/runner.js";
import { isGoing, type PlanState } from "../../plans/machine/state.js";
import { cleanLine } from "../../shared/text.js";
import { formatUsd } from "../../shared/usd.js";
import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { confirmWithPerson } from "../forms/confirm.js";
import { answerPlan } from "./answer-plan.js";
import { tellPlanChange } from "./decide.js";
import { statusOf } from "./describe-plan-answer.js";
import { followUntil } from "./follow-until.js";
import { openPlans } from "./open-plans.js";

/** How long a kill waits for the runs to end, in ms. */
const END_MS = 10_000;
const FINAL: readonly string[] = ["completed", "failed", "killed"];

/** Ends a plan and its runs, after the person agreed; what they have committed is kept, and the answer says where. */
export async function killPlan(
  sight: PlanSight,
  confirm: boolean | undefined,
  call: Call,
  services: Services,
): Promise<Answer> {
  const { state } = sight;
  const { planId } = state;
  if (FINAL.includes(statusOf(sight)))
    return answerPlan(
      sight,
      { outcome: "ok", first: "Nothing was killed: the plan is already over." },
      call,
      services,
    );
  const ended = await confirmWithPerson(
    {
      action: "kill",
      deed: `Kill ${tellWhat(state)}`,
      detail:
        "Its runs are ended, and nothing new is started. What they have committed is kept on its branches.",
      arguments: { plan_id: planId },
      confirm,
      untouched: "Nothing was killed; the plan is as it was.",
    },
    call,
  );
  if (ended) return ended;
  const plans = await openPlans(services);
  const told = await tellPlanChange(planId, { type: "kill-asked" }, plans);
  let now: PlanSight = { ...sight, state: told.state };
  await followUntil(
    planId,
    (seen) => {
      now = seen;
      return FINAL.includes(statusOf(seen));
    },
    { plans, clock: services.clock, ms: END_MS, call, left: "The plan is being ended." },
  );
  const status = statusOf(now);
  const first =
    told.refused !== undefined && status !== "killed"
      ? told.refused
      : status === "killed"
        ? `Killed: nothing of the plan goes on. What its runs have committed is kept${countWork(now.state) > 0 ? ", and stands below" : "; there is nothing"}.`
        : "It is being ended: nothing new is started, and its runs were told to end.";
  return answerPlan(now, { first }, call, services);
}

/** "the plan login (2 runs go on, $1.50 so far)" */
function tellWhat({ plan, steps, spentUsd, unknownCosts }: PlanState): string {
  const going = Object.values(steps).reduce((sum, { attempts }) => sum + attempts.filter(isGoing).length, 0);
  const runs = going === 1 ? "1 run goes on" : `${going} runs go on`;
  const cost = `${unknownCosts > 0 ? "at least " : ""}${formatUsd(spentUsd)} so far`;
  return `the plan ${cleanLine(plan.name, 60)} (${runs}, ${cost})`;
}

function countWork({ steps }: PlanState): number {
  return Object.values(steps).filter(({ branch, attempts }) => branch || attempts.some((one) => one.branch))
    .length;
}
