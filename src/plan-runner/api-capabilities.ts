import type { ApiCapabilities } from "../api/capabilities.js";
import type { CheckOptions } from "../plans/language/check-plan.js";

/**
 * What of the plan language is not possible with this API, for `checkPlan`: each with the reason. What every workflows
 * API has counts as there while its description cannot be read; what few have, only when the description names it.
 */
export function capabilitiesOfApi(
  capabilities: Pick<ApiCapabilities, "state" | "acceptsField" | "describesEndpoint">,
): NonNullable<CheckOptions["cannot"]> {
  const { description } = capabilities.state();
  const merge = !capabilities.describesEndpoint("take")
    ? "This API does not say that it merges branches"
    : !description?.takesNewBranch
      ? "This API does not say that it merges into a new branch"
      : !description.takesCheck
        ? "This API does not say that it checks a merge before it makes it"
        : undefined;
  return {
    ...(description?.start.agents.length
      ? {}
      : { agent: "This API does not say that a run can have another agent than its workflow's" }),
    ...(capabilities.acceptsField("session_id") ? {} : { continue: "This API does not continue sessions" }),
    ...(description?.start.takesFrom
      ? {}
      : { from: "This API does not say that a session's branch can begin at another one" }),
    ...(capabilities.acceptsField("session_name")
      ? {}
      : { for_each: "This API takes no names for sessions, so that runs of one kind cannot be told apart" }),
    ...(merge === undefined ? {} : { merge }),
  };
}
