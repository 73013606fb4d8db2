import type { IntegrationParts } from "./integration-parts.js";
import type { LinearClient } from "./linear/client.js";
import { createLinearTarget } from "./linear/target.js";
import { listAskTargets } from "./list-ask-targets.js";
import type { Target } from "./target.js";

/**
 * The services that this process brings things from the outbox to, beside the channels of notices: those that are set. What
 * one needs is loaded with its first delivery.
 */
export function listTargets(parts: IntegrationParts): Target[] {
  return [...listLinear(parts), ...listAskTargets(parts)];
}

function listLinear(parts: IntegrationParts): Target[] {
  if (!parts.secrets.has("linearApiKey")) return [];
  let linear: Promise<LinearClient> | undefined;
  function openLinear(): Promise<LinearClient> {
    linear ??= import("./linear/open-linear.js").then((module) => module.openLinear(parts));
    return linear;
  }
  return [createLinearTarget(openLinear)];
}
