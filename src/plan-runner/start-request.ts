import type { StartRequest } from "../api/types.js";
import { schemaOf } from "../plans/machine/output-schema.js";
import type { StartOrder } from "../plans/machine/state.js";
import { AUTO_WORKFLOW } from "../plans/plan.js";
import type { PlanPlace } from "./plan-place.js";

/** What a workflows API takes with a start, as its description says. */
export interface TakenWithStart {
  takesFrom?: boolean;
  takesCostLimit?: boolean;
  takesOutputSchema?: boolean;
  agents?: readonly { name: string }[];
}

/**
 * The start of one of a plan's runs, as a workflows API takes it.
 * @param options.defaults what every start of this server has
 * @param options.takes undefined where the API describes nothing
 * @returns why there can be none, as sentences, where nothing may be sent
 */
export function requestOfStart(
  order: StartOrder,
  { repositoryUrl, gitBranch, consent, onBehalf }: PlanPlace,
  { defaults, takes = {} }: { defaults: Partial<StartRequest>; takes: TakenWithStart | undefined },
): StartRequest | { problem: string } {
  const { workflow, agent, message, session, sessionName, costLimitUsd, output } = order;
  if (workflow === AUTO_WORKFLOW)
    return {
      problem:
        "No workflow was chosen for it, since the API's workflows were not known when the plan began. Begin the plan again, or name one.",
    };
  if (agent !== undefined && !takes.agents?.some(({ name }) => name === agent))
    return { problem: `The API does not say that it has the agent ${agent}. Nothing was started.` };
  const base = {
    ...defaults,
    ...onBehalf,
    workflowName: workflow,
    ...(agent === undefined ? {} : { agent }),
    message,
    ...(takes.takesCostLimit && costLimitUsd !== undefined ? { costLimitUsd } : {}),
    ...(takes.takesOutputSchema && output ? { outputSchema: schemaOf(output) } : {}),
  };
  const name = session.kind === "continue" ? session.sessionName : sessionName;
  const named = name === undefined ? base : { ...base, sessionName: name };
  if (session.kind === "continue") {
    if (session.sessionId === undefined)
      return {
        problem:
          "The API has not told the id of the conversation that it would continue. Nothing was started. Without continue the step begins a session of its own.",
      };
    return { ...named, sessionId: session.sessionId, ...(consent ? { consent } : {}) };
  }
  const there = { ...named, ...(repositoryUrl ? { repositoryUrl } : {}), ...(consent ? { consent } : {}) };
  if (session.kind === "new") {
    if (!gitBranch) return there;
    // Runs beside each other cannot all be on the plan's branch: each has one of its own, which begins there.
    return { ...there, ...(takes.takesFrom && repositoryUrl ? { startFrom: gitBranch } : { gitBranch }) };
  }
  if (!takes.takesFrom)
    return { problem: "The API does not say that a session's branch can begin at another one." };
  return { ...there, startFrom: session.branch };
}
