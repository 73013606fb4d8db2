import { type Endpoint, nameEndpoint } from "../api/endpoints.js";
import { ActionError } from "./answer.js";
import type { Services } from "./define-action.js";

/**
 * Makes sure that the API has what an action cannot do without; one that may be another version by now is asked again.
 * @param instead what to do where it has no such endpoint, as a sentence
 * @throws ActionError when it does not
 */
export async function requireEndpoint(
  action: { name: string; endpoint: Endpoint; instead?: string | undefined },
  { api, capabilities }: Pick<Services, "api" | "capabilities">,
): Promise<void> {
  const { name, endpoint, instead = "Do without it, or ask the API's operator." } = action;
  if (!capabilities.hasEndpoint(endpoint)) await capabilities.refresh();
  if (capabilities.hasEndpoint(endpoint)) return;
  throw new ActionError(
    `The API at ${api.address} offers no endpoint for ${name} (${nameEndpoint(endpoint)} is not in ` +
      `its description), so nothing was sent. ${instead}`,
    {
      action: "list_workflows",
      arguments: { detailed: true },
      reason: "See what this API offers.",
    },
  );
}
