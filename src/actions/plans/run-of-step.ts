import type { PlanState } from "../../plans/machine/state.js";
import { cleanLine } from "../../shared/text.js";
import { ActionError } from "../answer.js";
import { watchPlan } from "./tell-plan.js";

/**
 * The run of a plan that a message is for: the one that goes on, or that of a step; of a fan-out `step/2` is its second
 * item.
 * @throws ActionError when there is none, or more than one
 */
export function runOfStep(state: PlanState, wanted: string | undefined): string {
  const going = Object.entries(state.steps).flatMap(([id, { attempts }]) =>
    attempts
      .filter(({ status, runId }) => (status === "running" || status === "waiting") && runId)
      .map(({ runId = "", item }) => ({
        runId,
        step: id,
        name: item === undefined ? id : `${id}/${item + 1}`,
      })),
  );
  const fitting = wanted ? going.filter(({ step, name }) => name === wanted || step === wanted) : going;
  const [only] = fitting;
  if (only && fitting.length === 1) return only.runId;
  const names = (fitting.length > 0 ? fitting : going).map(({ name }) => name).join(", ");
  const what =
    fitting.length > 1
      ? `Several runs go on; say which by \`step\`: ${names}.`
      : wanted
        ? `No run of step ${cleanLine(wanted, 100)} goes on${names ? `; these do: ${names}` : ""}.`
        : `No run of the plan ${cleanLine(state.plan.name, 60)} goes on.`;
  throw new ActionError(`${what} Nothing was sent.`, watchPlan(state.planId, "See how the plan stands."));
}
