import type { Secrets } from "../settings/secrets.js";
import type { Settings } from "../settings/settings.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { LinearClient } from "./linear/client.js";
import { createLinearTarget } from "./linear/target.js";
import type { Target } from "./target.js";

/** What integrations are made of. */
export interface IntegrationParts {
  settings: Partial<Settings>;
  secrets: Secrets;
  /** Proxies, and what commands of the person's get: without this product's own variables. */
  env: NodeJS.ProcessEnv;
  clock: Clock;
  log: Log;
}

/**
 * The services that this process brings things from the outbox to, beside the channels of notices: those that are set. What
 * one needs is loaded with its first delivery.
 */
export function listTargets(parts: IntegrationParts): Target[] {
  if (!parts.secrets.has("linearApiKey")) return [];
  let linear: Promise<LinearClient> | undefined;
  function openLinear(): Promise<LinearClient> {
    linear ??= import("./linear/open-linear.js").then((module) => module.openLinear(parts));
    return linear;
  }
  return [createLinearTarget(openLinear)];
}
