import type { Services } from "../actions/define-action.js";
import type { OpenAnswers } from "../answers/open-answers.js";
import type { IntegrationParts } from "../integrations/integration-parts.js";
import { setForAnswers } from "../integrations/set-for-answers.js";
import type { Notifier } from "../notices/notifier.js";
import type { ServiceOptions } from "../server/services.js";
import type { Settings } from "../settings/settings.js";
import { systemClock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { StorePlace } from "../store/open-store.js";

/**
 * Begins to ask people by the services that are set for it, and to take their answers. Nothing of it is loaded else.
 * @param options.notifier brings what is asked to the services
 * @returns undefined where none is set
 */
export async function openOutsideAnswers(
  options: StorePlace & {
    services: Services;
    integrations: IntegrationParts;
    upstream: string;
    notifier: Notifier | undefined;
    log: Log;
  },
): Promise<OpenAnswers | undefined> {
  const { integrations, services, notifier, log, folder, address, upstream } = options;
  const { slack, discord, ntfy, missing } = setForAnswers(integrations.settings, integrations.secrets);
  for (const { title, names } of missing)
    log.warn(`Nobody is asked by ${title}: ${names.join(", ")} ${names.length > 1 ? "are" : "is"} not set.`);
  if (!slack && !discord && !ntfy) return undefined;
  const { listConnections } = await import("../answers/connections.js");
  const { openAnswers } = await import("../answers/open-answers.js");
  return openAnswers({
    ...{ folder, address, services, upstream, log },
    connections: listConnections(integrations),
    dashboardUrl: integrations.settings.dashboardUrl,
    onWritten: () => notifier?.look(),
  });
}

/** The same for a server that describes itself. */
export async function openAnswersFor(
  services: Services,
  settings: Settings,
  { plans, secrets, env, log }: Pick<ServiceOptions, "plans" | "secrets" | "env" | "log">,
  notifier: Notifier,
): Promise<OpenAnswers | undefined> {
  if (!plans || !secrets) return undefined;
  const integrations = { settings, secrets, env: env ?? {}, clock: systemClock, log };
  return openOutsideAnswers({ services, integrations, notifier, ...plans, log });
}
